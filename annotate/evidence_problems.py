"""What is wrong with evidence before anything is fitted: calibration, depth, keypoints of other images."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from annotate.epipolar import epipolar_miss_px
from annotate.evidence import Evidence
from annotate.lifting import BEHIND_SURFACE_M
from annotate.triangulate import at_moments_px, triangulate
from hoi_core import camera as cameras
from hoi_core.errors import CalibrationError, FitError, HoiError
from hoi_core.sequence import Capture
from hoi_core.types import F64, PROBLEMS, U8

_SAME_PLACE_M = 1e-3
_FEWEST = 8
"""Joints without which a moment says nothing about calibration or agreement."""
_ALWAYS_PX = 10.0
"""Epipolar distance of the best quarter of the moments, above which cameras are not where they are said to be."""
_MOMENT_PX = 30.0
_SCALES = (0.25, 1 / 3, 0.5, 2 / 3, 0.75, 4 / 3, 1.5, 2.0, 3.0, 4.0)
_FITS_PX = 5.0
_OUTSIDE_SHARE = 0.25
_OUTSIDE_BY = 0.1
_DEPTH_APART_M = 0.03
_DEPTH_JOINTS = 50
_LOOKS = 5


class EvidenceProblems(NamedTuple):
    """What was found."""

    codes: U8
    """(M,) index into `PROBLEMS`: `no evidence` or `no agreement` where a moment shows nothing that can be fitted."""
    errors: tuple[HoiError, ...]
    """Why the sequence must not be fitted as it is, the gravest first."""
    warnings: tuple[str, ...]
    """What the fit can do without, but a person should know."""


def evidence_problems(evidence: Evidence, capture: Capture) -> EvidenceProblems:
    """Look for evidence that a fit would turn into wrong labels without a complaint.

    Args:
        evidence: keypoints of one hand, before or after the depth points were added.
        capture: the open recording that it comes from.
    """
    errors: list[HoiError] = []
    for find in (_poses, _image_size, _disagreement):
        error = find(evidence)
        if error is not None:
            return EvidenceProblems(_codes(evidence), (error,), ())
    empty = [view for v, view in enumerate(evidence.views) if _without_depth(evidence, capture, v)]
    warnings = [
        f"view {view}: its depth images are empty; the hand is fitted without them. Check the emitter and the "
        "distance (a D435 needs 0.2 m or more)."
        for view in empty
    ]
    two = (evidence.seen.sum(1) >= 2).any()
    if not two and len(empty) == _with_depth(evidence, capture) and evidence.seen.any():
        errors.append(
            FitError(
                "one view sees the hand and no depth was measured: nothing says how far away it is.",
                "Add keypoints of a second view, or record with the emitter on.",
            )
        )
    error = _depth_elsewhere(evidence)
    if error is not None:
        errors.append(error)
    return EvidenceProblems(_codes(evidence), tuple(errors), tuple(warnings))


def _poses(evidence: Evidence) -> CalibrationError | None:
    """Cameras whose place is unknown."""
    for view, camera in zip(evidence.views, evidence.cameras, strict=True):
        numbers = [camera.fx, camera.fy, camera.cx, camera.cy, *camera.T_world_cam.ravel()]
        if not np.isfinite(numbers).all() or min(camera.fx, camera.fy) <= 0:
            return CalibrationError(
                f"view {view} needs finite intrinsics and a pose, and its calibration has none.",
                "Calibrate the rig with `hoi-calibrate` and record again, or correct the recording's rig file.",
            )
    for (view_a, a), (view_b, b) in combinations(zip(evidence.views, evidence.cameras, strict=True), 2):
        apart = float(np.linalg.norm(a.T_world_cam[:3, 3] - b.T_world_cam[:3, 3]))
        if apart < _SAME_PLACE_M:
            return CalibrationError(
                f"views {view_a} and {view_b} are said to stand at the same place: the recording has no calibration.",
                "Calibrate the rig with `hoi-calibrate`; until then fit one view alone.",
            )
    return None


def _image_size(evidence: Evidence) -> FitError | None:
    """Keypoints that lie outside their image too often to have been found in it."""
    for v, (view, camera) in enumerate(zip(evidence.views, evidence.cameras, strict=True)):
        points = evidence.keypoints_px[:, v][evidence.seen[:, v]]
        if len(points) < _FEWEST:
            continue
        size = np.array([camera.width, camera.height])
        outside = ((points < -_OUTSIDE_BY * size) | (points > (1 + _OUTSIDE_BY) * size)).any(-1).mean()
        if outside > _OUTSIDE_SHARE:
            reach = np.quantile(points, 0.98, axis=0)
            return FitError(
                f"{outside:.0%} of the keypoints of view {view} lie outside its {camera.width}x{camera.height} image "
                f"(they reach {reach[0]:.0f}, {reach[1]:.0f}): they are of images of another size.",
                "Scale the keypoints to the recorded images, u -> s (u + 0.5) - 0.5.",
            )
    return None


def _disagreement(evidence: Evidence) -> CalibrationError | None:
    """Views that miss each other's epipolar lines all the time."""
    pixels = at_moments_px(evidence)
    for a, b in combinations(range(len(evidence.views)), 2):
        typical = _best_quarter_px(evidence, pixels, a, b)
        if typical is None or typical < _ALWAYS_PX:
            continue
        return CalibrationError(
            f"the keypoints of views {evidence.views[a]} and {evidence.views[b]} miss each other's epipolar lines by "
            f"{typical:.0f} px even in the best quarter of the moments: the calibration is of another rig, or a camera "
            "was moved after it.",
            _scale_hint(evidence, pixels, a, b)
            or "Calibrate with `hoi-calibrate` as the rig stood, or look whether keypoints of two hands were mixed up.",
        )
    return None


def _scale_hint(evidence: Evidence, pixels: F64, a: int, b: int) -> str:
    """What to try where keypoints of another image size would explain a disagreement; else empty."""
    for scale in _SCALES:
        tried = _best_quarter_px(evidence, scale * (pixels + 0.5) - 0.5, a, b)
        if tried is not None and tried < _FITS_PX:
            return (
                f"Scale the keypoints by {scale:.3g} if they were found in images of another size: they would then "
                f"miss by {tried:.1f} px. Else calibrate with `hoi-calibrate` as the rig stood."
            )
    return ""


def _best_quarter_px(evidence: Evidence, pixels: F64, a: int, b: int) -> float | None:
    """Epipolar distance that a quarter of the moments stay below, px: motion and mistakes come and go."""
    miss = epipolar_miss_px(evidence.cameras[a], pixels[:, a], evidence.cameras[b], pixels[:, b])
    enough = np.isfinite(miss).sum(1) >= _FEWEST
    return float(np.quantile(np.nanmedian(miss[enough], axis=1), 0.25)) if enough.any() else None


def _with_depth(evidence: Evidence, capture: Capture) -> int:
    return sum(f"{view}/depth" in capture.streams for view in evidence.views)


def _without_depth(evidence: Evidence, capture: Capture, v: int) -> bool:
    """Whether a view has a depth stream and nothing was measured in it."""
    name = f"{evidence.views[v]}/depth"
    if name not in capture.streams:
        return False
    if evidence.keypoint_depth_m is not None and np.isfinite(evidence.keypoint_depth_m[:, v]).any():
        return False
    stream = capture.streams[name]
    return not any(stream[i].any() for i in range(0, len(stream), max(len(stream) // _LOOKS, 1)))


def _depth_elsewhere(evidence: Evidence) -> CalibrationError | None:
    """Depth that does not lie where the views meet."""
    if evidence.keypoint_depth_m is None or len(evidence.views) < 2:
        return None
    measured = np.flatnonzero(np.isfinite(evidence.keypoint_depth_m).any((1, 2)))
    if not len(measured):
        return None
    depth_m, met = evidence.keypoint_depth_m[measured], triangulate(evidence.taken(measured))
    joints_m = np.where((np.isfinite(met.error_px) & ~met.lifted)[..., None], met.joints_m, np.nan)
    for v, (view, camera) in enumerate(zip(evidence.views, evidence.cameras, strict=True)):
        behind = cameras.transform(camera.T_cam_world, joints_m)[..., 2] - depth_m[:, v]
        apart = (behind - BEHIND_SURFACE_M)[np.isfinite(behind)]
        # An object before the hand makes joints lie behind the surface; half of them and more is no object.
        if len(apart) >= _DEPTH_JOINTS and abs(float(np.median(apart))) > _DEPTH_APART_M:
            return CalibrationError(
                f"the depth of view {view} lies {1e3 * np.median(apart):.0f} mm before the joints that the views "
                "agree on: its unit or its pose against the colour camera is wrong, or the rig's scale is.",
                "Calibrate the rig again, and check the board's square size and the depth scale.",
            )
    return None


def _codes(evidence: Evidence) -> U8:
    codes = np.zeros(len(evidence.t_s), dtype=np.uint8)
    seen = evidence.seen
    shared = seen.sum(1) >= 2
    pixels = at_moments_px(evidence)
    worst = np.full(shared.shape, np.nan)
    for a, b in combinations(range(len(evidence.views)), 2):
        miss = epipolar_miss_px(evidence.cameras[a], pixels[:, a], evidence.cameras[b], pixels[:, b])
        worst = np.fmax(worst, miss)
    # Two views of which one shows another hand: most joints contradict each other.
    against = (worst > _MOMENT_PX).sum(1)
    codes[(shared.sum(1) >= _FEWEST) & (against * 2 > shared.sum(1))] = PROBLEMS.index("no agreement")
    nothing = ~seen.any((1, 2)) & ~np.isfinite(evidence.lag_s).any(1)
    codes[nothing] = PROBLEMS.index("no evidence")
    return codes
