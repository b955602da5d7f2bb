"""Keypoints of two or more views to points in space, with a gate; one view and its depth where the others fail."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from annotate.evidence import Evidence
from hoi_core import camera as cameras
from hoi_core.types import F64, Bool, Camera

GATE_PX = 25.0
"""A point that misses one of its keypoints by more is no point."""
_BEHIND_SURFACE_M = 0.009


class Triangulated(NamedTuple):
    """Joints in space."""

    joints_m: F64
    """(M, 21, 3) m, world; NaN where there is none."""
    error_px: F64
    """(M, 21) largest reprojection error over the views, px; NaN where no two views agree."""
    lifted: Bool
    """(M, 21) from one view and depth."""


def triangulate(evidence: Evidence, gate_px: float = GATE_PX) -> Triangulated:
    """Joints of every moment, from all views that see them (DLT), gated by reprojection.

    Args:
        evidence: its keypoints, and the depth under them where it has any.
        gate_px: largest reprojection error, px.
    """
    pixels = np.moveaxis(np.where(evidence.seen[..., None], evidence.keypoints_px, np.nan), 1, 0)
    joints_m = cameras.triangulate(list(evidence.cameras), pixels)
    errors = np.stack([_error(camera, joints_m, seen) for camera, seen in zip(evidence.cameras, pixels, strict=True)])
    with np.errstate(invalid="ignore"):
        worst = np.where(np.isfinite(errors).any(0), np.nanmax(np.nan_to_num(errors, nan=-1.0), axis=0), np.nan)
        good = worst <= gate_px
    joints_m = np.where(good[..., None], joints_m, np.nan)
    lifted = _lift(evidence)
    use = ~good & np.isfinite(lifted).all(-1)
    return Triangulated(np.where(use[..., None], lifted, joints_m), np.where(good, worst, np.nan), use)


def _error(camera: Camera, joints_m: F64, pixels: F64) -> F64:
    """(M, 21) px; NaN where the view has no keypoint, infinite behind the camera."""
    local = cameras.transform(camera.T_cam_world, joints_m)
    miss = np.linalg.norm(cameras.project(camera, local) - pixels, axis=-1)
    behind = np.isfinite(pixels).all(-1) & ~(local[..., 2] > 0) & np.isfinite(joints_m).all(-1)
    return np.where(behind, np.inf, miss)


def _lift(evidence: Evidence) -> F64:
    """(M, 21, 3) m: the surface under the first keypoint that has depth, plus a little towards the bone."""
    out = np.full((*evidence.seen[:, 0].shape, 3), np.nan)
    if evidence.keypoint_depth_m is None:
        return out
    for v, camera in enumerate(evidence.cameras):
        depth_m = evidence.keypoint_depth_m[:, v] + _BEHIND_SURFACE_M
        points = cameras.unproject(camera, evidence.keypoints_px[:, v], depth_m)
        points = np.where(evidence.seen[:, v, :, None], cameras.transform(camera.T_world_cam, points), np.nan)
        out = np.where(np.isnan(out), points, out)
    return out
