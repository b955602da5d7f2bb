"""A network of joints and mesh behind inverse kinematics: what it says, as a hand model's pose inside the limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hoi_core.conventions import N_BETAS
from hoi_core.crop import LENGTH_UNIT_M, ROOT_UNIT_M, camera_space
from hoi_core.errors import ConfigError
from hoi_core.ik import BIOMECHANICAL, FitConfig, Fitted, IkHand, Targets, fit, ik_hand, refine, spread_vertices
from hoi_core.ik.fit import POST
from hoi_core.mano import ManoLayer
from hoi_core.runtime import HandModel
from hoi_core.types import F64, Batch
from learning.evaluate import Evaluated

_VERTICES = 100
"""Vertices that stand for the mesh in post-optimisation."""
FROM_JOINTS = FitConfig(iterations=30, shape="solved", shape_m=2e-3, tolerance=1e-4)
"""Joints of a network are off by millimetres: the shape is held to the mean where they say little of it."""
AFTER = replace(POST, shape="solved", shape_m=1e-3)
"""The paper's post-optimisation where the shape is not known."""


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
        return cls(layer, ik_hand(layer, BIOMECHANICAL, spread_vertices(layer, _VERTICES)), post_opt)

    def solve(self, joints_m: F64, vertices_m: F64) -> Fitted:
        """The hands that are nearest to what a network says.

        Args:
            joints_m: `(B, 21, 3)` m.
            vertices_m: `(B, 778, 3)` m, in the same frame.
        """
        found = fit(self.hand, Targets(joints_m), config=FROM_JOINTS)
        if not self.post_opt:
            return found
        return refine(self.hand, Targets(joints_m, vertices_m), found, AFTER, betas=np.zeros(N_BETAS))


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
        said = as_said(posed.joints_m, focal, size)
        return *said, (posed.vertices_m - posed.joints_m[:, :1]) / LENGTH_UNIT_M, confidence

    return replace(model, network=network)


def as_said(joints_m: F64, focal_px: F64, size: int) -> tuple[F64, F64]:
    """Joints in the form in which networks give them: the inverse of `hoi_core.crop.camera_space`.

    Args:
        joints_m: `(B, 21, 3)` m of the crops' frames.
        focal_px: `(B,)` px.
        size: side of the crops, px.

    Returns:
        `(B, 21, 2)` and `(B, 22)`.
    """
    z = joints_m[..., 2]
    uv = joints_m[..., :2] / z[..., None] * focal_px[:, None, None] / (size / 2)
    root = z[:, :1] * size / focal_px[:, None] / ROOT_UNIT_M
    return uv, np.concatenate([(z - z[:, :1]) / LENGTH_UNIT_M, root], axis=1)
