"""The compiled loop that samples the pixels of a crop."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hoi_core.types import F64, U8

I32 = NDArray[np.int32]
U64 = NDArray[np.uint64]

SAMPLES = 2
"""Samples per pixel and axis, averaged."""
CELL = 8
"""Samples between the nodes where the place is exact; linear between them, which costs under 0.05 px."""
_FAR_OUTSIDE = -1e6
_SHIFT = 5
_STEPS = 1 << _SHIFT  # places between two pixels at which a sample may lie
# Three colours share a number of 64 bits, so that one product weighs them all: the weights of a pixel's samples sum to
# 2^12, which leaves each colour below 2^21.
_LANE = 21
_BITS = 12


@njit(cache=True, nogil=True, error_model="numpy")
def _packed(image: U8, left: int, top: int, width: int, height: int) -> U64:
    """The colours of a part of the image in one number per pixel; beyond the last row and column they go on."""
    out = np.empty((height, width), np.uint64)
    inner = min(width, image.shape[1] - left)
    for y in range(height):
        row, packed = image[min(top + y, image.shape[0] - 1)], out[y]
        if image.shape[2] == 3:
            for x in range(inner):
                red, green, blue = np.uint64(row[left + x, 0]), np.uint64(row[left + x, 1]), np.uint64(row[left + x, 2])
                packed[x] = red | green << np.uint64(_LANE) | blue << np.uint64(2 * _LANE)
        else:
            for x in range(inner):
                packed[x] = np.uint64(row[left + x, 0])
        packed[inner:] = packed[inner - 1]
    return out.reshape(-1)


@njit(cache=True, nogil=True, error_model="numpy")
def _limits(source: F64, last: int) -> tuple[int, int]:
    """First pixel that is read along an axis, and how many."""
    least, most = source[0, 0], source[0, 0]
    for row in source:
        for value in row:
            least, most = min(least, value), max(most, value)
    # A sample may be rounded up to the next pixel, and then reads the one after it as well.
    low, high = int(min(max(least, 0.0), last)), int(min(max(most, 0.0), last)) + 2
    return low, high - low + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _steps(nodes: F64, row: int, share: float, ends: tuple[int, int], out: I32) -> None:
    """Where the samples between two rows of nodes lie along one axis, in steps from the first pixel that is read."""
    first, highest = np.float64(ends[0]), np.float64(ends[1])
    for j in range(nodes.shape[1] - 1):
        begin = nodes[row, j] + share * (nodes[row + 1, j] - nodes[row, j])
        end = nodes[row, j + 1] + share * (nodes[row + 1, j + 1] - nodes[row, j + 1])
        slope = (end - begin) / CELL
        for k in range(CELL):
            value = min(max(begin + (k + 0.5) * slope, 0.0), highest)
            out[j * CELL + k] = np.int32((value - first) * _STEPS + 0.5)


@njit(cache=True, nogil=True, error_model="numpy")
def _mix(colours: U64, pitch: np.uint64, at: tuple[I32, ...], out: U64) -> None:
    """Sums of a row of pixels from two rows of samples. Indices without a sign are not asked whether they have one."""
    upper_x, lower_x, upper_y, lower_y = at
    one, half = np.uint64(1), np.uint64(1 << (_BITS - 1))
    rounding = half | half << np.uint64(_LANE) | half << np.uint64(2 * _LANE)
    for u in range(len(out)):
        total = rounding
        for b in range(SAMPLES):
            for a in range(SAMPLES):
                x = upper_x[2 * u + b] if a == 0 else lower_x[2 * u + b]
                y = upper_y[2 * u + b] if a == 0 else lower_y[2 * u + b]
                first = np.uint64(y >> _SHIFT) * pitch + np.uint64(x >> _SHIFT)
                fx, fy = np.uint64(x & (_STEPS - 1)), np.uint64(y & (_STEPS - 1))
                both = fx * fy
                right, below = (fx << np.uint64(_SHIFT)) - both, (fy << np.uint64(_SHIFT)) - both
                total += colours[first] * (np.uint64(_STEPS * _STEPS) - both - right - below)
                total += colours[first + one] * right + colours[first + pitch] * below
                total += colours[first + pitch + one] * both
        out[u] = total


@njit(cache=True, nogil=True, error_model="numpy")
def directions(nodes: F64, focal_px: float, R_cam_crop: F64) -> F64:
    """Where the nodes of a crop lie in the camera's ideal image of focal length 1.

    Args:
        nodes: `(n,)` px from the crop's centre, along either axis.
        focal_px: of the crop, px.
        R_cam_crop: `(3, 3)`.

    Returns:
        `(n, n, 2)`; NaN behind the camera.
    """
    out = np.empty((len(nodes), len(nodes), 2))
    R = R_cam_crop
    for i, v in enumerate(nodes):
        for j, u in enumerate(nodes):
            x, y = u / focal_px, v / focal_px
            z = R[2, 0] * x + R[2, 1] * y + R[2, 2]
            out[i, j, 0] = (R[0, 0] * x + R[0, 1] * y + R[0, 2]) / z if z > 0.0 else np.nan
            out[i, j, 1] = (R[1, 0] * x + R[1, 1] * y + R[1, 2]) / z if z > 0.0 else np.nan
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _places(bent: F64, focal_px: float, centre_px: float, axis: int) -> F64:
    """Pixels of the nodes along an axis; behind the camera there is none, and far outside stands for it."""
    out = np.empty((bent.shape[0], bent.shape[1]))
    for i in range(bent.shape[0]):
        for j in range(bent.shape[1]):
            value = bent[i, j, axis] * focal_px + centre_px
            out[i, j] = value if np.isfinite(value) else _FAR_OUTSIDE
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def sample(image: U8, bent: F64, focal_px: tuple[float, float], centre_px: tuple[float, float], out: U8) -> None:
    """Average the samples of each pixel, linear between the image's pixels; outside, its border goes on.

    Args:
        image: `(H, W, C)` of one or three colours.
        bent: `(n, n, 2)` where each `CELL`-th sample of every `CELL`-th row lies, as the lens forms it at focal length
            1; the first half a sample before the first; `(n - 1) CELL` is at least `SAMPLES S`.
        focal_px: fx and fy of the image.
        centre_px: cx and cy of the image.
        out: `(S, S, C)`, updated.
    """
    x_px, y_px = _places(bent, focal_px[0], centre_px[0], 0), _places(bent, focal_px[1], centre_px[1], 1)
    right, bottom = image.shape[1] - 1, image.shape[0] - 1
    left, width = _limits(x_px, right)
    top, height = _limits(y_px, bottom)
    colours = _packed(image, left, top, width, height)
    fine = (x_px.shape[1] - 1) * CELL
    xs, ys = np.empty((SAMPLES, fine), np.int32), np.empty((SAMPLES, fine), np.int32)
    sums = np.empty(out.shape[1], np.uint64)
    for v in range(out.shape[0]):
        for a in range(SAMPLES):
            row, within = divmod(v * SAMPLES + a, CELL)
            _steps(x_px, row, (within + 0.5) / CELL, (left, right), xs[a])
            _steps(y_px, row, (within + 0.5) / CELL, (top, bottom), ys[a])
        _mix(colours, np.uint64(width), (xs[0], xs[1], ys[0], ys[1]), sums)
        for k in range(out.shape[2]):
            lane = np.uint64(_BITS + _LANE * k)
            for u in range(len(sums)):
                out[v, u, k] = np.uint8(sums[u] >> lane & np.uint64(255))
