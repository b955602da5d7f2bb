"""Joint angles within what a hand can do: free inside the limits, a spring beyond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from annotate.angles import add_angle_rows
from annotate.equations import NormalEquations
from annotate.evidence import Evidence
from annotate.stage import Stage
from annotate.state import FitState
from hoi_core.biomechanics import DOF_MASK, clip_to_limits
from hoi_core.types import F64


@dataclass(frozen=True)
class Config:
    """Joint limits."""

    weight: float = 1.0
    """Weight of the term."""
    sigma_rad: float = 0.05
    """How far beyond a limit an angle may well be, rad."""
    dof: Literal[23, 45] = 45
    """Angles that a hand is fitted with. 45: all, as those that a finger does not have yield by `sigma_rad`, which
    follows hands unlike the model's. 23: only those that a finger has; the others stay at zero."""


_LOCKED_RAD = 1e-3
"""How far an angle that is locked gives way, rad: a tenth of a millimetre at a fingertip."""


@dataclass(frozen=True)
class _Prepared:
    precision: F64
    """(15, 3)."""


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Precision of an angle beyond its limit."""
    return _Prepared(precision(config)) if config.weight > 0 else None


def precision(config: Config) -> F64:
    """(15, 3) 1/rad^2 of each angle beyond its limits."""
    locked = (config.dof == int(DOF_MASK.sum())) & ~DOF_MASK
    return np.asarray(config.weight / np.where(locked, _LOCKED_RAD, config.sigma_rad) ** 2)


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the angles beyond their limits; adds to `equations` where given."""
    angles, slopes = state.hands.angles
    residual = angles - clip_to_limits(angles)
    if equations is not None:
        beyond = np.where(residual != 0.0, prepared.precision, 0.0)
        add_angle_rows(equations, slopes, residual, beyond)
    return 0.5 * float((prepared.precision * residual**2).sum())
