"""Joint angles near a relaxed hand: holds what no camera sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotate.angles import add_angle_rows
from annotate.equations import NormalEquations
from annotate.evidence import Evidence
from annotate.stage import Stage
from annotate.state import FitState
from hoi_core.types import F64

_LEAST = 1e-6
_THUMB_ROW = 12  # of MANO's fifteen finger joints
_FINGER_FLEXION = (0.45, 0.55, 0.35)  # rad, base to end, of a relaxed hand
_THUMB_FLEXION = (0.1, 0.2, 0.25)


@dataclass(frozen=True)
class Config:
    """Spread of the joint angles about a relaxed hand."""

    weight: float = 1.0
    """Weight of the term."""
    sigma_flexion_rad: float = 0.6
    """Spread of flexion, rad."""
    sigma_abduction_rad: float = 0.25
    """Spread of abduction, rad."""
    sigma_twist_rad: float = 0.15
    """Spread of twist, rad."""
    sigma_thumb_rad: float = 0.5
    """Spread of the thumb's abduction and twist, rad: its base turns every way."""


@dataclass(frozen=True)
class _Prepared:
    precision: F64
    """(15, 3)."""


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Precision of each kind of angle; it never falls to zero, or the equations could not be solved."""
    return _Prepared(max(config.weight, _LEAST) * precision(config))


def precision(config: Config) -> F64:
    """(15, 3) 1/rad^2 of each angle, the weight apart."""
    finger = [config.sigma_flexion_rad, config.sigma_abduction_rad, config.sigma_twist_rad]
    thumb = [config.sigma_flexion_rad, config.sigma_thumb_rad, config.sigma_thumb_rad]
    return np.asarray(1.0 / np.array([finger] * _THUMB_ROW + [thumb] * 3) ** 2)


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the angles; adds to `equations` where given."""
    angles, slopes = state.hands.angles
    residual = angles - RELAXED_RAD
    if equations is not None:
        add_angle_rows(equations, slopes, residual, prepared.precision)
    return 0.5 * float((prepared.precision * residual**2).sum())


def _relaxed() -> F64:
    angles = np.zeros((15, 3))
    angles[:, 0] = [*_FINGER_FLEXION * 4, *_THUMB_FLEXION]
    return angles


RELAXED_RAD = _relaxed()
"""(15, 3) rad flexion, abduction and twist of a relaxed hand."""
