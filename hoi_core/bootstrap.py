"""Confidence intervals of means by resampling, for samples that come in groups.

Frames of one recording, or two views of one moment, err alike: a resample draws whole groups, with replacement, as many
as there are (the cluster bootstrap), and the interval holds the middle share of the resamples' means (percentiles).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hoi_core.types import F64

Interval = tuple[float, float]
"""Low and high end; NaN where there are fewer than two groups, of which nothing can be said."""
LEVEL = 0.95
RESAMPLES = 1000
_AT_ONCE = 4_000_000  # numbers of a table of draws


def intervals(
    values: Mapping[str, F64], groups: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """Intervals in which the means lie with a probability of 95 %. The same seed gives the same intervals.

    Args:
        values: name -> `(N,)`, or `(N, P)` of which the mean over the points' own means is meant; NaN does not count.
        groups: of each of the N samples.
        resamples: how many.
        seed: of the draws.

    Returns:
        name -> low and high end.
    """
    _, of = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    count = int(of.max()) + 1 if len(of) else 0
    if count < 2:
        return dict.fromkeys(values, (float("nan"), float("nan")))
    tables = {name: _by_group(each.reshape(len(of), -1), of, count) for name, each in values.items()}
    means: dict[str, list[F64]] = {name: [] for name in values}
    rng = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // count)
    for first in range(0, resamples, step):
        draws = rng.multinomial(count, np.full(count, 1.0 / count), min(step, resamples - first)).astype(np.float64)
        for name, (sums, counts) in tables.items():
            means[name].append(_means(draws @ sums, draws @ counts))
    return {name: middle(np.concatenate(found)) for name, found in means.items()}


def difference(a: F64, b: F64, groups: Sequence[str], *, seed: int = 0) -> tuple[float, Interval]:
    """Mean of `a - b` of the same samples, and its interval: what the samples share cancels.

    Args:
        a: `(N,)`; NaN does not count.
        b: `(N,)`.
        groups: of each of the N samples.
        seed: of the draws.
    """
    apart = a - b
    return float(np.nanmean(apart)), intervals({"difference": apart}, groups, seed=seed)["difference"]


def _by_group(values: F64, of: NDArray[np.intp], count: int) -> tuple[F64, F64]:
    """Sums of each group's known values, and how many they are. `(N, P), (N,) -> (G, P), (G, P)`."""
    known = np.isfinite(values)
    sums, counts = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
    np.add.at(sums, of, np.where(known, values, 0.0))
    np.add.at(counts, of, known.astype(np.float64))
    return sums, counts


def _means(sums: F64, counts: F64) -> F64:
    """Mean over the points of each point's mean; points that a resample lacks do not count. `(R, P) x 2 -> (R,)`."""
    each = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    there = np.isfinite(each)
    total = np.where(there, each, 0.0).sum(1)
    return np.divide(total, there.sum(1), out=np.full(len(total), np.nan), where=there.any(1))


def middle(means: F64) -> Interval:
    """The interval that holds the middle share `LEVEL` of the resamples' figures `(R,)`; NaN does not count."""
    known = means[np.isfinite(means)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
