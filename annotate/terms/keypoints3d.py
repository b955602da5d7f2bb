"""Joints against triangulated points: holds the first guess where only one view with depth saw the hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotate.equations import NormalEquations
from annotate.evidence import Evidence
from annotate.stage import Stage
from annotate.state import FitState, Points, add_rows, geman_mcclure, observed
from hoi_core.types import F64


@dataclass(frozen=True)
class Config:
    """Triangulated joints."""

    weight: float = 1.0
    """Weight of the term."""
    sigma_m: float = 0.006
    """Expected error, m."""


@dataclass(frozen=True)
class _Prepared:
    weight: float
    sigma_m: float
    scale: float
    points: Points
    target_m: F64


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Collect the joints that have a triangulated point."""
    if config.weight <= 0 or evidence.joints_m is None:
        return None
    moment, joint = np.nonzero(np.isfinite(evidence.joints_m).all(-1))
    if not len(moment):
        return None
    still = np.zeros(len(moment))
    points = Points(0, np.zeros(3), moment, state.hands.hand.openpose[joint], np.zeros((len(moment), 3)), still)
    target_m = evidence.joints_m[moment, joint]
    return _Prepared(config.weight, config.sigma_m, stage.robust_scale, points, target_m)


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the distances; adds to `equations` where given."""
    residual = (observed(state, prepared.points) - prepared.target_m) / prepared.sigma_m
    cost, robust = geman_mcclure((residual**2).sum(-1), prepared.scale)
    if equations is not None:
        for axis in range(3):
            direction = np.zeros_like(residual)
            direction[:, axis] = 1.0 / prepared.sigma_m
            add_rows(equations, state, prepared.points, direction, residual[:, axis], prepared.weight * robust)
    return 0.5 * prepared.weight * float(cost.sum())
