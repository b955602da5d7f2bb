"""From a finished fit to labels: MANO parameters, joints, their sources, how well they fit, and what has no label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate import equations as normal
from annotate.evidence import Evidence, keypoint_gap
from annotate.fit import FitResult
from annotate.hand import HandState
from annotate.medians import of_moments, of_rows
from annotate.state import FitState
from annotate.terms.depth import match
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.conventions import N_JOINTS
from hoi_core.types import F64, JOINT_SOURCES, PROBLEMS, STATUSES, U8, Bool, HandTrack

MATCH_M = 0.012
"""A depth point nearer than this to the surface supports the fit."""
FEWEST_MATCHES = 60
"""Supporting points without which a moment with no keypoint is called interpolated."""
LONGEST_GAP_S = 0.5
"""A moment farther from any keypoints, and without depth, has no label."""
CONTRADICTION_PX = 25.0
"""A keypoint farther from its joint contradicts the fit."""
_CONTRADICTED_SHARE = 0.5
_UNSETTLED_SIGMAS = 3.0


@dataclass(frozen=True)
class HandLabels:
    """What a fit says of a hand."""

    track: HandTrack
    """The labels."""
    problems: U8
    """(M,) index into `PROBLEMS`."""
    residuals: dict[str, F64]
    """`reprojection_px` and `depth_m` of each moment, (M,)."""


def hand_labels(result: FitResult, evidence: Evidence, cov_m2: F64, before: U8 | None = None) -> HandLabels:
    """The labels of a hand, why moments have none, and residuals.

    Args:
        result: of the fit.
        evidence: what was fitted.
        cov_m2: `(M, 21, 3, 3)` m^2 of the joints.
        before: `(M,)` index into `PROBLEMS`: what was wrong with the evidence itself. Views that contradict each other
            leave no label where depth does not say which of them is right.
    """
    depth_m, matches = _depth_residual(result.state, evidence)
    supported = matches >= FEWEST_MATCHES
    miss_px = _miss_px(result.state.hands, evidence)
    problems = _problems(result, evidence, miss_px, supported)
    if before is not None:
        contradicted = (before == PROBLEMS.index("no agreement")) & ~supported & (problems == 0)
        problems[contradicted] = PROBLEMS.index("no agreement")
    track = _track(result.state.hands, evidence, cov_m2, supported, problems == 0)
    reprojection_px = of_rows(miss_px.reshape(len(miss_px), -1))
    return HandLabels(track, problems, {"reprojection_px": reprojection_px, "depth_m": depth_m})


def _track(hands: HandState, evidence: Evidence, cov_m2: F64, supported: Bool, valid: Bool) -> HandTrack:
    seen = evidence.seen.any(1)
    fitted = seen | (supported | (seen.sum(1) * 2 >= N_JOINTS))[:, None]
    source = np.where(fitted, JOINT_SOURCES.index("fitted"), JOINT_SOURCES.index("interpolated"))
    orient, pose = axis_angles(hands)
    return HandTrack(
        orient=_masked(orient, valid),
        pose=_masked(pose, valid),
        betas=hands.betas,
        trans_m=_masked(hands.trans_m, valid),
        joints_m=_masked(hands.joints_m, valid),
        joint_cov_m2=_masked(cov_m2, valid),
        valid=valid,
        status=np.where(valid, STATUSES.index("auto"), STATUSES.index("none")).astype(np.uint8),
        joint_source=np.where(valid[:, None], source, JOINT_SOURCES.index("none")).astype(np.uint8),
    )


def _problems(result: FitResult, evidence: Evidence, miss_px: F64, supported: Bool) -> U8:
    """(M,) index into `PROBLEMS`; the reason that says most of a moment wins."""
    hands = result.state.hands
    seen = evidence.seen
    far = ~supported & (keypoint_gap(evidence) > LONGEST_GAP_S)
    outside = ~seen.any((1, 2)) & ~_in_some_image(hands, evidence)
    with np.errstate(invalid="ignore"):
        against = (miss_px > CONTRADICTION_PX).sum((1, 2)) > _CONTRADICTED_SHARE * seen.sum((1, 2))
    unsettled = _unsettled(result) | ~np.isfinite(hands.joints_m).all((-1, -2))
    codes = np.zeros(len(far), dtype=np.uint8)
    for reason, where in (
        ("not converged", unsettled),
        ("no agreement", against),
        ("no evidence", far),
        ("out of view", outside),
    ):
        codes[where] = PROBLEMS.index(reason)
    return codes


def _in_some_image(hands: HandState, evidence: Evidence) -> Bool:
    """(M,) whether any joint lies within any view's image."""
    found = np.zeros(len(hands.trans_m), dtype=bool)
    for camera in evidence.cameras:
        local = cameras.transform(camera.T_cam_world, hands.joints_m)
        with np.errstate(invalid="ignore"):
            pixels = cameras.project(camera, local)
            inside = (pixels > -0.5) & (pixels < [camera.width - 0.5, camera.height - 0.5])
        found |= (inside.all(-1) & (local[..., 2] > 0)).any(1)
    return found


def _unsettled(result: FitResult) -> Bool:
    """(M,) whether a further Newton step would still gain much: by its length in the fit's own sigmas."""
    step, _ = normal.solve(result.equations, 0.0)
    return np.asarray(-(step * result.equations.g).sum(1) > _UNSETTLED_SIGMAS**2)


def axis_angles(hands: HandState) -> tuple[F64, F64]:
    """MANO's parameters. `-> (M, 3) rad, (M, 45) rad`."""
    vectors = rotation.log_so3(hands.rotations)
    return vectors[:, 0], vectors[:, 1:].reshape(len(vectors), -1)


def median(values: F64) -> float:
    """Median of what is known; NaN of nothing."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _masked(values: F64, valid: Bool) -> F64:
    return np.where(valid.reshape(-1, *(1,) * (values.ndim - 1)), values, np.nan)


def _miss_px(hands: HandState, evidence: Evidence) -> F64:
    """(M, V, 21) px from each keypoint to its projected joint; NaN where there is no keypoint."""
    miss = np.full(evidence.seen.shape, np.nan)
    for v, camera in enumerate(evidence.cameras):
        pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, hands.joints_m))
        miss[:, v] = np.linalg.norm(pixels - evidence.keypoints_px[:, v], axis=-1)
    return np.where(evidence.seen, miss, np.nan)


def _depth_residual(state: FitState, evidence: Evidence) -> tuple[F64, NDArray[np.int64]]:
    """(M,) m median distance of the supporting depth points from the surface, and how many there are."""
    moments = [np.zeros(0, np.int64)]
    distances = [np.zeros(0)]
    for cloud in evidence.clouds.values():
        vertex = match(cloud, state, MATCH_M)
        found = np.flatnonzero(vertex >= 0)
        moment, point = cloud.moment[found], vertex[found]
        away = state.hands.vertices_m[moment, point] - cloud.points_m[found]
        moments.append(moment)
        distances.append(np.abs((away * state.hands.normals[moment, point]).sum(-1)))
    return of_moments(len(evidence.t_s), np.concatenate(moments), np.concatenate(distances))
