"""What a network is shown of a crop: training and `hoi_core.runtime` share this code."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hoi_core.edges import EdgeParams, edge_maps, maps_of_edges
from hoi_core.types import F32, U8

Input = Literal["edges", "rgb", "bones", "shaped_bones"]
"""`edges`: fused edge maps in 0 to 1, zero off the sites. `rgb`: colours from -1 to 1. No image at all: `bones`, see
`hoi_core.ik.bones`; `shaped_bones`, the same with the lengths of a known shape."""

IN_WORDS: dict[Input, str] = {
    "edges": "Input (B, 3, S, S) float32: two edge maps of the crop, made as `edges` says, 0 to 255 over 255, then the "
    "first again; zero where there is no edge. Of an edge image alone all three are that image, above the threshold.",
    "rgb": "Input (B, 3, S, S) float32: red, green, blue, 0 to 255 over 127.5, less 1.",
}
"""How a crop becomes the input of a network, in words."""

_MIDDLE = np.float32(127.5)


def pixels_of(crop: U8, kind: Input, params: EdgeParams) -> U8:
    """What is kept of a crop in memory and sent between processes.

    Args:
        crop: `(S, S, 3)` colours, or for a network of edges `(S, S)` an edge image as the sensor sends it.
        kind: what the network eats.
        params: how edges are made.

    Returns:
        `(2, S, S)` edge maps or `(3, S, S)` colours.

    Raises:
        ValueError: an edge image for a network of colours, or an image for a network of none.
    """
    if kind not in IN_WORDS:
        raise ValueError(f"a network of {kind} is shown no image")
    if crop.ndim == 2:
        if kind != "edges":
            raise ValueError(f"a network of {kind} needs (S, S, 3), got {crop.shape}")
        return maps_of_edges(crop, params)
    if kind == "edges":
        return edge_maps(crop, params)
    return np.ascontiguousarray(crop.transpose(2, 0, 1))


def network_input(pixels: U8, kind: Input) -> F32:
    """The input of a network.

    Args:
        pixels: `(B, C, S, S)` of `pixels_of`.
        kind: what the network eats.

    Returns:
        `(B, 3, S, S)`.
    """
    out = np.empty((len(pixels), 3, *pixels.shape[2:]), np.float32)
    if kind == "edges":
        np.divide(pixels, np.float32(255.0), out=out[:, :2])
        out[:, 2] = out[:, 0]
    else:
        np.divide(pixels, _MIDDLE, out=out)
        out -= 1.0
    return out
