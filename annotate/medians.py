"""Medians of many short lists, compiled."""

from __future__ import annotations

import numba
import numpy as np

from hoi_core.types import F64, I64


@numba.njit(cache=True, nogil=True)
def medians(start: I64, values: F64) -> F64:
    """(M,) medians of what is finite in each list; NaN of nothing.

    Args:
        start: `(M + 1,)` list m is `values[start[m]:start[m + 1]]`.
        values: `(K,)`.
    """
    out = np.full(len(start) - 1, np.nan)
    for m in range(len(out)):
        known = values[start[m] : start[m + 1]]
        known = known[np.isfinite(known)]
        if len(known):
            out[m] = np.median(known)
    return out


def of_rows(values: F64) -> F64:
    """(M,) medians of what is finite in each row. `(M, K)`."""
    rows, width = values.shape
    return np.asarray(medians(width * np.arange(rows + 1), np.ascontiguousarray(values).ravel()))


def of_moments(moments: int, moment: I64, values: F64) -> tuple[F64, I64]:
    """(M,) medians of the values of each moment, and (M,) how many there are. `(K,)` in any order, `(K,)`."""
    order = np.argsort(moment, kind="stable")
    start = np.searchsorted(moment[order], np.arange(moments + 1))
    return np.asarray(medians(start, values[order])), np.diff(start)
