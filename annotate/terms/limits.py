"""Joint angles within what a hand can do: free inside the limits, a spring beyond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotate.angles import add_angle_rows, angles_and_slopes
from annotate.equations import NormalEquations
from annotate.evidence import Evidence
from annotate.stage import Stage
from annotate.state import FitState
from hoi_core.biomechanics import clip_to_limits


@dataclass(frozen=True)
class Config:
    """Joint limits."""

    weight: float = 1.0
    """Weight of the term."""
    sigma_rad: float = 0.05
    """How far beyond a limit an angle may well be, rad."""


@dataclass(frozen=True)
class _Prepared:
    precision: float


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Precision of an angle beyond its limit."""
    return _Prepared(config.weight / config.sigma_rad**2) if config.weight > 0 else None


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the angles beyond their limits; adds to `equations` where given."""
    angles, slopes = angles_and_slopes(state.hands.rotations[:, 1:], state.hands.hand.anatomy)
    residual = angles - clip_to_limits(angles)
    if equations is not None:
        beyond = np.where(residual != 0.0, prepared.precision, 0.0)
        add_angle_rows(equations, slopes, residual, beyond)
    return 0.5 * prepared.precision * float((residual**2).sum())
