"""From a network's raw outputs to joints and vertices in the crop's frame."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hoi_core.crop import LENGTH_UNIT_M, camera_space


@dataclass(frozen=True)
class HandOutput:
    """What a hand network says, in the crop's frame."""

    joints_m: Tensor
    """(B, 21, 3) m."""
    vertices_m: Tensor
    """(B, 778, 3) m, relative to the wrist."""
    confidence: Tensor
    """(B, 21) in [0, 1]."""
    maps: Tensor | None = None
    """(B, 21, h, w) logits of where each joint is; of networks that train on them, while they do."""


def interpret(raw: tuple[Tensor, ...], K: Tensor, size: int) -> HandOutput:
    """Raw outputs to metres.

    Args:
        raw: `hoi_core.runtime.HandModel.OUTPUTS` of a network, in the units of `hoi_core.crop.camera_space`; behind
            them, of a network that trains on maps, these.
        K: `(B, 3, 3)` px, intrinsics of the crops.
        size: side of the crops, px.
    """
    uv, depth, vertices, confidence, *maps = raw
    joints_m = camera_space(uv, depth, K[:, 0, 0], size)
    return HandOutput(joints_m, vertices * LENGTH_UNIT_M, confidence, *maps)
