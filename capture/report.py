"""What a finished take is worth, from its file alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capture.annotatable import Level, Verdict


@dataclass(frozen=True)
class StreamReport:
    """How one stream was recorded."""

    stream: str
    """Its name."""
    frames: int
    """Frames in the file."""
    nominal_fps: float
    """What was asked for, 1/s."""
    fps: float
    """Median rate, 1/s; NaN with fewer than two frames."""
    jitter_ms: float
    """95th percentile of the distance of an interval from a whole number of periods, ms."""
    longest_gap_ms: float
    """Longest time between two frames, ms."""
    drops: Mapping[str, int]
    """Reason -> missing frames."""
    exposure_us: tuple[float, float]
    """Shortest and longest exposure, microseconds; NaN where unknown."""
    gain: tuple[float, float]
    """Least and most gain, device units; NaN where unknown."""
    locked: bool | None
    """Whether exposure and gain stood still; None where the camera does not say."""


@dataclass(frozen=True)
class TakeReport:
    """What a take is worth."""

    sequence: str
    """Name of the sequence."""
    participant: str
    """Pseudonym."""
    objects: tuple[str, ...]
    """Identifiers of the objects."""
    state: str
    """`complete`, `stopped early` or `never closed`."""
    seconds: float
    """From the first to the last moment, s."""
    moments: int
    """Number of moments."""
    paired: int
    """Moments at which every stream has a frame."""
    streams: tuple[StreamReport, ...]
    """Every stream."""
    skew_ms: Mapping[str, tuple[float, float, float]]
    """Colour stream -> median, 95th percentile and maximum of its distance from the reference in time, ms."""
    view_offset_ms: Mapping[str, tuple[float, float]]
    """Stream -> offset that the images' motion showed, and its standard deviation, ms; only where it was found."""
    depth_fill: Mapping[str, float]
    """View -> median share of measured depth pixels."""
    verdict: Verdict
    """Of frames sampled evenly over the take."""
    megabytes: float
    """Size of all its capture files, MB."""
    segments: int
    """Number of capture files."""
    epochs: tuple[str, ...]
    """Restarts of counters and clocks, in words."""
    marks: tuple[tuple[float, str], ...]
    """Seconds from the start, text."""

    @property
    def megabytes_per_minute(self) -> float:
        """Rate, MB/min; NaN for a take without length."""
        return self.megabytes / self.seconds * 60.0 if self.seconds > 0 else float("nan")

    @property
    def level(self) -> Level:
        """The level that needs most attention."""
        return self.verdict.level

    def lines(self) -> list[str]:
        """The report for a terminal or a panel."""
        return []

    def to_json(self) -> dict[str, object]:
        """The report for machines: plain values, units in the keys."""
        return {}


def take_report(folder: Path) -> TakeReport:
    """Report on a take: complete, stopped, killed or in segments.

    Raises:
        SequenceError: the recording cannot be opened at all.
    """
    raise NotImplementedError(str(folder))
