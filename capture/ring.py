"""Bounded rings between the devices' threads and the writer: one for each device, so that none crowds out another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from hoi_core.types import Frame, StreamInfo

RING_S = 5.0
"""The disk may pause for so long before a frame is refused; half a gigabyte for two cameras."""


class Rings:
    """First in, first out, over all devices by arrival; safe to use from any thread.

    Args:
        devices: the streams of each device.
        seconds: how much of each device's frames fit.
    """

    def __init__(self, devices: Sequence[Sequence[StreamInfo]], seconds: float = RING_S) -> None:
        self._frames: list[deque[Frame]] = [deque() for _ in devices]
        self._room = [max(round(seconds * sum(info.fps for info in streams)), 1) for streams in devices]
        self._ring = {info.name: k for k, streams in enumerate(devices) for info in streams}
        self._changed = threading.Condition()
        self._closed = False
        self._highest = 0.0

    @property
    def fill(self) -> float:
        """Share in use of the fullest ring."""
        return max(len(frames) / room for frames, room in zip(self._frames, self._room, strict=True))

    def take_highest(self) -> float:
        """Greatest share in use since the last time that it was asked for."""
        with self._changed:
            highest, self._highest = self._highest, self.fill
        return highest

    def put(self, frame: Frame) -> bool:
        """Add a frame; False when its ring is full or closed. Never waits for the writer."""
        k = self._ring[frame.stream]
        with self._changed:
            if self._closed or len(self._frames[k]) >= self._room[k]:
                return False
            self._frames[k].append(frame)
            self._highest = max(self._highest, len(self._frames[k]) / self._room[k])
            self._changed.notify()
        return True

    def take(self) -> Frame | None:
        """The frame that arrived first; waits for one, None once all are taken and the rings are closed."""
        with self._changed:
            while not any(self._frames):
                if self._closed:
                    return None
                self._changed.wait()
            first = min((frames for frames in self._frames if frames), key=lambda frames: frames[0].t_host_ns)
            return first.popleft()

    def close(self) -> None:
        """Take nothing more in; what is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def discard(self) -> None:
        """Close, and forget what is there."""
        with self._changed:
            self._closed = True
            for frames in self._frames:
                frames.clear()
            self._changed.notify_all()
