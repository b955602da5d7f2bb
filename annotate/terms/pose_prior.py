"""Joint rotations near a relaxed hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotate.equations import DOF, NormalEquations
from annotate.evidence import Evidence
from annotate.rotation_slopes import right_jacobian_inverse
from annotate.stage import Stage
from annotate.state import FitState
from hoi_core import rotation
from hoi_core.types import F64


@dataclass(frozen=True)
class Config:
    """Spread of the joint angles about a relaxed hand."""

    weight: float = 1.0
    """Weight of the term."""
    sigma_rad: float = 0.6
    """Spread of a joint's rotation, rad."""


@dataclass(frozen=True)
class _Prepared:
    precision: float


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Precision of each angle."""
    return _Prepared(max(config.weight, 1e-6) / config.sigma_rad**2)


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the joint angles; adds to `equations` where given."""
    residual = rotation.log_so3(state.hands.rotations[:, 1:])
    if equations is not None:
        add_pose_rows(equations, right_jacobian_inverse(residual), residual, np.full(3, prepared.precision))
    return 0.5 * prepared.precision * float((residual**2).sum())


def add_pose_rows(equations: NormalEquations, slopes: F64, residual: F64, weight: F64) -> None:
    """Add three residuals of each joint that depend on its own rotation.

    Args:
        equations: added to.
        slopes: `(M, 15, 3, 3)` residual by the joint's step.
        residual: `(M, 15, 3)`.
        weight: of the squared residuals, broadcast to `(M, 15, 3)`.
    """
    weight = np.broadcast_to(weight, residual.shape)
    weighted = np.swapaxes(slopes, -1, -2) * weight[..., None, :]
    equations.g[:, 6:DOF] += (weighted @ residual[..., None])[..., 0].reshape(len(residual), -1)
    own = weighted @ slopes
    for joint in range(own.shape[1]):
        at = slice(6 + 3 * joint, 9 + 3 * joint)
        equations.H[:, at, at] += own[:, joint]
