"""A network of joints and mesh behind inverse kinematics: what it says, as a hand model's pose inside the limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hoi_core.conventions import N_BETAS
from hoi_core.crop import LENGTH_UNIT_M, camera_space, network_space
from hoi_core.errors import ConfigError
from hoi_core.ik import BIOMECHANICAL, Fitted, IkHand, Targets, fit, ik_hand, refine, spread_vertices
from hoi_core.ik.fit import OF_NETWORK, POST_SHAPE
from hoi_core.mano import ManoLayer
from hoi_core.runtime import HandModel
from hoi_core.types import F64, Batch
from learning.evaluate import Evaluated


@dataclass(frozen=True)
class Kinematics:
    """Inverse kinematics of right hands, as crops show them."""

    layer: ManoLayer
    """The hand model."""
    hand: IkHand
    """The same, with the vertices of post-optimisation."""
    post_opt: bool
    """Whether the pose is moved onto the network's joints and vertices."""

    @classmethod
    def of(cls, *, post_opt: bool) -> Kinematics:
        """Of the right hand in use."""
        layer = ManoLayer.from_env("right")
        return cls(layer, ik_hand(layer, BIOMECHANICAL, spread_vertices(layer)), post_opt)

    def solve(self, joints_m: F64, vertices_m: F64) -> Fitted:
        """The hands that are nearest to what a network says.

        Args:
            joints_m: `(B, 21, 3)` m.
            vertices_m: `(B, 778, 3)` m, in the same frame.
        """
        found = fit(self.hand, Targets(joints_m), config=OF_NETWORK)
        if not self.post_opt:
            return found
        return refine(self.hand, Targets(joints_m, vertices_m), found, POST_SHAPE, betas=np.zeros(N_BETAS))


def behind_ik(model: Evaluated, *, post_opt: bool) -> Evaluated:
    """A model whose joints and mesh went through inverse kinematics.

    Args:
        model: from `open_model`; a network of joints and mesh.
        post_opt: move the pose onto the network's joints and vertices, 20 iterations.

    Raises:
        ConfigError: a model of another task.
    """
    if model.task.EXPORTED is not HandModel:
        raise ConfigError("inverse kinematics needs joints in space and a mesh.", "Leave out --ik and --post-opt.")
    kinematics = Kinematics.of(post_opt=post_opt)

    def network(batch: Batch) -> tuple[F64, ...]:
        uv, depth, vertices, confidence = model.network(batch)
        focal, size = batch.K[:, 0, 0].double().numpy(), batch.image.shape[-1]
        joints_m = camera_space(uv, depth, focal, size)
        posed = kinematics.solve(joints_m, joints_m[:, :1] + vertices * LENGTH_UNIT_M).posed(kinematics.layer)
        said = network_space(posed.joints_m, focal, size)
        return *said, (posed.vertices_m - posed.joints_m[:, :1]) / LENGTH_UNIT_M, confidence

    return replace(model, network=network)
