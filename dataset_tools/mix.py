"""Several datasets as one: `ours+freihand:0.5` takes all of one and half as many samples of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hoi_core import plugins
from hoi_core.errors import ConfigError
from hoi_core.types import I64


@dataclass(frozen=True)
class Part:
    """One dataset of a mix."""

    name: str
    """Name of the reader."""
    weight: float = 1.0
    """Samples taken in an epoch, as a multiple of those it has."""


def parse(text: str, others: Sequence[str] = ()) -> tuple[Part, ...]:
    """Read a mix such as `ours+freihand:0.5`.

    Args:
        text: names joined by `+`, with weights.
        others: names that may stand there besides those of readers.

    Raises:
        ConfigError: no such dataset, or a weight that is no positive number.
    """
    known = [*plugins.names("dataset_tools.readers"), *others]
    parts = []
    for piece in text.split("+"):
        name, _, weight = piece.partition(":")
        if name not in known:
            raise plugins.unknown_name("dataset", name, known)
        try:
            parts.append(Part(name, float(weight or 1.0)))
        except ValueError as error:
            raise ConfigError(f"expected dataset:weight, got {piece!r}.", "Write for example ours:0.5.") from error
        if not 0 < parts[-1].weight < np.inf:
            raise ConfigError(f"a weight must be positive and finite, got {piece!r}.", "Leave the dataset out instead.")
    return tuple(parts)


def epoch_order(sizes: list[int], weights: list[float], seed: int, epoch: int) -> I64:
    """Shuffled sample numbers of one epoch, a pure function of seed and epoch.

    Args:
        sizes: samples per dataset; the numbers run on from one dataset to the next.
        weights: share of each dataset per epoch.
        seed: of the run.
        epoch: its number.

    Returns:
        `(N,)` sample numbers.
    """
    rng = np.random.default_rng([seed, epoch])
    offsets = np.cumsum([0, *sizes[:-1]])
    chosen = []
    for size, weight, offset in zip(sizes, weights, offsets, strict=True):
        wanted = max(1, round(size * weight))
        turns = [rng.permutation(size) for _ in range(-(-wanted // size))]
        chosen.append(np.concatenate(turns)[:wanted] + offset)
    return np.asarray(rng.permutation(np.concatenate(chosen)), dtype=np.int64)
