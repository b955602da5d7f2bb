"""The simulated 128x128 sensor: gray and edge images of one imager, through a queue."""

from __future__ import annotations

import queue
from collections.abc import Mapping

from capture.device import BaseDevice
from hoi_core.errors import DeviceError
from hoi_core.types import Frame, StreamInfo

_QUEUE_PAIRS = 256


class EdgeSensor(BaseDevice):
    """Gray and edge images of one imager."""

    def __init__(self, streams: list[StreamInfo], settings: Mapping[str, object]) -> None:
        self.streams = streams
        self.settings: Mapping[str, object] = dict(settings)
        """What is set and locked."""
        self.failure: DeviceError | None = None
        """Why no more images will come; raised by `read`."""
        self.open = True
        """Whether somebody reads it: not between an unplug and `reopen`."""
        self._plugged = True
        self._queue: queue.Queue[list[Frame]] = queue.Queue(_QUEUE_PAIRS)

    def read(self, timeout_s: float) -> list[Frame]:
        """Wait for a pair of images; empty after the timeout.

        Raises:
            DeviceError: it was unplugged, or the rig has broken down.
        """
        if self.failure is not None:
            raise self.failure
        try:
            return self._queue.get(timeout=timeout_s if self.open else 0.0)
        except queue.Empty:
            if self.open:
                return []
        raise DeviceError(f"the sensor {self._name} was unplugged.", "Plug it in again; what was recorded is kept.")

    def reopen(self) -> None:
        """Take it back after it was unplugged.

        Raises:
            DeviceError: it is not there yet.
        """
        if not self._plugged:
            raise DeviceError(f"the sensor {self._name} is not connected.", "Plug it in again.")
        self.open = True

    def unplug(self) -> None:
        """Pull the plug; pairs that have arrived can still be read."""
        self._plugged = self.open = False

    def plug(self) -> None:
        """Put the plug in again; images come once it is reopened."""
        self._plugged = True

    def deliver(self, frames: list[Frame]) -> None:
        """Hand a pair to the reader; the oldest is lost when nobody reads."""
        while True:
            try:
                self._queue.put_nowait(frames)
                return
            except queue.Full:
                self._queue.get_nowait()

    @property
    def _name(self) -> str:
        return self.streams[0].view
