"""A librealsense context with software D435s that can be unplugged and plugged in again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from capture.devices._librealsense import rs
from capture.simulation.software_d435 import Shot, SoftwareD435
from hoi_core.types import U8

# A real camera, too, delivers its first frame some time after it was opened.
_START_S = 0.3


class SoftwareBus:
    """The cameras by view, as if on USB: unplugged ones are not listed, plugged ones are new devices.

    Args:
        makers: view -> makes its camera, always with the same serial number.
    """

    def __init__(self, makers: Mapping[str, Callable[[], SoftwareD435]]) -> None:
        self.context = rs.context()
        self._makers = dict(makers)
        self._cameras: dict[str, SoftwareD435] = {}
        self._notices: dict[str, list[object]] = {view: [] for view in makers}
        self._arriving = ""
        self._opened_s: dict[str, float] = {}
        # A software device is listed only as long as somebody holds the notice of its arrival.
        self.context.set_devices_changed_callback(
            lambda info: self._notices[self._arriving].extend((info, info.get_new_devices()))
        )
        for view in makers:
            self.plug(view)
            self._opened_s[view] = 0.0

    def plug(self, view: str) -> None:
        """Put the plug in: a device with the view's serial number appears."""
        # librealsense tells of it within `add_to`, in this thread.
        self._arriving = view
        self._cameras[view] = self._makers[view]()
        self._cameras[view].add_to(self.context)
        self._opened_s.pop(view, None)

    def unplug(self, view: str) -> None:
        """Pull the plug: the device is no longer listed, and nothing comes from it any more."""
        self._cameras.pop(view, None)
        self._notices[view].clear()

    def ready(self, view: str) -> bool:
        """Whether the camera is there, and somebody has opened it long enough ago for frames to come."""
        camera = self._cameras.get(view)
        if camera is None:
            return False
        if view not in self._opened_s:
            if not camera.opened:
                return False
            self._opened_s[view] = time.monotonic()
        return time.monotonic() - self._opened_s[view] >= _START_S

    def push(self, view: str, shot: Shot, color: U8, depth: np.ndarray) -> None:
        """Deliver a pair of frames of a camera that is there; runs the receiver's callback in this thread."""
        self._cameras[view].push(shot, color, depth)
