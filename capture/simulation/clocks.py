"""When the simulated imagers really expose, and what their clocks say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hoi_core.types import I64

_JITTERS = 4096
_BLOCK = 1024


@dataclass(frozen=True)
class DeviceClock:
    """A free-running camera: its own phase, rate and origin of time."""

    fps: float
    """Nominal frames per second, by its own clock."""
    phase_ns: int
    """True time of frame 0 after the start."""
    drift_ppm: float
    """How much its clock runs fast."""
    offset_ns: int
    """What its clock shows at the start."""
    jitter_ns: int = 0
    """Spread of the exposure times about the regular grid."""
    seed: int = 0
    """Of the jitter."""
    paced: bool = True
    """Whether its own clock spaces its frames; otherwise true time does, and only what it says drifts."""
    jitter_period: int = _JITTERS
    """The jitter repeats after so many frames, 4096 at most."""

    def true_ns(self, numbers: I64) -> I64:
        """True mid-exposure time of frames `(N,)`, ns from the start."""
        own = np.asarray(numbers, np.float64) * (1e9 / self.fps)
        # Nominal spacing is counted by its own clock; a fast clock makes true intervals shorter.
        true = own / (1.0 + self.drift_ppm * 1e-6) if self.paced else own
        return np.rint(self.phase_ns + true).astype(np.int64) + self._jitter(numbers)

    def device_ns(self, true_ns: I64) -> I64:
        """What the device's clock shows at true times `(N,)`, ns."""
        return np.rint(self.offset_ns + np.asarray(true_ns, np.float64) * (1.0 + self.drift_ppm * 1e-6)).astype(
            np.int64
        )

    def _jitter(self, numbers: I64) -> I64:
        if not self.jitter_ns:
            return np.zeros(len(numbers), np.int64)
        # Repeatable for any frame number, however long it streams.
        table = np.random.default_rng(self.seed).normal(0.0, self.jitter_ns, _JITTERS)
        return np.rint(table[np.asarray(numbers) % self.jitter_period]).astype(np.int64)


def choose_drops(rng: np.random.Generator, frames: int, rate: float) -> frozenset[int]:
    """Frame numbers that never arrive. The first and the last always do: nothing could show that they are missing."""
    lost = np.flatnonzero(rng.random(frames) < rate)
    return frozenset(int(n) for n in lost if 0 < n < frames - 1)


def dropper(seed: Sequence[int], rate: float) -> Callable[[int], bool]:
    """Whether a frame number never arrives, for a device that streams without end; the first always does."""

    @lru_cache(maxsize=4)
    def block(k: int) -> np.ndarray:
        return np.random.default_rng([*seed, k]).random(_BLOCK) < rate

    def dropped(n: int) -> bool:
        return rate > 0.0 and n > 0 and bool(block(n // _BLOCK)[n % _BLOCK])

    return dropped
