"""Frames that should be there and are not, and why."""

from __future__ import annotations

from dataclasses import dataclass

NOT_DELIVERED = "not delivered"
"""The device, its cable or its driver lost it."""
QUEUE_FULL = "queue full"
"""The recorder could not keep up: the disk was too slow for longer than the rings can hold."""
UNPLUGGED = "unplugged"
"""The device was not there."""
REASONS = (NOT_DELIVERED, QUEUE_FULL, UNPLUGGED)


@dataclass(frozen=True)
class Drop:
    """A frame that should be there and is not."""

    stream: str
    """Name of the stream."""
    frame_number: int
    """The device's number of the missing frame, continued where the device began to count anew."""
    t_ns: int
    """Estimated common time, ns."""
    reason: str
    """One of `REASONS`."""
