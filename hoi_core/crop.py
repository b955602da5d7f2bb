"""The square crop that a hand network sees, as a virtual camera that looks at the hand.

The crop is a pinhole of its own, turned to the hand, rolled, and (for a left hand) mirrored; so its intrinsics are
exact, lens distortion is gone, and points move between both frames by one orthogonal matrix. Training and
`hoi_core.runtime` share this code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hoi_core import camera as cameras
from hoi_core.types import F64, U8, Bool, Camera

if TYPE_CHECKING:
    from torch import Tensor

Box = tuple[float, float, float, float]

SCALE = 1.3  # side of the crop over the longer side of the joints' box
LENGTH_UNIT_M = 0.2  # networks speak of the hand in this unit
ROOT_UNIT_M = 0.18  # a wrist whose depth is this times focal length over crop size has root output 1
_SMALLEST_BOX_PX = 8.0
_MANY = 64


@dataclass(frozen=True)
class HandCrop:
    """Where a crop looks, seen from the camera it is cut from."""

    size: int
    """Width and height, px."""
    focal_px: float
    """Focal length, px; the principal point is the centre."""
    R_cam_crop: F64
    """(3, 3) orthogonal, crop to camera; its determinant is -1 where the crop is mirrored."""

    @property
    def mirrored(self) -> bool:
        """Whether a left hand is shown as a right one."""
        return bool(np.linalg.det(self.R_cam_crop) < 0)

    @cached_property
    def camera(self) -> Camera:
        """Intrinsics of the crop."""
        centre = (self.size - 1) / 2
        return Camera(self.size, self.size, self.focal_px, self.focal_px, centre, centre, distortion_model="none")


@dataclass(frozen=True)
class Placement:
    """How a crop lies around a box; the defaults are those of evaluation."""

    scale: float = SCALE
    """Side of the crop over the longer side of the box."""
    roll_rad: float = 0.0
    """Turn about the viewing axis."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Displacement of the centre, in sides of the box."""
    mirror: bool = False
    """Show a left hand as a right one."""


def box_of(pixels: F64, valid: Bool | None = None) -> Box:
    """Smallest box x0, y0, x1, y1 around the points that are valid and finite. `(N, 2) px`.

    Raises:
        ValueError: no point is left.
    """
    finite = np.isfinite(pixels)
    good = finite[:, 0] & finite[:, 1]
    if valid is not None:
        good &= valid
    if not good.any():
        raise ValueError("a box needs at least one finite pixel, got none")
    kept = pixels[good]
    if len(kept) > _MANY:
        x, y = kept.T
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())
    # Numpy takes longer than Python over the few numbers of a hand's joints.
    xs, ys = kept.T.tolist()
    return min(xs), min(ys), max(xs), max(ys)


def around(camera: Camera, box: Box, size: int, placement: Placement | None = None) -> HandCrop:
    """The crop that looks at a box of the hand's joints.

    Args:
        camera: camera of the whole image.
        box: x0, y0, x1, y1 px.
        size: side of the crop, px.
        placement: margin, roll, shift and mirroring.
    """
    place = placement or Placement()
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0, _SMALLEST_BOX_PX)
    centre = np.array([(x0 + x1) / 2 + place.shift[0] * side, (y0 + y1) / 2 + place.shift[1] * side])
    # In Python's own numbers, one by one: numpy takes ten times as long over three.
    rx, ry, _ = cameras.rays(camera, centre).tolist()
    length = math.sqrt(rx * rx + ry * ry + 1.0)
    zx, zy, zz = rx / length, ry / length, 1.0 / length
    across = math.sqrt(1.0 - zx * zx)  # length of the part of the image's x axis that is square to z
    xx, xy, xz = across, -zx * zy / across, -zx * zz / across
    yx, yy, yz = zy * xz - zz * xy, zz * xx - zx * xz, zx * xy - zy * xx
    c, s = math.cos(place.roll_rad), math.sin(place.roll_rad)
    m = -1.0 if place.mirror else 1.0
    turned = [[m * (c * x + s * y), c * y - s * x, z] for x, y, z in ((xx, yx, zx), (xy, yy, zy), (xz, yz, zz))]
    # Off the axis the same hand spans 1 / cos more pixels of the flat image than of a camera turned to it.
    focal = size * math.sqrt(camera.fx * camera.fy) / (place.scale * side * zz)
    return HandCrop(size, focal, np.array(turned))


def to_crop(crop: HandCrop, points_m: F64) -> F64:
    """Camera frame to crop frame. `(..., 3) m -> (..., 3) m`."""
    return points_m @ crop.R_cam_crop


def from_crop(crop: HandCrop, points_m: F64) -> F64:
    """Crop frame to camera frame. `(..., 3) m -> (..., 3) m`."""
    return points_m @ crop.R_cam_crop.T


def warp(image: U8, camera: Camera, crop: HandCrop) -> U8:
    """Cut the crop out of an image. `(H, W, 3) -> (size, size, 3)`; outside the image its border goes on.

    Args:
        image: `(H, W, 3)` or `(H, W)`.
        camera: camera of `image`.
        crop: where to look.
    """
    from hoi_core import _warp

    ideal = _warp.directions(_nodes(crop.size, _warp.SAMPLES, _warp.CELL), crop.focal_px, crop.R_cam_crop)
    out = np.empty((crop.size, crop.size, *image.shape[2:]), np.uint8)
    lens = (camera.fx, camera.fy), (camera.cx, camera.cy)
    _warp.sample(np.atleast_3d(image), cameras.distort(camera, ideal), *lens, np.atleast_3d(out))
    return out


@lru_cache(maxsize=8)
def _nodes(size: int, samples: int, cell: int) -> F64:
    """Where a crop's warp is exact along either axis, from its outer edge on: px from its centre. `(n,)`."""
    count = -(-size * samples // cell) + 1
    return np.asarray(np.arange(count) * (cell / samples) - size / 2, dtype=np.float64)


def camera_space(uv: Any, depth: Any, focal_px: Any, size: int) -> Any:
    """Points of the crop frame, the wrist first, from what a network says. One equation for numpy and torch.

    Args:
        uv: `(B, N, 2)`, -1 and 1 at the crop's outer edges.
        depth: `(B, N + 1)`: N depths relative to the wrist's in `LENGTH_UNIT_M`, then the root in `ROOT_UNIT_M`.
        focal_px: `(B,)` px.
        size: side of the crop, px.

    Returns:
        `(B, N, 3)` m.
    """
    root_m = depth[:, -1:] * ROOT_UNIT_M * focal_px[:, None] / size
    z = root_m + (depth[:, :-1] - depth[:, :1]) * LENGTH_UNIT_M
    # Pixel ((uv + 1) size - 1) / 2 less the centre (size - 1) / 2.
    xy = uv * (size / 2) / focal_px[:, None, None] * z[..., None]
    return concatenate([xy, z[..., None]], -1)


def network_space(joints_m: F64, focal_px: F64, size: int) -> tuple[F64, F64]:
    """Points as a network says them: the inverse of `camera_space`.

    Args:
        joints_m: `(B, N, 3)` m of the crops' frames, the wrist first.
        focal_px: `(B,)` px.
        size: side of the crops, px.

    Returns:
        `uv (B, N, 2)` and `depth (B, N + 1)`.
    """
    z = joints_m[..., 2]
    uv = joints_m[..., :2] / z[..., None] * focal_px[:, None, None] / (size / 2)
    root = z[:, :1] * size / focal_px[:, None] / ROOT_UNIT_M
    return uv, np.concatenate([(z - z[:, :1]) / LENGTH_UNIT_M, root], axis=1)


def concatenate(parts: list[Any], axis: int) -> F64 | Tensor:
    """Arrays or tensors one after the other."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis=axis)
    import torch

    return torch.cat(parts, dim=axis)
