"""Can what is being recorded be annotated? A level and a sentence for each thing that can spoil it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from hoi_core.types import U8, Frame, StreamInfo

Level = Literal["good", "warn", "bad", "unknown"]
LEVELS: tuple[Level, ...] = ("good", "unknown", "warn", "bad")
"""From what needs no attention to what needs it most."""


def worst(levels: list[Level]) -> Level:
    """The level that needs most attention; `unknown` of nothing."""
    return max(levels, key=LEVELS.index, default="unknown")


@dataclass(frozen=True)
class Reading:
    """One thing that was looked at."""

    name: str
    """`hand`, `blur`, `exposure`, `depth_holes`, `edges`, `skew` or `drops`."""
    level: Level
    """How good it is."""
    value: float
    """The figure behind it; NaN where there is none."""
    text: str
    """What a technician should know or do, in words."""


@dataclass(frozen=True)
class Verdict:
    """What a moment, or a whole take, is worth."""

    views: Mapping[str, tuple[Reading, ...]] = field(default_factory=dict)
    """View or sensor -> its readings."""
    take: tuple[Reading, ...] = ()
    """Readings of all streams together: skew and drops."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """`view/reading` -> share of the time at which it was good, over the take."""

    @property
    def level(self) -> Level:
        """The level that needs most attention."""
        found = [reading.level for readings in (*self.views.values(), self.take) for reading in readings]
        return worst(found)

    @property
    def words(self) -> tuple[str, ...]:
        """What is not good, the worst first; empty when all is well."""
        found = [(r.level, f"{view}: {r.text}") for view, readings in self.views.items() for r in readings]
        found += [(r.level, r.text) for r in self.take]
        poor = [pair for pair in found if pair[0] in ("warn", "bad")]
        return tuple(text for _, text in sorted(poor, key=lambda pair: -LEVELS.index(pair[0])))


@dataclass(frozen=True)
class HandRegion:
    """Where a hand is in a view."""

    box: tuple[int, int, int, int]
    """x, y, width, height, px of the colour image."""
    confidence: float = 1.0
    """In [0, 1]."""


class HandDetector(Protocol):
    """Finds the hand in a view; the default looks for a blob in front of the background of the depth image."""

    def find(self, color: U8, depth: np.ndarray | None, depth_scale_m: float) -> HandRegion | None:
        """The hand, or None. `(H, W, 3) RGB, (H, W) uint16 units or None`."""


def judge_view(
    color: U8, depth: np.ndarray | None, depth_scale_m: float, detector: HandDetector | None = None
) -> tuple[Reading, ...]:
    """Readings `hand`, `blur`, `exposure` and `depth_holes` of one view."""
    return ()


def judge_sensor(gray: U8, edge: U8 | None = None) -> tuple[Reading, ...]:
    """Readings `edges` and `exposure` of the sensor. `(H, W), (H, W)`."""
    return ()


class Watcher:
    """Judges a running session; feed it newest frames, at whatever rate there is time for."""

    def __init__(self, streams: Sequence[StreamInfo], detector: HandDetector | None = None) -> None:
        self._streams = {info.name: info for info in streams}
        self._detector = detector

    def add(self, frame: Frame) -> None:
        """Take note of a frame of any stream; about 3 ms for a colour image of 640x480."""

    def begin_take(self) -> None:
        """Count shares of time from now on."""

    def verdict(self, skew_ms: float = float("nan"), drops: int = 0) -> Verdict:
        """How things are now, and the shares since `begin_take`; below 0.1 ms."""
        return Verdict()
