"""Figures of one image, cheap enough for a live preview: sharpness, exposure, depth, edges."""

from __future__ import annotations

import cv2
import numpy as np

from hoi_core.types import F32, U8, Bool

_WIDEST_PX = 192
_SMOOTH = 9
_NOISE = 1.5
"""Steps from pixel to pixel below this many levels are noise, which any blurring takes away."""
_CLIPPED = 250


def crop(image: U8, box: tuple[int, int, int, int]) -> U8:
    """The part of an image in a box (x, y, width, height) that may reach beyond it. `(H, W, ...)`."""
    x, y, width, height = box
    return image[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]


def blur(rgb: U8) -> float:
    """How blurred an image is, along the axis where it is worse: 0 sharp, 1 without any detail; NaN if too small.

    Blurring again hardly changes what is blurred already (Crete et al. 2007): unlike the strength of the gradients,
    the share of change that is left depends little on what is seen and how bright it is. `(H, W, 3)`.
    """
    height, width = rgb.shape[:2]
    if min(height, width) < 4 * _SMOOTH:
        return float("nan")
    # The middle is enough, and the time does not grow with the hand.
    top, left = max(height - _WIDEST_PX, 0) // 2, max(width - _WIDEST_PX, 0) // 2
    gray = cv2.cvtColor(np.ascontiguousarray(rgb[top : top + _WIDEST_PX, left : left + _WIDEST_PX]), cv2.COLOR_RGB2GRAY)
    # Single-pixel noise looks sharp; take it off first.
    gray = cv2.GaussianBlur(gray, (0, 0), 0.8)
    return max(_left_after_blur(gray[::3]), _left_after_blur(np.ascontiguousarray(gray.T[::3])))


def _left_after_blur(gray: np.ndarray) -> float:
    """Share of the variation along rows that a box filter leaves. `(H, W)`."""
    image = gray.astype(np.float32)
    before = np.abs(np.diff(image, axis=1))
    before[before < _NOISE] = 0.0
    after = np.abs(np.diff(cv2.blur(image, (_SMOOTH, 1)), axis=1))
    total = float(before.sum())
    return 1.0 - float(np.maximum(before - after, 0.0).sum()) / total if total > 0 else 1.0


def exposure(pixels: U8) -> tuple[float, float]:
    """Median brightness (0..255) and share of pixels at the upper end of the scale. `(N, 3) RGB`."""
    if not len(pixels):
        return float("nan"), float("nan")
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return float(np.median(luma)), float((pixels.max(axis=1) >= _CLIPPED).mean())


def colors_at(rgb: U8, points_px: F32) -> U8:
    """(N, 3) colours at pixels that lie within the image. `(H, W, 3), (N, 2)`."""
    x, y = points_px.astype(np.int64).T
    return rgb[y, x]


def holes(depth: np.ndarray, mask: Bool, step: int) -> float:
    """Share of a region in which nothing was measured. `(H, W), (h, w)` in every `step`-th pixel."""
    reduced = depth[::step, ::step]
    return float((reduced[mask] == 0).mean()) if mask.any() else float("nan")


def depth_fill(depth: np.ndarray) -> float:
    """Share of pixels with a measured depth, of every fourth pixel of every fourth row. `(H, W)`."""
    some = depth[::4, ::4]
    return float(np.count_nonzero(some) / some.size)


def edge_share(edges: U8) -> float:
    """Share of pixels that are edges. `(H, W)`."""
    return float(np.count_nonzero(edges)) / edges.size
