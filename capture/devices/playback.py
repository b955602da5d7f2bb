"""Recorded RealSense files (.db3, .bag), played through the same streaming code as live cameras."""

from __future__ import annotations

from dataclasses import dataclass

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
    """Width of colour and depth as recorded, px."""
    height: int = 480
    """Height of colour and depth as recorded, px."""
    fps: int = 30
    """Frames per second as recorded."""
    infrared: bool = False
    """Whether the left infrared imager was recorded and is wanted."""
    camera: Camera | None = None
    """Calibrated colour camera; None takes the recorded intrinsics at the world's origin."""


def open(config: Config) -> realsense.RealSense:  # noqa: A001 - the device contract's name
    """Start to play.

    Raises:
        DeviceError: no such file, or without the streams asked for.
    """
    return realsense.open(
        realsense.Config(
            file=config.file,
            view=config.view,
            width=config.width,
            height=config.height,
            fps=config.fps,
            infrared=config.infrared,
            camera=config.camera,
        )
    )
