"""Recorded RealSense files (.db3, .bag), played through the same streaming code as live cameras."""

from __future__ import annotations

from dataclasses import dataclass, fields

from capture.devices import realsense
from hoi_core.types import Camera


@dataclass(frozen=True)
class Config:
    """One recorded camera of a rig."""

    file: str
    """The recording."""
    view: str = "left"
    """Name of the view, the first part of its streams' names."""
    width: int = 640
    """Width of colour as recorded, px."""
    height: int = 480
    """Height of colour as recorded, px."""
    fps: int = 30
    """Frames per second of colour as recorded."""
    infrared: bool = False
    """Whether the left infrared imager was recorded and is wanted."""
    depth_width: int = 0
    """Width of depth and infrared as recorded, px; 0 as colour."""
    depth_height: int = 0
    """Height of depth and infrared as recorded, px; 0 as colour."""
    depth_fps: int = 0
    """Frames per second of depth and infrared as recorded; 0 as colour."""
    readout_us: float = 0.0
    """Rolling-shutter readout of the colour imager, microseconds; 0 if not known."""
    camera: Camera | None = None
    """Calibrated colour camera; None takes the recorded intrinsics at the world's origin."""


def open(config: Config) -> realsense.RealSense:  # noqa: A001 - the device contract's name
    """Start to play.

    Raises:
        DeviceError: no such file, or without the streams asked for.
    """
    return realsense.open(realsense.Config(**{field.name: getattr(config, field.name) for field in fields(config)}))
