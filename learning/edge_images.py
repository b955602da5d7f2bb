"""Inputs of a wanted sparsity for benchmarks: edge maps of rendered hands, or independent random pixels."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from dataset_tools.synth import Generator, Recipe
from hoi_core.edges import EdgeParams, fused_input
from hoi_core.types import F32, F64, U8
from learning.bench import random_edges

Kind = Literal["edges", "random"]
# With these, at 89 % sparsity, the shares of active cells are those of crops of real images (see `images`).
_GRAIN, _GRAIN_PX, _PATCH_PX = 12.0, 0.7, 14.0
STRIDES = (1, 2, 4, 8, 16, 32)


def images(kind: Kind, sparsity: float, size: int, count: int, seed: int) -> list[F32]:
    """Inputs `(3, size, size)` of about the wanted share of pixels off the sites.

    Painted backgrounds have too few and too long edges. A grain is added that is rough in some places and smooth in
    others: of six edge maps at 89 %, .20 .33 .52 .75 .93 of the cells at strides 2 to 32 are then active, where real
    crops have .19 .33 .53 .74 .90, and .16 .26 .42 .66 .92 without it.

    Args:
        kind: `edges`, rendered hands before textured backgrounds; `random`, pixels drawn one by one.
        sparsity: share of the pixels off the sites.
        size: px.
        count: how many.
        seed: of the images.
    """
    if kind == "random":
        return [random_edges(size, sparsity, seed + n)[0] for n in range(count)]
    generator = Generator(Recipe("mano_render", size_px=size, seed=seed))
    colours = [generator.make(n).views[0].color for n in range(count)]
    return [_edges_of(_grained(rgb, np.random.default_rng((seed, n))), sparsity) for n, rgb in enumerate(colours)]


def active(image: F32) -> F64:
    """Share of the cells that are sites at each of `STRIDES`. `(C, S, S) -> (6,)`."""
    on = (image != 0).any(axis=0)
    side = on.shape[0]
    cells = [on.reshape(side // s, s, side // s, s).any(axis=(1, 3)) for s in STRIDES]
    return np.array([cell.mean() for cell in cells])


def _grained(rgb: U8, rng: np.random.Generator) -> U8:
    """With noise that is rough in some places; a unit of the places is a pixel of 128."""
    noise, rough = rng.normal(size=(2, *rgb.shape[:2])).astype(np.float32)
    scale = rgb.shape[0] / 128
    noise = cv2.GaussianBlur(noise, (0, 0), _GRAIN_PX * scale)
    rough = cv2.GaussianBlur(rough, (0, 0), _PATCH_PX * scale)
    amount = np.maximum(0.0, 1.0 + rough / rough.std())
    return np.clip(rgb + (_GRAIN * amount * noise / noise.std())[:, :, None], 0, 255).astype(np.uint8)


def _edges_of(rgb: U8, sparsity: float) -> F32:
    """Edge maps with the thresholds, in their usual proportion, that come nearest to a sparsity."""
    usual = EdgeParams()
    low, high = 1, 255
    while low < high:
        middle = (low + high) // 2
        if active(_with_threshold(rgb, middle, usual))[0] > 1.0 - sparsity:
            low = middle + 1
        else:
            high = middle
    found = [_with_threshold(rgb, t, usual) for t in (max(1, low - 1), low)]
    return min(found, key=lambda maps: abs(active(maps)[0] - (1.0 - sparsity)))


def _with_threshold(rgb: U8, sobel: int, usual: EdgeParams) -> F32:
    low, high = (
        max(1, t * sobel // usual.threshold_sobel) for t in (usual.threshold_canny_low, usual.threshold_canny_high)
    )
    return fused_input(rgb, EdgeParams(usual.blur_px, sobel, low, high))
