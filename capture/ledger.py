"""The books of a recording: clocks, moments and drops, while it runs and at its end.

While it runs only the last seconds are kept in memory; at the end everything is worked out once more from what is on
the disk, with the clocks as they are known then.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from capture import sync
from capture.absence import Start, missed_outside, prolonged
from hoi_core.sequence import NOT_DELIVERED, QUEUE_FULL, REFERENCE, UNPLUGGED, Clock, Drop, Epoch, Sync
from hoi_core.types import I64, Frame, StreamInfo

RIPE_S = 0.3
"""Moments younger than this may still get frames that are on their way."""
_KEPT_S = 2.0


@dataclass(frozen=True)
class Books:
    """What the ledger says."""

    clocks: Mapping[str, Clock]
    """Each stream's clock."""
    moments: Sync
    """Moments, those not said before or all."""
    drops: Sequence[Drop]
    """Missing frames, those not said before or all."""


class _Tail:
    """The last frames of one stream; `first` counts those that were forgotten."""

    def __init__(self) -> None:
        self.first = 0
        self.number: list[int] = []
        self.t_device_ns: list[int] = []

    def forget(self, count: int) -> None:
        # The last frame stays, so that a gap after it is seen however long it is.
        count = min(count, len(self.number) - 1)
        if count > 0:
            del self.number[:count], self.t_device_ns[:count]
            self.first += count


class Ledger:
    """Pairs frames and finds what is missing; belongs to the writer's thread, but for `refuse`.

    Args:
        streams: all streams of the recording.
        start: how it began.
    """

    def __init__(self, streams: Sequence[StreamInfo], start: Start | None = None) -> None:
        self._start = start or Start()
        names = [info.name for info in streams]
        self.reference = REFERENCE if REFERENCE in names else names[0]
        self.period_ns = {info.name: 1e9 / info.fps for info in streams}
        self.drop_count = 0
        self._tails = {name: _Tail() for name in names}
        self._refused: dict[tuple[str, int], int] = {}
        self._guard = threading.Lock()
        self._said: dict[str, int] = dict.fromkeys(names, -1)
        self._said_t_ns = np.iinfo(np.int64).min

    def add(self, frame: Frame) -> None:
        """Take in a frame that was written."""
        tail = self._tails[frame.stream]
        tail.number.append(frame.frame_number)
        tail.t_device_ns.append(frame.t_device_ns)

    def refuse(self, frame: Frame) -> None:
        """Take in a frame for which there was no room; from any thread."""
        with self._guard:
            self._refused[frame.stream, frame.frame_number] = frame.t_device_ns

    def tick(self, clocks: Mapping[str, Clock], epochs: Sequence[Epoch] = ()) -> Books | None:
        """What has become certain since the last time; None when nothing has.

        Args:
            clocks: each stream's clock as known now; streams without a frame may be absent.
            epochs: where numbers were continued.
        """
        times = {
            name: sync.StreamTimes(np.array(tail.number, np.int64), _common(clocks[name], tail.t_device_ns))
            for name, tail in self._tails.items()
            if tail.number and name in clocks
        }
        if self.reference not in times:
            return None
        moments, drops = sync.align(times, self.reference, self.period_ns[self.reference], whole=False)
        horizon = int(moments.t_ns[-1]) - round(RIPE_S * 1e9)
        # The clocks move a little from tick to tick: a moment is new when it is nearer to the next than to the last.
        fresh = (moments.t_ns > self._said_t_ns + 0.5 * self.period_ns[self.reference]) & (moments.t_ns < horizon)
        new = self._fresh_drops(drops, horizon, epochs)
        found = _selected(moments, fresh, {name: tail.first for name, tail in self._tails.items()})
        if fresh.any():
            self._said_t_ns = int(moments.t_ns[fresh][-1])
        for name, known in times.items():
            self._tails[name].forget(int(np.searchsorted(known.t_ns, horizon - round(_KEPT_S * 1e9))))
        return Books(clocks, found, new)

    def finish(
        self,
        clocks: Mapping[str, Clock],
        columns: Mapping[str, Mapping[str, I64]],
        *,
        whole: bool,
        epochs: Sequence[Epoch],
        ended: Mapping[str, str] | None = None,
    ) -> Books | None:
        """Everything, from all frames.

        Where the reference has no frame at all, another stream's frames are the moments.

        Args:
            clocks: each stream's clock.
            columns: stream -> `frame_number` and `t_device_ns` of what was written, (N,) each.
            whole: whether all streams begin and end with the same moment.
            epochs: where numbers were continued.
            ended: streams that delivered no more at the end, and why; what they missed until then is listed.

        Returns:
            All moments and drops, or None when no stream has a frame.
        """
        times = {
            name: sync.StreamTimes(found["frame_number"], _common(clocks[name], found["t_device_ns"]))
            for name, found in columns.items()
            if len(found["frame_number"]) and name in clocks
        }
        reference = self.reference if self.reference in times else next(iter(times), None)
        if reference is None:
            return None
        ended = ended or {}
        moments, drops = sync.align(times, reference, self.period_ns[reference], whole=whole and not ended)
        known = {(drop.stream, drop.frame_number) for drop in drops}
        outside = missed_outside(times, self._start, ended, clocks, self.period_ns)
        outside = [drop for drop in outside if (drop.stream, drop.frame_number) not in known]
        drops += outside
        drops += self._refused_outside(drops, clocks)
        drops = sorted(self._with_reasons(drops, epochs), key=lambda drop: (drop.t_ns, drop.stream))
        if away_ns := [drop.t_ns for drop in outside if drop.stream == reference]:
            moments = prolonged(moments, times, reference, away_ns, self.period_ns[reference])
        self.drop_count = len(drops)
        return Books(clocks, moments, drops)

    def _fresh_drops(self, drops: Sequence[Drop], horizon_ns: int, epochs: Sequence[Epoch]) -> list[Drop]:
        new = [drop for drop in drops if drop.t_ns < horizon_ns and drop.frame_number > self._said[drop.stream]]
        for drop in new:
            self._said[drop.stream] = max(self._said[drop.stream], drop.frame_number)
        self.drop_count += len(new)
        return self._with_reasons(new, epochs)

    def _refused_outside(self, drops: Sequence[Drop], clocks: Mapping[str, Clock]) -> list[Drop]:
        """Refused frames before the first or after the last that was written: no gap of numbers shows them."""
        listed = {(drop.stream, drop.frame_number) for drop in drops}
        with self._guard:
            refused = dict(self._refused)
        return [
            Drop(stream, number, int(_common(clocks[stream], [t_device_ns])[0]), QUEUE_FULL)
            for (stream, number), t_device_ns in refused.items()
            if (stream, number) not in listed and stream in clocks
        ]

    def _with_reasons(self, drops: Sequence[Drop], epochs: Sequence[Epoch]) -> list[Drop]:
        """Reasons where more is known than that a number is missing."""
        with self._guard:
            refused = set(self._refused)
        returned = {(epoch.stream, epoch.first_frame_number) for epoch in epochs if epoch.reason == UNPLUGGED}
        out, gone = [], set()
        # From the frame with which a device came back, backwards through the gap before it.
        for drop in sorted(drops, key=lambda drop: -drop.frame_number):
            key, after = (drop.stream, drop.frame_number), (drop.stream, drop.frame_number + 1)
            reason = drop.reason
            if reason == NOT_DELIVERED and (after in returned or after in gone):
                gone.add(key)
                reason = UNPLUGGED
            out.append(replace(drop, reason=QUEUE_FULL if key in refused else reason))
        return sorted(out, key=lambda drop: (drop.t_ns, drop.stream))


def _common(clock: Clock, t_device_ns: I64 | Sequence[int]) -> I64:
    return clock.to_common_ns(np.asarray(t_device_ns, dtype=np.int64))


def _selected(moments: Sync, which: np.ndarray, first: Mapping[str, int]) -> Sync:
    """Some of the moments, with indices counted from the beginning of the recording."""
    return Sync(
        moments.t_ns[which],
        {name: np.where(index >= 0, index + first[name], -1)[which] for name, index in moments.index.items()},
        {name: skew[which] for name, skew in moments.skew_ns.items()},
    )
