"""Keypoints of two or more views to points in space, with their covariance; one view and its depth where others fail.

Where two views disagree, the joints of neighbouring moments and the lengths of the bones say which one is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from annotate.epipolar import epipolar_miss_px
from annotate.evidence import Evidence, undistorted_px, without_distortion
from annotate.lifting import Noise, arbitrate, lifted
from hoi_core import camera as cameras
from hoi_core.types import F64, Bool, Camera

GATE_PX = 15.0
"""A point that misses one of its keypoints by more is no point."""
_STEPS = 2
_NEAREST_M = 0.05
_NEIGHBOUR_S = 0.12


class Triangulated(NamedTuple):
    """Joints in space."""

    joints_m: F64
    """(M, 21, 3) m, world, at the moments' own times; NaN where there is none."""
    error_px: F64
    """(M, 21) largest reprojection error over the views that agree, px; NaN where no two views agree."""
    lifted: Bool
    """(M, 21) from one view and depth."""
    cov_m2: F64
    """(M, 21, 3, 3) m^2 of the joints, to first order, from the noise of keypoints, calibration and depth."""
    epipolar_px: F64
    """(M, 21) largest distance of a keypoint from a partner's epipolar line, px; NaN where fewer than two views see."""
    wrong: Bool
    """(M, V, 21) keypoints that contradict another view, and the joints' neighbours in time or along the bones."""


def triangulate(evidence: Evidence, gate_px: float = GATE_PX, noise: Noise | None = None) -> Triangulated:
    """Joints of every moment from the views that agree, weighted by confidence, at the smallest reprojection error.

    Args:
        evidence: its keypoints, and the depth under them where it has any.
        gate_px: largest reprojection error, px.
        noise: what is expected of the evidence.
    """
    noise = noise or Noise()
    pixels = at_moments_px(evidence)
    sigma_px = noise.keypoint_px / np.sqrt(np.maximum(evidence.confidence, 1e-3))
    joints_m, cov_m2, error_px, used = _agreeing(evidence.cameras, pixels, sigma_px, gate_px, noise)
    single_m, single_cov_m2 = lifted(evidence, pixels, sigma_px, noise)
    choice, wrong = arbitrate(evidence, pixels, joints_m, single_m)
    several = np.isfinite(error_px)
    wrong |= evidence.seen & ~used & several[:, None] & (evidence.seen.sum(1) > 2)[:, None]
    alone = ~several & (choice >= 0)
    at = np.maximum(choice, 0)[:, None, :, None]
    lift_m = np.take_along_axis(single_m, at, axis=1)[:, 0]
    lift_cov_m2 = np.take_along_axis(single_cov_m2, at[..., None], axis=1)[:, 0]
    return Triangulated(
        joints_m=np.where(alone[..., None], lift_m, joints_m),
        error_px=error_px,
        lifted=alone,
        cov_m2=np.where(alone[..., None, None], lift_cov_m2, cov_m2),
        epipolar_px=epipolar_px(evidence, pixels),
        wrong=wrong,
    )


def triangulate_frame(views: Sequence[Camera], points_px: F64) -> F64:
    """Joints of one moment from what the views' images show.

    Args:
        views: V cameras, with their distortion.
        points_px: `(V, 21, 2 or 3)` px of the images, and confidence; NaN where absent.

    Returns:
        `(21, 3)` m, world; NaN where fewer than two views see the joint or they disagree.
    """
    confidence = points_px[..., 2] if points_px.shape[-1] > 2 else np.ones(points_px.shape[:2])
    pixels = np.stack([undistorted_px(camera, seen[..., :2]) for camera, seen in zip(views, points_px, strict=True)])
    evidence = Evidence(
        t_s=np.zeros(1),
        views=tuple(str(v) for v in range(len(views))),
        cameras=tuple(without_distortion(camera) for camera in views),
        keypoints_px=pixels[None],
        confidence=np.nan_to_num(confidence)[None],
        lag_s=np.zeros((1, len(views))),
    )
    return triangulate(evidence).joints_m[0]


def at_moments_px(evidence: Evidence) -> F64:
    """`(M, V, 21, 2)` px where keypoints would lie had every view looked at the moment itself.

    The velocity is the smaller of those from the neighbours before and after, and zero where they point opposite
    ways: a keypoint that is wrong does not push its neighbours far.
    """
    pixels = np.where(evidence.seen[..., None], evidence.keypoints_px, np.nan)
    if len(evidence.t_s) < 3:
        return pixels
    step_s = np.diff(evidence.t_s)[:, None, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        speed = np.nan_to_num(np.where((step_s > 0) & (step_s < _NEIGHBOUR_S), np.diff(pixels, axis=0) / step_s, 0.0))
    before, after = np.concatenate([speed[:1], speed]), np.concatenate([speed, speed[-1:]])
    velocity = np.where(before * after > 0, np.sign(before) * np.minimum(np.abs(before), np.abs(after)), 0.0)
    return pixels - velocity * np.nan_to_num(evidence.lag_s)[..., None, None]


def epipolar_px(evidence: Evidence, pixels: F64) -> F64:
    """`(M, 21)` px, the largest over all pairs of views; NaN where fewer than two views see the joint.

    Args:
        evidence: for its cameras.
        pixels: `(M, V, 21, 2)` px.
    """
    worst = np.full(pixels[:, 0].shape[:-1], np.nan)
    for a, b in combinations(range(len(evidence.cameras)), 2):
        miss = epipolar_miss_px(evidence.cameras[a], pixels[:, a], evidence.cameras[b], pixels[:, b])
        worst = np.fmax(worst, miss)
    return worst


def _agreeing(
    views: Sequence[Camera], pixels: F64, sigma_px: F64, gate_px: float, noise: Noise
) -> tuple[F64, F64, F64, Bool]:
    """The pair of views that most others agree with, and the point that all of those give.

    Returns:
        `(M, 21, 3)` m and `(M, 21, 3, 3)` m^2, NaN where no two agree; error `(M, 21)` px; used `(M, V, 21)`.
    """
    seen: Bool = np.asarray(np.isfinite(pixels).all(-1))
    best: Bool = np.zeros(seen.shape, dtype=bool)
    score = np.full(seen[:, 0].shape, -np.inf)
    pairs = list(combinations(range(len(views)), 2))
    joints_m, cov_m2 = (np.full((*score.shape, *more), np.nan) for more in ((3,), (3, 3)))
    miss = np.full(seen.shape, np.nan)
    for pair in pairs:
        use = np.zeros_like(seen)
        use[:, list(pair)] = seen[:, list(pair)].all(1, keepdims=True)
        joints_m, cov_m2 = _solve(views, pixels, sigma_px, use, noise)
        miss = _miss_px(views, joints_m, pixels)
        near = miss <= gate_px
        # More views first, then the smaller error.
        mean = np.where(near, miss, 0.0).sum(1) / np.maximum(near.sum(1), 1) / gate_px
        value = np.where((near & use).sum(1) >= 2, near.sum(1) - 0.5 * mean, -np.inf)
        better = value > score
        best = np.where(better[:, None], near, best)
        score = np.where(better, value, score)
    if len(pairs) > 1:
        joints_m, cov_m2 = _solve(views, pixels, sigma_px, best, noise)
        miss = _miss_px(views, joints_m, pixels)
    miss = np.where(best, miss, -1.0).max(1, initial=-1.0)
    good = (best.sum(1) >= 2) & np.isfinite(miss)
    nan = np.nan
    return (
        np.where(good[..., None], joints_m, nan),
        np.where(good[..., None, None], cov_m2, nan),
        np.where(good, miss, nan),
        best & good[:, None],
    )


def _solve(views: Sequence[Camera], pixels: F64, sigma_px: F64, use: Bool, noise: Noise) -> tuple[F64, F64]:
    """Points of smallest reprojection error in sigmas, and their covariance; NaN where fewer than two views are used.

    Gauss-Newton from the point nearest to the rays.
    """
    enough = use.sum(1) >= 2
    safe = np.where(use[..., None], pixels, 0.0)
    A, b = np.zeros((*enough.shape, 3, 3)), np.zeros((*enough.shape, 3))
    for v, camera in enumerate(views):
        ray = cameras.rays(camera, safe[:, v]) @ camera.T_world_cam[:3, :3].T
        ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
        across = (np.eye(3) - ray[..., :, None] * ray[..., None, :]) * use[:, v, :, None, None]
        A, b = A + across, b + across @ camera.T_world_cam[:3, 3]
    x = np.linalg.solve(_regular(A, enough), b[..., None])[..., 0]
    for _ in range(_STEPS):
        A, b = np.zeros_like(A), np.zeros_like(b)
        for v, camera in enumerate(views):
            T = camera.T_cam_world
            local = x @ T[:3, :3].T + T[:3, 3]
            z = np.maximum(local[..., 2:], _NEAREST_M)
            focal = np.array([camera.fx, camera.fy])
            at = local[..., :2] / z * focal
            slope = ((focal[:, None] * T[:2, :3]) - at[..., None] * T[2, :3]) / z[..., None]
            # What calibration misses moves the image as a whole: to first order it adds to the keypoint's error.
            wrong = (camera.fx * noise.turn_rad) ** 2 + (camera.fx * noise.shift_m / z[..., 0]) ** 2
            weight = np.where(use[:, v], 1.0 / (sigma_px[:, v] ** 2 + wrong), 0.0)
            miss = safe[:, v] - at - [camera.cx, camera.cy]
            weighted = np.swapaxes(slope, -1, -2) * weight[..., None, None]
            A += weighted @ slope
            b += (weighted @ miss[..., None])[..., 0]
        x = x + np.linalg.solve(_regular(A, enough), b[..., None])[..., 0]
    cov_m2 = np.linalg.inv(_regular(A, enough))
    return np.where(enough[..., None], x, np.nan), np.where(enough[..., None, None], cov_m2, np.nan)


def _regular(A: F64, enough: Bool) -> F64:
    """The matrices, made invertible: rays that are parallel meet nowhere, and fall to the gate."""
    size = np.trace(A, axis1=-2, axis2=-1)[..., None, None]
    return np.where(enough[..., None, None], A + 1e-9 * size * np.eye(3), np.eye(3))


def _miss_px(views: Sequence[Camera], joints_m: F64, pixels: F64) -> F64:
    """(M, V, 21) px; NaN where the view has no keypoint, infinite behind the camera."""
    out = np.full(pixels.shape[:-1], np.nan)
    for v, camera in enumerate(views):
        local = cameras.transform(camera.T_cam_world, joints_m)
        miss = np.linalg.norm(cameras.project(camera, local) - pixels[:, v], axis=-1)
        behind = np.isfinite(pixels[:, v]).all(-1) & ~(local[..., 2] > 0) & np.isfinite(joints_m).all(-1)
        out[:, v] = np.where(behind, np.inf, miss)
    return out
