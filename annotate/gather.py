"""From a recording to evidence: keypoints without lens distortion, and depth points near a first guess of the hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event

import numpy as np

from annotate._depth_pixels import evenly, oriented_points
from annotate.evidence import PALM, Cloud, Evidence, starting_moments, undistorted_px, without_distortion
from annotate.nearest import nearest_vertices
from annotate.parts import moment_parts
from annotate.state import FitState
from annotate.triangulate import triangulate
from hoi_core import camera as cameras
from hoi_core.conventions import N_JOINTS
from hoi_core.errors import SequenceError
from hoi_core.sequence import Capture, ImageStream
from hoi_core.sequence.streams import View
from hoi_core.types import F64, I64, Bool, Camera, HandKeypoints

_NS = 1e-9
_PATCH_PX = 2
_BESIDE_PX = np.array([[0.0, 0.0], [6.0, 0.0], [-6.0, 0.0], [0.0, 6.0], [0.0, -6.0]])
_EDGE_M = 0.012
"""Depth beside a keypoint that differs more is another surface's, m."""
_USUAL_SCALE_M = 0.001
_SOME = 4
"""Every so-many-th vertex says well enough where the hand is."""
_CHECKED = 20
"""Starting moments whose depth is looked at even if no joint needs it."""


@dataclass(frozen=True)
class CloudConfig:
    """How depth points are chosen."""

    points: int = 250
    """Points of one view and moment at most."""
    candidates: int = 1500
    """Pixels looked at in the box around the hand."""
    margin_px: int = 25
    """Margin of the box, px."""
    gate_m: float = 0.045
    """Farthest from the first guess, m."""
    edge_m: float = 0.015
    """A point whose neighbours differ more in depth lies on an edge, where depth is a mixture, m."""
    reach_px: int = 3
    """Distance of those neighbours, px."""


def keypoint_evidence(capture: Capture, keypoints: HandKeypoints) -> Evidence:
    """The keypoints of a recording as evidence, without depth yet.

    Raises:
        SequenceError: the recording has no moments or none of the views.
    """
    views = tuple(view for view in capture.views if view in keypoints.by_view)
    moments = len(capture.sync)
    if not moments or not views:
        raise SequenceError(
            f"{capture.path} must hold moments of a view that has keypoints; it has {moments} moments and the views "
            f"{', '.join(capture.views) or 'none'}.",
            "Record the sequence again, longer than a second.",
        )
    pixels = np.full((moments, len(views), N_JOINTS, 2), np.nan)
    confidence = np.zeros((moments, len(views), N_JOINTS))
    for v, view in enumerate(views):
        points = keypoints.by_view[view]
        pixels[:, v] = undistorted_px(capture.views[view].camera, points[..., :2])
        confidence[:, v] = np.nan_to_num(points[..., 2])
    t_ns = capture.sync.t_ns
    evidence = Evidence(
        t_s=(t_ns - t_ns[0]) * _NS,
        views=views,
        cameras=tuple(without_distortion(capture.views[view].camera) for view in views),
        keypoints_px=pixels,
        confidence=confidence,
        lag_s=np.stack([_lag_s(capture, f"{view}/color") for view in views], axis=1),
    )
    starts = _in_doubt(evidence, starting_moments(evidence))
    flat = not evidence.two_views
    under = [_depth_under(capture, view, keypoints.by_view[view], starts, flat=flat) for view in views]
    return replace(evidence, keypoint_depth_m=np.stack(under, axis=1))


def _in_doubt(evidence: Evidence, starts: I64) -> I64:
    """Starting moments that need the depth under their keypoints: all, or those with joints that no two views agree on.

    And some of the others, which tell whether depth and cameras fit together.
    """
    if not evidence.two_views or not len(starts):
        return starts
    some = evidence.taken(starts)
    doubtful: Bool = np.asarray((some.seen.any(1) & ~np.isfinite(triangulate(some).error_px)).any(1))
    doubtful[:: max(len(starts) // _CHECKED, 1)] = True
    return starts[doubtful]


def _depth_under(capture: Capture, view: str, keypoints: F64, starts: I64, *, flat: bool) -> F64:
    """(M, 21) m median depth around each keypoint of some moments; NaN elsewhere.

    NaN also where nothing was measured or recorded, and, if it has to be flat, where an edge is near: half of the
    fingertips' pixels then show what lies behind the tip or before it.
    """
    out = np.full(keypoints.shape[:2], np.nan)
    if f"{view}/depth" not in capture.streams:
        return out
    index = capture.sync.index[f"{view}/depth"]
    there, recorded = starts[index[starts] >= 0], capture.views[view]

    def part(span: tuple[int, int]) -> None:
        for m in there[slice(*span)]:
            out[m] = _under(recorded, int(index[m]), keypoints[m, :, :2], flat)

    for _ in moment_parts(part, len(there)):
        pass
    return out


def _under(view: View, image: int, pixels: F64, flat: bool) -> F64:
    """(21,) m depth around the keypoints of one moment. `(21, 2) px`."""
    depth_m = view.depth_around_m(image, pixels, _PATCH_PX)
    if flat:
        edge = near_edge(view, image, pixels)
        # The palm is large, and fitted robustly: it can do with some depth of what lies beside it.
        edge[list(PALM)] = False
        depth_m[edge] = np.nan
    return depth_m


def near_edge(view: View, image: int, pixels: F64) -> Bool:
    """(K,) whether depth jumps within a few pixels of some pixels of the colour image. `(K, 2) px`."""
    around = (pixels + _BESIDE_PX[:, None]).reshape(-1, 2)
    depth_m = view.depth_around_m(image, around, 1).reshape(len(_BESIDE_PX), -1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.fmax.reduce(depth_m) - np.fmin.reduce(depth_m) > _EDGE_M)


def _lag_s(capture: Capture, stream: str) -> F64:
    """(M,) s from the moment to the stream's frame; NaN where it has none."""
    index, skew_ns = capture.sync.index[stream], capture.sync.skew_ns[stream]
    return np.where(index >= 0, skew_ns * _NS, np.nan)


def with_clouds(
    evidence: Evidence,
    capture: Capture,
    state: FitState,
    config: CloudConfig,
    on_frame: Callable[[int, int], None] | None = None,
) -> Evidence:
    """Add the depth points near the hand, for every view that recorded depth.

    Args:
        evidence: of the same recording.
        capture: the open recording.
        state: a first guess of the hand, which says where to look.
        config: how points are chosen.
        on_frame: called with (images done, of all).
    """
    clouds = {}
    with_depth = [v for v, view in enumerate(evidence.views) if f"{view}/depth" in capture.streams]
    total = len(with_depth) * len(evidence.t_s)
    for k, v in enumerate(with_depth):
        done = k * len(evidence.t_s)
        clouds[v] = _cloud(capture, capture.views[evidence.views[v]].depth, state, config, _from(on_frame, done, total))
    return replace(evidence, clouds=clouds)


def _from(on_frame: Callable[[int, int], None] | None, done: int, total: int) -> Callable[[int], None]:
    def tell(m: int) -> None:
        if on_frame is not None:
            on_frame(done + m + 1, total)

    return tell


def _cloud(
    capture: Capture, stream: ImageStream, state: FitState, config: CloudConfig, tell: Callable[[int], None]
) -> Cloud:
    """The depth points of one view near the hand."""
    camera = stream.camera
    v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(np.float64)
    rays = np.ascontiguousarray(cameras.rays(camera, np.stack([u, v], axis=-1))[..., :2])
    index = capture.sync.index[stream.name]
    boxes = _boxes(camera, state.hands.vertices_m[:, ::_SOME], config)
    stopped = Event()

    def part(span: tuple[int, int]) -> list[tuple[F64, F64]]:
        # Where the one who is told how far it is has had enough, nobody waits for the rest.
        return [
            _candidates(stream, int(index[m]), rays, boxes[m], config) for m in range(*span) if not stopped.is_set()
        ]

    found: list[tuple[F64, F64]] = []
    try:
        for some in moment_parts(part, len(index)):
            found.extend(some)
            tell(len(found) - 1)
    finally:
        stopped.set()
    T, sizes = camera.T_world_cam, [len(points) for points, _ in found]
    cloud = Cloud(
        start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        points_m=cameras.transform(T, np.concatenate([points for points, _ in found])),
        normals=np.concatenate([normals for _, normals in found]) @ T[:3, :3].T,
        lag_s=_lag_s(capture, stream.name),
        eye_m=T[:3, 3],
    )
    return near_hand(cloud, state, config)


def _none() -> tuple[F64, F64]:
    return np.zeros((0, 3)), np.zeros((0, 3))


def _boxes(camera: Camera, vertices_m: F64, config: CloudConfig) -> I64:
    """(M, 4) left, top, right and bottom of the hand in the image, with a margin; nothing where it is outside."""
    reach = config.reach_px
    most = [camera.width - reach, camera.height - reach]
    boxes = np.zeros((len(vertices_m), 4), dtype=np.int64)

    def part(span: tuple[int, int]) -> None:
        pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, vertices_m[slice(*span)]))
        there = np.isfinite(pixels).all(-1, keepdims=True)
        low = np.where(there, pixels, np.inf).min(1) - config.margin_px
        high = np.where(there, pixels, -np.inf).max(1) + config.margin_px
        boxes[slice(*span), :2] = np.clip(low, reach, most)
        boxes[slice(*span), 2:] = np.clip(high, reach, most)

    for _ in moment_parts(part, len(vertices_m)):
        pass
    return boxes


def _candidates(stream: ImageStream, frame: int, rays: F64, box: I64, config: CloudConfig) -> tuple[F64, F64]:
    """Points and normals of the pixels in a box, away from edges. `-> (K, 3) m, (K, 3)`, camera.

    Args:
        stream: of depth.
        frame: its image; negative for none.
        rays: `(H, W, 2)` x and y of each pixel's ray.
        box: `(4,)`.
        config: how points are chosen.
    """
    left, top, right, bottom = map(int, box)
    if frame < 0 or right <= left or bottom <= top:
        return _none()
    step = max(1, int(np.sqrt((right - left) * (bottom - top) / config.candidates)))
    scale_m = stream.scale_m or _USUAL_SCALE_M
    sides = (left, top, right, bottom)
    return oriented_points(stream[frame], rays, sides, step, config.reach_px, scale_m, config.edge_m)


def near_hand(cloud: Cloud, state: FitState, config: CloudConfig) -> Cloud:
    """The points within the gate of the hand, thinned evenly to the number asked for."""
    any_way = replace(cloud, normals=np.zeros_like(cloud.points_m))
    # The gate is far wider than vertices lie apart: some of them say as well which points are near.
    vertices_m = np.ascontiguousarray(state.hands.vertices_m[:, ::_SOME])
    normals = np.ascontiguousarray(state.hands.normals[:, ::_SOME])
    vertex = nearest_vertices(any_way, vertices_m, normals, config.gate_m)
    start, chosen = evenly(cloud.start, vertex, config.points)
    return replace(cloud, start=start, points_m=cloud.points_m[chosen], normals=cloud.normals[chosen])
