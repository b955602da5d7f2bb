# SPDX-License-Identifier: GPL-3.0-or-later
"""The live pictures: two large views, and a row of small ones for depth and the 128 x 128 sensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gui.health import stream_light
from gui.image_view import ImageView
from gui.qt import QtWidgets
from gui.sessions import CaptureSession
from gui.theme import Theme
from hoi_core.draw import depth_colours
from hoi_core.types import U8, Frame, StreamInfo

_NAMES = {"color": "colour", "depth": "depth", "gray": "gray", "edge": "edges", "infrared": "infrared"}
# Colouring depth costs with its pixels, and the picture is smaller than the stream.
_MAX_DEPTH_COLUMNS = 400
# Most edges are weak; shown as they are, the picture would look empty.
_EDGE_GAIN = 3


def title(stream: str) -> str:
    """`left/color` as people say it."""
    view, _, kind = stream.partition("/")
    place = view.capitalize() if not any(c.isdigit() for c in view) else "Sensor 128"
    return f"{place} {_NAMES.get(kind, kind)}"


def picture(frame: Frame, depth_scale_m: float | None) -> U8:
    """What to show of a frame: depth in colours, edges brighter, everything else as it is."""
    image = np.asarray(frame.image)
    if frame.stream.endswith("/edge"):
        return np.minimum(image.astype(np.uint16) * _EDGE_GAIN, 255).astype(np.uint8)
    if depth_scale_m is None:
        return image.astype(np.uint8, copy=False)
    step = -(-image.shape[1] // _MAX_DEPTH_COLUMNS)
    return depth_colours(image[::step, ::step].astype(np.float32) * np.float32(depth_scale_m))


class LiveViews(QtWidgets.QWidget):
    """Two rows of pictures that follow the newest frames of a session."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._infos: dict[str, StreamInfo] = {}
        self._shown: dict[str, int] = {}
        self._depth_large = False
        self.large = [ImageView(theme, title(f"{side}/color")) for side in ("left", "right")]
        self.small = [
            ImageView(theme, title(name), smooth="edge128" not in name)
            for name in ("left/depth", "right/depth", "edge128/gray", "edge128/edge")
        ]
        rows = QtWidgets.QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(10)
        # Widths follow the pictures' own shapes: 4:3 from the cameras, square from the sensor.
        for views, widths, height in ((self.large, (1, 1), 42), (self.small, (4, 4, 3, 3), 25)):
            row = QtWidgets.QHBoxLayout()
            row.setSpacing(10)
            for view, width in zip(views, widths, strict=True):
                row.addWidget(view, width)
            rows.addLayout(row, height)
        self._places: dict[str, ImageView] = {}
        self._place()

    def set_streams(self, streams: Sequence[StreamInfo]) -> None:
        """Tell what the session delivers."""
        self._infos = {info.name: info for info in streams}
        self._place()

    def set_depth_large(self, depth_large: bool) -> None:
        """Show depth large and colour small, or the other way round."""
        self._depth_large = depth_large
        self._place()

    def set_empty_text(self, text: str) -> None:
        """Say why there are no pictures."""
        for view in (*self.large, *self.small):
            view.empty_text = text
            view.update()

    def _place(self) -> None:
        """Assign the streams to the pictures."""
        views = list(dict.fromkeys(n.split("/")[0] for n in self._infos if n.endswith("/color"))) or ["left", "right"]
        sensors = [name for name, info in self._infos.items() if info.kind == "sensor"]
        first, second = ("depth", "color") if self._depth_large else ("color", "depth")
        large = [f"{view}/{first}" for view in views[:2]]
        small = [f"{view}/{second}" for view in views[:2]] + (sensors or ["edge128/gray", "edge128/edge"])[:2]
        self._places = dict(zip([*large, *small], [*self.large[: len(large)], *self.small], strict=False))
        self._shown.clear()
        for name, view in self._places.items():
            view.title = title(name)
            view.set_image(None)

    def refresh(self, session: CaptureSession) -> None:
        """Take over the frames that are new."""
        for name, view in self._places.items():
            frame = session.latest(name) if name in self._infos else None
            if frame is not None and self._shown.get(name) != frame.frame_number:
                self._shown[name] = frame.frame_number
                view.set_image(picture(frame, self._infos[name].depth_scale_m))

    def show_rates(self, fps: Mapping[str, float]) -> None:
        """Show size and measured rate in each caption."""
        for name, view in self._places.items():
            info = self._infos.get(name)
            if info is None:
                view.set_state("idle", "not in this rig" if self._infos else "")
                continue
            rate = fps.get(name, 0.0)
            size = f"{info.shape[1]} × {info.shape[0]}"
            narrow = view in self.small
            view.set_state(
                stream_light(name, rate, info.fps), f"{rate:.0f} fps" if narrow else f"{size}  ·  {rate:.1f} fps"
            )
