"""Which frames belong together, and which are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hoi_core.sequence import NOT_DELIVERED, REFERENCE, Capture, Drop, Sync
from hoi_core.types import I64

_EDGE_MOMENTS = 30  # pairs at either end that tell how the counters of two streams relate there


@dataclass(frozen=True)
class StreamTimes:
    """The frames of a stream that were recorded."""

    number: I64
    """(N,) frame numbers, increasing."""
    t_ns: I64
    """(N,) common time, ns."""


def align(
    streams: Mapping[str, StreamTimes], reference: str, period_ns: float, *, whole: bool
) -> tuple[Sync, list[Drop]]:
    """Pair all streams with the reference, and list what is missing.

    Every frame of the reference is a moment, also those known to be missing: their times lie between, or beyond,
    those of their neighbours, and their index is -1.

    Args:
        streams: what was recorded; streams without any frame are left out of the ledger.
        reference: the stream whose frames are the moments.
        period_ns: time between two frames, ns.
        whole: whether all streams begin and end with the same moment. Then a frame that is missing at the very
            start or end, where no gap of numbers shows it, is found by what the other streams have there.
    """
    drops = [drop for name, times in streams.items() for drop in _gaps(name, times)]
    if whole:
        drops += _edges(streams, reference, period_ns)
    own = streams[reference]
    missing = [drop.t_ns for drop in drops if drop.stream == reference]
    t_ns = np.sort(np.concatenate([own.t_ns, np.array(missing, dtype=np.int64)]))
    index, skew = {}, {}
    for name, times in streams.items():
        index[name], skew[name] = nearest(t_ns, times.t_ns, 0.5 * period_ns)
    # Filled-in moments are as near to real frames as others, but they stand for frames that are not there.
    real = np.isin(t_ns, own.t_ns)
    index[reference] = np.where(real, index[reference], -1)
    skew[reference] = np.zeros_like(t_ns)
    return Sync(t_ns, index, skew), sorted(drops, key=lambda drop: (drop.t_ns, drop.stream))


def realign(recording: Capture) -> tuple[Sync, list[Drop]]:
    """Moments and drops of a recording from the frames and clocks it holds, as its recorder would have written them.

    A recorder that is killed has written the moments up to a little before its last frames.
    """
    infos = {name: stream.info for name, stream in recording.streams.items() if len(stream)}
    times = {}
    for name in infos:
        stream, known = recording.streams[name], recording.clocks[name]
        if not np.isfinite(known.drift_ppm):  # killed before the first clock was known
            return recording.sync, recording.drops
        times[name] = StreamTimes(stream.frame_number, known.to_common_ns(stream.t_device_ns))
    if not times:
        return recording.sync, recording.drops
    reference = REFERENCE if REFERENCE in times else next(iter(times))
    moments, missing = align(times, reference, 1e9 / infos[reference].fps, whole=False)
    listed = {(drop.stream, drop.frame_number) for drop in recording.drops}
    return moments, [*recording.drops, *(d for d in missing if (d.stream, d.frame_number) not in listed)]


def nearest(t_ns: I64, candidates_ns: I64, tolerance_ns: float) -> tuple[I64, I64]:
    """The candidate nearest to each time, each used once.

    Args:
        t_ns: (M,) ns.
        candidates_ns: (N,) ns, increasing.
        tolerance_ns: candidates further away are none.

    Returns:
        (M,) index, -1 for none; (M,) candidate minus time, ns, 0 for none.
    """
    none = np.full(len(t_ns), -1, dtype=np.int64)
    if not len(candidates_ns) or not len(t_ns):
        return none, np.zeros(len(t_ns), dtype=np.int64)
    right = np.clip(np.searchsorted(candidates_ns, t_ns), 1, max(len(candidates_ns) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(candidates_ns) - 1)
    closer = np.abs(candidates_ns[right] - t_ns) < np.abs(candidates_ns[left] - t_ns)
    index = np.where(closer, right, left)
    distance = np.abs(candidates_ns[index] - t_ns)
    order = np.lexsort((distance, index))
    first = np.ones(len(order), dtype=bool)
    first[1:] = index[order][1:] != index[order][:-1]
    winner = np.zeros(len(order), dtype=bool)
    winner[order] = first
    index = np.where(winner & (distance <= tolerance_ns), index, -1)
    return index, np.where(index >= 0, candidates_ns[index] - t_ns, 0)


def _gaps(name: str, times: StreamTimes) -> list[Drop]:
    """Numbers that are missing between two frames, their times spread evenly."""
    drops = []
    for i in np.flatnonzero(np.diff(times.number) > 1):
        first, last = int(times.number[i]), int(times.number[i + 1])
        span = int(times.t_ns[i + 1] - times.t_ns[i])
        for number in range(first + 1, last):
            t_ns = int(times.t_ns[i]) + span * (number - first) // (last - first)
            drops.append(Drop(name, number, t_ns, NOT_DELIVERED))
    return drops


def _edges(streams: Mapping[str, StreamTimes], reference: str, period_ns: float) -> list[Drop]:
    """Numbers that are missing before the first or after the last frame of a stream."""
    present = {name: times for name, times in streams.items() if len(times.number)}
    own = present[reference]
    drops = []
    for end in (0, -1):
        shift: dict[str, int] = {}
        for name, times in present.items():
            found = _counter_shift(own, times, period_ns, end)
            if found is not None:
                shift[name] = found
        # The outermost frame that any stream has, in the numbers of the reference.
        outer = [int(present[name].number[end]) - shift[name] for name in shift]
        limit = min(outer) if end == 0 else max(outer)
        for name, lag in shift.items():
            edge, t_edge = int(present[name].number[end]), int(present[name].t_ns[end])
            numbers = range(limit + lag, edge) if end == 0 else range(edge + 1, limit + lag + 1)
            drops += [
                Drop(name, number, t_edge + round((number - edge) * period_ns), NOT_DELIVERED)
                for number in numbers
                if number >= 0
            ]
    return drops


def _counter_shift(own: StreamTimes, other: StreamTimes, period_ns: float, end: int) -> int | None:
    """Number of `other` minus number of the reference for frames of one moment, at the start (0) or the end (-1)."""
    index, _ = nearest(own.t_ns, other.t_ns, 0.5 * period_ns)
    paired = np.flatnonzero(index >= 0)
    paired = paired[:_EDGE_MOMENTS] if end == 0 else paired[-_EDGE_MOMENTS:]
    if not len(paired):
        return None
    shifts, votes = np.unique(other.number[index[paired]] - own.number[paired], return_counts=True)
    return int(shifts[np.argmax(votes)])
