"""Images with their noise kept in stock: for long plays where the load of simulating must stay small.

The still room comes from a ring of images with different noise, what moves is developed once when it is drawn. Two
images in a row never have the same noise; after the film has come round, what moves has the noise of last time.
"""

from __future__ import annotations

import numpy as np

from capture.simulation.develop import Images, Lab
from hoi_core.render import Window
from hoi_core.types import F32, U8

_RING = 8
_RING_SEED = 1 << 30
_HIDDEN_PX = 64
"""What is near hides what is far from the right imager: at most so many pixels to its left."""
_AROUND_PX = 2


class Stock:
    """Colour and depth of one camera.

    Args:
        lab: adds the noise.
        name: the camera.
        color: `(H, W, 3)` RGB of the still room.
        depth_m: `(H, W)` m.
    """

    def __init__(self, lab: Lab, name: str, color: U8, depth_m: F32) -> None:
        self._ring = [lab.camera(name, color, depth_m, _RING_SEED + k) for k in range(_RING)]
        self._kept: dict[int, list[tuple[Window, np.ndarray]]] = {}

    def keep(self, slot: int, images: Images, color: Window, depth: Window) -> None:
        """Keep the windows of a slot's images that differ from the still room."""
        x0, y0, x1, y1 = depth
        height, width = images[1].shape
        wide = (
            max(x0 - _HIDDEN_PX, 0),
            max(y0 - _AROUND_PX, 0),
            min(x1 + _AROUND_PX, width),
            min(y1 + _AROUND_PX, height),
        )
        self._kept[slot] = [
            (window, image[window[1] : window[3], window[0] : window[2]].copy())
            for window, image in zip((color, wide), images, strict=True)
        ]

    def take(self, slot: int, n: int) -> Images:
        """The images of a slot, over the room of frame `n`."""
        color, depth = (image.copy() for image in self._ring[n % _RING])
        for image, ((x0, y0, x1, y1), part) in zip((color, depth), self._kept.get(slot, ()), strict=False):
            image[y0:y1, x0:x1] = part
        return color, depth
