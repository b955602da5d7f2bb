"""What the networks of hands share: the levels of the user's hand, the shape of mesh decoders, the layer of depths."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hoi_core.conventions import N_JOINTS
from hoi_core.crop import LENGTH_UNIT_M
from hoi_core.types import F64, I64
from learning.layers.mesh_hierarchy import MeshHierarchy, kept_hierarchy

if TYPE_CHECKING:
    from hoi_core.mano import ManoLayer


def hand_hierarchy(spiral_length: int) -> MeshHierarchy:
    """Levels 778, 389, 195, 98, 49 of the right hand that the user has (MANO, or the stand-in)."""
    from hoi_core.mano import ManoLayer

    return _hierarchy_of(ManoLayer.from_env("right"), spiral_length)


@lru_cache(maxsize=4)
def _hierarchy_of(layer: ManoLayer, spiral_length: int) -> MeshHierarchy:
    return kept_hierarchy(layer.model.v_template, layer.model.faces, spiral_length)


def decoder_levels(mesh: MeshHierarchy, c: int) -> tuple[tuple[F64, ...], tuple[I64, ...], tuple[int, ...], Tensor]:
    """What `SpliteDecoder` and `MeshDecoder` are made of for a hand, from coarse to fine.

    Args:
        mesh: the hand's levels.
        c: channels of the features at the joints.

    Returns:
        Upsampling, spirals, channels, and the mesh that training starts from, in units of `LENGTH_UNIT_M`.
    """
    start = torch.as_tensor((mesh.vertices_m[0] - mesh.vertices_m[0].mean(0)) / LENGTH_UNIT_M)
    channels = (c, c, c // 2, c // 4, c // 8)
    return tuple(reversed(mesh.upsampling)), tuple(reversed(mesh.spirals[:-1])), channels, start


def depth_layer(c_in: int) -> nn.Linear:
    """The layer that gives depths: 21 relative to the wrist, and the root's. Fresh, it says about 0 and 1 unit."""
    layer = nn.Linear(c_in, N_JOINTS + 1)
    with torch.no_grad():
        layer.weight.mul_(0.1)
        layer.bias.zero_()
        layer.bias[N_JOINTS] = 1.0
    return layer
