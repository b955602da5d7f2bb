"""Projected joints against keypoints of every view, each at its camera's own time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.equations import NormalEquations
from annotate.evidence import Evidence
from annotate.stage import Stage
from annotate.state import FitState, Points, add_rows, eye, geman_mcclure, observed, velocities
from hoi_core.types import F64, I64, Camera

_NEAREST_M = 0.05


@dataclass(frozen=True)
class Config:
    """Keypoints."""

    weight: float = 1.0
    """Weight of the term."""
    sigma_px: float = 2.5
    """Expected error of a keypoint of confidence 1, px."""
    sigmas_px: tuple[float, ...] = ()
    """Expected error by level of confidence, the lowest first; empty for `sigma_px / sqrt(confidence)`."""


def expected_px(config: Config, confidence: F64) -> F64:
    """Expected error of keypoints, px. Less confidence means more of it, so the robust scale widens with it."""
    if not config.sigmas_px:
        return np.asarray(config.sigma_px / np.sqrt(confidence))
    return np.asarray(config.sigmas_px)[level(confidence, len(config.sigmas_px))]


def level(confidence: F64, levels: int) -> NDArray[np.int64]:
    """Which of so many equal levels of confidence."""
    return np.clip((confidence * levels).astype(np.int64), 0, levels - 1)


@dataclass(frozen=True)
class _Prepared:
    weight: float
    scale: float
    views: tuple[tuple[Camera, Points, F64, F64], ...]
    """Camera, points, their pixels (K, 2) and expected errors (K,) px."""


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Collect the joints that have a keypoint, with their velocities."""
    if config.weight <= 0 or not evidence.seen.any():
        return None
    views = []
    for v, camera in enumerate(evidence.cameras):
        points, joint = _seen(evidence, state, v)
        pixels = evidence.keypoints_px[points.moment, v, joint]
        views.append((camera, points, pixels, expected_px(config, evidence.confidence[points.moment, v, joint])))
    return _Prepared(config.weight, stage.robust_scale, tuple(views))


def _seen(evidence: Evidence, state: FitState, view: int) -> tuple[Points, I64]:
    """The joints that have a keypoint in a view, with their velocities, and which they are."""
    moment, joint = np.nonzero(evidence.seen[:, view] & np.isfinite(evidence.lag_s[:, view, None]))
    point = state.hands.hand.openpose[joint]
    velocity = velocities(state.hands, evidence.t_s, moment, point)
    return Points(view, eye(evidence.cameras[view]), moment, point, velocity, evidence.lag_s[moment, view]), joint


def reprojection(evidence: Evidence, state: FitState) -> tuple[F64, F64]:
    """Projected joints less their keypoints, and the derivative by the joint.

    Returns:
        `(M, V, 21, 2)` px, NaN where there is no keypoint, and `(M, V, 21, 2, 3)` px/m, zero there.
    """
    miss_px = np.full((*evidence.seen.shape, 2), np.nan)
    slope = np.zeros((*evidence.seen.shape, 2, 3))
    for v, camera in enumerate(evidence.cameras):
        points, joint = _seen(evidence, state, v)
        projected, by_point = _project(camera, observed(state, points))
        miss_px[points.moment, v, joint] = projected - evidence.keypoints_px[points.moment, v, joint]
        slope[points.moment, v, joint] = by_point
    return miss_px, slope


def efficiency(config: Config, evidence: Evidence, state: FitState, scale: float) -> float:
    """How much more keypoints tell than their robust weights say: `E[psi']^2 / (E[psi^2] E[weight])`.

    `psi` is the pull of a keypoint in sigmas; 1.16 where errors are normal and the scale is 4.
    """
    miss_px, _ = reprojection(evidence, state)
    seen = np.isfinite(miss_px[..., 0])
    squared = (miss_px[seen] ** 2).sum(-1) / expected_px(config, evidence.confidence[seen]) ** 2
    _, weight = geman_mcclure(squared, scale)
    # In the plane, half the divergence of weight * e is weight + squared * d weight / d squared.
    slope = weight - 2.0 * squared / scale**2 * weight**1.5
    return float(slope.mean() ** 2 / ((weight**2 * squared).mean() / 2.0 * weight.mean()))


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the reprojection errors; adds to `equations` where given."""
    total = 0.0
    for camera, points, pixels, expected in prepared.views:
        if not len(pixels):
            continue
        projected, slope = _project(camera, observed(state, points))
        sigma_px = expected[:, None]
        residual = (projected - pixels) / sigma_px
        cost, robust = geman_mcclure((residual**2).sum(-1), prepared.scale)
        total += 0.5 * prepared.weight * float(cost.sum())
        if equations is not None:
            both = (
                (slope / sigma_px[..., None]).reshape(-1, 3),
                residual.ravel(),
                np.repeat(prepared.weight * robust, 2),
            )
            add_rows(equations, state, points.twice(), *both)
    return total


def _project(camera: Camera, points_m: F64) -> tuple[F64, F64]:
    """Pixels of world points and their derivative. `(K, 3) m -> (K, 2) px, (K, 2, 3) px/m`."""
    T = camera.T_cam_world
    x = points_m @ T[:3, :3].T + T[:3, 3]
    z = np.maximum(x[:, 2:], _NEAREST_M)  # a hand that the first guess put behind the camera can come back
    focal = np.array([camera.fx, camera.fy])
    pixels = x[:, :2] / z * focal + [camera.cx, camera.cy]
    slope = (focal[:, None] * T[:2, :3])[None] - (x[:, :2] / z * focal)[..., None] * T[2, :3]
    return pixels, slope / z[..., None]
