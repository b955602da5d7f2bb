# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes what is shown of a frame: the modality that was asked for, at the size of its place. No Qt."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from hoi_core import edges
from hoi_core.draw import depth_colours
from hoi_core.types import U8, Frame

Mode = Literal["color", "gray", "edge", "depth", "infrared"]

MODE_NAMES: dict[str, str] = {
    "color": "colour",
    "gray": "gray",
    "edge": "edges",
    "depth": "depth",
    "infrared": "infrared",
}
# Most of the sensor's edges are weak; shown as they are, the picture would look empty.
_EDGE_GAIN = 3


def spoken(view: str) -> str:
    """A view as people call it: a name with digits in it, such as edge128, is a sensor's."""
    return "sensor" if any(c.isdigit() for c in view) else view


def title(view: str, mode: str) -> str:
    """A view and what is shown of it, as people say it."""
    return f"{spoken(view).capitalize()} {MODE_NAMES.get(mode, mode)}"


def source(view: str, mode: str, streams: frozenset[str]) -> str:
    """The stream that a picture is made from: gray and edges of a camera come from its colour. Empty if none."""
    own = f"{view}/{mode}"
    if own in streams:
        return own
    colour = f"{view}/color"
    return colour if mode in ("gray", "edge") and colour in streams else ""


def picture(frame: Frame, mode: str, depth_scale_m: float | None, room: tuple[int, int]) -> U8:
    """What to show of a frame.

    Args:
        frame: of any stream.
        mode: what to show of it.
        depth_scale_m: metres in one unit of a depth stream; None for others.
        room: largest width and height of the picture, px.

    Returns:
        `(H, W, 3)` RGB or `(H, W)` gray that fits the room, its shape as the frame's.
    """
    image = np.asarray(frame.image)
    sensor = image.shape[0] <= 128
    size = fit(image.shape[1], image.shape[0], room)
    if depth_scale_m is not None:
        # Nearest, as a mean of a hole and a hand is neither; and scaled first, as colouring costs with the pixels.
        small = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
        return depth_colours(small.astype(np.float32) * np.float32(depth_scale_m))
    made = _modality(image.astype(np.uint8, copy=False), frame.stream, mode)
    if made.shape[1::-1] == size:
        return np.ascontiguousarray(made)
    kind = cv2.INTER_NEAREST if sensor else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(made, size, interpolation=kind), np.uint8)


def fit(width: int, height: int, room: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same shape in a room, px; at least 1."""
    scale = min(room[0] / width, room[1] / height)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _modality(image: U8, stream: str, mode: str) -> U8:
    kind = stream.rpartition("/")[2]
    if kind == "edge":
        return _brighter(image)
    if kind != "color" or mode == "color":
        return image
    gray = edges.gray(image)
    return gray if mode == "gray" else _brighter(edges.sobel_edges(gray))


def _brighter(image: U8) -> U8:
    return np.asarray(cv2.convertScaleAbs(image, alpha=_EDGE_GAIN), np.uint8)
