"""Solves with the factor of a band for many right-hand sides, compiled.

Some rows at a time: within them row by row, and what they mean for the rows beyond as one product of small matrices,
which is where the time goes and what processors do best.
"""

from __future__ import annotations

import numba
import numpy as np

from hoi_core.types import F64

_ROWS = 16


@numba.njit(cache=True, nogil=True, fastmath=True)
def forward(factor: F64, x: F64) -> None:
    """Solve `L x = b` in place.

    Args:
        factor: `(B, n)` lower band of L, columns contiguous, as `dpbtrf` leaves it.
        x: `(n, K)` right-hand sides, rows contiguous; overwritten by the solutions.
    """
    n = factor.shape[1]
    beyond = np.zeros((factor.shape[0] - 1, _ROWS))
    for first in range(0, n, _ROWS):
        last = min(first + _ROWS, n)
        for i in range(first, last):
            _divide(x[i], factor[0, i])
            for r in range(i + 1, last):
                _subtract(x[r], factor[r - i, i], x[i])
        end = _below(factor, first, last, beyond)
        if end > last:
            x[last:end] -= np.dot(beyond[: end - last], x[first : first + _ROWS])


@numba.njit(cache=True, nogil=True, fastmath=True)
def backward(factor: F64, x: F64) -> None:
    """Solve `L' x = b` in place, as `forward`."""
    n = factor.shape[1]
    beyond = np.zeros((factor.shape[0] - 1, _ROWS))
    for first in range((n - 1) // _ROWS * _ROWS, -1, -_ROWS):
        last = min(first + _ROWS, n)
        end = _below(factor, first, last, beyond)
        if end > last:
            x[first:last] -= np.dot(beyond[: end - last].T, x[last:end])
        for i in range(last - 1, first - 1, -1):
            for r in range(i + 1, last):
                _subtract(x[i], factor[r - i, i], x[r])
            _divide(x[i], factor[0, i])


@numba.njit(cache=True, nogil=True)
def _below(factor: F64, first: int, last: int, beyond: F64) -> int:
    """Fill `beyond (B - 1, 16)` with the part of some columns below their last row; the last row (excluded)."""
    reach, n = factor.shape
    end = min(last - 1 + reach, n)
    for c in range(first, last):
        for r in range(last, end):
            beyond[r - last, c - first] = factor[r - c, c] if r - c < reach else 0.0
    return end


@numba.njit(cache=True, nogil=True, fastmath=True)
def _subtract(row: F64, factor: float, other: F64) -> None:
    for k in range(len(row)):
        row[k] -= factor * other[k]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _divide(row: F64, by: float) -> None:
    inverse = 1.0 / by
    for k in range(len(row)):
        row[k] *= inverse


@numba.njit(cache=True, nogil=True)
def fill(H: F64, near: F64, far: F64, damping: float, out: F64, order: tuple[int, int]) -> None:
    """Fill `out (n, B)`, zero before: row i holds the diagonal of column i and what is below it.

    Args:
        H: `(M, D, D)` of each moment; the lower triangle counts.
        near: `(M - 1, D / 3, 3, 3)` between the same three unknowns of moments m + 1 (rows) and m.
        far: `(M - 2, D / 3, 3, 3)` between those of moments m + 2 (rows) and m.
        damping: the diagonal is raised by it.
        out: as long as the moments that count; too narrow for `near` and `far` where these are not to be entered.
        order: the moment that comes first, and 1 for those after it to follow or -1 for those before it.
    """
    size = H.shape[1]
    first, step = order
    count, joined = out.shape[0] // size, out.shape[1] > size
    for k in range(count):
        m = first + step * k
        for c in range(size):
            column = out[k * size + c]
            for r in range(c, size):
                column[r - c] = H[m, r, c]
            column[0] = column[0] * (1.0 + damping) + 1e-9
            if not joined:
                continue
            b, j = c // 3, c % 3
            for i in range(3):
                if k + 1 < count:
                    column[size + i - j] += near[m, b, i, j] if step > 0 else near[m - 1, b, j, i]
                if k + 2 < count:
                    column[2 * size + i - j] += far[m, b, i, j] if step > 0 else far[m - 2, b, j, i]


@numba.njit(cache=True, nogil=True)
def block(columns: F64, row: int, column: int, out: F64) -> None:
    """Fill `out` with what stands from a row and a column on, zeros above the diagonal.

    Args:
        columns: `(n, B)`, as `fill` leaves it.
        row: the first.
        column: the first.
        out: of as many rows and columns as are wanted; filled.
    """
    reach = columns.shape[1]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            below = row + i - column - j
            out[i, j] = columns[column + j, below] if 0 <= below < reach else 0.0
