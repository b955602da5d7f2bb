"""Calibrate from the preview of a running session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from capture.calibrate.board import Board
from capture.calibrate.collect import Collector, Guidance
from capture.calibrate.result import DepthPoints
from capture.device import image_streams
from hoi_core import camera as cam
from hoi_core.types import F64, U8, Camera, Frame, StreamInfo

_DEPTH_STEP_PX = 3


class Preview(Protocol):
    """What is asked of a session."""

    @property
    def streams(self) -> Sequence[StreamInfo]:
        """All streams of the rig."""

    def latest(self, stream: str) -> Frame | None:
        """The newest frame."""


class LiveCollector:
    """A collector that looks at a session's newest frames.

    Args:
        session: a running session; it stays the caller's.
        board: what the person holds.
    """

    def __init__(self, session: Preview, board: Board) -> None:
        self._session = session
        self._infos = {info.name: info for info in session.streams}
        self._streams = {view: info.name for view, info in image_streams(session.streams).items()}
        self.factory = factory_cameras(session.streams)
        """View -> its lens as the device knows it."""
        self.collector = Collector(board, tuple(self._streams), self.factory)
        """What is collected."""
        self._seen: dict[str, int] = {}
        self.looked_at: dict[str, U8] = {}
        """View -> the image of the last look."""

    def step(self) -> Guidance | None:
        """Look once at the newest frames.

        Returns:
            What to do next; None until every view has a frame that was not looked at before.
        """
        frames = {view: self._session.latest(stream) for view, stream in self._streams.items()}
        numbers = {view: frame.t_host_ns for view, frame in frames.items() if frame is not None}
        if len(numbers) < len(frames) or any(self._seen.get(view) == number for view, number in numbers.items()):
            return None
        self._seen = numbers
        images = {view: np.asarray(frame.image, np.uint8) for view, frame in frames.items() if frame is not None}
        self.looked_at = images
        return self.collector.add(images, self._depth())

    def _depth(self) -> dict[str, DepthPoints]:
        out = {}
        for view, camera in self.factory.items():
            info = self._infos.get(f"{view}/depth")
            frame = self._session.latest(info.name) if info is not None else None
            if info is not None and frame is not None:
                out[view] = depth_points(frame, info, camera)
        return out


def factory_cameras(streams: Sequence[StreamInfo]) -> dict[str, Camera]:
    """View -> its lens as the device knows it; poses are what is to be found."""
    return {view: replace(info.camera, T_world_cam=np.eye(4)) for view, info in image_streams(streams).items()}


def depth_points(frame: Frame, info: StreamInfo, color: Camera) -> DepthPoints:
    """Every third pixel of a depth image, in the frame of the colour camera.

    Args:
        frame: depth in the device's units.
        info: of the depth stream.
        color: lens of the same view's colour camera.
    """
    depth_m: F64 = frame.image[::_DEPTH_STEP_PX, ::_DEPTH_STEP_PX].astype(np.float64) * (info.depth_scale_m or 1e-3)
    v, u = np.nonzero(depth_m > 0)
    pixels = np.stack([u, v], axis=-1).astype(np.float64) * _DEPTH_STEP_PX
    points = cam.unproject(info.camera, pixels, np.asarray(depth_m[v, u], np.float64))
    T_depth_color = np.eye(4) if info.T_depth_color is None else info.T_depth_color
    points = cam.transform(cam.inverse_rigid(T_depth_color), points)
    return DepthPoints(points, cam.project(color, points))
