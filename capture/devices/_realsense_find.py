"""Which RealSense cameras are connected, how fast their connection is, and finding the one that a rig names."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hoi_core.errors import DeviceError

from ._librealsense import rs
from ._realsense_profiles import offered

USB2_ADVICE = (
    "runs at USB 2: too slow for colour and depth at full rate. Use a USB 3 port (blue or marked SS) and the cable "
    "that came with the camera; push the plug in fast and fully, or turn a USB-C plug over."
)
_POLL_S = 0.25


@dataclass(frozen=True)
class DeviceInfo:
    """A camera that is connected."""

    product: str
    """Product name."""
    serial: str
    """Serial number; of a video camera its device file."""
    usb: str
    """USB version it runs at, such as `3.2`; empty where unknown."""
    firmware: str
    """Firmware version; empty where unknown."""
    modes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Stream -> sizes and rates that it offers on this connection, such as `640x480@30`."""
    port: str = ""
    """Where it is plugged in, as the system names it."""
    needs_usb3: bool = True
    """Whether USB 2 is too slow for it."""

    @property
    def usb_ok(self) -> bool:
        """Whether the connection is fast enough for everything the camera can do."""
        return not (self.needs_usb3 and self.usb.startswith(("1", "2")))

    @property
    def advice(self) -> str:
        """What to do about the connection; empty when all is well."""
        return "" if self.usb_ok else f"{self.product} {self.serial} {USB2_ADVICE}"


def find(context: rs.context | None = None, *, modes: bool = False) -> list[DeviceInfo]:
    """The RealSense devices of a context, by default those connected to this machine.

    Args:
        context: where to look.
        modes: also ask each camera for its modes, which takes longer.

    Raises:
        DeviceError: a camera is there, but does not answer or may not be opened.
    """
    try:
        found = [describe(device, modes=modes) for device in (context or rs.context()).query_devices()]
    except RuntimeError as error:
        raise DeviceError(
            f"librealsense cannot ask the cameras who they are: {error}.", "Plug them in again; check the udev rules."
        ) from error
    return sorted(found, key=lambda info: info.serial)


def describe(device: rs.device, *, modes: bool = False) -> DeviceInfo:
    """What a device says about itself."""

    def text(key: rs.camera_info) -> str:
        return str(device.get_info(key)) if device.supports(key) else "unknown"

    info = rs.camera_info
    sizes = {str(kind): tuple(map(str, found)) for kind, found in offered(device).items()} if modes else {}
    return DeviceInfo(
        product=text(info.name),
        serial=text(info.serial_number),
        usb=text(info.usb_type_descriptor),
        firmware=text(info.firmware_version),
        modes=sizes,
        port=text(info.physical_port),
    )


def pick(serial: str, context: rs.context) -> rs.device:
    """The camera with a serial number; with an empty one the only camera that is connected.

    Raises:
        DeviceError: it is not there, or more than one could be meant.
    """
    devices = {describe(device).serial: device for device in context.query_devices()}
    if not devices:
        raise DeviceError(
            "no RealSense camera is connected.", "Plug one into a USB 3 port, or record with --rig simulated."
        )
    if not serial and len(devices) == 1:
        return next(iter(devices.values()))
    if serial not in devices:
        asked = f"no camera with serial number {serial!r}" if serial else "several cameras are connected"
        raise DeviceError(f"{asked}; connected: {', '.join(sorted(devices))}.", "Name one of these in the rig file.")
    return devices[serial]


def load(file: str, context: rs.context) -> rs.device:
    """A recorded camera.

    Raises:
        DeviceError: no such file, or not one of librealsense's.
    """
    if not Path(file).is_file():
        raise DeviceError(f"expected a recording {file}, found none.", "Check the path in the rig file.")
    try:
        return context.load_device(file)
    except RuntimeError as error:
        raise DeviceError(
            f"{file} cannot be played: {error}.", "Give a .db3 or .bag that librealsense recorded."
        ) from error


def reset(device: rs.device, serial: str, context: rs.context, patience_s: float) -> rs.device:
    """Restart a camera's firmware, and wait until it is back on the bus and answers.

    The old handles are dead after it: the camera leaves the bus and comes again within a few seconds. Whether the
    change is notified depends on librealsense's backend (github.com/realsenseai/librealsense/issues/6921), so the
    bus is asked.

    Raises:
        DeviceError: it cannot be reset, or it did not come back.
    """
    try:
        device.hardware_reset()
    except RuntimeError as error:
        raise DeviceError(f"camera {serial} cannot be reset: {error}.", "Unplug it and plug it in again.") from error
    until, left = time.monotonic() + patience_s, False
    while time.monotonic() < until:
        time.sleep(_POLL_S)
        try:
            there: Sequence[str] = [describe(found).serial for found in context.query_devices()]
            left = left or serial not in there
            # It is listed for a moment before it leaves.
            if serial in there and (left or until - time.monotonic() < patience_s / 2):
                return pick(serial, context)
        except RuntimeError:  # it is listed already, but does not answer yet
            continue
    raise DeviceError(f"camera {serial} did not come back after a reset.", "Unplug it and plug it in again.")
