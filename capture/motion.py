"""How much later one view's clock runs than another's, from the motion that both see.

Arrival times cannot tell a constant delay of delivery from an offset. The hand moves at the same time in all views.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hoi_core.sequence import Clock


@dataclass(frozen=True)
class ViewOffset:
    """How a stream's modelled time relates to the reference's."""

    offset_ns: int
    """To be added to the stream's modelled time, ns."""
    sigma_ns: float
    """Standard deviation of that, ns; NaN where the motion does not tell."""
    sure: bool
    """Whether it should be applied."""


class MotionTrack:
    """What moved in each stream, small enough to keep for a whole recording. Any thread may add; one at a time."""

    def add(self, stream: str, t_device_ns: int, image: NDArray[np.uint8]) -> None:
        """Take in an image; frames may be left out.

        Args:
            stream: its name.
            t_device_ns: mid-exposure on the device's (continued) clock, ns.
            image: (H, W) or (H, W, 3) uint8.
        """


def estimate(track: MotionTrack, clocks: Mapping[str, Clock], reference: str) -> dict[str, ViewOffset]:
    """The offset of every stream in the track relative to the reference."""
    return {}


def applied(clocks: Mapping[str, Clock], offsets: Mapping[str, ViewOffset]) -> dict[str, Clock]:
    """The clocks with the offsets that are sure; all streams of a device get the same."""
    return dict(clocks)
