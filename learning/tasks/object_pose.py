"""A hand's parameters and the pose of an object that is known by number: what the cross-model CVAE says."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hoi_core import camera as cameras
from hoi_core import pose_vector
from hoi_core.errors import ConfigError
from hoi_core.grasp_model import in_image
from hoi_core.mano import ManoLayer
from hoi_core.object_pose_model import OBJECT, ObjectPoseModel, hand_of, hands, object_poses
from hoi_core.types import F64
from learning import cvae_losses
from learning.bmc_losses import Limits
from learning.config import TrainConfig
from learning.grasp_errors import SaidGrasps, grasp_errors
from learning.grasps import GraspBatch, GraspDataset
from learning.tasks import Raw

EXPORTED = ObjectPoseModel
IN_SPACE = True
DATA = GraspDataset

LARGEST_MEAN = {"fp32": 0.01, "int8": 5.0}
"""Largest mean difference in joints relative to the wrist and in the object's control points, mm, that is no defect."""
JUDGED = ("joints_mean_mm", "object_mean_mm")
RANKED_BY = "xyz_pa_mm"


def inputs(batch: GraspBatch) -> tuple[Tensor, ...]:
    """Image, the hand's box, and the object's number, -1 where it is not known."""
    return batch.image, batch.hand_box, batch.object_id.to(batch.image.dtype)


def training_inputs(batch: GraspBatch) -> tuple[Tensor, ...]:
    """The object's pose as nine numbers, NaN where it is not known."""
    return (true_pose(batch),)


def true_pose(batch: GraspBatch) -> Tensor:
    """`(B, 9)` of `hoi_core.pose_vector`, NaN where the object is not known."""
    found: Tensor = pose_vector.from_pose(batch.T_crop_obj, batch.K[:, 0, 0], batch.image.shape[-1])
    return found


def losses(settings: TrainConfig[Any], device: torch.device) -> CvaeLosses:
    """Equation 8, with the options of a run."""
    return CvaeLosses(settings, device)


class CvaeLosses:
    """Equation 8; its beta depends on the step."""

    def __init__(self, settings: TrainConfig[Any], device: torch.device) -> None:
        net = settings.net
        self.net, self.steps = net, settings.steps
        self.layer = ManoLayer.from_env("right")
        limits = Limits.of_hand(self.layer).to(torch.zeros((), device=device)) if net.bmc else None
        self.limits = None if net.learn == "object" else limits
        self.middle = torch.tensor([0.0, 0.0, net.middle_m, *[0.0] * 6], device=device)
        self.spread = torch.tensor([*[net.spread_m] * 3, *[1.0] * 6], device=device)
        self.beta = 0.0
        self.at(0)

    def at(self, step: int) -> None:
        """Take the weight of the divergence that belongs to a step."""
        self.beta = cvae_losses.beta(step / self.steps) if self.net.beta is None else self.net.beta

    def __call__(self, raw: Raw, batch: GraspBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum and parts; outside of training the object's half is measured by what it exports."""
        if len(batch.objects) > self.net.objects:
            raise ConfigError(
                f"the datasets have {len(batch.objects)} objects, the network has places for {self.net.objects}.",
                f"Add --objects {len(batch.objects)}.",
            )
        parts: dict[str, Tensor] = {}
        total = batch.image.new_zeros(())
        if self.net.learn != "object":
            total = total + self._hand(raw, batch, parts)
        if self.net.learn != "hand":
            total = total + self._object(raw, batch, parts)
        return total, parts

    def _hand(self, raw: Raw, batch: GraspBatch, parts: dict[str, Tensor]) -> Tensor:
        net = self.net
        found = cvae_losses.hand(raw, batch, self.layer, self.limits)
        found = {**found, "places": cvae_losses.places(in_image(raw[2], batch.hand_box), batch)}
        weights = {
            "joints": net.lambda_joints,
            "angles": net.lambda_angles,
            "shape": net.lambda_shape,
            "bmc": net.bmc,
            "places": net.places,
        }
        parts.update(found)
        return torch.stack([weights[name] * part for name, part in found.items()]).sum()

    def _object(self, raw: Raw, batch: GraspBatch, parts: dict[str, Tensor]) -> Tensor:
        true = (true_pose(batch) - self.middle) / self.spread
        if len(raw) == len(EXPORTED.OUTPUTS):
            parts["pose_of_image"] = cvae_losses.pose(
                (raw[OBJECT] - self.middle) / self.spread, true, batch.object_valid
            )
            return self.net.branch_2 * parts["pose_of_image"]
        paths = cvae_losses.Paths(*raw[len(EXPORTED.OUTPUTS) :])
        first, second = cvae_losses.branches(paths, true, batch, self.beta, every=self.net.paths == "all")
        parts.update(first | second)
        sums = (torch.stack(list(branch.values())).sum() for branch in (first, second))
        return sum(weight * branch for weight, branch in zip((self.net.branch_1, self.net.branch_2), sums, strict=True))


def differences(mine: tuple[F64, ...], other: tuple[F64, ...], batch: GraspBatch) -> dict[str, F64]:
    """Distances between what two networks say of the same images, in the crops' frames.

    Args:
        mine: raw outputs of one.
        other: raw outputs of the other.
        batch: what both were shown.

    Returns:
        `joints_mm` relative to the wrist, `places_px`, `object_mm` of the object's control points.
    """
    layer, box = ManoLayer.from_env("right"), batch.hand_box.double().numpy()
    a, b = (hand_of(raw, layer)[0] for raw in (mine, other))
    x, y = (in_image(raw[2], box) for raw in (mine, other))
    p, q = (_control_points(raw, batch) for raw in (mine, other))
    return {
        "joints_mm": 1e3 * np.linalg.norm(a - b, axis=-1),
        "places_px": np.linalg.norm(x - y, axis=-1),
        "object_mm": 1e3 * np.linalg.norm(p - q, axis=-1),
    }


def _control_points(raw: tuple[F64, ...], batch: GraspBatch) -> F64:
    """The objects' control points where a network says, in the crops' frames. `-> (B, 21, 3)` m."""
    T = object_poses(raw, batch.K[:, 0, 0].double().numpy(), batch.image.shape[-1])
    found = [cameras.transform(*each) for each in zip(T, batch.control_m.double().numpy(), strict=True)]
    return np.stack(found)


def errors(raw: tuple[F64, ...], batch: GraspBatch, *, allow_reflection: bool) -> dict[str, F64]:
    """What is wrong with each hand and object, as `learning.grasp_errors.grasp_errors` says.

    Args:
        raw: outputs of a network.
        batch: what it was shown.
        allow_reflection: align as the official evaluators do, mirroring included.
    """
    return grasp_errors(grasps(raw, batch), batch, allow_reflection=allow_reflection)


def grasps(raw: tuple[F64, ...], batch: GraspBatch) -> SaidGrasps:
    """Hands and objects in the crops' frames."""
    box, K = batch.hand_box.double().numpy(), batch.K.double().numpy()
    joints, vertices = hands(raw, box, K, ManoLayer.from_env("right"))
    return SaidGrasps(joints, vertices, object_poses(raw, K[:, 0, 0], batch.image.shape[-1]))


def pixels(raw: tuple[F64, ...], batch: GraspBatch) -> F64:
    """Where a network says the joints are in the crops. `-> (B, 21, 2)` px."""
    return np.asarray(in_image(raw[2], batch.hand_box.double().numpy()))
