"""List the cameras that are connected: serial number, firmware, USB speed, modes, and what to do where it is too slow.

Example: hoi-devices --modes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hoi_cli._run import Verbose, run, write_json

if TYPE_CHECKING:
    from capture.devices.realsense import DeviceInfo

SYNC_STATEMENT = (
    "Hardware sync: the depth and infrared imagers of two D435s can be wired to expose together (sync_mode 1 and 2); "
    "their colour imagers cannot, whatever is set. What helps:",
    "  - record the left infrared imagers too (infrared: true; emitter: off or alternating), which can be wired;",
    "  - record colour at 60 fps: the nearest frame of the other view is at most 8.3 ms away, not 16.7 ms;",
    "  - rely on the measured skew, which is stored with every pair of frames.",
)


@dataclass(frozen=True)
class Config:
    """Options of hoi-devices."""

    modes: bool = False
    """Also list every size and rate that each camera offers on its connection."""
    json: Path | None = None
    """Also write the list to this file, modes included."""
    verbose: Verbose = False
    """Show log lines and tracebacks."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-devices`."""
    return run(Config, job, argv, prog="hoi-devices", doc=__doc__)


def job(config: Config) -> None:
    """Find the cameras and show them."""
    from capture.devices import realsense
    from capture.watch import plugin_devices, video_devices
    from hoi_core import log, plugins

    cameras = realsense.find(modes=config.modes or config.json is not None)
    videos, others = video_devices(), plugin_devices()
    write_json(config.json, [_figures(info) for info in [*cameras, *videos, *others]])
    lines = [line for info in cameras for line in _camera_lines(info, modes=config.modes)]
    if not cameras:
        lines.append("No RealSense camera is connected; the simulated rig needs none.")
    if videos:
        lines += ["", "Video cameras (type: video):"]
        lines += [f"  {info.serial:<14} {info.product}" + (f", USB {info.usb}" if info.usb else "") for info in videos]
    if others:
        lines += ["", "Devices of other packages:"]
        lines += [f"  {info.serial:<14} {info.product}" for info in others]
    lines += ["", "Device types for rig files:"]
    lines += [f"  {name:<12} {text}" for name, text in plugins.names("capture.devices").items()]
    lines += ["", *SYNC_STATEMENT]
    count = len(cameras) + len(videos) + len(others)
    log.panel(f"{count} camera{'' if count == 1 else 's'}", lines, "hoi-capture --rig simulated")


def _camera_lines(info: DeviceInfo, *, modes: bool) -> list[str]:
    from capture.bandwidth import connection

    place = connection(info)
    lines = [f"{info.serial:<16} USB {info.usb:<5} {info.product}, firmware {info.firmware}"]
    if place.controller:
        lines.append(f"  on controller {place.controller}" + (f", behind hub {place.hub}" if place.hub else ""))
    if info.advice:
        lines.append(f"  WARNING: {info.advice}")
    if modes:
        for kind, sizes in info.modes.items():
            lines.append(f"  {kind:<9} {', '.join(sizes) or 'none'}")
    return lines


def _figures(info: DeviceInfo) -> dict[str, object]:
    return asdict(info) | {"usb_ok": info.usb_ok, "advice": info.advice}
