"""Normal equations of a sequence: 51 unknowns a moment in a band, and a few that all moments share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import lapack

from annotate import _band
from annotate.halves import Factor, factorise, indefinite
from annotate.hand import BLOCKS, DOF
from annotate.selected_inverse import selected_inverse
from hoi_core.conventions import N_BETAS
from hoi_core.types import F64

VIEW_UNKNOWNS = 8
"""Shared unknowns of a view: time offset (s), small rotation (rad) and shift (m) that correct its calibration, and
how much too far its depth is (m)."""
_BAND = 2 * DOF + 3


@dataclass(frozen=True)
class NormalEquations:
    """`[[H, C], [C', Hs]] d = -[g, gs]`, summed by the terms of the fit."""

    H: F64
    """(M, 51, 51) of each moment; the lower triangle counts."""
    near: F64
    """(M - 1, 17, 3, 3) between the same three unknowns of moments m + 1 (rows) and m."""
    far: F64
    """(M - 2, 17, 3, 3) between those of moments m + 2 (rows) and m."""
    g: F64
    """(M, 51) gradient."""
    C: F64
    """(M, 51, S) between a moment and the shared unknowns."""
    Hs: F64
    """(S, S) of the shared unknowns: 10 shape coefficients, then 8 for each view."""
    gs: F64
    """(S,)."""

    @cached_property
    def undamped(self) -> Factor:
        """Factor of the part that is not shared, once all terms are in it."""
        return factor(self, 0.0)


def empty(moments: int, views: int) -> NormalEquations:
    """Equations without any term."""
    shared = N_BETAS + VIEW_UNKNOWNS * views
    return NormalEquations(
        H=np.zeros((moments, DOF, DOF)),
        near=np.zeros((max(moments - 1, 0), BLOCKS, 3, 3)),
        far=np.zeros((max(moments - 2, 0), BLOCKS, 3, 3)),
        g=np.zeros((moments, DOF)),
        C=np.zeros((moments, DOF, shared)),
        Hs=np.zeros((shared, shared)),
        gs=np.zeros(shared),
    )


def band(equations: NormalEquations, damping: float) -> F64:
    """Lower band storage of the part that is not shared, the diagonal raised by `damping`.

    Returns:
        `(105, M * 51)`, or `(51, M * 51)` where no term joins moments.
    """
    out = np.zeros((equations.g.size, _width(equations)))
    _band.fill(equations.H, equations.near, equations.far, damping, out, (0, 1))
    return out.T


def _width(equations: NormalEquations) -> int:
    """Rows of the band: without a term between moments each stands alone, in a narrower one."""
    return _BAND if equations.near.any() or equations.far.any() else DOF


def factor(equations: NormalEquations, damping: float) -> Factor:
    """Factor of the part that is not shared.

    Raises:
        FitError: it is not positive definite.
    """
    return factorise(equations, damping, _width(equations))


def solve(equations: NormalEquations, damping: float) -> tuple[F64, F64]:
    """One damped Gauss-Newton step: banded Cholesky, and a Schur complement for the shared unknowns.

    Returns:
        `(M, 51)` step of each moment and `(S,)` step of the shared unknowns.

    Raises:
        FitError: the equations are not positive definite, which a prior on every unknown rules out.
    """
    found = factor(equations, damping) if damping else equations.undamped
    moments, _, shared = equations.C.shape
    # With A = L L', the Schur complement needs inv(L) C alone; only the step needs the way back.
    columns = found.forward(np.concatenate([equations.C.reshape(-1, shared), equations.g.reshape(-1, 1)], axis=1))
    C, g = columns[:, :shared], columns[:, shared]
    own = -np.asarray(np.linalg.solve(equations.Hs - C.T @ C, equations.gs - C.T @ g), dtype=np.float64)
    step = found.backward((g + C @ own)[:, None])
    return -step.reshape(moments, DOF), own


def cholesky(equations: NormalEquations, damping: float) -> F64:
    """Banded factor of the part that is not shared, on one thread: for few moments and `dpbtrs`.

    Raises:
        FitError: it is not positive definite.
    """
    found, info = lapack.dpbtrf(band(equations, damping), lower=1, overwrite_ab=1)
    if info != 0 or not np.isfinite(found).all():
        raise indefinite()
    return np.asarray(found)


def shared_covariance(equations: NormalEquations) -> tuple[F64, F64]:
    """Covariance of the shared unknowns and how they move each moment. `(S, S)` and `(M, 51, S)`."""
    moments, _, shared = equations.C.shape
    C = equations.C.reshape(-1, shared)
    moved = equations.undamped.solve(C)
    covariance = np.asarray(np.linalg.inv(equations.Hs - C.T @ moved), dtype=np.float64)
    return covariance, moved.reshape(moments, DOF, shared)


def moment_covariance(equations: NormalEquations) -> F64:
    """`(M, 51, 51)` diagonal blocks of the inverse of the part that is not shared."""
    own = np.tril(equations.H) + np.swapaxes(np.tril(equations.H, -1), 1, 2)
    return selected_inverse(own, equations.near, equations.far)
