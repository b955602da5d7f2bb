"""One thread for each device: reads it, continues its counters, and takes it back when it was lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from capture.continuity import Continuity
from capture.device import Device
from capture.timekeeper import Timekeeper
from hoi_core.errors import DeviceError, HoiError
from hoi_core.sequence import NOT_DELIVERED, UNPLUGGED
from hoi_core.types import Frame

log = logging.getLogger(__name__)

_READ_S = 0.2
_REOPEN_S = 0.5
_FLUSH_S = 1.0
STALE_S = 1.0
"""A device without a frame for so long is shown as silent."""


@dataclass(frozen=True)
class DeviceState:
    """How one device of the rig is doing."""

    name: str
    """View or sensor."""
    serial: str
    """Serial number; empty where the device has none."""
    state: Literal["ok", "silent", "lost"]
    """`silent`: connected, but no frame for a second; `lost`: unplugged or failed, and being reopened."""
    detail: str = ""
    """What is wrong, in words; empty while all is well."""


class Reader(threading.Thread):
    """Reads one device until told to stop, and hands every frame on with continued number and time.

    A device that fails is opened again, as often as it takes; the other devices do not notice.

    Args:
        device: the device.
        timekeeper: told of each frame and epoch.
        deliver: called with each frame, in this thread.
    """

    def __init__(self, device: Device, timekeeper: Timekeeper, deliver: Callable[[Frame], None]) -> None:
        names = "+".join(info.name for info in device.streams)
        super().__init__(name=f"reader {names}", daemon=True)
        self.device = device
        self.streams = tuple(info.name for info in device.streams)
        self.error: HoiError | None = None
        """Why the device is lost; None while it is there."""
        self.losses = 0
        """How often it was lost."""
        self.last_frame_s = time.monotonic()
        self._timekeeper = timekeeper
        self._deliver = deliver
        self._continuity = Continuity(device.streams)
        self._epochs_told = 0
        self._ending = threading.Event()
        self._wanted, self._flushed = threading.Event(), threading.Event()

    @property
    def gone(self) -> bool:
        """Whether the device is lost for good: it failed and cannot be opened again."""
        return self.error is not None and not self.is_alive() and self.ident is not None

    def run(self) -> None:
        """Read until `end`."""
        while not self._ending.is_set():
            try:
                self._read_on()
            except HoiError as error:
                self.error = error
            except Exception as error:  # noqa: BLE001 - whatever a driver raises: a thread that ends unseen loses a camera
                reason = f"{type(error).__name__}: {error}"
                self.error = DeviceError(f"the {self.name} failed: {reason}.", "Plug the camera in again.")
            if self.error is not None:
                self.losses += 1
                log.warning("%s", self.error)
                if not self._take_back():
                    return

    def end(self) -> None:
        """Stop reading and wait for the thread; hands on what was held back."""
        self._ending.set()
        if self.is_alive():
            self.join(timeout=5.0)

    def flush(self) -> None:
        """Have what is held back after a reset of the device handed on now; waits for the reading thread."""
        if not self._continuity.holding or not self.is_alive():
            return
        self._flushed.clear()
        self._wanted.set()
        self._flushed.wait(_FLUSH_S)

    @property
    def ended(self) -> str:
        """Why the device delivers no more, as in the drop table; empty while it does, and for a file."""
        if self.error is not None:
            return UNPLUGGED
        silent = time.monotonic() - self.last_frame_s > STALE_S
        return NOT_DELIVERED if silent and self.device.live else ""

    def state(self) -> DeviceState:
        """How the device is doing."""
        info = self.device.streams[0]
        name, error = info.view, self.error
        if error is not None:
            return DeviceState(name, info.serial, "lost", error.message)
        silent_s = time.monotonic() - self.last_frame_s
        if silent_s > STALE_S:
            return DeviceState(name, info.serial, "silent", f"no frame for {silent_s:.0f} s")
        return DeviceState(name, info.serial, "ok")

    def _read_on(self) -> None:
        try:
            while not self._ending.is_set():
                for frame in self.device.read(_READ_S):
                    self.last_frame_s = time.monotonic()
                    self._hand_on(self._continuity.continue_(frame))
                if self._wanted.is_set():
                    self._hand_on(self._continuity.flush())
                    self._told_all()
        finally:
            self._hand_on(self._continuity.flush())
            self._told_all()

    def _told_all(self) -> None:
        self._wanted.clear()
        self._flushed.set()

    def _hand_on(self, frames: Sequence[Frame]) -> None:
        epochs = self._continuity.epochs
        if len(epochs) > self._epochs_told:
            new, self._epochs_told = epochs[self._epochs_told :], len(epochs)
            self._timekeeper.enter(new)
        for frame in frames:
            self._timekeeper.add(frame)
            self._deliver(frame)

    def _take_back(self) -> bool:
        """Open the device again; False for one that plays a file, or when the session ends."""
        if not self.device.live:
            return False
        while not self._ending.wait(_REOPEN_S):
            try:
                self.device.reopen()
            except DeviceError:
                continue
            except Exception as error:  # noqa: BLE001 - a driver may raise anything while its device comes up
                log.debug("%s does not open yet: %s", self.name, error)
                continue
            self._continuity.reopened()
            log.warning("%s is back.", self.name)
            self.last_frame_s = time.monotonic()
            self.error = None
            return True
        return False
