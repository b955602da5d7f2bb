"""Small accelerations: of the hand's position, its orientation and every joint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotate.equations import DOF, NormalEquations
from annotate.evidence import Evidence
from annotate.hand import BLOCKS, HandState
from annotate.rotation_slopes import right_jacobian_inverse
from annotate.stage import Stage
from annotate.state import FitState
from hoi_core import rotation
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
    residual, slopes = _residual(hands, *_factors(t_s))
    return residual, _slopes(*slopes)


def _residual(hands: HandState, before: F64, after: F64) -> tuple[F64, tuple[F64, F64, F64, F64]]:
    trans, R = hands.trans_m, hands.rotations
    before, after = before[:, None, None], after[:, None, None]
    middle = np.swapaxes(R[1:-1], -1, -2)
    back, ahead = rotation.log_so3(middle @ R[:-2]), rotation.log_so3(middle @ R[2:])
    residual = np.empty((len(R) - 2, BLOCKS, 3))
    residual[:, 0] = before[:, 0] * (trans[:-2] - trans[1:-1]) + after[:, 0] * (trans[2:] - trans[1:-1])
    residual[:, 1:] = before * back + after * ahead
    return residual, (before[..., None], after[..., None], back, ahead)


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the accelerations; adds to `equations` where given."""
    residual, steps = _residual(state.hands, prepared.before, prepared.after)
    if equations is not None:
        _add(prepared, equations, residual, _slopes(*steps))
    return 0.5 * float((prepared.weights[..., None] * residual**2).sum())


def _slopes(before: F64, after: F64, back: F64, ahead: F64) -> tuple[F64, F64, F64]:
    """Derivatives of the residual by the steps at the three moments, `(M - 2, 17, 3, 3)` each."""
    moments = len(back)
    out = [np.empty((moments, BLOCKS, 3, 3)) for _ in range(3)]
    out[0][:, 0] = np.eye(3) * before[:, 0]
    out[2][:, 0] = np.eye(3) * after[:, 0]
    out[1][:, 0] = -out[0][:, 0] - out[2][:, 0]
    out[0][:, 1:] = before * right_jacobian_inverse(back)
    out[2][:, 1:] = after * right_jacobian_inverse(ahead)
    # The middle rotation enters inverted: its step acts from the left, and the left Jacobian is the right one's
    # transpose.
    out[1][:, 1:] = -np.swapaxes(out[0][:, 1:] + out[2][:, 1:], -1, -2)
    return out[0], out[1], out[2]


def _add(prepared: _Prepared, equations: NormalEquations, residual: F64, slopes: tuple[F64, F64, F64]) -> None:
    moments = len(equations.H)
    weights = prepared.weights[..., None, None]
    H = equations.H
    for i in range(3):
        at = slice(i, moments - 2 + i)
        weighted = np.swapaxes(slopes[i], -1, -2) * weights
        equations.g[at] += (weighted @ residual[..., None])[..., 0].reshape(-1, DOF)
        own = weighted @ slopes[i]
        for b in range(BLOCKS):
            H[at, 3 * b : 3 * b + 3, 3 * b : 3 * b + 3] += own[:, b]
    later = [np.swapaxes(slopes[i], -1, -2) * weights for i in range(3)]
    equations.near[: moments - 2] += later[1] @ slopes[0]
    equations.near[1:] += later[2] @ slopes[1]
    equations.far[:] += later[2] @ slopes[0]
