"""One thread for each device: reads it, continues its counters, and takes it back when it was lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from capture.continuity import Continuity
from capture.rig import Device
from hoi_core.errors import DeviceError, HoiError
from hoi_core.sequence import Clock, Epoch
from hoi_core.types import ClockDomain, Frame

log = logging.getLogger(__name__)

_READ_S = 0.2
_REOPEN_S = 0.5
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
        deliver: called with each frame, in this thread.
    """

    def __init__(self, device: Device, deliver: Callable[[Frame], None]) -> None:
        names = "+".join(info.name for info in device.streams)
        super().__init__(name=f"reader {names}", daemon=True)
        self.device = device
        self.streams = tuple(info.name for info in device.streams)
        self.error: HoiError | None = None
        """Why the device is lost; None while it is there."""
        self.losses = 0
        """How often it was lost."""
        self.last_frame_s = time.monotonic()
        self.domain: ClockDomain = "host"
        """Clock that its frames' times count."""
        self.least_delay_ns: int | None = None
        """Least difference of arrival and device time so far, ns."""
        self._deliver = deliver
        self._continuity = Continuity(device.streams)
        # The clock is asked for by the writer while this thread feeds it.
        self._guard = threading.Lock()
        self._ending = threading.Event()

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

    def clock(self) -> Clock | None:
        """The device's clock as known now; None before its first frame."""
        with self._guard:
            return self._continuity.clock()

    def epochs(self, since: int = 0) -> list[Epoch]:
        """Where its numbers or times were continued, from the `since`-th time on."""
        with self._guard:
            return list(self._continuity.epochs[since:])

    def state(self) -> DeviceState:
        """How the device is doing."""
        info = self.device.streams[0]
        name, error = info.name.split("/", 1)[0], self.error
        if error is not None:
            return DeviceState(name, info.serial, "lost", error.message)
        silent_s = time.monotonic() - self.last_frame_s
        if silent_s > STALE_S:
            return DeviceState(name, info.serial, "silent", f"no frame for {silent_s:.0f} s")
        return DeviceState(name, info.serial, "ok")

    def _read_on(self) -> None:
        while not self._ending.is_set():
            for frame in self.device.read(_READ_S):
                self.last_frame_s = time.monotonic()
                self._hand_on(frame)
        with self._guard:
            held = self._continuity.flush()
        for frame in held:
            self._deliver(frame)

    def _hand_on(self, frame: Frame) -> None:
        with self._guard:
            frames = self._continuity.continue_(frame)
        self.domain = frame.clock_domain
        for continued in frames:
            delay_ns = continued.t_host_ns - continued.t_device_ns
            least = self.least_delay_ns
            self.least_delay_ns = delay_ns if least is None else min(delay_ns, least)
            self._deliver(continued)

    def _take_back(self) -> bool:
        """Open the device again; False when that is impossible or the session ends."""
        reopen = getattr(self.device, "reopen", None)
        if reopen is None:
            return False
        while not self._ending.wait(_REOPEN_S):
            try:
                reopen()
            except DeviceError:
                continue
            except Exception as error:  # noqa: BLE001 - a driver may raise anything while its device comes up
                log.debug("%s does not open yet: %s", self.name, error)
                continue
            with self._guard:
                self._continuity.reopened()
            log.warning("%s is back.", self.name)
            self.last_frame_s = time.monotonic()
            self.error = None
            return True
        return False


def clocks_of(readers: Sequence[Reader]) -> dict[str, Clock]:
    """A clock for every stream that has delivered.

    The streams of a device count one hardware clock. Times that the host stamped, or that librealsense translated to
    the host's clock, agree between devices already: they share one offset and no drift.
    """
    clocks: dict[str, Clock] = {}
    shared: dict[str, list[Reader]] = {}
    for reader in readers:
        if reader.least_delay_ns is None:
            continue
        if reader.domain != "hardware_clock":
            shared.setdefault(reader.domain, []).append(reader)
        elif (own := reader.clock()) is not None:
            clocks.update(dict.fromkeys(reader.streams, own))
    for group in shared.values():
        least_ns = min(reader.least_delay_ns for reader in group if reader.least_delay_ns is not None)
        for reader in group:
            clocks.update(dict.fromkeys(reader.streams, Clock.line(0, least_ns, 0.0, 0.0)))
    return clocks
