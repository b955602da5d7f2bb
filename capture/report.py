"""What a finished take is worth, from its file alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from capture.annotatable import Level, Verdict, Watcher, judge_drops, worst
from capture.view_figures import depth_fill
from hoi_core.plain import plain
from hoi_core.sequence import REFERENCE, Capture, ImageStream, open_capture
from hoi_core.types import I64

_LOOKS = 40
"""Moments that are looked at, spread evenly over the take: a tenth of a second's work each."""
_STEADY = 0.02
"""Exposure and gain that stay within 2 % were locked: automatic exposure moves in larger steps."""


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
        """The level that needs most attention; a take without moments is bad, one never closed a warning."""
        own: Level = "bad" if not self.moments else "warn" if self.state == "never closed" else "good"
        return worst((self.verdict.level, own))

    def lines(self) -> list[str]:
        """The report for a terminal or a panel."""
        out = [
            f"{self.sequence}: {self.level}, {self.state}",
            f"{self.participant or 'nobody'} with {', '.join(self.objects) or 'nothing'}, {self.seconds:.1f} s, "
            f"{self.paired} of {self.moments} moments have a frame of every stream",
            f"{self.megabytes:.0f} MB in {self.segments} file{'s' if self.segments > 1 else ''}, "
            f"{_number(self.megabytes_per_minute, 0)} MB a minute",
        ]
        width = max((len(stream.stream) for stream in self.streams), default=0)
        out += [_stream_line(stream, width) for stream in self.streams]
        for name, (middle, p95, most) in self.skew_ms.items():
            out.append(f"{name} is {middle:.1f} ms from {REFERENCE} (95 %: {p95:.1f}, at most {most:.1f})")
        for name, (offset, sigma) in self.view_offset_ms.items():
            said = f"moved its time by {offset:+.1f} ms" if offset else "confirms its time"
            out.append(f"{name}: the motion in the images {said} (+- {sigma:.1f} ms)")
        out += [
            f"{name}: the motion in the images is too little to check its time; clocks alone give it"
            for name in self.skew_ms
            if name not in self.view_offset_ms
        ]
        out += [f"{view}: depth on {fill:.0%} of the image" for view, fill in self.depth_fill.items()]
        out += [f"restart: {text}" for text in self.epochs]
        out += [f"mark at {t_s:.1f} s: {text}".rstrip(": ") for t_s, text in self.marks]
        return out + [f"! {text}" for text in self.verdict.words]

    def to_json(self) -> dict[str, object]:
        """The report for machines: plain values, units in the keys, None where nothing is known."""
        values = asdict(self)
        values |= {"megabytes_per_minute": self.megabytes_per_minute, "level": self.level, "words": self.verdict.words}
        values["skew_ms"] = {
            name: dict(zip(("median", "p95", "max"), skew, strict=True)) for name, skew in self.skew_ms.items()
        }
        return {key: plain(value) for key, value in values.items()}


def take_report(folder: Path) -> TakeReport:
    """Report on a take: complete, stopped, killed or in segments. Reads about forty moments of images.

    Raises:
        SequenceError: the recording cannot be opened at all.
    """
    with open_capture(folder) as capture:
        drops = Counter((drop.stream, drop.reason) for drop in capture.drops)
        streams = tuple(_stream(stream, drops) for stream in capture.streams.values())
        skew_ms = _skew_ms(capture)
        fill, verdict = _look(capture, skew_ms)
        begin_ns = int(capture.sync.t_ns[0]) if len(capture.sync) else 0
        return TakeReport(
            sequence=capture.header.sequence,
            participant=capture.header.participant,
            objects=capture.header.objects,
            state="never closed" if capture.never_closed else "complete" if capture.complete else "stopped early",
            seconds=capture.seconds,
            moments=len(capture.sync),
            paired=int(capture.sync.complete.sum()) if len(capture.sync) else 0,
            streams=streams,
            skew_ms=skew_ms,
            view_offset_ms={
                name: (clock.motion_offset_ns * 1e-6, clock.motion_sigma_ns * 1e-6)
                for name, clock in capture.clocks.items()
                if math.isfinite(clock.motion_sigma_ns)
            },
            depth_fill=fill,
            verdict=verdict,
            megabytes=sum(path.stat().st_size for path in capture.paths) / 1e6,
            segments=len(capture.paths),
            epochs=tuple(f"{e.stream} from frame {e.first_frame_number} on, {e.reason}" for e in capture.epochs),
            marks=tuple(((mark.t_ns - begin_ns) * 1e-9, mark.text) for mark in capture.marks),
        )


def _stream(stream: ImageStream, drops: Mapping[tuple[str, str], int]) -> StreamReport:
    number, t_ns = stream.frame_number, stream.t_device_ns
    fps = jitter_ms = gap_ms = float("nan")
    if len(stream) > 1:
        steps = np.maximum(np.diff(number), 1)
        # Of the time per frame number, so that a missing frame is not taken for jitter.
        period_ns = float(np.median(np.diff(t_ns) / steps))
        if period_ns > 0:
            fps = 1e9 / period_ns
            jitter_ms = float(np.percentile(np.abs(np.diff(t_ns) - steps * period_ns), 95)) * 1e-6
        gap_ms = float(np.diff(t_ns).max()) * 1e-6
    exposure, gain = _range(stream.exposure_us), _range(stream.gain)
    return StreamReport(
        stream=stream.name,
        frames=len(stream),
        nominal_fps=stream.info.fps,
        fps=fps,
        jitter_ms=jitter_ms,
        longest_gap_ms=gap_ms,
        drops={reason: count for (name, reason), count in drops.items() if name == stream.name},
        exposure_us=exposure,
        gain=gain,
        locked=None if math.isnan(exposure[0]) else _steady(exposure) and _steady(gain),
    )


def _range(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if len(known) else (float("nan"), float("nan"))


def _steady(limits: tuple[float, float]) -> bool:
    """Whether values stood still; what is not known does not speak against it."""
    return math.isnan(limits[0]) or limits[1] - limits[0] <= _STEADY * max(abs(limits[1]), 1e-9)


def _skew_ms(capture: Capture) -> dict[str, tuple[float, float, float]]:
    """Distance of the other colour streams from the moments, ms."""
    found = {}
    reference = REFERENCE if REFERENCE in capture.streams else next(iter(capture.streams), "")
    for name, index in capture.sync.index.items():
        skew = np.abs(capture.sync.skew_ns[name][index >= 0]) * 1e-6
        if name.endswith("/color") and name != reference and len(skew):
            found[name] = (float(np.median(skew)), float(np.percentile(skew, 95)), float(skew.max()))
    return found


def _look(capture: Capture, skew_ms: Mapping[str, tuple[float, float, float]]) -> tuple[dict[str, float], Verdict]:
    """Depth fill by view, and the verdict of moments spread over the take."""
    watcher = Watcher([stream.info for stream in capture.streams.values()], every_s=0.0)
    fills: dict[str, list[float]] = {}
    for moment in _moments(len(capture.sync)):
        # Depth and edges first: they are judged together with the colour and gray images.
        for name in sorted(capture.sync.index, key=lambda name: name.endswith(("/color", "/gray"))):
            index = int(capture.sync.index[name][moment])
            if index < 0:
                continue
            frame = capture.streams[name].frame(index)
            watcher.add(frame)
            if name.endswith("/depth"):
                fills.setdefault(name.split("/")[0], []).append(depth_fill(np.asarray(frame.image, dtype=np.uint16)))
    skew = max((values[0] for values in skew_ms.values()), default=float("nan"))
    verdict = watcher.take_verdict(skew, len(capture.drops))
    frames = sum(len(stream) for stream in capture.streams.values()) + len(capture.drops)
    fill = {view: float(np.median(values)) for view, values in fills.items()}
    return fill, Verdict(verdict.views, (*verdict.take[:-1], judge_drops(len(capture.drops), frames)), verdict.shares)


def _moments(count: int) -> I64:
    return np.unique(np.linspace(0, count - 1, min(count, _LOOKS)).astype(np.int64)) if count else np.zeros(0, np.int64)


def _stream_line(stream: StreamReport, width: int) -> str:
    lost = ", ".join(f"{count} {reason}" for reason, count in stream.drops.items()) or "none lost"
    low, high = (value / 1000.0 for value in stream.exposure_us)
    light = "" if math.isnan(low) else f", exposure {low:.1f}" + (f" to {high:.1f} ms" if high - low >= 0.05 else " ms")
    state = {True: " locked", False: " moving", None: ""}[stream.locked]
    return (
        f"{stream.stream:<{width}} {stream.frames} at {_number(stream.fps, 1)} fps "
        f"+-{_number(stream.jitter_ms, 1)} ms, gap {_number(stream.longest_gap_ms, 0)} ms, {lost}{light}{state}"
    )


def _number(value: float, digits: int) -> str:
    return "?" if math.isnan(value) else f"{value:.{digits}f}"
