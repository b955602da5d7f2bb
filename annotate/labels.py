"""From a finished fit to labels: MANO parameters, joints, where each came from, and how well they fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annotate.evidence import Evidence, keypoint_gap
from annotate.fit import FitResult
from annotate.hand import HandState
from annotate.state import FitState
from annotate.terms.depth import match
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.conventions import N_JOINTS
from hoi_core.types import F64, JOINT_SOURCES, STATUSES, Bool, HandTrack

MATCH_M = 0.012
"""A depth point nearer than this to the surface supports the fit."""
FEWEST_MATCHES = 60
"""Supporting points without which a moment with no keypoint is called interpolated."""
LONGEST_GAP_S = 0.5
"""A moment farther from any keypoints, and without depth, has no label."""


def hand_track(result: FitResult, evidence: Evidence, cov_m2: F64) -> tuple[HandTrack, dict[str, F64]]:
    """The labels of a hand, and residuals `reprojection_px` and `depth_m` of each moment.

    Args:
        result: of the fit.
        evidence: what was fitted.
        cov_m2: `(M, 21, 3, 3)` m^2 of the joints.
    """
    hands = result.state.hands
    moments = len(hands.trans_m)
    depth_m, matches = _depth_residual(result.state, evidence)
    supported = matches >= FEWEST_MATCHES
    valid: Bool = supported | (keypoint_gap(evidence) <= LONGEST_GAP_S)
    valid &= np.isfinite(hands.joints_m).all((-1, -2))
    seen = evidence.seen.any(1)
    fitted = seen | (supported | (seen.sum(1) * 2 >= N_JOINTS))[:, None]
    source = np.where(fitted, JOINT_SOURCES.index("fitted"), JOINT_SOURCES.index("interpolated"))
    orient, pose = axis_angles(hands)
    track = HandTrack(
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
    residuals = {"reprojection_px": _reprojection_px(hands, evidence), "depth_m": depth_m}
    return track, {name: values.reshape(moments) for name, values in residuals.items()}


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


def _reprojection_px(hands: HandState, evidence: Evidence) -> F64:
    """(M,) median distance of the projected joints from the keypoints, px."""
    miss = np.full(evidence.seen.shape, np.nan)
    for v, camera in enumerate(evidence.cameras):
        pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, hands.joints_m))
        miss[:, v] = np.linalg.norm(pixels - evidence.keypoints_px[:, v], axis=-1)
    return np.array([median(row[seen]) for row, seen in zip(miss, evidence.seen, strict=True)])


def _depth_residual(state: FitState, evidence: Evidence) -> tuple[F64, NDArray[np.int64]]:
    """(M,) m median distance of the supporting depth points from the surface, and how many there are."""
    moments = len(evidence.t_s)
    distance: list[list[F64]] = [[] for _ in range(moments)]
    for cloud in evidence.clouds.values():
        vertex = match(cloud, state, MATCH_M)
        found = np.flatnonzero(vertex >= 0)
        moment, point = cloud.moment[found], vertex[found]
        away = state.hands.vertices_m[moment, point] - cloud.points_m[found]
        apart = np.abs((away * state.hands.normals[moment, point]).sum(-1))
        for m in np.unique(moment):
            distance[m].append(apart[moment == m])
    joined = [np.concatenate(parts) if parts else np.zeros(0) for parts in distance]
    return np.array([median(part) for part in joined]), np.array([len(part) for part in joined])
