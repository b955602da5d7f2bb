# SPDX-License-Identifier: GPL-3.0-or-later
"""The labels of a recording, drawn over its pictures. No Qt."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from hoi_core import draw
from hoi_core.camera import resize
from hoi_core.conventions import Side
from hoi_core.errors import HoiError
from hoi_core.mano.layer import ManoLayer
from hoi_core.sequence import open_annotation
from hoi_core.sequence.layout import ANNOTATION
from hoi_core.types import F64, U8, Camera, HandTrack

# Overlays are drawn on an enlarged image, so that they stay crisp on a large window.
SCALE = 2


class Labels:
    """The current revision of an `annotation.h5`.

    Args:
        folder: of the sequence.

    Raises:
        SequenceError: there are none, or they cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        with open_annotation(folder) as annotation:
            self.name = str(annotation.current)
            self.revision = annotation.load()
        self._folder = folder
        self._layers: dict[Side, ManoLayer | None] = {}

    @staticmethod
    def exist(folder: Path) -> bool:
        """Whether a sequence has labels."""
        return (folder / ANNOTATION).is_file()

    def frame_at(self, t_ns: int, tolerance_ns: float) -> int | None:
        """The labelled moment at a time, ns; None if none is near."""
        times = self.revision.t_ns
        if not len(times):
            return None
        right = min(int(np.searchsorted(times, t_ns)), len(times) - 1)
        best = min((max(right - 1, 0), right), key=lambda n: abs(int(times[n]) - t_ns))
        return best if abs(int(times[best]) - t_ns) <= tolerance_ns else None

    def draw_on(self, image: U8, camera: Camera, view: str, frame: int) -> U8:
        """Hands as meshes and skeletons, 2D evidence as crosses.

        Args:
            image: `(H, W, 3)` RGB or `(H, W)` gray.
            camera: of the image, with its pose.
            view: name of the view.
            frame: labelled moment.

        Returns:
            `(2 H, 2 W, 3)` RGB.
        """
        size = (image.shape[1] * SCALE, image.shape[0] * SCALE)
        out = np.asarray(cv2.resize(draw.to_rgb(image), size, interpolation=cv2.INTER_LINEAR), np.uint8)
        large = resize(camera, *size)
        for side, hand in self.revision.hands.items():
            if not hand.valid[frame]:
                continue
            layer = self._layer(side)
            if layer is not None and np.isfinite(hand.pose[frame]).all():
                out = draw.mesh(out, large, _vertices_m(layer, hand, frame), layer.faces)
            out = draw.skeleton(out, draw.world_to_pixels(large, hand.joints_m[frame]), thickness=2, radius=4)
        for points in (hand.by_view[view] for hand in self.revision.keypoints.values() if view in hand.by_view):
            shown = (points[frame, :, :2] + 0.5) * SCALE - 0.5
            out = draw.crosses(out, shown, size=7, thickness=2)
        return out

    def _layer(self, side: Side) -> ManoLayer | None:
        if side not in self._layers:
            from annotate.auto import hand_model

            try:
                self._layers[side] = hand_model(self._folder, side)
            except HoiError:
                # The labels were made with a hand model that is not here: their joints can still be shown.
                self._layers[side] = None
        return self._layers[side]


def _vertices_m(layer: ManoLayer, hand: HandTrack, frame: int) -> F64:
    some = slice(frame, frame + 1)
    made = layer(hand.orient[some], hand.pose[some], hand.betas, hand.trans_m[some])
    return np.asarray(made.vertices_m[0], dtype=np.float64)
