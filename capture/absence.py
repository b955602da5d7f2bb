"""Frames that a stream missed before its first or after its last one: no gap of numbers shows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from capture.sync import StreamTimes, nearest
from hoi_core.sequence import NOT_DELIVERED, UNPLUGGED, Clock, Drop, Sync

_MEASURED_FRAMES = 60


@dataclass(frozen=True)
class Start:
    """How a recording began; the default is one that has its rig from the first frame."""

    began_ns: int = 0
    """When, common time, ns."""
    before: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Number and device time (continued), ns, of each stream's last frame before the recording."""
    lost: Collection[str] = ()
    """Streams of devices that were lost just then."""


def missed_outside(
    times: Mapping[str, StreamTimes],
    start: Start,
    ended: Mapping[str, str],
    clocks: Mapping[str, Clock],
    period_ns: Mapping[str, float],
) -> list[Drop]:
    """What streams missed from the start of the recording to their first frame, and from their last to the end.

    The start is the first frame of a stream that missed none (where all have gaps, as after a pause, the earliest of
    those whose device was there), the end the last frame of one that has not ended.

    Args:
        times: the streams of which frames were recorded.
        start: how the recording began.
        ended: stream -> why it delivered no more at the end.
        clocks: of the streams that ever delivered.
        period_ns: stream -> nominal time between two frames, ns.

    Returns:
        Missing frames; `not delivered` where `capture.ledger` may know better.
    """
    before = {
        name: (number, int(clocks[name].to_common_ns(np.array([t_device_ns], dtype=np.int64))[0]))
        for name, (number, t_device_ns) in start.before.items()
        if name in clocks
    }
    late = {name for name in start.lost if name not in before}
    late |= {name for name, (number, _) in before.items() if name not in times or times[name].number[0] > number + 1}
    begun = {name: int(found.t_ns[0]) for name, found in times.items()}
    prompt = [t_ns for name, t_ns in begun.items() if name not in late]
    prompt = prompt or [t_ns for name, t_ns in begun.items() if name not in start.lost]
    going_on = [int(found.t_ns[-1]) for name, found in times.items() if name not in ended]
    first_ns = min(prompt, default=start.began_ns)
    end_ns = max(going_on, default=first_ns)
    drops: list[Drop] = []
    for name in sorted(late):
        period = _measured(times.get(name), period_ns[name])
        if name not in times:
            reason = ended.get(name, UNPLUGGED if name in start.lost else NOT_DELIVERED)
            drops += _throughout(name, before.get(name), (first_ns, end_ns), period, reason)
        else:
            drops += _until(name, times[name], before.get(name), first_ns, period)
    for name, reason in ended.items():
        if name in times:
            last, t_last = int(times[name].number[-1]), int(times[name].t_ns[-1])
            period = _measured(times[name], period_ns[name])
            count = int((end_ns - t_last) / period + 0.5)
            drops += [Drop(name, last + k, t_last + round(k * period), reason) for k in range(1, count + 1)]
    return drops


def _measured(found: StreamTimes | None, nominal_ns: float) -> float:
    """Time between two frames: over minutes the nominal one is wrong by some frames."""
    if found is None or found.number[-1] - found.number[0] < _MEASURED_FRAMES:
        return nominal_ns
    return float(found.t_ns[-1] - found.t_ns[0]) / float(found.number[-1] - found.number[0])


def _until(
    name: str, found: StreamTimes, before: tuple[int, int] | None, first_ns: int, period_ns: float
) -> list[Drop]:
    """From the start to a stream's first frame."""
    first, t_first = int(found.number[0]), int(found.t_ns[0])
    if before is None:
        count = int((t_first - first_ns) / period_ns + 0.5)
        return [Drop(name, first - k, t_first - round(k * period_ns), UNPLUGGED) for k in range(count, 0, -1)]
    number, t_ns = before
    # Between two frames that are known the times are spread evenly, as those of any gap.
    placed = [(n, t_ns + (t_first - t_ns) * (n - number) // (first - number)) for n in range(number + 1, first)]
    return [Drop(name, n, t, NOT_DELIVERED) for n, t in placed if t >= first_ns]


def _throughout(
    name: str, before: tuple[int, int] | None, span_ns: tuple[int, int], period_ns: float, reason: str
) -> list[Drop]:
    """A stream without any frame; one that never delivered is counted from 0."""
    first_ns, end_ns = span_ns
    number, t_ns = before if before is not None else (-1, first_ns - round(period_ns))
    skipped = max(int(np.ceil((first_ns - t_ns) / period_ns - 0.5)), 1)
    count = int((end_ns - t_ns) / period_ns + 0.5)
    return [Drop(name, number + k, t_ns + round(k * period_ns), reason) for k in range(skipped, count + 1)]


def prolonged(
    moments: Sync, times: Mapping[str, StreamTimes], reference: str, missing_ns: Sequence[int], period_ns: float
) -> Sync:
    """Moments at which the reference, away, has no frame, and the other streams have; added to those there are."""
    t_ns = np.sort(np.concatenate([moments.t_ns, np.array(missing_ns, dtype=np.int64)]))
    index, skew = {}, {}
    for name, found in times.items():
        index[name], skew[name] = nearest(t_ns, found.t_ns, 0.5 * period_ns)
    own = np.isin(t_ns, times[reference].t_ns)
    index[reference] = np.where(own, index[reference], -1)
    skew[reference] = np.zeros_like(t_ns)
    return Sync(t_ns, index, skew)
