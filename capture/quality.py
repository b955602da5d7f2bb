"""Is what the cameras deliver worth recording? Figures for one image, cheap enough for a live preview."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEP = 4  # every fourth pixel of every fourth row tells enough


def depth_fill(depth: NDArray[np.unsignedinteger]) -> float:
    """Share of pixels with a measured depth. `(H, W) -> [0, 1]`."""
    return float(np.count_nonzero(depth[::_STEP, ::_STEP]) / depth[::_STEP, ::_STEP].size)


def mean_level(image: NDArray[np.uint8]) -> float:
    """Mean brightness. `(H, W[, 3]) -> [0, 1]`."""
    return float(image[::_STEP, ::_STEP].mean() / 255.0)


def clipped(image: NDArray[np.uint8]) -> float:
    """Share of values that are black or white and so carry no edges. `(H, W[, 3]) -> [0, 1]`."""
    small = image[::_STEP, ::_STEP]
    return float(((small <= 2) | (small >= 253)).mean())


def sharpness(image: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the middle half: falls when the image is blurred. `(H, W[, 3]) -> >= 0`."""
    gray = (image[..., 1] if image.ndim == 3 else image).astype(np.float32)
    height, width = gray.shape
    gray = gray[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
    centre = gray[1:-1, 1:-1]
    laplacian = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:] - 4.0 * centre
    return float(laplacian.var())
