"""How sparse edge images of a hand are: the share of pixels on which the sparse network has nothing to compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hoi_core.edges import EdgeParams, canny_edges, fuse, gray, sites, sobel_edges
from hoi_core.types import U8, Bool

SOBEL_THRESHOLDS = (1, 5, 10, 15, 22, 30, 45, 60)
"""Strengths below which a pixel is no edge; 1 is an unthresholded gradient."""
CANNY_THRESHOLDS = ((25, 60), (50, 120), (75, 180), (100, 240))
"""Lower and upper threshold."""
STRIDES = (2, 4, 8, 16, 32)
"""Of the network's stages."""


def names() -> tuple[str, ...]:
    """What `sparsity` measures: `sobel_<threshold>`, `canny_<low>_<high>`, `fused`, `stride_<s>`."""
    return (
        *(f"sobel_{threshold}" for threshold in SOBEL_THRESHOLDS),
        *(f"canny_{low}_{high}" for low, high in CANNY_THRESHOLDS),
        "fused",
        *(f"stride_{stride}" for stride in STRIDES),
    )


def sparsity(crop: U8, params: EdgeParams) -> list[float]:
    """Share of zero pixels for each of `names`.

    `fused` is the network's input as `params` make it; `stride_<s>` are its sites after the stages that halve the
    resolution, by the rule of the sparse convolution: a cell is a site if any of its pixels was one.

    Args:
        crop: `(S, S, 3)` RGB, what the network would see.
        params: how edges are made; the thresholds are varied.
    """
    image = gray(crop)
    strength = sobel_edges(image, replace(params, threshold_sobel=1))
    found = [float((strength < threshold).mean()) for threshold in SOBEL_THRESHOLDS]
    for low, high in CANNY_THRESHOLDS:
        canny = canny_edges(image, replace(params, threshold_canny_low=low, threshold_canny_high=high))
        found.append(float((canny == 0).mean()))
    strength[strength < params.threshold_sobel] = 0
    # The other ways to fuse add nothing where the strength is zero.
    second = canny_edges(image, params) if params.fusion == "sandwich" else strength
    active = sites(fuse(strength, second))
    return [*found, 1.0 - float(active.mean()), *strided(active, STRIDES)]


def strided(active: Bool, strides: Sequence[int]) -> list[float]:
    """Share of empty cells at each stride. `(S, S)` sites."""
    out = []
    for stride in strides:
        size = -(-np.array(active.shape) // stride) * stride
        padded = np.zeros(size, np.bool_)
        padded[: active.shape[0], : active.shape[1]] = active
        cells = padded.reshape(size[0] // stride, stride, size[1] // stride, stride).any((1, 3))
        out.append(1.0 - float(cells.mean()))
    return out
