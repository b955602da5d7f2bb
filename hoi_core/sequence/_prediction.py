"""The loops of the predictions, compiled; they run without Python's lock."""

from __future__ import annotations

import numpy as np
from numba import njit

from hoi_core.types import U8


@njit(cache=True, nogil=True)
def left(image: np.ndarray, out: np.ndarray) -> None:
    """Folded differences to the left neighbour. `(H, W) unsigned`."""
    height, width = image.shape
    zero = image[0, 0] - image[0, 0]
    bits = 8 * image.itemsize
    for y in range(height):
        before = np.int64(zero)
        for x in range(width):
            value = np.int64(image[y, x])
            # The difference modulo the range, as the signed number nearest to zero.
            signed = ((value - before) << (64 - bits)) >> (64 - bits)
            before = value
            out[y, x] = (signed << 1) ^ (signed >> 63)


@njit(cache=True, nogil=True)
def undo_left(packed: np.ndarray, out: np.ndarray) -> None:
    """Inverse of `left`. `(H, W) unsigned`."""
    height, width = packed.shape
    zero = packed[0, 0] - packed[0, 0]
    for y in range(height):
        row, total = out[y], zero
        # Two loops: the first runs many pixels at a time, and the second has nothing to do but to add.
        for x in range(width):
            row[x] = (packed[y, x] >> 1) ^ -(packed[y, x] & 1)
        for x in range(width):
            total += row[x]
            row[x] = total


@njit(cache=True, nogil=True)
def green_left(image: U8, planes: U8) -> None:
    """G, R - G and B - G, each minus its left neighbour. `(H, W, 3) -> (3, H, W)`."""
    height, width, _ = image.shape
    for y in range(height):
        red, green, blue = np.uint8(0), np.uint8(0), np.uint8(0)
        for x in range(width):
            g = image[y, x, 1]
            r, b = np.uint8(image[y, x, 0] - g), np.uint8(image[y, x, 2] - g)
            planes[0, y, x] = np.uint8(g - green)
            planes[1, y, x] = np.uint8(r - red)
            planes[2, y, x] = np.uint8(b - blue)
            red, green, blue = r, g, b


@njit(cache=True, nogil=True)
def undo_green_left(planes: U8, out: U8) -> None:
    """Inverse of `green_left`. `(3, H, W) -> (H, W, 3)`."""
    _, height, width = planes.shape
    for y in range(height):
        red, green, blue = np.uint8(0), np.uint8(0), np.uint8(0)
        for x in range(width):
            green = np.uint8(green + planes[0, y, x])
            red = np.uint8(red + planes[1, y, x])
            blue = np.uint8(blue + planes[2, y, x])
            out[y, x, 0] = np.uint8(red + green)
            out[y, x, 1] = green
            out[y, x, 2] = np.uint8(blue + green)
