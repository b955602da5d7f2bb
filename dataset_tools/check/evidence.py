"""Whether labels agree with the recording: its frames, its images' borders, its keypoints, its depth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hoi_core import camera as cameras
from hoi_core.conventions import Side
from hoi_core.errors import SequenceError
from hoi_core.mano import ManoLayer
from hoi_core.render import Mesh, render_depth
from hoi_core.sequence import Capture
from hoi_core.types import F64, Bool, HandTrack, Revision

_FARTHEST_PX = 25.0
"""Median distance of labels from keypoints, at a width of 640 px."""
_DEPTH_M = 0.02
_LOOKED_AT = 12
"""Moments whose mesh is drawn and compared with depth, evenly over the sequence."""
_LEAST_PIXELS = 50
_FASTEST_M_S = 12.0


def check_evidence(capture: Capture, revision: Revision, layers: Mapping[Side, ManoLayer]) -> list[str]:
    """Everything in which labels and recording disagree, in words."""
    problems = _frames(capture, revision) + _keypoint_values(revision)
    if problems:
        return problems
    for side, hand in revision.hands.items():
        problems += _speed(side, hand, revision)
        problems += _on_image(capture, side, hand, revision)
        problems += _reprojection(capture, side, hand, revision)
        problems += _depth(capture, side, hand, revision, layers[side])
    return problems


def _frames(capture: Capture, revision: Revision) -> list[str]:
    """Labels of another length, or of frames that are not there."""
    problems = []
    moments = len(revision.t_ns)
    for view, frames in revision.frame_index.items():
        if view not in capture.views:
            problems.append(f"labels name the view {view}, which was not recorded")
        elif len(frames) != moments:
            problems.append(f"{view}: {len(frames)} frames are named for {moments} moments")
        elif len(frames) and frames.max() >= len(capture.views[view].color):
            problems.append(f"{view}: labels name frame {frames.max()} of {len(capture.views[view].color)}")
        elif not np.array_equal(frames, capture.sync.index[f"{view}/color"]):
            problems.append(f"{view}: labels belong to other frames than the recording's moments")
    return problems


def _keypoint_values(revision: Revision) -> list[str]:
    problems = []
    for side, points in revision.keypoints.items():
        for view, values in points.by_view.items():
            confidence = values[..., 2][np.isfinite(values[..., 0])]
            if len(confidence) and not ((confidence >= 0) & (confidence <= 1)).all():
                problems.append(f"{side} hand, {view}: confidences of keypoints lie outside 0 to 1")
            if (values[..., :2] == -1).all(-1).any():
                problems.append(f"{side} hand, {view}: keypoints hold the placeholder -1")
    return problems


def _speed(side: Side, hand: HandTrack, revision: Revision) -> list[str]:
    at = np.flatnonzero(hand.valid)
    if len(at) < 2:
        return []
    steps = np.linalg.norm(np.diff(hand.joints_m[at, 0], axis=0), axis=-1)
    speed = steps / (np.diff(revision.t_ns[at]) * 1e-9)
    if speed.max() <= _FASTEST_M_S:
        return []
    return [f"{side} hand: it jumps {1e3 * steps[speed.argmax()]:.0f} mm at moment {at[int(speed.argmax()) + 1]}"]


def _on_image(capture: Capture, side: Side, hand: HandTrack, revision: Revision) -> list[str]:
    """Valid labels that no view can show."""
    shown = np.zeros(len(hand.valid), np.bool_)
    for view in revision.frame_index:
        camera = capture.views[view].camera
        joints_m = cameras.transform(camera.T_cam_world, hand.joints_m)
        pixels = cameras.project(camera, joints_m)
        seen: Bool = cameras.inside(camera, pixels) & (joints_m[..., 2] > 0)
        shown |= seen.any(1)
    lost = hand.valid & ~shown
    if not lost.any():
        return []
    return [f"{side} hand: {lost.sum()} labels lie outside every image, the first at moment {np.argmax(lost)}"]


def _reprojection(capture: Capture, side: Side, hand: HandTrack, revision: Revision) -> list[str]:
    problems = []
    points = revision.keypoints.get(side)
    for view, values in points.by_view.items() if points else ():
        camera = capture.views[view].camera
        pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, hand.joints_m))
        distance = np.linalg.norm(pixels - values[..., :2], axis=-1)[hand.valid & (revision.frame_index[view] >= 0)]
        distance = distance[np.isfinite(distance)]
        limit = _FARTHEST_PX * camera.width / 640.0
        if len(distance) and np.median(distance) > limit:
            problems.append(
                f"{side} hand, {view}: labels lie {np.median(distance):.0f} px from their keypoints (median)"
            )
    return problems


def _depth(capture: Capture, side: Side, hand: HandTrack, revision: Revision, layer: ManoLayer) -> list[str]:
    """A mesh that hangs before or behind the measured surface."""
    problems = []
    at = np.flatnonzero(hand.valid)
    at = np.unique(at[np.linspace(0, len(at) - 1, _LOOKED_AT).astype(int)]) if len(at) else at
    for view in revision.frame_index:
        index = capture.sync.index.get(f"{view}/depth")
        if index is None:
            continue
        found = [gap for m in at if index[m] >= 0 for gap in _gaps_m(capture, view, int(index[m]), hand, int(m), layer)]
        if len(found) >= _LEAST_PIXELS and abs(np.median(found)) > _DEPTH_M:
            side_of = "behind" if np.median(found) > 0 else "in front of"
            problems.append(
                f"{side} hand, {view}: its surface lies {1e3 * abs(np.median(found)):.0f} mm {side_of} the measured "
                "depth (median)"
            )
    return problems


def _gaps_m(capture: Capture, view: str, frame: int, hand: HandTrack, m: int, layer: ManoLayer) -> F64:
    """Depth of the mesh less what was measured, where both are. `-> (K,)` m."""
    recorded = capture.views[view]
    some = slice(m, m + 1)
    posed = layer(hand.orient[some], hand.pose[some], hand.betas, hand.trans_m[some])
    vertices_m = posed.vertices_m[0]
    mesh = Mesh(vertices_m, layer.closed_faces.astype(np.int32), np.zeros(vertices_m.shape, np.uint8), label=1)
    try:
        measured = recorded.depth_in_color_m(frame)
    except SequenceError:
        return np.zeros(0)  # told already by the check of the images
    drawn, _ = render_depth([mesh], recorded.camera)
    both = (drawn > 0) & np.isfinite(drawn) & (measured > 0)
    return np.asarray(drawn[both] - measured[both], np.float64)
