"""Pictures of any camera as a pinhole of a fixed size shows them: what formats without a lens model take for granted.

The axes of the camera stay, so labels in space do not change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from dataset_tools.writers import Extras
from hoi_core import camera as cameras
from hoi_core.types import F32, F64, Camera, Sample

_FAR_OUTSIDE = -1e6

Lens = tuple[float | str, ...]
"""Everything of a camera but its pose; two cameras with the same see the same picture."""


@dataclass(frozen=True)
class Shown:
    """A sample with its maps."""

    sample: Sample
    """Its image is of a pinhole."""
    extras: Extras
    """Depth and segmentation as that pinhole has them."""


def pinhole_for(camera: Camera, width: int, height: int) -> Camera:
    """The pinhole that shows all of a camera's picture, as large as it goes, in the middle."""
    scale = min(width / camera.width, height / camera.height)
    return Camera(
        width,
        height,
        camera.fx * scale,
        camera.fy * scale,
        (camera.cx + 0.5) * scale - 0.5 + (width - camera.width * scale) / 2,
        (camera.cy + 0.5) * scale - 0.5 + (height - camera.height * scale) / 2,
        distortion_model="none",
        T_world_cam=camera.T_world_cam,
    )


def as_pinhole(sample: Sample, extras: Extras, target: Camera) -> Shown:
    """Picture, maps and labels of pixels as another camera in the same place has them.

    Args:
        sample: of any camera.
        extras: its depth and segmentation, where known.
        target: a pinhole; its pose is not used.
    """
    camera = replace(target, T_world_cam=sample.camera.T_world_cam)
    if lens_of(sample.camera) == lens_of(target):
        return Shown(sample, extras)
    u, v = _map(lens_of(sample.camera), lens_of(target))
    image = cv2.remap(sample.image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    depth, segmentation = extras.depth_m, extras.segmentation
    if depth is not None:
        # Depths are not mixed: between a hand and what lies behind it there is nothing.
        moved = cv2.remap(depth, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=float("nan"))
        depth = np.asarray(moved, np.float32)
    if segmentation is not None:
        shown = cv2.remap(segmentation, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
        segmentation = np.asarray(shown, np.uint8)
    pixels = sample.joints_px
    if pixels is not None:
        pixels = cameras.project(camera, cameras.rays(sample.camera, pixels))
    changed = replace(sample, image=np.asarray(image, np.uint8), camera=camera, joints_px=pixels)
    return Shown(changed, replace(extras, depth_m=depth, segmentation=segmentation))


def lens_of(camera: Camera) -> Lens:
    """Size, intrinsics and distortion."""
    bent = camera.distortion_model != "none" and any(camera.distortion)
    lens = (camera.distortion_model, *camera.distortion) if bent else ("none", *(0.0,) * 5)
    return camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, *lens


def _camera(lens: Lens) -> Camera:
    width, height, fx, fy, cx, cy, model, *distortion = lens
    return Camera(int(width), int(height), fx, fy, cx, cy, tuple(distortion), model)  # type: ignore[arg-type]


@lru_cache(maxsize=32)
def _map(source: Lens, target: Lens) -> tuple[F32, F32]:
    """Where each pixel of the target lies in the source, px; far outside where nowhere."""
    to = _camera(target)
    v, u = np.mgrid[0 : to.height, 0 : to.width].astype(np.float64)
    rays: F64 = cameras.rays(to, np.stack([u, v], axis=-1))
    found = np.nan_to_num(cameras.project(_camera(source), rays), nan=_FAR_OUTSIDE)
    return found[..., 0].astype(np.float32), found[..., 1].astype(np.float32)
