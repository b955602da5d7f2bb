"""Rotations: axis-angle, matrix and quaternion (wxyz), in numpy.

Column vectors throughout: `y = R @ x`. Axis-angle `w` turns by `|w|` radians about `w / |w|`.
"""

from __future__ import annotations

import numpy as np

from hoi_core.types import F64

_SMALL = 1e-4  # rad; below it the Taylor series is more exact than the closed form


def skew(v: F64) -> F64:
    """Cross-product matrix: `skew(a) @ b = a x b`. `(..., 3) -> (..., 3, 3)`."""
    zero = np.zeros_like(v[..., 0])
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    rows = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1)
    return rows.reshape(*v.shape[:-1], 3, 3)


def exp_so3(axis_angle: F64) -> F64:
    """Rotation matrices of axis-angle vectors (Rodrigues). `(..., 3) rad -> (..., 3, 3)`."""
    w = np.asarray(axis_angle, dtype=np.float64)
    t2 = (w * w).sum(-1)[..., None, None]
    t = np.sqrt(t2)
    small = t < _SMALL
    safe = np.where(small, 1.0, t)
    a = np.where(small, 1.0 - t2 / 6.0, np.sin(safe) / safe)
    b = np.where(small, 0.5 - t2 / 24.0, (1.0 - np.cos(safe)) / (safe * safe))
    k = skew(w)
    return np.eye(3) + a * k + b * (k @ k)


def log_so3(R: F64) -> F64:
    """Axis-angle of rotation matrices, `|w| <= pi`. `(..., 3, 3) -> (..., 3) rad`."""
    q = matrix_to_quaternion(R)
    q = np.where(q[..., :1] < 0, -q, q)
    sin_half = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sin_half, q[..., :1])
    factor = np.where(sin_half < _SMALL, 2.0 + sin_half**2 / 3.0, angle / np.maximum(sin_half, _SMALL / 2))
    return q[..., 1:] * factor


def matrix_to_quaternion(R: F64) -> F64:
    """Unit quaternions (w, x, y, z), stable for every angle. `(..., 3, 3) -> (..., 4)`."""
    m = np.asarray(R, dtype=np.float64)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    # Four times the outer product q q^T; its longest row is q up to scale and sign.
    w_row = [1 + xx + yy + zz, m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]]
    x_row = [w_row[1], 1 + xx - yy - zz, m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0]]
    y_row = [w_row[2], x_row[2], 1 - xx + yy - zz, m[..., 1, 2] + m[..., 2, 1]]
    z_row = [w_row[3], x_row[3], y_row[3], 1 - xx - yy + zz]
    outer = np.stack([np.stack(row, -1) for row in (w_row, x_row, y_row, z_row)], -2)
    longest = np.argmax(np.diagonal(outer, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(outer, longest[..., None, None], axis=-2)[..., 0, :]
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def slerp(R0: F64, R1: F64, t: F64 | float) -> F64:
    """Geodesic interpolation between rotations. `(..., 3, 3), (..., 3, 3), (...) -> (..., 3, 3)`."""
    step = log_so3(np.swapaxes(R0, -1, -2) @ R1)
    return R0 @ exp_so3(step * np.asarray(t)[..., None])


def geodesic_angle(R0: F64, R1: F64) -> F64:
    """Angle between rotations. `(..., 3, 3), (..., 3, 3) -> (...) rad`."""
    return np.linalg.norm(log_so3(np.swapaxes(R0, -1, -2) @ R1), axis=-1)


def kabsch(source_m: F64, target_m: F64, weight: F64) -> tuple[F64, F64]:
    """Rotations and shifts that take sets of points to others (Kabsch 1976).

    Args:
        source_m: `(..., P, 3)` m.
        target_m: `(..., P, 3)` m.
        weight: `(..., P)`, not all zero.

    Returns:
        `(..., 3, 3)` and `(..., 3)` m: `target = turn @ source + shift`.
    """
    share = (weight / weight.sum(-1, keepdims=True))[..., None]
    from_m, to_m = (share * source_m).sum(-2), (share * target_m).sum(-2)
    spread_m2 = np.swapaxes(source_m - from_m[..., None, :], -1, -2) @ ((target_m - to_m[..., None, :]) * share)
    u, _, vt = np.linalg.svd(spread_m2)
    flip = np.broadcast_to(np.eye(3), u.shape).copy()
    flip[..., 2, 2] = np.sign(np.linalg.det(u @ vt))
    turn = np.swapaxes(u @ flip @ vt, -1, -2)
    return turn, to_m - (turn @ from_m[..., None])[..., 0]
