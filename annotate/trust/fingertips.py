"""Fingertips on the point cloud: how far labelled tips lie from where a person, or the depth, puts them.

As HO-3D checks its labels (Hampali et al. 2020, section 6): the tips of some frames are placed on the point cloud by
hand and compared with the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from hoi_core import camera as cameras
from hoi_core.conventions import Side
from hoi_core.sequence import Capture
from hoi_core.types import F32, F64, I64, MARKS, Bool, Camera, Revision

TIPS = (4, 8, 12, 16, 20)
"""Fingertips in `openpose21`."""
FRAMES = 53
"""Moments looked at, as many as HO-3D's own check has."""
_PATCH_PX = 2
_GATE_M = 0.03
_AROUND_PX = 12
_HIDDEN_M = 0.015


@dataclass(frozen=True)
class FingertipCheck:
    """Distances of labelled fingertips from the point cloud."""

    clicked_mm: float
    """Mean distance from the points under the clicks on fingertips, mm; NaN without any."""
    clicked_std_mm: float
    """Their standard deviation, mm."""
    clicked: int
    """Clicked fingertips with depth beneath."""
    nearest_mm: float
    """Mean distance from the nearest point of any view's depth, mm: no label can be nearer to the truth than that
    says, but it may be farther."""
    nearest_std_mm: float
    """Their standard deviation, mm."""
    nearest: int
    """Visible fingertips."""


def check_fingertips(capture: Capture, revision: Revision, frames: int = FRAMES) -> FingertipCheck:
    """Compare labelled fingertips with depth, at moments spread evenly over those that have labels.

    Args:
        capture: the open recording.
        revision: labels at its moments.
        frames: moments looked at, at most.
    """
    clicked: list[float] = []
    nearest: list[float] = []
    for m in _chosen(revision, frames):
        clouds = [(view, _depth_m(capture, view, int(m)), capture.views[view].camera) for view in capture.views]
        with_depth = {view: (depth_m, camera) for view, depth_m, camera in clouds if depth_m is not None}
        for side, track in revision.hands.items():
            if track.valid[m]:
                tips_m = track.joints_m[m, list(TIPS)]
                clicked += _under_clicks(revision, side, int(m), tips_m, with_depth)
                nearest += _nearest(tips_m, with_depth)
    return FingertipCheck(*_figures(clicked), *_figures(nearest))


def _figures(distance_m: list[float]) -> tuple[float, float, int]:
    """Mean and standard deviation in mm, and how many."""
    if not distance_m:
        return float("nan"), float("nan"), 0
    return 1e3 * float(np.mean(distance_m)), 1e3 * float(np.std(distance_m)), len(distance_m)


def _chosen(revision: Revision, frames: int) -> I64:
    """Moments to look at: those with clicked tips first, then others spread evenly."""
    moments = len(revision.t_ns)
    labelled: Bool = np.zeros(moments, dtype=bool)
    clicked: Bool = np.zeros(moments, dtype=bool)
    for side, track in revision.hands.items():
        labelled |= track.valid
        if side in revision.keypoints:
            for codes in revision.keypoints[side].marks.values():
                clicked |= ((codes[:, list(TIPS)] & MARKS["clicked"]) > 0).any(1)
    first = _spread(np.flatnonzero(labelled & clicked), frames)
    rest = _spread(np.flatnonzero(labelled & ~clicked), frames - len(first))
    return np.sort(np.concatenate([first, rest]))


def _spread(rows: I64, count: int) -> I64:
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, max(count, 0)).astype(int)]


def _depth_m(capture: Capture, view: str, moment: int) -> F32 | None:
    """(H, W) m as the colour camera sees it; None where there is none."""
    stream = f"{view}/depth"
    index = int(capture.sync.index[stream][moment]) if stream in capture.streams else -1
    return capture.views[view].depth_in_color_m(index) if index >= 0 else None


def _under_clicks(
    revision: Revision, side: Side, moment: int, tips_m: F64, views: Mapping[str, tuple[F32, Camera]]
) -> list[float]:
    """Distances (m) of the tips from the points under their clicks; a click whose depth is the background's is none."""
    out: list[float] = []
    points = revision.keypoints.get(side)
    for view, (depth_m, camera) in views.items():
        codes = points.marks.get(view) if points is not None else None
        if points is None or codes is None:
            continue
        for tip_m, joint in zip(tips_m, TIPS, strict=True):
            if codes[moment, joint] != MARKS["clicked"]:
                continue
            pixel = points.by_view[view][moment, joint, :2]
            z = _median_depth(depth_m, pixel)
            point = cameras.unproject(camera, pixel[None], np.array([z]))[0]
            away = float(np.linalg.norm(cameras.transform(camera.T_world_cam, point) - tip_m))
            if away < _GATE_M:
                out.append(away)
    return out


def _median_depth(depth_m: F32, pixel: F64) -> float:
    """Median depth around a pixel, m; NaN where nothing was measured."""
    if not np.isfinite(pixel).all():
        return float("nan")
    u, v = np.rint(pixel).astype(int)
    patch = depth_m[max(v - _PATCH_PX, 0) : v + _PATCH_PX + 1, max(u - _PATCH_PX, 0) : u + _PATCH_PX + 1]
    known = patch[patch > 0]
    return float(np.median(known)) if len(known) else float("nan")


def _nearest(tips_m: F64, views: Mapping[str, tuple[F32, Camera]]) -> list[float]:
    """Distances (m) of the visible tips from the nearest depth point of any view; those behind something are none."""
    best = np.full(len(tips_m), np.inf)
    for depth_m, camera in views.values():
        local = cameras.transform(camera.T_cam_world, tips_m)
        pixels = cameras.project(camera, local)
        for k, (pixel, z) in enumerate(zip(pixels, local[:, 2], strict=True)):
            found = _points_around(depth_m, camera, pixel)
            hidden = len(found) and np.median(found[:, 2]) < z - _HIDDEN_M
            if len(found) and not hidden:
                best[k] = min(best[k], float(cKDTree(found).query(local[k])[0]))
    return [float(away) for away in best if away < _GATE_M]


def _points_around(depth_m: F32, camera: Camera, pixel: F64) -> F64:
    """(K, 3) m, camera: measured points in a square around a pixel."""
    if not np.isfinite(pixel).all():
        return np.zeros((0, 3))
    u, v = np.rint(pixel).astype(int)
    rows = np.arange(max(v - _AROUND_PX, 0), min(v + _AROUND_PX + 1, depth_m.shape[0]))
    columns = np.arange(max(u - _AROUND_PX, 0), min(u + _AROUND_PX + 1, depth_m.shape[1]))
    at_u, at_v = (grid.ravel() for grid in np.meshgrid(columns, rows))
    z = depth_m[at_v, at_u].astype(np.float64)
    known = z > 0
    return cameras.unproject(camera, np.stack([at_u, at_v], axis=-1)[known].astype(np.float64), z[known])
