# SPDX-License-Identifier: GPL-3.0-or-later
"""When every frame of a recording was taken, what is missing and why, and what happened meanwhile. No Qt."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from hoi_core.sequence import REFERENCE, Capture, Drop, Sync
from hoi_core.types import F64, I64, U8

if TYPE_CHECKING:
    from hoi_core.sequence import ImageStream

EventKind = Literal["mark", "drop", "loss", "restart"]
UNPLUGGED = "unplugged"
NO_PARTNER = "no frame near this moment"
PRESENT, MISSING, LOST, OURS = range(4)
"""States of a stream at a moment: there, missing, its device away, lost by the recorder."""
_OURS = "queue full"
# A frame stands for a moment up to half a period away; a drop's time is an estimate, so it gets a little more.
_NEAR_PERIODS, _DROP_PERIODS = 0.5, 0.75


@dataclass(frozen=True)
class Event:
    """Something to jump to."""

    kind: EventKind
    """What sort of thing."""
    first_s: float
    """When it began, s since the first moment."""
    last_s: float
    """When it ended, s since the first moment."""
    stream: str
    """Whom it concerns; empty for marks."""
    text: str
    """What happened, in words."""


@dataclass(frozen=True)
class Timetable:
    """A recording in time. M moments."""

    t_ns: I64
    """(M,) common time of each moment, ns."""
    index: Mapping[str, I64]
    """stream -> (M,) index of its frame, -1 where it has none."""
    skew_ms: Mapping[str, F64]
    """stream -> (M,) its frame's time minus the moment's, ms; NaN where it has none."""
    states: Mapping[str, U8]
    """stream -> (M,) `PRESENT`, `MISSING`, `LOST` or `OURS`."""
    reasons: Mapping[str, Mapping[int, str]]
    """stream -> moment -> why it has no frame there."""
    events: tuple[Event, ...]
    """In the order of time."""
    period_s: float
    """Nominal time between two moments, s."""

    def __len__(self) -> int:
        return len(self.t_ns)

    @cached_property
    def t_s(self) -> F64:
        """(M,) s since the first moment."""
        return (self.t_ns - self.t_ns[0]) * 1e-9 if len(self) else np.zeros(0)

    @property
    def seconds(self) -> float:
        """Length, s."""
        return float(self.t_s[-1]) if len(self) else 0.0

    def moment_at(self, seconds: float) -> int:
        """The last moment that is not later."""
        return max(int(np.searchsorted(self.t_s, seconds + 1e-9, side="right")) - 1, 0)

    def moment_near(self, seconds: float) -> int:
        """The moment nearest in time."""
        before = self.moment_at(seconds)
        after = min(before + 1, max(len(self) - 1, 0))
        return before if not len(self) or seconds - self.t_s[before] <= self.t_s[after] - seconds else after

    def reason(self, stream: str, moment: int) -> str:
        """Why a stream has no frame at a moment; empty if it has one."""
        return self.reasons.get(stream, {}).get(moment, "")

    def jump(self, moment: int, kinds: Sequence[EventKind], step: int) -> int | None:
        """The next or previous moment at which an event of these kinds begins; None if there is none.

        Args:
            moment: where to start from.
            kinds: of events.
            step: 1 for the next, -1 for the previous.
        """
        starts = sorted({self.moment_near(event.first_s) for event in self.events if event.kind in kinds})
        if step > 0:
            return next((start for start in starts if start > moment), None)
        return next((start for start in reversed(starts) if start < moment), None)


def timetable(capture: Capture) -> Timetable:
    """Read when everything happened; also of a recording that was killed."""
    sync, drops = _moments(capture)
    periods = {name: 1e9 / max(stream.info.fps, 1e-3) for name, stream in capture.streams.items()}
    reference = REFERENCE if REFERENCE in periods else next(iter(periods), "")
    sync = _extended(capture, sync, periods.get(reference, 1e9 / 30))
    t_ns = np.asarray(sync.t_ns, dtype=np.int64)
    reasons = {name: _reasons(name, sync, drops, periods[name]) for name in capture.streams}
    here = {name: np.asarray(sync.index.get(name, np.full(len(t_ns), -1))) for name in capture.streams}
    skew = {
        name: np.where(here[name] >= 0, np.asarray(sync.skew_ns.get(name, np.zeros(len(t_ns)))) * 1e-6, np.nan)
        for name in capture.streams
    }
    return Timetable(
        t_ns=t_ns,
        index=here,
        skew_ms=skew,
        states={name: _states(here[name], reasons[name]) for name in capture.streams},
        reasons=reasons,
        events=_events(capture, drops, t_ns),
        period_s=periods.get(reference, 1e9 / 30) * 1e-9,
    )


def common_ns(capture: Capture, stream: ImageStream) -> I64:
    """(N,) common time of a stream's frames, ns; their arrival where no clock was fitted."""
    clock = capture.clocks.get(stream.name)
    if clock is None or not np.isfinite(clock.drift_ppm):
        return np.asarray(stream.t_host_ns, dtype=np.int64)
    return clock.to_common_ns(stream.t_device_ns)


def _moments(capture: Capture) -> tuple[Sync, list[Drop]]:
    """The stored moments; those of a killed recording are worked out anew, as the last of them are not stored."""
    sync, drops = capture.sync, list(capture.drops)
    if capture.never_closed:
        from capture.sync import realign

        sync, drops = realign(capture)
    if len(sync):
        return sync, drops
    longest = max(capture.streams.values(), key=len, default=None)
    if longest is None or not len(longest):
        return sync, drops
    return Sync(np.sort(common_ns(capture, longest)), {}, {}), drops


def _extended(capture: Capture, sync: Sync, period_ns: float) -> Sync:
    """Moments also where the reference has no frames any more, or none yet, but other streams do."""
    from capture.sync import nearest

    times = {name: common_ns(capture, stream) for name, stream in capture.streams.items() if len(stream)}
    if not times or not len(sync):
        return sync
    first, last = int(sync.t_ns[0]), int(sync.t_ns[-1])
    margin = _DROP_PERIODS * period_ns
    early = max((t[t < first - margin] for t in times.values()), key=len)
    late = max((t[t > last + margin] for t in times.values()), key=len)
    if not len(early) and not len(late) and sync.index:
        return sync
    t_ns = np.sort(np.concatenate([early, sync.t_ns, late]))
    index, skew = {}, {}
    for name, own in times.items():
        index[name], skew[name] = nearest(t_ns, own, _NEAR_PERIODS * period_ns)
        if name in sync.index:
            # What the recording says of its own moments stays as it is.
            inner = slice(len(early), len(early) + len(sync))
            index[name][inner], skew[name][inner] = sync.index[name], sync.skew_ns[name]
    return Sync(t_ns, index, skew)


def _reasons(name: str, sync: Sync, drops: Sequence[Drop], period_ns: float) -> dict[int, str]:
    """Why a stream has no frame, for each moment without one: the drop nearest to it in time."""
    index = np.asarray(sync.index.get(name, np.full(len(sync), -1)))
    own = sorted((drop for drop in drops if drop.stream == name), key=lambda drop: drop.t_ns)
    t_drop = np.array([drop.t_ns for drop in own], dtype=np.int64)
    out = {}
    for moment in np.flatnonzero(index < 0).tolist():
        t_ns = int(sync.t_ns[moment])
        right = bisect_right(t_drop, t_ns)
        near = [k for k in (right - 1, right) if 0 <= k < len(own)]
        best = min(near, key=lambda k: abs(int(t_drop[k]) - t_ns), default=None)
        found = best is not None and abs(int(t_drop[best]) - t_ns) <= _DROP_PERIODS * period_ns
        out[moment] = own[best].reason if found and best is not None else NO_PARTNER
    return out


def _states(index: I64, reasons: Mapping[int, str]) -> U8:
    out = np.zeros(len(index), dtype=np.uint8)
    for moment, reason in reasons.items():
        out[moment] = LOST if reason == UNPLUGGED else OURS if reason == _OURS else MISSING
    return out


def _events(capture: Capture, drops: Sequence[Drop], t_ns: I64) -> tuple[Event, ...]:
    if not len(t_ns):
        return ()
    start = int(t_ns[0])

    def seconds(t: int) -> float:
        return (t - start) * 1e-9

    out = [Event("mark", seconds(m.t_ns), seconds(m.t_ns), "", m.text or "mark") for m in capture.marks]
    for run in _runs(drops):
        name, reason, count = run[0].stream, run[0].reason, len(run)
        words = f"{count} frames {reason}" if count > 1 else f"frame {run[0].frame_number} {reason}"
        kind: EventKind = "loss" if reason == UNPLUGGED else "drop"
        out.append(Event(kind, seconds(run[0].t_ns), seconds(run[-1].t_ns), name, words))
    for epoch in capture.epochs:
        stream = capture.streams.get(epoch.stream)
        if stream is None or not len(stream):
            continue
        at = min(int(np.searchsorted(stream.frame_number, epoch.first_frame_number)), len(stream) - 1)
        t = seconds(int(common_ns(capture, stream)[at]))
        out.append(Event("restart", t, t, epoch.stream, f"counter or clock began anew: {epoch.reason}"))
    last = (int(t_ns[-1]) - start) * 1e-9
    held = (replace(e, first_s=min(max(e.first_s, 0.0), last), last_s=min(max(e.last_s, 0.0), last)) for e in out)
    return tuple(sorted(held, key=lambda event: (event.first_s, event.stream)))


def _runs(drops: Sequence[Drop]) -> Iterator[list[Drop]]:
    """Drops of one stream and one reason that follow each other without a frame between them."""
    ordered = sorted(drops, key=lambda drop: (drop.stream, drop.frame_number))
    run: list[Drop] = []
    for drop in ordered:
        last = run[-1] if run else None
        goes_on = (
            last is not None
            and (drop.stream, drop.reason) == (last.stream, last.reason)
            and drop.frame_number == last.frame_number + 1
        )
        if run and not goes_on:
            yield run
            run = []
        run.append(drop)
    if run:
        yield run
