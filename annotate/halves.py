"""The factor of a band of moments, from both ends at once: each half on a thread, and two moments where they meet.

The moments before the middle are eliminated in their order and those after it backwards, so that nothing joins the two
but the middle (van der Vorst 1987, "twisted" factorisation). Where the halves end does not depend on the threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import lapack

from annotate import _band
from annotate.parts import at_once
from hoi_core.errors import FitError
from hoi_core.types import F64

if TYPE_CHECKING:
    from annotate.equations import NormalEquations

_REACH = 2
"""Moments that one is joined with on each side."""
_FEWEST = 8
"""Moments that are worth two halves."""


class _Half(NamedTuple):
    factor: F64
    """(B, n) lower band of L."""
    joint: F64
    """(W, W) `inv(L) A` between its last rows and the middle, whose moments are in the half's own order."""


class Factor(NamedTuple):
    """`A = L L'` of the part of the equations that is not shared, its unknowns in the order of elimination."""

    size: int
    """Unknowns of a moment."""
    halves: tuple[_Half, ...]
    """From the first moment on and, but for short sequences, from the last one back."""
    middle: F64
    """(W, W) of where they meet; of nothing where no term joins moments."""

    def forward(self, columns: F64) -> F64:
        """`inv(L) columns`, `(M * D, K)`; rows stay where their moments have them."""

        def half_way(part: tuple[_Half, F64]) -> F64:
            half, rows = part
            _band.forward(half.factor, rows)
            return half.joint.T @ rows[len(rows) - len(half.joint) :]

        parts, middle = self._split(columns)
        for k, joined in enumerate(at_once(half_way, list(zip(self.halves, parts, strict=True)))):
            middle -= self._ordered(joined, k)
        return self._together(parts, _triangle(self.middle, middle))

    def backward(self, columns: F64) -> F64:
        """`inv(L') columns`, `(M * D, K)`."""
        parts, middle = self._split(columns)
        middle = _triangle(self.middle, middle, back=True)

        def half_way(part: tuple[int, F64]) -> None:
            k, rows = part
            half = self.halves[k]
            rows[len(rows) - len(half.joint) :] -= half.joint @ self._ordered(middle, k)
            if rows.shape[1] > 1:
                _band.backward(half.factor, rows)
            else:
                rows[:], _ = lapack.dtbtrs(half.factor, rows, uplo="L", trans="T")

        for _ in at_once(half_way, list(enumerate(parts))):
            pass
        return self._together(parts, middle)

    def solve(self, columns: F64) -> F64:
        """`inv(L L') columns`, `(M * D, K)`."""
        return self.backward(self.forward(columns))

    def _split(self, columns: F64) -> tuple[list[F64], F64]:
        """Copies of each half's rows, the second's from the last moment back, and of the middle's."""
        first = self.halves[0].factor.shape[1]
        last = first + len(self.middle)
        parts = [columns[:first].copy(order="C"), self._reversed(columns[last:])]
        return parts[: len(self.halves)], columns[first:last].copy(order="C")

    def _together(self, parts: list[F64], middle: F64) -> F64:
        return np.concatenate([parts[0], middle, *map(self._reversed, parts[1:])])

    def _ordered(self, middle: F64, half: int) -> F64:
        """The middle's rows in the order of a half, or back."""
        return self._reversed(middle) if half else middle

    def _reversed(self, rows: F64) -> F64:
        """A copy with the moments in reverse order."""
        moments = rows.reshape(len(rows) // self.size, self.size, rows.shape[1])
        return np.ascontiguousarray(moments[::-1]).reshape(rows.shape)


def factorise(equations: NormalEquations, damping: float, width: int) -> Factor:
    """Factor the part of the equations that is not shared.

    Args:
        equations: of M moments with D unknowns each.
        damping: the diagonal is raised by it.
        width: rows of the band, D where no term joins moments.

    Raises:
        FitError: it is not positive definite.
    """
    moments, size = equations.g.shape
    meeting = _REACH if width > size else 0
    first = (moments - meeting) // 2
    counts = (first, moments - meeting - first) if moments >= _FEWEST else (moments,)
    meeting = meeting if len(counts) > 1 else 0
    orders = ((0, 1), (moments - 1, -1))

    def half(k: int) -> tuple[_Half, F64]:
        columns = np.zeros(((counts[k] + meeting) * size, width))
        _band.fill(equations.H, equations.near, equations.far, damping, columns, orders[k])
        return _factorised(columns, counts[k] * size)

    (one, middle), *others = at_once(half, range(len(counts)))
    found = Factor(size, (one, *(other for other, _ in others)), middle)
    left = middle - one.joint.T @ one.joint
    for other, _ in others:
        # The second half has the middle's moments the other way round.
        joined = found._ordered(other.joint.T, 1)
        left -= joined @ joined.T
    return found._replace(middle=_lower(left))


def _factorised(columns: F64, rows: int) -> tuple[_Half, F64]:
    """A half and the middle's own block, both lower and upper. `(n, B)` as `_band.fill` leaves it, rows of the half."""
    width = len(columns) - rows
    across, own, last = np.empty((width, width)), np.empty((width, width)), np.empty((width, width))
    _band.block(columns, rows, rows - width, across)
    _band.block(columns, rows, rows, own)
    factor, info = lapack.dpbtrf(columns[:rows].T, lower=1, overwrite_ab=1)
    if info != 0 or not np.isfinite(factor).all():
        raise indefinite()
    _band.block(columns, rows - width, rows - width, last)
    return _Half(factor, _triangle(last, across.T)), own + np.tril(own, -1).T


def _lower(matrix: F64) -> F64:
    """Cholesky factor of a dense matrix, of any size but negative."""
    if not len(matrix):
        return matrix
    factor, info = lapack.dpotrf(matrix, lower=1, clean=1)
    if info != 0 or not np.isfinite(factor).all():
        raise indefinite()
    return np.asarray(factor)


def _triangle(factor: F64, columns: F64, *, back: bool = False) -> F64:
    """`inv(L) columns`, or `inv(L') columns` on the way back."""
    if not columns.size:
        return columns
    solved, _ = lapack.dtrtrs(factor, columns, lower=1, trans=int(back))
    return np.ascontiguousarray(solved)


def indefinite() -> FitError:
    """What is said of equations that have no single solution."""
    return FitError(
        "the equations of the fit are not positive definite.",
        "Give every unknown a prior: keep the terms pose_prior, shape_prior and smooth.",
    )
