"""Small accelerations: of the hand's position, its orientation and every joint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotate.equations import NormalEquations
from annotate.evidence import Evidence
from annotate.hand import BLOCKS, HandState
from annotate.parts import moment_parts
from annotate.stage import Stage
from annotate.state import FitState
from annotate.terms import _turns
from hoi_core.types import F64


@dataclass(frozen=True)
class Config:
    """Accelerations, per squared nominal frame time."""

    weight: float = 1.0
    """Weight of the term."""
    sigma_m: float = 0.002
    """Spread of the hand's acceleration, m per frame^2."""
    sigma_rad: float = 0.015
    """Spread of the global rotation's acceleration, rad per frame^2."""
    sigma_pose_rad: float = 0.02
    """Spread of a joint's acceleration, rad per frame^2."""
    tails: float = 1.0
    """The fit takes the spreads wider by this: a hand is still, then reaches. Its uncertainty does not."""
    times_s: tuple[float, ...] = ()
    """Times at which `factors` hold, ascending; empty where the spreads hold at all times."""
    factors: tuple[tuple[float, float, float], ...] = ()
    """Factors on the three spreads at those times: a hand that takes something accelerates, one that holds does not."""


@dataclass(frozen=True)
class _Prepared:
    weights: F64
    """(M - 2, 17) of each block of three unknowns."""
    before: F64
    """(M - 2,) factor of the step back."""
    after: F64
    """(M - 2,) factor of the step ahead."""


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Factors of the second difference, which allow for uneven times."""
    if config.weight <= 0 or len(evidence.t_s) < 3:
        return None
    before, after = _factors(evidence.t_s)
    wide = config.tails * spreads(config, evidence.t_s)[:, _KIND]
    return _Prepared(config.weight / wide**2, before, after)


_KIND = np.array([0, 1, *(2,) * (BLOCKS - 2)])
"""Which of the three spreads each block has."""


def spreads(config: Config, t_s: F64) -> F64:
    """(M - 2, 3) spreads of the accelerations of position, orientation and joints. `(M,) s`."""
    sigma = np.array([config.sigma_m, config.sigma_rad, config.sigma_pose_rad])
    if not config.times_s:
        return np.tile(sigma, (len(t_s) - 2, 1))
    factors = np.asarray(config.factors)
    return sigma * np.stack([np.interp(t_s[1:-1], config.times_s, factors[:, k]) for k in range(3)], axis=1)


def _factors(t_s: F64) -> tuple[F64, F64]:
    """(M - 2,) factors of the steps back and ahead."""
    gaps = np.diff(t_s)
    frame = np.median(gaps)
    back, ahead = gaps[:-1], gaps[1:]
    return 2 * frame**2 / (back * (back + ahead)), 2 * frame**2 / (ahead * (back + ahead))


def accelerations(hands: HandState, t_s: F64) -> tuple[F64, tuple[F64, F64, F64]]:
    """Accelerations per squared nominal frame time, and their derivatives by the steps at the three moments.

    The acceleration of a rotation is `after log(R1' R2) + before log(R1' R0)`, which is zero at constant speed.

    Args:
        hands: the hand over M moments.
        t_s: `(M,)` s.

    Returns:
        `(M - 2, 17, 3)`, and three times `(M - 2, 17, 3, 3)`.
    """
    residual, slopes = _accelerations(hands, *_factors(t_s), sloped=True)
    return residual, (slopes[0], slopes[1], slopes[2])


def _accelerations(hands: HandState, before: F64, after: F64, *, sloped: bool) -> tuple[F64, F64]:
    """Accelerations `(M - 2, 17, 3)` and, where wanted, their derivatives `(3, M - 2, 17, 3, 3)`."""
    trans, R = hands.trans_m, hands.rotations
    rows = len(R) - 2
    residual, slopes = np.empty((rows, BLOCKS, 3)), np.empty((3, rows if sloped else 0, BLOCKS, 3, 3))
    back, ahead = before[:, None], after[:, None]
    residual[:, 0] = back * (trans[:-2] - trans[1:-1]) + ahead * (trans[2:] - trans[1:-1])
    if sloped:
        factors = np.stack([before, -before - after, after])
        slopes[:, :, 0] = factors[..., None, None] * np.eye(3)
    turns = (residual[:, 1:], slopes[:, :, 1:])
    for _ in moment_parts(lambda span: _turns.accelerations(R, before, after, *turns, span), rows):
        pass
    return residual, slopes


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the accelerations; adds to `equations` where given."""
    wanted = equations is not None
    residual, slopes = _accelerations(state.hands, prepared.before, prepared.after, sloped=wanted)
    if equations is not None:
        system = (equations.H, equations.g, equations.near, equations.far)
        rows = (residual, slopes, prepared.weights)
        for _ in moment_parts(lambda span: _turns.add_accelerations(*rows, system, span), len(equations.H)):
            pass
    return 0.5 * float((prepared.weights[..., None] * residual**2).sum())
