"""What the networks of hands share: the levels of the user's hand, the shape of mesh decoders, the layer of depths."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from hoi_core.conventions import N_JOINTS, N_VERTICES, fingertips, permutation
from hoi_core.crop import LENGTH_UNIT_M
from hoi_core.types import F64, I64
from learning.layers.mesh_hierarchy import MeshHierarchy, kept_hierarchy

if TYPE_CHECKING:
    from hoi_core.mano import ManoLayer

_POSED, _POSE_SPREAD_RAD = 300, 0.35
_RIDGE = 1e-2
"""Of a vertex's mean square: larger leaves the joints off, smaller makes weights that amplify errors of vertices."""


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


def joint_regressor() -> Tensor:
    """Weights that make the 21 joints of the right hand that the user has of its vertices. `-> (21, 778)`."""
    from hoi_core.mano import ManoLayer

    return _regressor_of(ManoLayer.from_env("right")).clone()


@lru_cache(maxsize=4)
def _regressor_of(layer: ManoLayer) -> Tensor:
    """The weights nearest to the model's own that give the joints of posed hands.

    The model's are for the hand at rest: on posed hands they are off by 1.4 mm where these leave 0.2.
    Of posed hands V with joints J: W = W0 + (J - W0 V) V^T (V V^T + lambda)^-1, which is ridge regression towards W0.
    """
    rng = np.random.default_rng(0)
    pose = rng.normal(0.0, _POSE_SPREAD_RAD, (_POSED, 45))
    hands = layer(rng.normal(0.0, 1.0, (_POSED, 3)), pose, rng.normal(0.0, 1.0, (_POSED, 10)))
    # About its middle each hand's vertices add up to 0, so that the weights of each joint go on adding up to 1.
    middle = hands.vertices_m.mean(1, keepdims=True)
    vertices = (hands.vertices_m - middle).transpose(1, 0, 2).reshape(N_VERTICES, -1)
    joints = (hands.joints_m - middle).transpose(1, 0, 2).reshape(N_JOINTS, -1)
    own = np.concatenate([layer.model.J_regressor, np.eye(N_VERTICES)[list(fingertips())]])
    own = own[permutation("mano21", "openpose21")]
    scatter = vertices @ vertices.T
    scatter += _RIDGE * np.trace(scatter) / N_VERTICES * np.eye(N_VERTICES)
    found = own + np.linalg.solve(scatter, vertices @ (joints - own @ vertices).T).T
    return torch.as_tensor(found, dtype=torch.float32)


def depth_layer(c_in: int) -> nn.Linear:
    """The layer that gives depths: 21 relative to the wrist, and the root's. Fresh, it says about 0 and 1 unit."""
    layer = nn.Linear(c_in, N_JOINTS + 1)
    with torch.no_grad():
        layer.weight.mul_(0.1)
        layer.bias.zero_()
        layer.bias[N_JOINTS] = 1.0
    return layer
