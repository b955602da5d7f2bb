"""Projected joints against keypoints of every view, each at its camera's own time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotate.equations import NormalEquations
from annotate.evidence import Evidence
from annotate.stage import Stage
from annotate.state import FitState, Points, add_rows, eye, geman_mcclure, observed, velocities
from hoi_core.types import F64, Camera

_NEAREST_M = 0.05


@dataclass(frozen=True)
class Config:
    """Keypoints."""

    weight: float = 1.0
    """Weight of the term."""
    sigma_px: float = 2.5
    """Expected error of a keypoint of confidence 1, px."""


@dataclass(frozen=True)
class _Prepared:
    weight: float
    sigma_px: float
    scale: float
    views: tuple[tuple[Camera, Points, F64, F64], ...]
    """Camera, points, their pixels (K, 2), their confidence (K,)."""


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Collect the joints that have a keypoint, with their velocities."""
    if config.weight <= 0 or not evidence.seen.any():
        return None
    velocity = velocities(state.hands, evidence.t_s)
    views = []
    for v, camera in enumerate(evidence.cameras):
        moment, joint = np.nonzero(evidence.seen[:, v] & np.isfinite(evidence.lag_s[:, v, None]))
        point = state.hands.hand.openpose[joint]
        points = Points(v, eye(camera), moment, point, velocity[moment, point], evidence.lag_s[moment, v])
        views.append((camera, points, evidence.keypoints_px[moment, v, joint], evidence.confidence[moment, v, joint]))
    return _Prepared(config.weight, config.sigma_px, stage.robust_scale, tuple(views))


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the reprojection errors; adds to `equations` where given."""
    total = 0.0
    for camera, points, pixels, confidence in prepared.views:
        if not len(pixels):
            continue
        projected, slope = _project(camera, observed(state, points))
        # Less confidence means a larger error to expect, so the robust scale widens with it.
        sigma_px = (prepared.sigma_px / np.sqrt(confidence))[:, None]
        residual = (projected - pixels) / sigma_px
        cost, robust = geman_mcclure((residual**2).sum(-1), prepared.scale)
        total += 0.5 * prepared.weight * float(cost.sum())
        if equations is not None:
            for axis in (0, 1):
                weight = prepared.weight * robust
                add_rows(equations, state, points, slope[:, axis] / sigma_px, residual[:, axis], weight)
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
