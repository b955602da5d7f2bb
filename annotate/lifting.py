"""Joints from one view and its depth, and which of two views that disagree is believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotate.evidence import Evidence
from hoi_core import camera as cameras
from hoi_core.conventions import BONES
from hoi_core.types import F64, Bool

_FINGER_M = (0.017, 0.008, 0.007, 0.001)
_FINGER_SIGMA_M = (0.006, 0.003, 0.003, 0.006)
BEHIND_SURFACE_M = np.array([0.025, 0.020, 0.013, 0.010, 0.001, *_FINGER_M * 4])
"""(21,) m from the skin to the joint along the ray: medians over hands of the simulated rig."""
DEPTH_SIGMA_M = np.array([0.008, 0.006, 0.004, 0.004, 0.006, *_FINGER_SIGMA_M * 4])
"""(21,) m spread of that; at a fingertip the pixel may see past it."""
_LONGEST_S = 0.25  # a neighbour in time farther away says nothing
_TIME_M, _BONE_M = 0.015, 0.01  # spread of a joint about its neighbours in time, of a bone about its length
_CLEARLY = 9.0  # in squared sigmas


@dataclass(frozen=True)
class Noise:
    """What is expected of keypoints, calibration and depth."""

    keypoint_px: float = 2.5
    """Error of a keypoint of confidence 1, px."""
    turn_rad: float = 0.0005
    """Error of a camera's calibrated direction."""
    shift_m: float = 0.001
    """Error of a camera's calibrated place, m."""
    depth: float = 1.0
    """Factor on `DEPTH_SIGMA_M`."""


def lifted(evidence: Evidence, pixels: F64, sigma_px: F64, noise: Noise) -> tuple[F64, F64]:
    """Each view's own joints: the surface under the keypoint, plus what lies between the skin and the joint.

    Returns:
        `(M, V, 21, 3)` m, NaN without depth; `(M, V, 21, 3, 3)` m^2, long along the ray.
    """
    shape = evidence.seen.shape
    joints_m, cov_m2 = np.full((*shape, 3), np.nan), np.full((*shape, 3, 3), np.nan)
    if evidence.keypoint_depth_m is None:
        return joints_m, cov_m2
    for v, camera in enumerate(evidence.cameras):
        z = evidence.keypoint_depth_m[:, v] + BEHIND_SURFACE_M
        R = camera.T_world_cam[:3, :3]
        rays = cameras.rays(camera, pixels[:, v])
        joints_m[:, v] = cameras.transform(camera.T_world_cam, rays * z[..., None])
        along = rays @ R.T
        across_m = z * np.sqrt((sigma_px[:, v] / camera.fx) ** 2 + noise.turn_rad**2) + noise.shift_m
        plane = R[:, :2] @ R[:, :2].T
        depth = along[..., :, None] * along[..., None, :] * (noise.depth * DEPTH_SIGMA_M[:, None, None]) ** 2
        cov_m2[:, v] = depth + across_m[..., None, None] ** 2 * plane
    there = np.isfinite(joints_m[..., 2])
    return joints_m, np.where(there[..., None, None], cov_m2, np.nan)


def arbitrate(evidence: Evidence, pixels: F64, settled_m: F64, single_m: F64) -> tuple[F64, Bool]:
    """Where no two views agree: which view's own joint is believed, and which keypoints are wrong.

    Returns:
        `(M, 21)` view, or -1; `(M, V, 21)` keypoints that are clearly worse than another view's.
    """
    seen = evidence.seen
    unsettled = ~np.isfinite(settled_m[..., 2])
    contested = unsettled & (seen.sum(1) >= 2)
    liftable = np.isfinite(single_m[..., 2])
    if not contested.any():
        usable = seen & liftable & unsettled[:, None]
        return np.where(usable.any(1), usable.argmax(1), -1), np.zeros_like(seen)
    score, tests = _strangeness(evidence, pixels, settled_m, single_m)
    score = np.where(seen & (tests > 0), score, np.inf)
    best = score.min(1)
    with np.errstate(invalid="ignore"):
        wrong = seen & contested[:, None] & (score > best[:, None] + _CLEARLY)
    alone = seen & liftable & (seen.sum(1) == 1)[:, None]
    decided = seen & liftable & ~wrong & wrong.any(1)[:, None] & (score == best[:, None])
    usable = (alone | decided) & unsettled[:, None]
    return np.where(usable.any(1), usable.argmax(1), -1), wrong


def _strangeness(evidence: Evidence, pixels: F64, settled_m: F64, single_m: F64) -> tuple[F64, F64]:
    """How far each view's keypoint is from what its neighbours in time and along the bones suggest.

    Returns:
        `(M, V, 21)` squared sigmas, and `(M, V, 21)` how many neighbours there were.
    """
    expected_m = _between(evidence.t_s, settled_m)
    score, tests = np.zeros(evidence.seen.shape), np.zeros(evidence.seen.shape)
    for v, camera in enumerate(evidence.cameras):
        ray = cameras.rays(camera, pixels[:, v]) @ camera.T_world_cam[:3, :3].T
        ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
        away = expected_m - camera.T_world_cam[:3, 3]
        away = away - (away * ray).sum(-1, keepdims=True) * ray
        squared = (away**2).sum(-1) / _TIME_M**2
        tests[:, v] += np.isfinite(squared)
        score[:, v] += np.nan_to_num(squared)
    for parent, child in BONES:
        length = np.linalg.norm(settled_m[:, child] - settled_m[:, parent], axis=-1)
        if not np.isfinite(length).any():
            continue
        for joint, other in ((parent, child), (child, parent)):
            apart = np.linalg.norm(single_m[:, :, joint] - settled_m[:, None, other], axis=-1)
            squared = ((apart - np.nanmedian(length)) / _BONE_M) ** 2
            tests[:, :, joint] += np.isfinite(squared)
            score[:, :, joint] += np.nan_to_num(squared)
    return score, tests


def _between(t_s: F64, joints_m: F64) -> F64:
    """Joints (M, 21, 3) m, interpolated over time where they are unknown but near ones are known; NaN elsewhere."""
    out = joints_m.copy()
    for j in range(joints_m.shape[1]):
        known = np.isfinite(joints_m[:, j, 2])
        if not known.any() or known.all():
            continue
        at = t_s[known]
        after = np.clip(np.searchsorted(at, t_s), 0, len(at) - 1)
        gap_s = np.minimum(np.abs(at[after] - t_s), np.abs(at[np.maximum(after - 1, 0)] - t_s))
        for axis in range(3):
            filled = np.interp(t_s, at, joints_m[known, j, axis])
            out[:, j, axis] = np.where(gap_s <= _LONGEST_S, filled, np.nan)
    return out
