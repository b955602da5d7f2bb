"""Which samples come when: pure functions of the seed, so that a resumed run goes on exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from dataset_tools import mix
from hoi_core.errors import ConfigError

_ASKED = 64  # samples that are asked for a second view before a run without any is refused


class Sampler(Protocol):
    """Batches of (sample number, position in the run); the position seeds what happens to the sample."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[list[tuple[int, int]]]: ...


@dataclass(frozen=True)
class StepSampler:
    """Batches of (sample number, position) for steps `first..last`: a pure function of the seed, so resume is exact."""

    sizes: list[int]
    """Samples per dataset."""
    weights: list[float]
    """Share of each per epoch."""
    batch_size: int
    """Of this process."""
    seed: int
    """Of the run."""
    first: int
    """First step."""
    last: int
    """One after the last step."""
    rank: int = 0
    """Number of this process."""
    world: int = 1
    """Count of processes."""

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, order = -1, np.empty(0, np.int64)
        length = len(mix.epoch_order(self.sizes, self.weights, self.seed, 0))
        for step in range(self.first, self.last):
            start = (step * self.world + self.rank) * self.batch_size
            batch = []
            for position in range(start, start + self.batch_size):
                if position // length != epoch:
                    epoch = position // length
                    order = mix.epoch_order(self.sizes, self.weights, self.seed, epoch)
                batch.append((int(order[position % length]), position))
            yield batch


@dataclass(frozen=True)
class InOrder:
    """Every sample once, in order."""

    count: int
    """Samples."""
    batch_size: int
    """Largest batch."""

    def __len__(self) -> int:
        return (self.count + self.batch_size - 1) // self.batch_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for start in range(0, self.count, self.batch_size):
            yield [(n, n) for n in range(start, min(self.count, start + self.batch_size))]


@dataclass(frozen=True)
class PairSampler:
    """Batches of pairs, one beside the other: a sample, and the same instant seen from elsewhere.

    A sample without a second view is followed by itself, which another position changes in another way.
    """

    firsts: StepSampler
    """The first of each pair: half of every batch."""
    second_view: Callable[[int], int | None]
    """Number of a sample -> that of its second view."""

    def __len__(self) -> int:
        return len(self.firsts)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in self.firsts:
            pairs: list[tuple[int, int]] = []
            for number, position in batch:
                second = self.second_view(number)
                pairs += [(number, 2 * position), (number if second is None else second, 2 * position + 1)]
            yield pairs


def need_pairs(task: ModuleType, dataset: Any) -> None:
    """Make sure that a task can learn from pairs, and that a dataset has them.

    Raises:
        ConfigError: one of both is not so.
    """
    if not getattr(task, "PAIRS", False):
        raise ConfigError("--pairs compares hands in space, which this model does not say.", "Leave it out.")
    asked = np.linspace(0, len(dataset) - 1, min(_ASKED, len(dataset))).round().astype(int).tolist()
    if all(dataset.second_view(number) is None for number in asked):
        raise ConfigError(
            "--pairs needs instants seen by two cameras, and these datasets have none.",
            "Take recordings of two views, or make images with `hoi-data synth --second-view`.",
        )
