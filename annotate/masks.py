"""What depth says of where the hand is drawn: the hand itself, something before it, or what lies behind it.

Cells are a quarter of the depth image's resolution. Where the camera sees behind a drawn hand, the hand is not: the
silhouette term moves it away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annotate.evidence import Evidence, without_distortion
from annotate.state import FitState
from hoi_core import camera as cameras
from hoi_core.render import Mesh, Window, render_depth, window_of
from hoi_core.sequence import Capture, ImageStream
from hoi_core.types import F32, F64, I64, U8, Bool, Camera

CELL_PX = 4
NOTHING, HAND, COVERED, BEHIND = range(4)
"""Cells where no hand is drawn or nothing was measured; where it is seen; where something is before it; behind it."""
_TOLERANCE_M = 0.015
_REACH_CELLS = 5
"""Cells around the drawn hand that count as drawn: it may move there."""
_NS = 1e-9


@dataclass(frozen=True)
class Silhouettes:
    """Where one view sees behind the hand, over M moments."""

    camera: Camera
    """The depth camera at the resolution of the cells, without distortion."""
    left_top: I64
    """(M, 2) first column and row of each moment's window, cells."""
    away_px: tuple[F32, ...]
    """M arrays (h, w) of cells: px of the depth image from each cell to the nearest where the hand may be; 0 there."""
    lag_s: F64
    """(M,) s from the moment to the mid-exposure of the depth image; NaN where there is none."""

    def taken(self, moments: I64) -> Silhouettes:
        """Those of some of the moments."""
        chosen = tuple(self.away_px[m] for m in moments)
        return replace(self, left_top=self.left_top[moments], away_px=chosen, lag_s=self.lag_s[moments])


def with_silhouettes(evidence: Evidence, capture: Capture, state: FitState) -> Evidence:
    """Add where each view that recorded depth sees behind the hand.

    Args:
        evidence: of the same recording.
        capture: the open recording.
        state: the hand as it is known so far.
    """
    found = {
        v: _silhouettes(capture, capture.views[view].depth, state)
        for v, view in enumerate(evidence.views)
        if f"{view}/depth" in capture.streams
    }
    return replace(evidence, silhouettes=found)


def _silhouettes(capture: Capture, stream: ImageStream, state: FitState) -> Silhouettes:
    real = stream.camera
    coarse = cameras.resize(real, real.width // CELL_PX, real.height // CELL_PX)
    index, skew_ns = capture.sync.index[stream.name], capture.sync.skew_ns[stream.name]
    faces = state.hands.hand.faces.astype(np.int32)
    left_top, fields = np.zeros((len(index), 2), dtype=np.int64), []
    for m, frame in enumerate(index):
        surface_m = state.hands.vertices_m[m]
        window = window_of(surface_m, coarse, _REACH_CELLS) if frame >= 0 else None
        if window is None:
            fields.append(np.zeros((0, 0), dtype=np.float32))
            continue
        left_top[m] = window[:2]
        drawn = Mesh(surface_m, faces, np.zeros(surface_m.shape, np.uint8), 1)
        drawn_m, _ = render_depth([drawn], coarse, window=window)
        measured_m = farthest_m(stream[int(frame)], window, stream.scale_m or 0.001)
        fields.append(away_px(cells(measured_m, drawn_m)))
    lag_s = np.where(index >= 0, skew_ns * _NS, np.nan)
    return Silhouettes(without_distortion(coarse), left_top, tuple(fields), lag_s)


def farthest_m(image: NDArray[np.unsignedinteger], window: Window, scale_m: float) -> F32:
    """(h, w) m nearest depth in each cell of a window; 0 where any of its pixels was not measured.

    A cell that sees behind the hand does so in all of its pixels: at an edge depth is a mixture.
    """
    x0, y0, x1, y1 = (CELL_PX * edge for edge in window)
    part = image[y0:y1, x0:x1].reshape((y1 - y0) // CELL_PX, CELL_PX, (x1 - x0) // CELL_PX, CELL_PX)
    return part.min(axis=(1, 3)).astype(np.float32) * np.float32(scale_m)


def cells(measured_m: F32, drawn_m: F32) -> U8:
    """What each cell shows: `NOTHING`, `HAND`, `COVERED` or `BEHIND`.

    Args:
        measured_m: `(h, w)` m; 0 where nothing was measured.
        drawn_m: `(h, w)` m the hand as it is known; 0 where it is not drawn.
    """
    import cv2

    around = np.ones((2 * _REACH_CELLS + 1,) * 2, np.uint8)
    far_m = cv2.dilate(drawn_m, around)
    near_m = -cv2.dilate(np.where(drawn_m > 0, -drawn_m, -np.float32(1e3)).astype(np.float32), around)
    known: Bool = (measured_m > 0) & (far_m > 0)
    out = np.full(measured_m.shape, NOTHING, dtype=np.uint8)
    out[known] = HAND
    out[known & (measured_m < near_m - _TOLERANCE_M)] = COVERED
    out[known & (measured_m > far_m + _TOLERANCE_M)] = BEHIND
    return out


def away_px(labels: U8) -> F32:
    """(h, w) px of the depth image from each cell to the nearest that is not `BEHIND`; 0 there."""
    import cv2

    if not labels.size or (labels == BEHIND).all():
        # Nothing near holds the hand: which way to go cannot be told.
        return np.zeros(labels.shape, dtype=np.float32)
    cell = cv2.distanceTransform((labels == BEHIND).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(CELL_PX * np.maximum(cell - 0.5, 0.0), dtype=np.float32)
