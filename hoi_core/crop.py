"""The square crop that a hand network sees, as a virtual camera that looks at the hand.

The crop is a pinhole of its own, turned to the hand, rolled, and (for a left hand) mirrored; so its intrinsics are
exact, lens distortion is gone, and points move between both frames by one orthogonal matrix. Training and
`hoi_core.runtime` share this code.
"""

from __future__ import annotations

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
_CELL = 8  # samples between the nodes where the warp is exact; linear between them, which costs under 0.05 px
_SMALLEST_BOX_PX = 8.0


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
    good = np.isfinite(pixels).all(-1) & (True if valid is None else valid)
    if not good.any():
        raise ValueError("a box needs at least one finite pixel, got none")
    (x0, y0), (x1, y1) = pixels[good].min(0), pixels[good].max(0)
    return float(x0), float(y0), float(x1), float(y1)


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
    ray = cameras.rays(camera, centre)
    z = ray / np.linalg.norm(ray)
    x = np.array([1.0, 0.0, 0.0]) - z[0] * z
    x = x / np.linalg.norm(x)
    c, s = np.cos(place.roll_rad), np.sin(place.roll_rad)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) * [-1.0 if place.mirror else 1.0, 1.0, 1.0]
    # Off the axis the same hand spans 1 / cos more pixels of the flat image than of a camera turned to it.
    focal = size * np.sqrt(camera.fx * camera.fy) / (place.scale * side * z[2])
    # As np.cross(z, x), which takes fifty times as long.
    y = np.array([z[1] * x[2] - z[2] * x[1], z[2] * x[0] - z[0] * x[2], z[0] * x[1] - z[1] * x[0]])
    return HandCrop(size, float(focal), np.stack([x, y, z], axis=-1) @ turn)


def to_crop(crop: HandCrop, points_m: F64) -> F64:
    """Camera frame to crop frame. `(..., 3) m -> (..., 3) m`."""
    return points_m @ crop.R_cam_crop


def from_crop(crop: HandCrop, points_m: F64) -> F64:
    """Crop frame to camera frame. `(..., 3) m -> (..., 3) m`."""
    return points_m @ crop.R_cam_crop.T


def warp(image: U8, camera: Camera, crop: HandCrop, *, supersample: int = 2) -> U8:
    """Cut the crop out of an image. `(H, W, 3) -> (size, size, 3)`; outside the image its border goes on.

    Args:
        image: `(H, W, 3)` or `(H, W)`.
        camera: camera of `image`.
        crop: where to look.
        supersample: samples per pixel and axis, averaged.
    """
    import cv2

    nodes = _nodes(crop.size, supersample)
    rays_crop = cameras.rays(crop.camera, nodes)
    # Behind the camera there is no pixel; far outside stands for it.
    pixels = cameras.project(camera, from_crop(crop, rays_crop))
    source = np.where(np.isfinite(pixels), pixels, -1e6).astype(np.float32)
    inner = slice(_CELL, _CELL + crop.size * supersample)
    # The two coordinates one after the other: a remap reads them faster so than side by side.
    x, y = (
        cv2.resize(part, None, fx=_CELL, fy=_CELL, interpolation=cv2.INTER_LINEAR)[inner, inner]
        for part in cv2.split(source)
    )
    fine = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if supersample > 1:
        fine = cv2.resize(fine, (crop.size, crop.size), interpolation=cv2.INTER_AREA)
    return np.asarray(fine, dtype=np.uint8)


@lru_cache(maxsize=8)
def _nodes(size: int, supersample: int) -> F64:
    """Pixels of a crop at which its warp is exact. `(n, n, 2)`."""
    n = -(-size * supersample // _CELL)
    # One node beyond each side, so that the interpolation never extrapolates.
    nodes = ((np.arange(n + 2) - 0.5) * _CELL) / supersample - 0.5
    return np.stack(np.meshgrid(nodes, nodes), axis=-1)


def camera_space(uv: Any, depth: Any, focal_px: Any, size: int) -> Any:
    """Joints of the crop frame from what a network says. One equation for numpy and torch.

    Args:
        uv: `(B, 21, 2)`, -1 and 1 at the crop's outer edges.
        depth: `(B, 22)`: 21 depths relative to the wrist's in `LENGTH_UNIT_M`, then the root in `ROOT_UNIT_M`.
        focal_px: `(B,)` px.
        size: side of the crop, px.

    Returns:
        `(B, 21, 3)` m.
    """
    root_m = depth[:, 21:22] * ROOT_UNIT_M * focal_px[:, None] / size
    z = root_m + (depth[:, :21] - depth[:, :1]) * LENGTH_UNIT_M
    # Pixel ((uv + 1) size - 1) / 2 less the centre (size - 1) / 2.
    xy = uv * (size / 2) / focal_px[:, None, None] * z[..., None]
    return _concatenate([xy, z[..., None]])


def _concatenate(parts: list[Any]) -> F64 | Tensor:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis=-1)
    import torch

    return torch.cat(parts, dim=-1)
