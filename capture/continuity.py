"""Frame numbers and device times that go on after a counter or a clock has started anew.

A camera that is plugged in again counts from zero, and so does its clock. Here both go on as if it had counted all
the while: a gap of numbers is then exactly what was missed, and times never run backwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from capture.clock import ClockTracker
from hoi_core.sequence import Clock, Epoch
from hoi_core.types import Frame, StreamInfo

UNPLUGGED = "unplugged"
COUNTER_RESET = "counter reset"
CLOCK_RESET = "clock reset"
WRAP = "wrap"


class Continuity:
    """Continues the frames of one device. Not thread-safe: it belongs to the thread that reads the device.

    Args:
        streams: all streams of the device; they share its clock.
    """

    def __init__(self, streams: Sequence[StreamInfo]) -> None:
        self.epochs: list[Epoch] = []
        """What was continued so far, in the order in which it happened."""
        self._tracker = ClockTracker()

    def continue_(self, frame: Frame) -> list[Frame]:
        """Frames that go on: mostly just this one.

        After a reset the first frames are held back (0.3 s at most) until the time that was lost is certain; then
        they come all at once. Epochs are entered into `epochs` before the first frame that they concern is returned.
        """
        self._tracker.add(frame.t_device_ns, frame.t_host_ns)
        return [frame]

    def reopened(self) -> None:
        """Say that the device was lost and found again: what comes next is a new epoch, with reason `unplugged`."""

    def flush(self) -> list[Frame]:
        """The frames that are held back, at the end."""
        return []

    def clock(self) -> Clock | None:
        """The device's clock as known now; None before its first frame."""
        return self._tracker.clock()
