"""Delivers the simulated devices' frames in real time: each at its own true time, late or never as the faults ask.

One thread makes the images a little ahead, another waits for the moment at which each is due.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from capture.simulation.develop import Images
from capture.simulation.timeline import OVERLOADED, UNPLUGGED, Stamp, Timeline

_AHEAD_NS = 80_000_000
_LEAD_NS = 60_000_000
_LATEST_NS = 250_000_000


class Outlets(Protocol):
    """Where the devices are plugged in."""

    def plug(self, name: str) -> None:
        """Put a device's plug in."""

    def unplug(self, name: str) -> None:
        """Pull a device's plug."""

    def ready(self, name: str) -> bool:
        """Whether somebody receives from the device."""

    def push(self, name: str, stamp: Stamp, images: Images) -> None:
        """Deliver the images of one exposure."""


@dataclass(order=True)
class _Event:
    """Something to do at a time."""

    due_ns: int
    order: int
    action: Callable[[], None] = field(compare=False)


class Player:
    """Plays frames 0, 1, ... of all devices.

    Args:
        timelines: device -> when its frames come; in the order in which they expose.
        develop: makes the images of a device's frame.
        outlets: where they go.
        frames: how many frames; None plays without end.
    """

    def __init__(
        self,
        timelines: Mapping[str, Timeline],
        develop: Callable[[str, int], Images],
        outlets: Outlets,
        frames: int | None,
    ) -> None:
        self.start_host_ns = 0
        """Host time at which the true time is 0; known once it plays."""
        self._timelines = timelines
        self._develop = develop
        self._outlets = outlets
        self._frames = frames
        self._events: list[_Event] = []
        self._order = 0
        self._made = 0
        self._whole = False
        self._between: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self._latest_ns = 0
        self._plugged_ns: dict[str, int] = {}
        self._wake = threading.Condition()
        self._ending = threading.Event()
        self.finished = threading.Event()
        """Set when every frame has been delivered."""

    def at_next_frame(self, action: Callable[[], None], timeout_s: float) -> None:
        """Do something between two frames, and wait until everything made before it has been delivered."""
        if not self.start_host_ns:
            action()
            return
        delivered = threading.Event()
        with self._wake:
            self._between.append((action, delivered.set))
        delivered.wait(timeout_s)

    def begin(self) -> None:
        """Set the clock going; call before the two threads start."""
        # The first images take a moment to make.
        self.start_host_ns = time.monotonic_ns() + _LEAD_NS
        for name, timeline in self._timelines.items():
            for gone_ns, back_ns in timeline.unplugs:
                self._add(gone_ns, lambda name=name: self._unplug(name))  # type: ignore[misc]
                self._add(back_ns, lambda name=name, at_ns=back_ns: self._plug(name, at_ns))  # type: ignore[misc]

    def make(self) -> None:
        """Make the images of all frames, each a little before it is due; runs in a thread of its own."""
        while self._frames is None or self._made < self._frames:
            n = self._made
            first = next(iter(self._timelines.values()))
            early_ns = self.start_host_ns + first.true_ns(n) - _AHEAD_NS - time.monotonic_ns()
            if self._ending.wait(max(early_ns, 0) * 1e-9):
                return
            self._do_between()
            # Without an end there is no catching up: what is late by far is left out, as a busy camera does.
            late = self._frames is None and early_ns < -_LATEST_NS
            for name, timeline in self._timelines.items():
                due_ns = timeline.due_ns(n)
                self._latest_ns = max(self._latest_ns, due_ns)
                reason = timeline.missing(n) or (OVERLOADED if late else "")
                if reason:
                    timeline.lost[n] = reason
                    continue
                images = self._develop(name, n)
                self._add(due_ns, lambda name=name, images=images, n=n: self._deliver(name, n, images))  # type: ignore[misc]
            self._made = n + 1
        with self._wake:
            self._whole = True
            self._wake.notify()

    def deliver(self) -> None:
        """Do everything when it is due; runs in a thread of its own."""
        while (event := self._next()) is not None:
            event.action()
        if not self._ending.is_set():
            self.finished.set()

    def end(self) -> None:
        """Stop both threads."""
        self._ending.set()
        with self._wake:
            self._wake.notify()

    def _add(self, due_ns: int, action: Callable[[], None]) -> None:
        with self._wake:
            self._order += 1
            heapq.heappush(self._events, _Event(self.start_host_ns + due_ns, self._order, action))
            self._wake.notify()

    def _next(self) -> _Event | None:
        """Wait for the next event; None at the end."""
        with self._wake:
            while not self._ending.is_set():
                if not self._events:
                    if self._whole:
                        return None
                    self._wake.wait()
                    continue
                wait_s = (self._events[0].due_ns - time.monotonic_ns()) * 1e-9
                if wait_s <= 0:
                    return heapq.heappop(self._events)
                self._wake.wait(wait_s)
        return None

    def _do_between(self) -> None:
        with self._wake:
            waiting, self._between = self._between, []
        for action, when_delivered in waiting:
            action()
            self._add(self._latest_ns, when_delivered)

    def _deliver(self, name: str, n: int, images: Images) -> None:
        timeline = self._timelines[name]
        if not self._outlets.ready(name):
            timeline.lost[n] = UNPLUGGED
            return
        if name in self._plugged_ns:
            timeline.restart(n, self._plugged_ns.pop(name))
        self._outlets.push(name, timeline.stamp(n), images)

    def _unplug(self, name: str) -> None:
        self._outlets.unplug(name)

    def _plug(self, name: str, at_ns: int) -> None:
        self._outlets.plug(name)
        self._plugged_ns[name] = at_ns
