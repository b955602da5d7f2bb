"""Pictures of what a network was shown and what it found."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from hoi_core import draw
from hoi_core.types import F64, U8

_ENLARGED = 2


def shown(images: Tensor) -> U8:
    """Network input as pictures: colours as they were, or the stronger of the edges in gray.

    Args:
        images: `(B, 3, S, S)` of `hoi_core.network_input`, colours in [-1, 1] or edges in [0, 1].

    Returns:
        `(B, S, S, 3)` RGB.
    """
    values = images.detach().float().cpu().numpy().transpose(0, 2, 3, 1)
    strongest = np.broadcast_to(values.max(-1, keepdims=True), values.shape)
    unit = strongest if values.min() >= 0.0 else (values + 1.0) / 2.0
    return np.clip(np.rint(unit * 255.0), 0, 255).astype(np.uint8)


def overlay(image: U8, found_px: F64, true_px: F64) -> U8:
    """A crop, enlarged, with the joints found as a skeleton and the true ones as crosses.

    Args:
        image: `(S, S, 3)` RGB.
        found_px: `(21, 2)` px of the crop; NaN where not found.
        true_px: `(21, 2)` px of the crop; NaN where unknown.

    Returns:
        `(2 S, 2 S, 3)` RGB.
    """
    large: U8 = cv2.resize(image, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    a, b = ((points + 0.5) * _ENLARGED - 0.5 for points in (found_px, true_px))
    return draw.crosses(draw.skeleton(large, a, thickness=1, radius=2), b, size=3)
