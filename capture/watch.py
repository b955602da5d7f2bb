"""Tells when a camera is plugged in or out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from capture.devices._librealsense import rs
from capture.devices.realsense import DeviceInfo, find
from capture.rig_file import DEVICES
from hoi_core import plugins
from hoi_core.errors import DeviceError

log = logging.getLogger(__name__)

_POLL_S = 2.0
_SYSFS = Path("/sys/class/video4linux")


class DeviceWatch:
    """Follows the cameras of this machine until it is closed.

    librealsense tells of RealSense cameras at once, where its backend can; everything else, video cameras included,
    is found by asking every two seconds.

    Args:
        on_change: called with all cameras whenever one came or went, from a thread of the watch.
        context: where to look for RealSense cameras; default is this machine's USB.
        poll_s: time between two looks, s.
    """

    def __init__(
        self,
        on_change: Callable[[list[DeviceInfo]], None],
        context: rs.context | None = None,
        poll_s: float = _POLL_S,
    ) -> None:
        self._on_change = on_change
        self._context = context or rs.context()
        self._poll_s = poll_s
        self._look = threading.Event()
        self._ending = threading.Event()
        self._known: list[DeviceInfo] = []
        self._known = self.devices()
        if context is None:  # a context that was given has its owner's callback
            self._context.set_devices_changed_callback(lambda _: self._look.set())
        self._thread = threading.Thread(target=self._run, name="device watch", daemon=True)
        self._thread.start()

    def devices(self) -> list[DeviceInfo]:
        """The cameras that are there now."""
        try:
            cameras = find(self._context)
        except DeviceError as error:  # one that is just starting does not answer yet
            log.debug("%s", error)
            cameras = [info for info in self._known if info.firmware]
        return cameras + video_devices() + plugin_devices()

    def look(self) -> None:
        """Look again now instead of at the next turn."""
        self._look.set()

    def close(self) -> None:
        """End the watch; does nothing the second time."""
        self._ending.set()
        self._look.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10.0)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._look.wait(self._poll_s)
            self._look.clear()
            if self._ending.is_set():
                return
            found = self.devices()
            if found != self._known:
                self._known = found
                self._on_change(found)


def video_devices(sysfs: Path = _SYSFS) -> list[DeviceInfo]:
    """The video cameras that Linux lists, without the video nodes of RealSense cameras.

    Args:
        sysfs: where the kernel lists them.
    """
    found = []
    for node in sorted(sysfs.glob("video*"), key=lambda path: (len(path.name), path.name)):
        name = _read(node / "name")
        # A camera has several nodes; those after the first carry metadata.
        if "RealSense" in name or _read(node / "index") not in ("", "0"):
            continue
        camera = DeviceInfo(name or "video camera", f"/dev/{node.name}", _usb(node), firmware="", needs_usb3=False)
        found.append(camera)
    return found


def plugin_devices() -> list[DeviceInfo]:
    """What the device types of other packages find, those that have a function `find()`."""
    found: list[DeviceInfo] = []
    for point in entry_points(group=DEVICES):
        try:
            module = plugins.load(DEVICES, point.name)
            found += module.find() if hasattr(module, "find") else []
        except Exception as error:  # noqa: BLE001 - somebody else's code: it must not hide our own cameras
            log.warning("device type %s cannot look for its devices: %s", point.name, error)
    return found


def _usb(node: Path) -> str:
    """USB version of the connection: the device's own folder, above that of its interface, has it."""
    try:
        interface = (node / "device").resolve()
    except OSError:
        return ""
    return _read(interface.parent / "version")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf8").strip()
    except OSError:
        return ""
