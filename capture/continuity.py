"""Frame numbers and device times that go on after a counter or a clock has started anew.

A camera that is plugged in again counts from zero, and so does its clock. Here both go on as if it had counted all
the while: a gap of numbers is then exactly what was missed, and times never run backwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from capture.clock import ClockTracker
from hoi_core.sequence import UNPLUGGED, Clock, Epoch
from hoi_core.types import Frame, StreamInfo

RESTARTED = "restarted"
COUNTER_RESET = "counter reset"
CLOCK_RESET = "clock reset"
CLOCK_JUMP = "clock jump"
CLOCK_CHANGED = "other clock"
WRAP = "wrap"
ESTIMATED = (UNPLUGGED, RESTARTED, CLOCK_JUMP, CLOCK_CHANGED)
"""Reasons after which device times go on only as exactly as frames arrive: the clock model begins a new piece."""

_WRAP_NS = (1 << 32) * 1000  # librealsense's hardware clock counts microseconds in 32 bits: 71.6 minutes
_HELD_FRAMES = 15
_HELD_NS = 500_000_000
_EARLY_SHARE = 0.2
_SAME_CLOCK_NS = 25e6
"""A clock that still agrees with the host's so well was not reset."""
_OLD_FRAMES = 3
_PHASE_FRAMES = 20
_JUMP_NS = 1e9
_EARLY_NS = 25e6
_MEASURED_FRAMES = 60
_REFIT_NS = 5_000_000_000


@dataclass
class _Counter:
    """What is known of one stream: its last frame as it came and as it goes on."""

    period_ns: float
    number_added: int = 0
    time_added_ns: int = 0
    raw: Frame | None = None
    number: int = 0
    t_ns: int = 0
    first: tuple[int, int] = (0, 0)
    recent: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_PHASE_FRAMES))

    @property
    def measured_ns(self) -> float:
        """Time between two frames by the device's clock, which is not quite the nominal one."""
        frames = self.number - self.first[0]
        return (self.t_ns - self.first[1]) / frames if frames >= _MEASURED_FRAMES else self.period_ns


class Continuity:
    """Continues the frames of one device. Not thread-safe: it belongs to the thread that reads the device.

    Args:
        streams: all streams of the device; they share its clock.

    Example:
        >>> going_on = Continuity(device.streams)  # doctest: +SKIP
        >>> for raw in device.read(0.2):
        ...     for frame in going_on.continue_(raw):
        ...         writer.append(frame)
    """

    def __init__(self, streams: Sequence[StreamInfo]) -> None:
        self.epochs: list[Epoch] = []
        """What was continued so far, in the order in which it happened."""
        self._counters = {info.name: _Counter(1e9 / info.fps) for info in streams}
        self._tracker = ClockTracker()
        self._model: Clock | None = None
        self._model_ns = 0
        self._held: list[Frame] = []
        self._ready: list[Frame] = []
        self._reopened: set[str] = set()
        self._leader: tuple[Frame, int] | None = None

    def continue_(self, frame: Frame) -> list[Frame]:
        """Frames that go on: mostly just this one; none for one whose number came before.

        After a reset the device's first frames are held back (0.5 s at most) until the time that was lost is
        certain; then they come all at once. Epochs are entered into `epochs` before the first frame that they
        concern is returned.
        """
        if self._held:
            self._held.append(frame)
            waited = frame.t_host_ns - self._held[0].t_host_ns
            if len(self._held) >= _HELD_FRAMES * len(self._counters) or waited > _HELD_NS:
                self._decide()
        elif self._goes_on(frame):
            self._pass(frame)
        else:
            self._held.append(frame)
        return self._take()

    def reopened(self) -> None:
        """Say that the device was lost and found again: what comes next is a new epoch, with reason `unplugged`."""
        self._decide()
        self._reopened = {name for name, counter in self._counters.items() if counter.raw is not None}

    @property
    def holding(self) -> bool:
        """Whether frames are held back; may be asked from any thread."""
        return bool(self._held)

    def flush(self) -> list[Frame]:
        """The frames that are held back, at the end or when the device is gone."""
        self._decide()
        return self._take()

    def clock(self, *, exact: bool = False) -> Clock | None:
        """The device's clock as known now; None before its first frame.

        Args:
            exact: whether the very last frames count too, which costs some milliseconds.
        """
        return self._tracker.clock(exact=exact)

    def _take(self) -> list[Frame]:
        out, self._ready = self._ready, []
        return out

    def _goes_on(self, frame: Frame) -> bool:
        """Whether a frame follows the last one of its stream, as it is or after a wrap of the clock."""
        counter = self._counters[frame.stream]
        last = counter.raw
        if last is None:
            return self._started_alone(frame)
        if frame.stream in self._reopened:
            return False
        if 0 <= last.frame_number - frame.frame_number <= _OLD_FRAMES and frame.t_device_ns <= last.t_device_ns:
            return abs(frame.t_device_ns - last.t_device_ns) < (_OLD_FRAMES + 1) * counter.period_ns
        passed = frame.t_device_ns - last.t_device_ns
        counted = (frame.frame_number - last.frame_number) * counter.period_ns
        waited = frame.t_host_ns - last.t_host_ns
        if frame.clock_domain == "hardware_clock" and abs(passed + _WRAP_NS - max(counted, waited)) < _JUMP_NS:
            self._enter(counter, frame, counter.number_added, counter.time_added_ns + _WRAP_NS, WRAP)
            return True
        if frame.clock_domain != last.clock_domain or counted <= 0 or passed <= 0:
            return False
        if counted > 2.0 * max(passed, waited) + _JUMP_NS:
            return False
        return not (abs(passed - counted) > 0.6 * counter.period_ns and self._early_ns(frame) > _EARLY_NS)

    def _started_alone(self, frame: Frame) -> bool:
        """Whether a stream's first frame may go on as it is: its siblings' clock was not continued before."""
        return not any(counter.time_added_ns for counter in self._counters.values()) and not self._reopened

    def _early_ns(self, frame: Frame) -> float:
        """How much before its modelled time a frame arrived: an image cannot arrive before it was taken."""
        if self._model is None or frame.t_host_ns - self._model_ns > _REFIT_NS:
            self._model, self._model_ns = self._tracker.clock(), frame.t_host_ns
        if self._model is None:
            return 0.0
        t_ns = frame.t_device_ns + self._counters[frame.stream].time_added_ns
        return float(self._model.to_common_ns(np.array([t_ns]))[0] - frame.t_host_ns)

    def _pass(self, frame: Frame) -> None:
        """Hand a frame on, continued as its stream's last epoch says."""
        counter = self._counters[frame.stream]
        number = frame.frame_number + counter.number_added
        t_ns = frame.t_device_ns + counter.time_added_ns
        if counter.raw is not None and number <= counter.number:
            return  # it came before
        if counter.raw is None:
            counter.first = (number, t_ns)
        counter.raw, counter.number, counter.t_ns = frame, number, t_ns
        counter.recent.append((number, t_ns))
        self._tracker.add(t_ns, frame.t_host_ns)
        self._ready.append(replace(frame, frame_number=number, t_device_ns=t_ns))

    def _enter(self, counter: _Counter, frame: Frame, number_added: int, time_added_ns: int, reason: str) -> None:
        counter.number_added, counter.time_added_ns = number_added, time_added_ns
        first = frame.frame_number + number_added
        self.epochs.append(Epoch(frame.stream, first, number_added, time_added_ns, reason))

    def _decide(self) -> None:
        """Let the held frames go on: find what to add to their device times, then to their numbers."""
        held, self._held = self._held, []
        while held:
            broken = next((k for k, frame in enumerate(held) if not self._goes_on_or_passes(frame)), None)
            if broken is None:
                return
            held = held[broken:]
            self._start_epoch(held)
            self._pass(held[0])
            held = held[1:]

    def _goes_on_or_passes(self, frame: Frame) -> bool:
        """Pass a held frame if it goes on by now."""
        if not self._goes_on(frame):
            return False
        self._pass(frame)
        return True

    def _start_epoch(self, held: list[Frame]) -> None:
        """Continue the stream of the first held frame; the others tell with it how late frames are."""
        frame = held[0]
        counter = self._counters[frame.stream]
        time_added, chained = self._time_added(held)
        number_added = self._number_added(frame, time_added)
        same_time = time_added == counter.time_added_ns
        same_number = number_added == counter.number_added
        if frame.stream in self._reopened:
            self._reopened.discard(frame.stream)
            reason = UNPLUGGED
        elif counter.raw is not None and frame.clock_domain != counter.raw.clock_domain:
            reason = CLOCK_CHANGED
        elif same_time:
            reason = COUNTER_RESET
        elif not same_number:
            reason = RESTARTED
        else:
            reason = CLOCK_RESET if chained else CLOCK_JUMP
        known = any(other.time_added_ns == time_added for other in self._counters.values())
        if reason in ESTIMATED and not known:
            self._tracker.split()
            self._model = None
        self._leader = (frame, time_added)
        self._enter(counter, frame, number_added, time_added, reason)
        counter.recent.clear()
        if counter.raw is not None and not chained:
            counter.first = (frame.frame_number + number_added, frame.t_device_ns + time_added)

    def _time_added(self, held: list[Frame]) -> tuple[int, bool]:
        """What to add to device times from the first held frame on, ns, and whether it is exact."""
        frame = held[0]
        counter = self._counters[frame.stream]
        if self._leader is not None:
            first, added = self._leader
            if added != counter.time_added_ns and self._same_timeline(frame, first):
                return added, True  # what was found for the device's other imager
        model = self._tracker.clock()
        if model is None:
            return counter.time_added_ns, True
        fresh = [f for f in held if self._same_timeline(f, frame)]
        # What each frame would have to add, were it as late as most frames are. A host that is busy with a camera
        # that came back may delay most of the first frames: the earlier ones tell.
        missing = np.array([_to_device_ns(model, f.t_host_ns) - f.t_device_ns for f in fresh], dtype=np.int64)
        wanted = int(missing[0]) + round(float(np.quantile(missing - missing[0], _EARLY_SHARE)))
        for other in self._counters.values():
            if other.raw is not None and abs(other.time_added_ns - wanted) < _SAME_CLOCK_NS:
                return other.time_added_ns, True
        last = counter.raw
        if last is not None and frame.stream not in self._reopened and frame.frame_number > last.frame_number:
            period_ns = counter.measured_ns
            own = [(f.frame_number + counter.number_added, f.t_device_ns) for f in fresh if f.stream == frame.stream]
            by_count = _phase(counter.recent, counter.number, period_ns) - _phase(own, counter.number, period_ns)
            counted = (frame.frame_number - last.frame_number) * period_ns
            # A counter that goes on tells better than arrivals, which a busy host may delay just now.
            if abs(counted - (frame.t_host_ns - last.t_host_ns)) < _JUMP_NS:
                return by_count, True
        return wanted, False

    def _same_timeline(self, frame: Frame, first: Frame) -> bool:
        """Whether two held frames count the same clock: times passed on it as they did on the host's."""
        passed = frame.t_device_ns - first.t_device_ns
        return abs(passed - (frame.t_host_ns - first.t_host_ns)) < _JUMP_NS and frame.clock_domain == first.clock_domain

    def _number_added(self, frame: Frame, time_added_ns: int) -> int:
        """What to add to the numbers of a stream from this frame on, so that they count the periods that passed."""
        counter = self._counters[frame.stream]
        if counter.raw is None:
            siblings = {c.number_added for c in self._counters.values() if c.raw is not None}
            return siblings.pop() if len(siblings) == 1 else 0
        passed = frame.t_device_ns + time_added_ns - counter.t_ns
        number = counter.number + max(round(passed / counter.measured_ns), 1)
        counted = frame.frame_number + counter.number_added
        if counted > counter.number and abs(counted - number) <= 1:
            return counter.number_added  # the counter went on
        added = number - frame.frame_number
        for other in self._counters.values():
            # Imagers that counted in step before and after are not taken apart by a rounding.
            if other is not counter and abs(other.number_added - added) == 1 and other.time_added_ns == time_added_ns:
                before = counter.number_added
                if self._before(other) == before and other.number_added + frame.frame_number > counter.number:
                    return other.number_added
        return added

    def _before(self, counter: _Counter) -> int:
        """What a stream's numbers had added before its last epoch."""
        name = next(name for name, other in self._counters.items() if other is counter)
        own = [epoch.number_added for epoch in self.epochs if epoch.stream == name]
        return own[-2] if len(own) > 1 else 0


def _phase(frames: Iterable[tuple[int, int]], number: int, period_ns: float) -> int:
    """Device time of a frame number on the regular grid through `(number, device time)` of others, ns."""
    pairs = list(frames)
    origin = pairs[0][1]
    return origin + round(median((t_ns - origin) - (n - number) * period_ns for n, t_ns in pairs))


def _to_device_ns(clock: Clock, t_host_ns: int) -> int:
    """Device time of a host time, on the last piece."""
    piece = clock.pieces[-1]
    guess = t_host_ns - piece.offset_ns
    behind = int(piece.to_common_ns(np.array([guess], dtype=np.int64))[0]) - t_host_ns
    return guess - behind
