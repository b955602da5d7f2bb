"""A network of joints and mesh behind inverse kinematics: what it says, as a hand model's pose inside the limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from hoi_core import ik_model
from hoi_core.conventions import N_BETAS
from hoi_core.crop import LENGTH_UNIT_M, camera_space, network_space
from hoi_core.errors import ConfigError
from hoi_core.ik import BIOMECHANICAL, FitConfig, Fitted, IkHand, Targets, fit, ik_hand, refine, spread_vertices
from hoi_core.ik.fit import OF_NETWORK, POST, POST_SHAPE
from hoi_core.ik.guess import DOFS, Guesser
from hoi_core.mano import ManoLayer
from hoi_core.mano.topology import is_mesh_of
from hoi_core.types import F32, F64, Batch
from learning import runs
from learning.evaluate import Evaluated
from learning.tasks import hand as hand_task
from learning.tasks import task_of

_MEASURED = FitConfig(shape="solved", shape_m=1e-4)
"""A stronger pull to the mean hand would take half a millimetre from a hand that is known exactly."""
_OF_KNOWN = replace(OF_NETWORK, shape="known")


@dataclass(frozen=True)
class Way:
    """How a network's joints become a pose."""

    post_opt: bool = False
    """Move the pose onto the network's joints and vertices, 20 iterations."""
    net: Path | None = None
    """IK network that guesses the pose, a run or an exported file; None solves for it."""
    known_shape: bool = False
    """Take the shape from the labels, as if the hand had been measured beforehand."""


@dataclass(frozen=True)
class Kinematics:
    """Inverse kinematics of right hands, as crops show them."""

    layer: ManoLayer
    """The hand model."""
    hand: IkHand
    """The same, with the vertices of post-optimisation."""
    guesser: Guesser | None
    """Guesses poses; None solves for them."""
    post_opt: bool
    """Whether the pose is moved onto the network's joints and vertices."""

    @classmethod
    def of(cls, way: Way) -> Kinematics:
        """Of the right hand in use.

        Raises:
            HoiError: no such IK network.
        """
        layer, guesser = ManoLayer.from_env("right"), open_guesser(way.net) if way.net else None
        if guesser and guesser.needs_shape and not way.known_shape:
            raise ConfigError(f"{way.net} was trained for hands of known shape.", "Add --known-shape.")
        dof = guesser.dof if guesser else BIOMECHANICAL
        return cls(layer, ik_hand(layer, dof, spread_vertices(layer)), guesser, way.post_opt)

    def solve(self, joints_m: F64, vertices_m: F64, betas: F64 | None = None) -> Fitted:
        """The hands that are nearest to what a network says.

        Args:
            joints_m: `(B, 21, 3)` m.
            vertices_m: `(B, 778, 3)` m, in the same frame.
            betas: `(B, 10)` where the shapes are known.
        """
        if self.guesser:
            found = self.guesser.guess(joints_m, "right", betas)
        else:
            found = fit(self.hand, Targets(joints_m), betas, OF_NETWORK if betas is None else _OF_KNOWN)
        if not self.post_opt:
            return found
        expected = np.zeros(N_BETAS) if betas is None else betas
        config = POST_SHAPE if betas is None else POST
        return refine(self.hand, Targets(joints_m, vertices_m), found, config, betas=expected)

    def measured(self, batch: Batch) -> F64:
        """Shapes of the labelled hands, from their vertices, else from their joints. `-> (B, 10)`.

        What a scan of the hand would say; labels of most datasets are poses of a hand model, whose shape this finds.
        """
        joints = np.where(batch.joints_valid.numpy()[..., None], batch.joints_m.double().numpy(), np.nan)
        vertices = batch.vertices_m.double().numpy()
        own = is_mesh_of(vertices, self.layer.faces)
        seen = Targets(joints, np.where(own[:, None, None], vertices, np.nan))
        return fit(self.hand, seen, config=_MEASURED).betas


def open_guesser(path: Path) -> Guesser:
    """An IK network.

    Args:
        path: folder of its run, or its exported file.

    Raises:
        HoiError: neither of both, damaged, or a network of another task.
    """
    if not path.is_dir():
        return ik_model.load(path).guesser
    settings = runs.read_settings(path)
    if task_of(settings.model).EXPORTED is not ik_model.IkModel:
        raise ConfigError(f"expected an IK network, {path} is a run of {settings.model}.", "Name another.")
    network = runs.load_run(path).model

    @torch.no_grad()
    def said(bones: F32) -> tuple[F64, ...]:
        return tuple(out.double().numpy() for out in network(torch.from_numpy(bones)))

    return Guesser(said, DOFS[settings.net.dof], needs_shape=settings.net.shape == "known")


def behind_ik(model: Evaluated, way: Way) -> Evaluated:
    """A model whose joints and mesh went through inverse kinematics.

    Args:
        model: from `open_model`; a network of joints and mesh.
        way: how.

    Raises:
        HoiError: a model of another task, or an IK network that is not there.
    """
    if not hasattr(model.task, "as_hand"):
        raise ConfigError("inverse kinematics needs joints in space and a mesh.", "Leave out --ik and its like.")
    kinematics = Kinematics.of(way)

    def network(batch: Batch) -> tuple[F64, ...]:
        uv, depth, vertices, confidence = model.task.as_hand(model.network(batch), batch)
        focal, size = batch.K[:, 0, 0].double().numpy(), batch.image.shape[-1]
        joints_m = camera_space(uv, depth, focal, size)
        betas = kinematics.measured(batch) if way.known_shape else None
        found = kinematics.solve(joints_m, joints_m[:, :1] + vertices * LENGTH_UNIT_M, betas)
        posed = found.posed(kinematics.layer)
        said = network_space(posed.joints_m, focal, size)
        return *said, (posed.vertices_m - posed.joints_m[:, :1]) / LENGTH_UNIT_M, confidence

    return replace(model, network=network, task=hand_task)
