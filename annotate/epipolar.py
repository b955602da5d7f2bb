"""Where a point of one view may lie in another: the epipolar line, and how far keypoints of two views miss theirs."""

from __future__ import annotations

import numpy as np

from hoi_core import camera as cameras
from hoi_core.errors import CalibrationError
from hoi_core.types import F64, Camera

_POINTS = 48
_NEAREST_M = 1e-3
_BEYOND = 0.1  # part of the image by which a line goes on outside it
_SAME_PLACE_M = 1e-3


def epipolar_line(camera_from: Camera, point_px: F64, camera_to: Camera, near_m: float, far_m: float) -> F64:
    """The ray through a pixel of one view, as another view sees it; with lens distortion it is a curve.

    Args:
        camera_from: the view of the pixel.
        point_px: `(2,)` px.
        camera_to: the view to draw in.
        near_m: where the ray begins, z of `camera_from`, m.
        far_m: where it ends, m.

    Returns:
        `(N, 2)` px from near to far, evenly spaced but for distortion, cut a little outside the image; N is 0 where
        the ray does not meet it.

    Raises:
        CalibrationError: both cameras stand at the same place, so that there is no line.
    """
    if not 0 < near_m < far_m:
        raise ValueError(f"near_m must lie between 0 and far_m, got {near_m} and {far_m}")
    if float(np.linalg.norm(camera_from.T_world_cam[:3, 3] - camera_to.T_world_cam[:3, 3])) < _SAME_PLACE_M:
        raise CalibrationError(
            "an epipolar line needs two views from different places, and these stand at the same one.",
            "Calibrate the rig with `hoi-calibrate`.",
        )
    ends_m = cameras.rays(camera_from, np.asarray(point_px, dtype=np.float64)) * np.array([[near_m], [far_m]])
    seen_m = cameras.transform(camera_to.T_cam_world @ camera_from.T_world_cam, ends_m)
    segment = _before_camera(seen_m)
    part = None if segment is None else _in_frame(segment[:, :2] / segment[:, 2:], camera_to)
    if segment is None or part is None:
        return np.zeros((0, 2))
    share = np.linspace(*part, _POINTS)[:, None]
    start, end = segment
    # Evenly along the image of the segment: its depth is linear in space, its inverse depth in the image.
    along = share * start[2] / ((1.0 - share) * end[2] + share * start[2])
    pixels = cameras.project(camera_to, start + along * (end - start))
    return np.asarray(pixels[np.isfinite(pixels).all(-1)])


def _before_camera(ends_m: F64) -> F64 | None:
    """The part of a segment before the camera, `(2, 3) m`; None where all of it lies behind."""
    z = ends_m[:, 2]
    if (z <= _NEAREST_M).all():
        return None
    if (z > _NEAREST_M).all():
        return ends_m
    cut = ends_m[0] + (_NEAREST_M - z[0]) / (z[1] - z[0]) * (ends_m[1] - ends_m[0])
    out = ends_m.copy()
    out[int(np.argmin(z))] = cut
    return out


def _in_frame(xy: F64, camera: Camera) -> tuple[float, float] | None:
    """Shares from 0 to 1 between which a line `(2, 2)` of ideal coordinates crosses the image (Liang and Barsky)."""
    margin = _BEYOND * np.array([camera.width, camera.height])
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) * [camera.width, camera.height]
    corners = corners + np.where(corners > 0, margin, -margin)
    frame = cameras.rays(camera, corners)[:, :2]
    low, high = frame.min(0), frame.max(0)
    first, last = 0.0, 1.0
    step = xy[1] - xy[0]
    for axis in (0, 1):
        if step[axis] == 0.0:
            if not low[axis] <= xy[0, axis] <= high[axis]:
                return None
            continue
        enter, leave = sorted(((low[axis] - xy[0, axis]) / step[axis], (high[axis] - xy[0, axis]) / step[axis]))
        first, last = max(first, enter), min(last, leave)
    return (first, last) if first < last else None


def fundamental(camera_a: Camera, camera_b: Camera) -> F64:
    """`(3, 3)` F with `b^T F a = 0` for pixels of two cameras without distortion (Hartley and Zisserman 9.2)."""
    T = camera_b.T_cam_world @ camera_a.T_world_cam
    x, y, z = T[:3, 3]
    across = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.linalg.inv(camera_b.K).T @ across @ T[:3, :3] @ np.linalg.inv(camera_a.K))


def epipolar_miss_px(camera_a: Camera, a_px: F64, camera_b: Camera, b_px: F64) -> F64:
    """Distance of points from the epipolar lines of their partners, the larger of both views.

    Args:
        camera_a: without distortion.
        a_px: `(..., 2)` px; NaN where absent.
        camera_b: without distortion.
        b_px: `(..., 2)` px.

    Returns:
        `(...)` px; NaN where a point is absent.
    """
    F = fundamental(camera_a, camera_b)
    a, b = (np.concatenate([px, np.ones_like(px[..., :1])], axis=-1) for px in (a_px, b_px))
    line_b, line_a = a @ F.T, b @ F
    algebraic = np.abs((b * line_b).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return algebraic / np.minimum(
            np.linalg.norm(line_b[..., :2], axis=-1), np.linalg.norm(line_a[..., :2], axis=-1)
        )
