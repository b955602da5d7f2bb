"""Boxes in images: how they overlap, and where an object is by its pose, its mask or a depth image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from hoi_core import camera as cameras
from hoi_core.crop import Box, box_of
from hoi_core.types import F32, F64, Bool, Camera

_STEP = 2
"""Every second pixel of every second row of a depth image is looked at."""
_TRIES, _SAMPLES = 60, 400
_STANDS_OUT_M = 0.015
"""Three times a depth camera's noise at 0.6 m."""
_LEAST_PLANE = 0.2
_SMALLEST_SHARE = 0.002


def overlap(a: F64, b: F64) -> F64:
    """Intersection over union of boxes. `(N, 4), (M, 4) -> (N, M)`."""
    common = _common(a, b)
    return common / np.maximum(_area(a)[:, None] + _area(b)[None] - common, 1e-9)


def covered(a: F64, b: F64) -> F64:
    """Share of each box of `a` that lies in each of `b`. `(N, 4), (M, 4) -> (N, M)`."""
    return _common(a, b) / np.maximum(_area(a)[:, None], 1e-9)


def _common(a: F64, b: F64) -> F64:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.prod(np.clip(high - low, 0.0, None), -1))


def _area(boxes: F64) -> F64:
    return np.asarray(np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None), -1))


def of_pose(camera: Camera, T_cam_obj: F64, vertices_m: F64) -> Box | None:
    """Where an object is whose pose is known; None where the image does not show it.

    Args:
        camera: of the image.
        T_cam_obj: `(4, 4)` m, object to camera.
        vertices_m: `(N, 3)` m, of its mesh.

    Returns:
        x0, y0, x1, y1 px, cut at the border of the image.
    """
    points = cameras.transform(T_cam_obj, vertices_m)
    ahead = points[:, 2] > 0
    if not ahead.any():
        return None
    return cut(box_of(cameras.project(camera, points[ahead])), camera.width, camera.height)


def of_mask(mask: Bool) -> Box | None:
    """The box of the pixels that are set, to their outer edges; None where none is. `(H, W)`."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5


def of_depth(depth_m: F32, beside: Sequence[Box] = ()) -> Box | None:
    """The largest thing that stands out of the plane that most of a depth image lies in, such as a table.

    Args:
        depth_m: `(H, W)` m along z of a pinhole camera; 0 or NaN where nothing was measured.
        beside: boxes of what is not looked for, such as hands; things that lie for the most part in them do not count.

    Returns:
        x0, y0, x1, y1 px; None where no plane is found, or nothing on it.
    """
    z = np.nan_to_num(depth_m[::_STEP, ::_STEP].astype(np.float64))
    plane = _plane(z)
    if plane is None:
        return None
    v, u = np.mgrid[: z.shape[0], : z.shape[1]]
    table = 1.0 / np.maximum(plane[0] * u + plane[1] * v + plane[2], 1e-3)
    out = ((z > 0) & (table - z > _STANDS_OUT_M)).astype(np.uint8)
    count, labels, stats, centres = cv2.connectedComponentsWithStats(
        cv2.morphologyEx(out, cv2.MORPH_OPEN, np.ones((3, 3)))
    )
    best, largest = 0, _SMALLEST_SHARE * z.size
    for k in range(1, count):
        x, y = _STEP * centres[k]
        hidden = any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in beside)
        if not hidden and stats[k, cv2.CC_STAT_AREA] > largest:
            best, largest = k, stats[k, cv2.CC_STAT_AREA]
    found = of_mask(labels == best) if best else None
    return None if found is None else (_STEP * found[0], _STEP * found[1], _STEP * found[2], _STEP * found[3])


def _plane(z: F64) -> F64 | None:
    """The plane of most pixels: `1 / z = a u + b v + c`, exact for a pinhole camera. `(H, W) m -> (3,)` 1/m."""
    rows, columns = np.nonzero(z > 0)
    if len(rows) < _SAMPLES:
        return None
    rng = np.random.default_rng(0)
    pick = rng.integers(0, len(rows), _SAMPLES)
    design = np.stack([columns[pick], rows[pick], np.ones(_SAMPLES)], 1).astype(np.float64)
    inverse = 1.0 / z[rows[pick], columns[pick]]
    corners = rng.integers(0, _SAMPLES, (_TRIES, 3))
    good = np.abs(np.linalg.det(design[corners])) > 50.0
    if not good.any():
        return None
    planes = np.linalg.solve(design[corners[good]], inverse[corners[good]][..., None])[..., 0]
    # A hundredth of the inverse depth is a hundredth of the depth.
    close = np.abs(planes @ design.T - inverse) < 0.01 * inverse
    best = close[int(np.argmax(close.sum(1)))]
    if best.mean() < _LEAST_PLANE:
        return None
    return np.asarray(np.linalg.lstsq(design[best], inverse[best], rcond=None)[0])


def cut(box: Box, width: int, height: int) -> Box | None:
    """A box as far as it lies in an image; None where it does not."""
    x0, y0 = max(box[0], -0.5), max(box[1], -0.5)
    x1, y1 = min(box[2], width - 0.5), min(box[3], height - 0.5)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
