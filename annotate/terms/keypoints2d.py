"""Projected joints against keypoints of every view, each at its camera's own time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotate.equations import NormalEquations
from annotate.evidence import Evidence
from annotate.stage import Stage
from annotate.state import FitState, Points, add_rows, eye, geman_mcclure, observed, velocities
from annotate.terms._pixels import pixel_rows
from annotate.terms._projection import project_with_slope
from hoi_core.types import F64, I64, Camera


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
        projected, by_point = project_with_slope(camera, observed(state, points))
        miss_px[points.moment, v, joint] = projected - evidence.keypoints_px[points.moment, v, joint]
        slope[points.moment, v, joint] = by_point
    return miss_px, slope


class Pull(NamedTuple):
    """What keypoints tell, against what their robust weights say; `psi` is the pull of a keypoint in sigmas."""

    information: float
    """`E[psi']^2 / (E[psi^2] E[weight])`; 1.16 where errors are normal and the scale is 4."""
    slope: float
    """`E[psi'] / E[psi^2]`: slopes of the cost times this have that information as their covariance, and as their
    derivative by what they tell of."""


def pull(config: Config, evidence: Evidence, state: FitState, scale: float) -> Pull:
    """How much more keypoints tell than their robust weights say, by the residuals (Huber 1981, section 6.3)."""
    miss_px, _ = reprojection(evidence, state)
    seen = np.isfinite(miss_px[..., 0])
    squared = (miss_px[seen] ** 2).sum(-1) / expected_px(config, evidence.confidence[seen]) ** 2
    _, weight = geman_mcclure(squared, scale)
    # In the plane, half the divergence of weight * e is weight + squared * d weight / d squared.
    slope = float((weight - 2.0 * squared / scale**2 * weight**1.5).mean())
    square = float((weight**2 * squared).mean()) / 2.0
    return Pull(slope**2 / (square * float(weight.mean())), slope / square)


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the reprojection errors; adds to `equations` where given."""
    total = 0.0
    for camera, points, pixels, expected in prepared.views:
        if not len(pixels):
            continue
        errors, slopes, weights = (np.empty((len(pixels), *more)) for more in ((2,), (2, 3), ()))
        which = (points.moment, points.point, points.velocity, points.lag_s)
        lens = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        looks = (state.views[points.view], points.eye_m, np.ascontiguousarray(camera.T_cam_world), lens)
        seen = (pixels, expected, prepared.weight, prepared.scale)
        total += pixel_rows(which, state.hands.points_m, looks, seen, (errors, slopes, weights))
        if equations is not None:
            rows = (slopes.reshape(-1, 3), errors.ravel(), np.repeat(weights, 2))
            add_rows(equations, state, points.twice(), *rows)
    return total
