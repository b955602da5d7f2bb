"""List the cameras that are connected, with serial number and USB speed.

Example: hoi-devices
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hoi_cli._run import Verbose, run, write_json


@dataclass(frozen=True)
class Config:
    """Options of hoi-devices."""

    json: Path | None = None
    """Also write the list to this file."""
    verbose: Verbose = False
    """Show log lines and tracebacks."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-devices`."""
    return run(Config, job, argv, prog="hoi-devices", doc=__doc__)


def job(config: Config) -> None:
    """Find the cameras and show them."""
    from capture.devices import realsense
    from hoi_core import log, plugins

    found = realsense.find()
    write_json(config.json, [asdict(info) for info in found])
    lines = [f"{info.serial:<16} USB {info.usb:<5} {info.name}, firmware {info.firmware}" for info in found]
    if any(info.usb.startswith("2") for info in found):
        lines.append("USB 2 is too slow for both streams at full rate: use a USB 3 port and cable.")
    if not found:
        lines.append("No RealSense camera is connected; the simulated rig needs none.")
    lines += ["", "Device types for rig files:"]
    lines += [f"  {name:<12} {text}" for name, text in plugins.names("capture.devices").items()]
    log.panel(f"{len(found)} camera{'' if len(found) == 1 else 's'}", lines, "hoi-capture --rig simulated")
