"""A hand as MANO parameters, and an object as votes for its 21 control points: what HFL-Net says."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hoi_core import grasp_model
from hoi_core.grasp_model import GraspModel, in_image
from hoi_core.mano import ManoLayer
from hoi_core.types import F64
from learning import grasp_losses
from learning.config import TrainConfig
from learning.grasp_errors import SaidGrasps, grasp_errors
from learning.grasps import GraspBatch, GraspDataset
from learning.tasks import Loss, Raw, hand

EXPORTED = GraspModel
IN_SPACE = True
DATA = GraspDataset

LARGEST_MEAN = hand.LARGEST_MEAN
JUDGED = hand.JUDGED
RANKED_BY = hand.RANKED_BY


def inputs(batch: GraspBatch) -> tuple[Tensor, ...]:
    """What a network is shown: the image, and the boxes of hand and object."""
    return batch.image, batch.hand_box, batch.object_box


def losses(settings: TrainConfig[Any], device: torch.device) -> Loss:
    """Equations 1 to 3, with the weights of a run."""
    layer = ManoLayer.from_env("right")

    def loss(raw: Raw, batch: GraspBatch) -> tuple[Tensor, dict[str, Tensor]]:
        return grasp_losses.total(raw, batch, layer, settings.loss)

    return loss


def differences(mine: tuple[F64, ...], other: tuple[F64, ...], batch: GraspBatch) -> dict[str, F64]:
    """Distances between what two networks say of the same images.

    Args:
        mine: raw outputs of one.
        other: raw outputs of the other.
        batch: what both were shown.

    Returns:
        `joints` and `vertices` relative to the wrist, mm; `places` of the joints in the crop and `control`, the most
        trusted votes, px; any shape.
    """
    a, b = (grasp_model.hand_of(raw[0], raw[1], ManoLayer.from_env("right")) for raw in (mine, other))
    seen = [pixels(raw, batch) for raw in (mine, other)]
    control = [_control_px(raw, batch)[batch.object_valid.numpy()] for raw in (mine, other)]
    return {
        "joints_mm": 1e3 * np.linalg.norm(a[0] - b[0], axis=-1),
        "vertices_mm": 1e3 * np.linalg.norm(a[1] - b[1], axis=-1),
        "places_px": np.linalg.norm(seen[0] - seen[1], axis=-1),
        "control_px": np.linalg.norm(control[0] - control[1], axis=-1),
    }


def errors(raw: tuple[F64, ...], batch: GraspBatch, *, allow_reflection: bool) -> dict[str, F64]:
    """What is wrong with each hand and object, as `learning.grasp_errors.grasp_errors` says.

    Args:
        raw: outputs of a network.
        batch: what it was shown.
        allow_reflection: align as the official evaluators do, mirroring included.
    """
    return grasp_errors(grasps(raw, batch), batch, allow_reflection=allow_reflection)


def grasps(raw: tuple[F64, ...], batch: GraspBatch) -> SaidGrasps:
    """Hands and objects in the crops' frames; an object is posed by the control points of the labels' object."""
    hand_box, object_box, K, control_m = (
        x.double().numpy() for x in (batch.hand_box, batch.object_box, batch.K, batch.control_m)
    )
    joints, vertices = grasp_model.hands(raw, hand_box, K, ManoLayer.from_env("right"))
    T = np.full((len(joints), 4, 4), np.nan)
    known = batch.object_valid.numpy()
    if known.any():
        T[known] = grasp_model.poses(tuple(x[known] for x in raw), object_box[known], K[known], control_m[known])
    return SaidGrasps(joints, vertices, T)


def pixels(raw: tuple[F64, ...], batch: GraspBatch) -> F64:
    """Where a network says the joints are in the crops. `-> (B, 21, 2)` px."""
    found: F64 = in_image(raw[2], batch.hand_box.double().numpy())
    return found


def _control_px(raw: tuple[F64, ...], batch: GraspBatch) -> F64:
    """(B, 21, 2) px of the crops."""
    places, trust = grasp_model.votes(raw, batch.object_box.double().numpy())
    return np.stack([grasp_model.most_trusted(*each) for each in zip(places, trust, strict=True)])
