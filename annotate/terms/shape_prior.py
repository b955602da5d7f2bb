"""Shape coefficients near zero or near those of the same person before, and calibration corrections near none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotate.equations import VIEW_UNKNOWNS, NormalEquations
from annotate.evidence import Evidence
from annotate.stage import Stage
from annotate.state import FitState
from hoi_core.conventions import N_BETAS
from hoi_core.types import F64

_FIXED = 1e-6


@dataclass(frozen=True)
class Config:
    """What all moments share."""

    weight: float = 1.0
    """Weight of the term."""
    sigma_betas: float = 1.0
    """Spread of the shape coefficients."""
    betas: tuple[float, ...] = ()
    """What is known of the person's shape coefficients, see `annotate.participant`; empty for nothing."""
    information: tuple[tuple[float, ...], ...] = ()
    """(10, 10) how well, the general spread included: inverse of their covariance."""
    sigma_offset_s: float = 0.001
    """Spread of what is left of a camera's time offset once the recorder has measured it from motion, s."""
    sigma_turn_rad: float = 0.0003
    """Spread of a camera's orientation error, rad."""
    sigma_shift_m: float = 0.0005
    """Spread of a camera's position error, m."""
    sigma_bias_m: float = 0.003
    """Spread of a camera's depth bias, m."""


@dataclass(frozen=True)
class _Prepared:
    precision: F64
    """(S, S) weight of the shared unknowns."""
    expected: F64
    """(S,) where they are expected."""


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Precision of each shared unknown; the first view defines the time and the world, but not the depth."""
    sigma = np.empty(N_BETAS + VIEW_UNKNOWNS * len(evidence.views))
    sigma[:N_BETAS] = config.sigma_betas
    view = [config.sigma_offset_s, *(config.sigma_turn_rad,) * 3, *(config.sigma_shift_m,) * 3, config.sigma_bias_m]
    sigma[N_BETAS:] = np.tile(view, len(evidence.views))
    sigma[N_BETAS : N_BETAS + VIEW_UNKNOWNS - 1] = _FIXED
    if not evidence.two_views:
        # One view cannot tell a biased depth from a larger hand farther away.
        sigma[N_BETAS + VIEW_UNKNOWNS - 1 :: VIEW_UNKNOWNS] = _FIXED
    precision, expected = np.diag(1.0 / sigma**2), np.zeros(len(sigma))
    if config.betas:
        precision[:N_BETAS, :N_BETAS] = config.information
        expected[:N_BETAS] = config.betas
    return _Prepared(max(config.weight, _FIXED) * precision, expected)


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the shared unknowns; adds to `equations` where given."""
    away = np.concatenate([state.hands.betas, state.views.ravel()]) - prepared.expected
    pull = prepared.precision @ away
    if equations is not None:
        equations.Hs[:] += prepared.precision
        equations.gs[:] += pull
    return 0.5 * float(away @ pull)
