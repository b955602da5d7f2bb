"""The pose of an object as nine numbers, of which the last six make a rotation by Gram and Schmidt (Zhou et al. 2019).

x = (t1, t2, t3, r11, r21, r31, r12, r22, r32): a place, and the first two columns of the rotation (Bandi & Thomas,
eq. 6 and 7). A crop does not show how far away its content is, only how wide it looks. So the third number is the
depth times the crop's size over its focal length, which is the width of what the crop sees there; the other two are
the place in metres.
"""

from __future__ import annotations

from typing import Any

from hoi_core.crop import concatenate

N_VECTOR = 9
_TINY = 1e-16  # under a root, whose slope is infinite at 0


def from_pose(T_crop_obj: Any, focal_px: Any, size: int) -> Any:
    """The nine numbers of poses; numpy and torch alike.

    Args:
        T_crop_obj: `(B, 4, 4)` m, object to crop.
        focal_px: `(B,)` px, of the crops.
        size: side of the crops, px.

    Returns:
        `(B, 9)`: m, m, m of width, and six without unit.
    """
    place, R = T_crop_obj[:, :3, 3], T_crop_obj[:, :3, :3]
    width = place[:, 2:] * (size / focal_px[:, None])
    return concatenate([place[:, :2], width, R[..., 0], R[..., 1]], -1)


def to_pose(x: Any, focal_px: Any, size: int) -> Any:
    """The inverse of `from_pose`, for any six numbers in place of a rotation's. `(B, 9) -> (B, 4, 4)` m."""
    depth = x[:, 2:3] * (focal_px[:, None] / size)
    place = concatenate([x[:, :2], depth], -1)
    top = concatenate([gram_schmidt(x[:, 3:]), place[..., None]], -1)
    last = 0.0 * top[:, :1]
    last[..., 3] = 1.0
    return concatenate([top, last], 1)


def gram_schmidt(columns: Any) -> Any:
    """Rotations of two columns: the first one's direction, what of the second is square to it, and their cross product.

    Args:
        columns: `(..., 6)` the first column, then the second; neither zero nor parallel, or the result is no rotation.

    Returns:
        `(..., 3, 3)`, determinant 1; numpy or torch, as `columns`.
    """
    first = _unit(columns[..., :3])
    second = columns[..., 3:]
    second = _unit(second - (first * second).sum(-1)[..., None] * first)
    return concatenate([first[..., None], second[..., None], _cross(first, second)[..., None]], -1)


def _unit(v: Any) -> Any:
    return v / ((v * v).sum(-1)[..., None] + _TINY) ** 0.5


def _cross(a: Any, b: Any) -> Any:
    """`(..., 3), (..., 3) -> (..., 3)`."""
    x, y, z = (a[..., i] * b[..., j] - a[..., j] * b[..., i] for i, j in ((1, 2), (2, 0), (0, 1)))
    return concatenate([x[..., None], y[..., None], z[..., None]], -1)
