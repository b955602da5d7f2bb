"""One common clock: an offset and a drift for each device, from when its frames reached the host.

A frame arrives some time after it was taken. The delay varies, mostly upwards, but one value is the most common; the
line through those commonest arrivals is the device's clock, but for that constant delay. `capture.motion` finds what
is left between devices.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hoi_core.sequence import Clock, ClockPiece
from hoi_core.types import F64, I64, ClockDomain, StreamInfo

MAX_DRIFT_PPM = 200.0
"""Quartz clocks drift by less; what a short recording shows beyond it is jitter."""
_PRIOR_PPM = 50.0
_SAME_QUARTZ_PPM = 3.0
"""How far a clock's rate wanders between two pieces."""
_SPAN_S = 300.0
"""Temperature bends a clock's line: a piece spans so long, and the last up to twice as long."""
_MOST_PAIRS = 60_000
_FITTED_PAIRS = 4096
_SLEEP_NS = 2e9
_NEW_PAIRS = 15
_JUMP_NS = 20e6
"""A level of arrivals that changes by more, and stays, is a backlog or its end, or a host that was suspended."""
_BLOCK_NS = 500_000_000
_WINDOW_BLOCKS = 6
_STEEP = 8.0
_SLOPE_BLOCK = 15
_FEW = 50
"""So few delays do not show whether they have an edge."""
_LEAST_WIDTH_NS = 0.3e6
_SLOPE_NOISE_NS = 4e6


@dataclass(frozen=True)
class Arrivals:
    """When the frames of a stream were taken and when they arrived."""

    t_device_ns: I64
    """(N,) mid-exposure on the device's clock, ns."""
    t_host_ns: I64
    """(N,) arrival on the host's monotonic clock, ns."""
    domain: ClockDomain
    """Clock of `t_device_ns`."""
    splits_ns: tuple[int, ...] = ()
    """Device times at which the clock was reset and its continuation is only as good as the host's clock."""


def fit(t_device_ns: I64, t_host_ns: I64, *, drift: bool = True, rate: float | None = None) -> ClockPiece:
    """The line through the commonest arrivals: most frames are about as late as each other, few much later.

    It is the mode of the delays that is fitted (Yao and Li 2014, modal linear regression): stalls of the host do not
    move it, whether jitter is one-sided or two-sided matters little, and half of the frames may be late.

    Args:
        t_device_ns: (N,) ns, N at least 1.
        t_host_ns: (N,) ns.
        drift: whether the clocks may run at different rates.
        rate: drift that is known from earlier, ppm.

    Returns:
        The line onto the host's clock.
    """
    reference = int(t_device_ns[0])
    base = int(t_host_ns[0]) - reference
    x = np.asarray((t_device_ns - reference) * 1e-9, dtype=np.float64)
    y = (t_host_ns - t_device_ns - base).astype(np.float64)
    if len(x) > _FITTED_PAIRS:
        few = np.linspace(0, len(x) - 1, _FITTED_PAIRS).astype(np.int64)
        x, y = x[few], y[few]
    expected = 1e3 * (rate or 0.0) if drift else 0.0
    loose = 1e3 * (_PRIOR_PPM if rate is None else _SAME_QUARTZ_PPM) if drift else 0.0
    slope, offset = _modal_line(x, y, expected, loose)
    offset -= _above_edge(y - slope * x - offset)
    return ClockPiece(
        first_device_ns=reference,
        reference_ns=reference,
        offset_ns=base + round(offset),
        drift_ppm=slope * 1e-3,
        residual_ns=float(np.median(np.abs(y - slope * x - offset))),
    )


def _modal_line(x: F64, y: F64, expected: float, loose: float) -> tuple[float, float]:
    """Slope, ns/s, and offset, ns, by reweighting; the slope is drawn to what is expected, as loosely as said."""
    slope = _first_slope(x, y, expected) if loose else expected
    middle, width = _shortest_half(y - slope * x)
    width = max(0.5 * width, _LEAST_WIDTH_NS)
    x0 = float(x.mean())
    level = middle + slope * x0
    stiff = (_SLOPE_NOISE_NS / loose) ** 2 if loose else np.inf
    limit = MAX_DRIFT_PPM * 1e3
    for _ in range(25):
        w = np.exp(-0.5 * ((y - level - slope * (x - x0)) / width) ** 2)
        total = w.sum()
        if total <= 0:
            break
        before = level
        x0 = float((w * x).sum() / total)
        level = float((w * y).sum() / total)
        if loose:
            moment = (w * (x - x0) ** 2).sum()
            rise = (w * (x - x0) * y).sum() + stiff * expected
            slope = float(np.clip(rise / (moment + stiff), -limit, limit))
        if abs(level - before) < 1e3:
            break
    return slope, level - slope * x0


def _above_edge(rest: F64) -> float:
    """How far the mode of the delays lies above their least value, where they have a sharp one, ns.

    Delays that only add to a least delay begin at an edge, and the smoothed mode lies a little inside. Jitter to both
    sides has no edge: there the mode is right.
    """
    below, above = -float(np.quantile(rest, 0.03)), float(np.quantile(rest, 0.75))
    one_sided = float(np.clip(2.0 - below / max(above, 1.0), 0.0, 1.0))
    certain = float(np.clip((len(rest) - _FEW) / (3.0 * _FEW), 0.0, 1.0))
    return max(below, 0.0) * one_sided * certain


def _first_slope(x: F64, y: F64, expected: float) -> float:
    """Median slope between the early arrivals of many short spans (Theil and Sen); as expected over short times."""
    blocks = min(len(x) // _SLOPE_BLOCK, 40)
    if blocks < 6 or np.ptp(x) < 5.0:
        return expected
    edges = np.linspace(0, len(x), blocks + 1).astype(np.int64)
    at = np.array([x[a:b].mean() for a, b in pairwise(edges)])
    low = np.array([np.quantile(y[a:b], 0.2) for a, b in pairwise(edges)])
    i, j = np.triu_indices(blocks, blocks // 3)
    limit = MAX_DRIFT_PPM * 1e3
    return float(np.clip(np.median((low[j] - low[i]) / (at[j] - at[i])), -limit, limit))


def _shortest_half(values: F64) -> tuple[float, float]:
    """Middle and width of the shortest interval that holds half of the values `(N,)`."""
    ordered = np.sort(values)
    n = len(ordered)
    half = n // 2 + 1
    if n < 2:
        return float(ordered[0]), 0.0
    widths = ordered[half - 1 :] - ordered[: n - half + 1]
    k = int(np.argmin(widths))
    return float(0.5 * (ordered[k] + ordered[k + half - 1])), float(widths[k])


def jumps(t_device_ns: I64, t_host_ns: I64) -> list[int]:
    """Indices of the pairs from which on the level of the arrivals is another one, and stays so.

    Args:
        t_device_ns: (N,) ns, increasing.
        t_host_ns: (N,) ns.
    """
    y = (t_host_ns - t_device_ns - (t_host_ns[0] - t_device_ns[0])).astype(np.float64)
    block = (t_device_ns - t_device_ns[0]) // _BLOCK_NS
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    count = len(starts)
    window = min(_WINDOW_BLOCKS, count // 2)
    if window < 2:
        return []
    edges = np.append(starts, len(y))
    ordered = y[np.lexsort((y, block))]
    low = ordered[starts + (3 * np.diff(edges)) // 10]
    # Levels before and after; a stall of the host goes back to its level, and a slope is not a step.
    sliding = np.lib.stride_tricks.sliding_window_view(low, window)
    level = np.median(sliding, axis=1)
    spread = np.median(np.abs(sliding - level[:, None]), axis=1)
    before, after = level[:-window], level[window:]
    step = np.abs(after - before)
    step[step < _STEEP * (spread[:-window] + spread[window:])] = 0.0
    found = []
    while step.size and step.max() > _JUMP_NS:
        k = int(np.argmax(step))
        first, last = edges[max(k + window - 2, 0)], edges[min(k + window + 2, count)]
        early, late = _unlikely(y[first:last] - before[k]), _unlikely(y[first:last] - after[k])
        cost = np.concatenate([[0.0], np.cumsum(early - late)])
        found.append(int(first) + int(np.argmin(cost)))
        step[max(k - 2 * window, 0) : k + 2 * window + 1] = 0.0
    return sorted(i for i in found if 0 < i < len(y))


def _spans(t_device_ns: I64, t_host_ns: I64) -> list[I64]:
    """Indices of the pairs of each piece; pairs that a busy host delivered late for long are left out.

    Clocks that jump are continued before (`capture.continuity`), so that a level that rises is a backlog, and one
    that falls its end. Only a host that slept makes it fall far: its clock stood still.
    """
    found = jumps(t_device_ns, t_host_ns)
    if not found:
        return [np.arange(len(t_device_ns))]
    edges = [0, *found, len(t_device_ns)]
    parts = [np.arange(a, b) for a, b in pairwise(edges)]
    levels = [
        float(np.quantile((t_host_ns - t_device_ns)[part] - int(t_host_ns[0] - t_device_ns[0]), 0.3)) for part in parts
    ]
    pieces: list[list[int]] = [[0]]
    for k in range(1, len(parts)):
        if levels[k] < levels[k - 1] - _SLEEP_NS and levels[k] < min(levels[j] for j in pieces[-1]) - _SLEEP_NS:
            pieces.append([])
        pieces[-1].append(k)
    out = []
    for members in pieces:
        floor = min(levels[j] for j in members)
        out.append(np.concatenate([parts[j] for j in members if levels[j] < floor + _JUMP_NS]))
    return out


def _unlikely(late_ns: F64) -> F64:
    """Cost of arrivals so much after their level: a frame may well be late, but hardly early."""
    return np.maximum(-late_ns, 0.2 * late_ns)


class ClockTracker:
    """The clock of one device while it runs: bounded in memory and in the time that a fit takes.

    Args:
        drift: whether the device's clock may run at another rate than the host's.
    """

    def __init__(self, *, drift: bool = True) -> None:
        self._drift = drift
        self._settled: list[ClockPiece] = []
        self._device, self._host = array("q"), array("q")
        self._known: tuple[int, Clock] | None = None

    def add(self, t_device_ns: int, t_host_ns: int) -> None:
        """Take in a frame: when it was taken on the device's clock, and when it arrived on the host's, ns."""
        self._device.append(t_device_ns)
        self._host.append(t_host_ns)
        if len(self._device) >= _MOST_PAIRS or t_device_ns - self._device[0] > 2e9 * _SPAN_S:
            self._settle(len(self._device) // 2)

    def split(self) -> None:
        """Begin a new piece with the next frame: the clock, though continued, was reset."""
        self._settle(len(self._device))

    def clock(self, *, exact: bool = True) -> Clock | None:
        """The model so far; None before the first frame.

        Args:
            exact: False allows for a model that lacks the last frames, which costs next to nothing.
        """
        count = len(self._device)
        if not exact and self._known is not None and count - self._known[0] < max(_NEW_PAIRS, count // 100):
            return self._known[1]
        pieces = (*self._settled, *self._fit(count))
        if not pieces:
            return None
        self._known = count, Clock(pieces)
        return self._known[1]

    def _settle(self, count: int) -> None:
        """Keep the pieces of the oldest pairs, and forget the pairs."""
        self._known = None
        self._settled += self._fit(count)
        del self._device[:count], self._host[:count]

    def _fit(self, count: int) -> list[ClockPiece]:
        if not count:
            return []
        pairs = np.stack([np.array(self._device[:count]), np.array(self._host[:count])])
        device, host = pairs[:, np.argsort(pairs[0], kind="stable")]
        spans = _spans(device, host)
        # The longest piece knows the rate best; the others are of the same quartz.
        rate = self._settled[-1].drift_ppm if self._settled and self._known_rate else None
        longest = max(spans, key=len)
        best = fit(device[longest], host[longest], drift=self._drift, rate=rate)
        pieces = [
            best if span is longest else fit(device[span], host[span], drift=self._drift, rate=best.drift_ppm)
            for span in spans
        ]
        first = min(pieces, key=lambda piece: piece.first_device_ns)
        return [replace(first, first_device_ns=int(device[0])), *(piece for piece in pieces if piece is not first)]

    @property
    def _known_rate(self) -> bool:
        """Whether what was settled spans long enough to tell the rate."""
        first = self._settled[0].first_device_ns
        return self._device[0] - first > 30e9 if len(self._device) else False


class Clocks:
    """The clocks of all streams of a rig while it runs. Not thread-safe.

    The imagers of a camera count one hardware clock. Times that the host stamped, or that librealsense translated
    to the host's clock, agree between cameras already: they share one offset and no drift, as long as nothing
    interrupts them.
    """

    def __init__(self, streams: Sequence[StreamInfo]) -> None:
        self._device = {info.name: info.device for info in streams}
        self._own: dict[str, ClockTracker] = {}
        self._shared: dict[str, ClockTracker] = {}
        self._domain: dict[str, str] = {}
        self._delivered: set[str] = set()

    def add(self, stream: str, domain: ClockDomain, t_device_ns: int, t_host_ns: int) -> None:
        """Take in a frame (its times continued, see `capture.continuity`)."""
        device = self._device[stream]
        known = self._domain.setdefault(device, domain)
        self._delivered.add(stream)
        if device not in self._own:
            self._own[device] = ClockTracker(drift=known == "hardware_clock")
        self._own[device].add(t_device_ns, t_host_ns)
        if known in ("hardware_clock", ""):
            return
        if known != domain:
            self._domain[device] = ""  # it changed its clock: what it counts now is its own
            return
        if known not in self._shared:
            self._shared[known] = ClockTracker(drift=False)
        self._shared[known].add(t_device_ns, t_host_ns)

    def split(self, stream: str) -> None:
        """Say that the next frames of a stream's device count a clock that was reset."""
        device = self._device[stream]
        if device in self._own:
            self._own[device].split()
            self._domain[device] = "" if self._domain[device] != "hardware_clock" else "hardware_clock"

    def fit(self) -> dict[str, Clock]:
        """A clock for every stream that has delivered; streams that count one clock share its fit."""
        shared = {domain: tracker.clock() for domain, tracker in self._shared.items()}
        own = {device: tracker.clock() for device, tracker in self._own.items()}
        out = {}
        for stream, device in self._device.items():
            clock = shared.get(self._domain.get(device, "")) or own.get(device)
            if stream in self._delivered and clock is not None:
                out[stream] = clock
        return out


def joined(earlier: Mapping[str, Arrivals], later: Mapping[str, Arrivals]) -> dict[str, Arrivals]:
    """Both, stream by stream; what counts another clock than the later frames do is left out."""
    out = dict(later)
    for name, before in earlier.items():
        after = later.get(name)
        if after is None or not len(after.t_device_ns) or after.domain != before.domain:
            continue
        out[name] = Arrivals(
            np.concatenate([before.t_device_ns, after.t_device_ns]),
            np.concatenate([before.t_host_ns, after.t_host_ns]),
            after.domain,
            (*before.splits_ns, *after.splits_ns),
        )
    return out


def fit_all(streams: Sequence[StreamInfo], arrivals: Mapping[str, Arrivals]) -> dict[str, Clock]:
    """A clock for every stream that has delivered, from all their frames at once; see `Clocks`."""
    clocks = Clocks(streams)
    device = {info.name: info.device for info in streams}
    rows = [
        (int(t_host), int(t_device), info.name)
        for info in streams
        if info.name in arrivals
        for t_device, t_host in zip(arrivals[info.name].t_device_ns, arrivals[info.name].t_host_ns, strict=True)
    ]
    splits: dict[str, list[int]] = {}
    for name, known in arrivals.items():
        splits.setdefault(device[name], []).extend(known.splits_ns)
    ahead = {name: sorted(set(times)) for name, times in splits.items()}
    for t_host, t_device, name in sorted(rows):
        coming = ahead[device[name]]
        while coming and t_device >= coming[0]:
            coming.pop(0)
            clocks.split(name)
        clocks.add(name, arrivals[name].domain, t_device, t_host)
    return clocks.fit()
