"""Pictures of what a network was shown and what it found."""

from __future__ import annotations

import cv2
import numpy as np

from hoi_core import draw
from hoi_core.network_input import Input
from hoi_core.types import F32, F64, U8

_ENLARGED = 2


def picture_of(image: F32, kind: Input) -> U8:
    """Network input as a picture: colours as they were, or the strongest of the edges in gray.

    Args:
        image: `(3, S, S)` of `hoi_core.network_input`, colours in [-1, 1] or edges in [0, 1].
        kind: which of both.

    Returns:
        `(S, S, 3)` RGB.
    """
    unit = np.broadcast_to(image.max(0), image.shape) if kind == "edges" else (image + 1.0) / 2.0
    return np.ascontiguousarray(np.clip(np.rint(unit * 255.0), 0, 255).astype(np.uint8).transpose(1, 2, 0))


def enlarged(image: U8, points_px: F64) -> tuple[U8, F64]:
    """A small picture and points on it, twice as large. `(H, W, 3), (N, 2) px -> (2 H, 2 W, 3), (N, 2) px`."""
    large = cv2.resize(image, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_NEAREST)
    # Pixel centres lie at integers: enlarging moves them by half a pixel.
    return np.asarray(large, np.uint8), (points_px + 0.5) * _ENLARGED - 0.5


def overlay(image: U8, found_px: F64, true_px: F64) -> U8:
    """A crop, enlarged, with the joints found as a skeleton and the true ones as crosses.

    Args:
        image: `(S, S, 3)` RGB.
        found_px: `(21, 2)` px of the crop; NaN where not found.
        true_px: `(21, 2)` px of the crop; NaN where unknown.

    Returns:
        `(2 S, 2 S, 3)` RGB.
    """
    large, both = enlarged(image, np.concatenate([found_px, true_px]))
    found, true = np.split(both, 2)
    return draw.crosses(draw.skeleton(large, found, thickness=1, radius=2), true, size=3)
