"""The clocks and epochs of a session: fed by the threads that read the devices, asked by those that write and show."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from capture.clock import Clocks
from capture.continuity import ESTIMATED
from hoi_core.sequence import Clock, Epoch
from hoi_core.types import Frame, StreamInfo

_FRESH_S = 2.0
_EARLY_S = 30.0
_FRESH_LATER_S = 5.0


class Timekeeper:
    """All clocks of a rig from the start of its preview on; safe to use from any thread.

    Args:
        streams: all streams of the rig.
    """

    def __init__(self, streams: Sequence[StreamInfo]) -> None:
        self._clocks = Clocks(streams)
        self._device = {info.name: info.device for info in streams}
        self._added: dict[str, int] = {}
        self._epochs: list[Epoch] = []
        self._guard = threading.Lock()
        self._began_s = time.monotonic()
        self._fitted: dict[str, Clock] = {}
        self._fitted_s = float("-inf")
        self._known: set[str] = set()

    def enter(self, epochs: Sequence[Epoch]) -> None:
        """Take in where a device's numbers or times were continued, before the first frame that it concerns."""
        with self._guard:
            for epoch in epochs:
                device = self._device[epoch.stream]
                # All streams of a device are continued together: its clock begins anew only once.
                if epoch.reason in ESTIMATED and self._added.get(device, 0) != epoch.time_added_ns:
                    self._clocks.split(epoch.stream)
                self._added[device] = epoch.time_added_ns
            self._epochs += epochs
            self._fitted_s = float("-inf")

    def add(self, frame: Frame) -> None:
        """Take in a frame, its number and time continued."""
        with self._guard:
            self._clocks.add(frame.stream, frame.clock_domain, frame.t_device_ns, frame.t_host_ns)
            if frame.stream not in self._known:
                self._known.add(frame.stream)
                self._fitted_s = float("-inf")

    @property
    def epochs(self) -> list[Epoch]:
        """All that was entered, in order."""
        with self._guard:
            return list(self._epochs)

    def now(self) -> dict[str, Clock]:
        """Each stream's clock as it was fitted some seconds ago at most; streams without a frame are absent."""
        now = time.monotonic()
        with self._guard:
            old_s = _FRESH_S if now - self._began_s < _EARLY_S else _FRESH_LATER_S
            if now - self._fitted_s < old_s:
                return self._fitted
        return self.fit()

    def fit(self) -> dict[str, Clock]:
        """Each stream's clock from all frames so far; takes some ten milliseconds, however long it has run."""
        with self._guard:
            self._fitted, self._fitted_s = self._clocks.fit(), time.monotonic()
            return self._fitted
