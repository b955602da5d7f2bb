"""The compiled loops over the pixels of a crop: where a mesh covers it, and its colours."""

from __future__ import annotations

import numpy as np
from numba import njit

from hoi_core.types import F32, F64, I64, U8

_RIM_PX = 0.5


@njit(cache=True, nogil=True)
def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """First and last pixel from `low` to `high`, the rim included, on an image."""
    return int(np.ceil(max(low - _RIM_PX, 0.0))), int(np.floor(min(high + _RIM_PX, size - 1.0)))


@njit(cache=True, nogil=True)
def cover(pixels: F64, faces: I64, mask: U8) -> None:
    """Set the pixels that a closed mesh covers, and those within half a pixel of it, to 1.

    Args:
        pixels: `(V, 2)` px; triangles with a corner that is not finite are left out.
        faces: `(F, 3)`.
        mask: `(h, w)`, updated.
    """
    height, width = mask.shape
    for face in faces:
        xa, ya = pixels[face[0]]
        xb, yb = pixels[face[1]]
        xc, yc = pixels[face[2]]
        # On a closed mesh the faces turned one way cover all that the others do. NaN is refused with them.
        if not (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya) > 0.0:
            continue
        left, right = _span(min(xa, xb, xc), max(xa, xb, xc), width)
        top, bottom = _span(min(ya, yb, yc), max(ya, yb, yc), height)
        # Distance from each side times its length, positive inside, and its change from one column to the next.
        step_a, step_b, step_c = ya - yb, yb - yc, yc - ya
        rim_a = _RIM_PX * np.sqrt((xb - xa) ** 2 + step_a**2)
        rim_b = _RIM_PX * np.sqrt((xc - xb) ** 2 + step_b**2)
        rim_c = _RIM_PX * np.sqrt((xa - xc) ** 2 + step_c**2)
        for row in range(top, bottom + 1):
            side_a = (xb - xa) * (row - ya) + (left - xa) * step_a + rim_a
            side_b = (xc - xb) * (row - yb) + (left - xb) * step_b + rim_b
            side_c = (xa - xc) * (row - yc) + (left - xc) * step_c + rim_c
            for column in range(left, right + 1):
                if side_a >= 0.0 and side_b >= 0.0 and side_c >= 0.0:
                    mask[row, column] = 1
                side_a, side_b, side_c = side_a + step_a, side_b + step_b, side_c + step_c


@njit(cache=True, nogil=True)
def recolour(image: U8, gains: F32, offset: float, noise: tuple[F32, int], strength: float) -> U8:
    """Stretch each colour about the middle gray, shift all, add noise that the colours share.

    Args:
        image: `(h, w, 3)`.
        gains: `(3,)`.
        offset: of 255.
        noise: independent numbers of spread 1, as many as a power of two, and the first to take.
        strength: spread of the noise, of 255.

    Returns:
        `(h, w, 3)`.
    """
    out = np.empty_like(image)
    height, width, _ = image.shape
    middle, scale = np.float32(128.0 + offset), np.float32(strength)
    numbers, at = noise
    for row in range(height):
        for column in range(width):
            shift = middle + scale * numbers[at & (len(numbers) - 1)]
            at += 1
            for k in range(3):
                value = (np.float32(image[row, column, k]) - np.float32(128.0)) * gains[k] + shift
                out[row, column, k] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))
    return out
