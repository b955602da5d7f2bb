"""Moments that are settled: a person accepted them, or they lie at the end of a window that is fitted alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotate.equations import DOF, NormalEquations
from annotate.evidence import Anchors, Evidence
from annotate.hand import BLOCKS
from annotate.rotation_slopes import right_jacobian_inverse
from annotate.stage import Stage
from annotate.state import FitState
from hoi_core import rotation
from hoi_core.conventions import N_BETAS
from hoi_core.types import F64


@dataclass(frozen=True)
class Config:
    """Settled moments."""

    weight: float = 1.0
    """Weight of the term."""
    arm_m: float = 0.05
    """Length of a finger's part: a joint may turn by an anchor's sigma over this, m."""
    sigma_betas: float = 1e-4
    """How far the shape may leave that of the anchors: it is one for the sequence, so theirs is everybody's."""


@dataclass(frozen=True)
class _Prepared:
    anchors: Anchors
    precision: F64
    """(K, 17) of each block of three unknowns."""
    by_betas: float
    """Precision of the shape coefficients."""


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Precision of each anchor's unknowns."""
    anchors = evidence.anchors
    if config.weight <= 0 or anchors is None or not len(anchors.moment):
        return None
    precision = np.repeat((config.weight / anchors.sigma_m**2)[:, None], BLOCKS, axis=1)
    precision[:, 1:] *= config.arm_m**2
    return _Prepared(anchors, precision, config.weight / config.sigma_betas**2)


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of leaving the anchors; adds to `equations` where given."""
    anchors, hands = prepared.anchors, state.hands
    at, held = anchors.moment, anchors.hands
    residual = np.empty((len(at), BLOCKS, 3))
    residual[:, 0] = hands.trans_m[at] - held.trans_m
    residual[:, 1:] = rotation.log_so3(np.swapaxes(held.rotations, -1, -2) @ hands.rotations[at])
    weight = prepared.precision[..., None]
    betas = hands.betas - held.betas
    if equations is not None:
        slopes = np.tile(np.eye(3), (len(at), BLOCKS, 1, 1))
        slopes[:, 1:] = right_jacobian_inverse(residual[:, 1:])
        weighted = np.swapaxes(slopes, -1, -2) * weight[..., None]
        equations.g[at] += (weighted @ residual[..., None]).reshape(-1, DOF)
        own = weighted @ slopes
        for b in range(BLOCKS):
            block = slice(3 * b, 3 * b + 3)
            equations.H[at, block, block] += own[:, b]
        equations.Hs[np.arange(N_BETAS), np.arange(N_BETAS)] += prepared.by_betas
        equations.gs[:N_BETAS] += prepared.by_betas * betas
    return 0.5 * float((weight * residual**2).sum() + prepared.by_betas * (betas**2).sum())
