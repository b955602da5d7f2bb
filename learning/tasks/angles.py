"""Joint angles and shape of a hand whose joints are known: what IK networks say (Fan and Wang 2023, section 3.3)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hoi_core import metrics
from hoi_core.ik import IkHand, ik_hand
from hoi_core.ik.guess import DOFS
from hoi_core.ik.place import upright_points
from hoi_core.ik_model import IkModel
from hoi_core.mano import ManoLayer
from hoi_core.types import F64
from learning.angle_data import AngleBatch, AngleDataset
from learning.config import TrainConfig
from learning.processes import mean_over_all
from learning.skeleton import Skeleton
from learning.tasks import Loss, Raw

EXPORTED = IkModel
IN_SPACE = True
DATA = AngleDataset

LARGEST_MEAN = {"fp32": 0.01, "int8": 2.0}
"""Largest mean difference of the angles, degrees, that is no defect."""
JUDGED = ("angles_mean_deg",)
RANKED_BY = "xyz_pa_mm"

_POSE_UNIT_M = 0.01
"""Of the pose loss: the error of a joint then counts about as much as that of the angles behind it."""


def inputs(batch: AngleBatch) -> tuple[Tensor]:
    """Bones."""
    return (batch.bones,)


def losses(settings: TrainConfig[Any], device: torch.device) -> Loss:
    """Equations 5 to 8, with the weights of a run: L1 of angles, shape and the joints that both give."""
    dof, known = DOFS[settings.net.dof], settings.net.shape == "known"
    skeleton = Skeleton(ManoLayer.from_env("right"), dof).to(device)
    weights = settings.loss

    def loss(raw: Raw, batch: AngleBatch) -> tuple[Tensor, dict[str, Tensor]]:
        angles, betas = raw[0], raw[1]
        posed = skeleton(angles, batch.betas if known else betas)
        parts = {
            "angle": weights.ik_angle * (angles - _true(batch, len(dof))).abs().mean(),
            "shape": weights.ik_shape * mean_over_all((betas - batch.betas).abs().mean(1), batch.betas_valid),
            "joint": weights.ik_joint * (posed - batch.joints_m).abs().mean() / _POSE_UNIT_M,
        }
        return torch.stack(list(parts.values())).sum(), parts

    return loss


def differences(mine: tuple[F64, ...], other: tuple[F64, ...], batch: AngleBatch) -> dict[str, F64]:
    """How far two networks disagree about the same bones.

    Args:
        mine: raw outputs of one.
        other: raw outputs of the other.
        batch: what both were shown.

    Returns:
        `angles_deg`, `betas_units`, and `joints_mm` of the hands that they make, about their wrists.
    """
    return {
        "angles_deg": np.abs(np.rad2deg(mine[0] - other[0])),
        "betas_units": np.abs(mine[1] - other[1]),
        "joints_mm": metrics.point_errors_mm(_upright_joints(mine), _upright_joints(other)),
    }


def errors(raw: tuple[F64, ...], batch: AngleBatch, *, allow_reflection: bool) -> dict[str, F64]:
    """What is wrong with each hand, whose joints were seen as they are.

    Args:
        raw: outputs of a network.
        batch: what it was shown.
        allow_reflection: align as the official evaluators do, mirroring included.

    Returns:
        `angle_deg (B, n)` of each angle; `xyz_pa_mm` and `mpjpe_mm (B, 21)` of the joints that angles and shape give,
        aligned and about the wrist.
    """
    true = batch.joints_m.double().numpy()
    posed = _upright_joints(raw)
    aligned = metrics.align_similarity(posed, true, allow_reflection=allow_reflection)
    off = raw[0] - _true(batch, raw[0].shape[1]).double().numpy()
    return {
        "angle_deg": np.abs(np.rad2deg(off)),
        "xyz_pa_mm": metrics.point_errors_mm(aligned, true),
        "mpjpe_mm": metrics.point_errors_mm(posed, true),
    }


def _true(batch: AngleBatch, count: int) -> Tensor:
    return batch.angles if count == batch.angles.shape[1] else batch.all_angles


def _upright_joints(raw: tuple[F64, ...]) -> F64:
    joints = upright_points(_hand(raw[0].shape[1]), raw[0], raw[1])
    return joints - joints[:, :1]


@lru_cache(maxsize=4)
def _hand_of(layer: ManoLayer, count: int) -> IkHand:
    return ik_hand(layer, DOFS[count])


def _hand(count: int) -> IkHand:
    return _hand_of(ManoLayer.from_env("right"), count)
