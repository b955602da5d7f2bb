"""Joints and mesh of one hand in space."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hoi_core import runtime
from hoi_core.crop import LENGTH_UNIT_M, camera_space
from hoi_core.mano import ManoLayer
from hoi_core.types import F64, Batch
from learning import losses as terms
from learning.config import TrainConfig
from learning.data import HandDataset
from learning.hand_errors import hand_errors
from learning.output import interpret
from learning.tasks import Loss, Raw

EXPORTED = runtime.HandModel
IN_SPACE = True
PAIRS = True
DATA = HandDataset

LARGEST_MEAN = {"fp32": 0.01, "int8": 5.0}
"""Largest mean difference in joints and vertices, mm, that is no defect. Rounding in int8 flips last bits layer by
layer, 1 to 2 mm in all on images unlike the training ones; a wrong scheme is off by the size of a hand."""
JUDGED = ("joints_mean_mm", "vertices_mean_mm")
RANKED_BY = "xyz_pa_mm"


def losses(settings: TrainConfig[Any], device: torch.device) -> Loss:
    """The losses that the weights of a run ask for."""
    faces = ManoLayer.from_env("right").faces.astype("int64")
    mesh = terms.Mesh.of(torch.as_tensor(faces)).to(device)

    def loss(raw: Raw, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return terms.total(interpret(raw, batch.K, settings.size), batch, mesh, settings.loss, pairs=settings.pairs)

    return loss


def differences(mine: tuple[F64, ...], other: tuple[F64, ...], batch: Batch) -> dict[str, F64]:
    """Distances between what two networks say of the same images, in the crops' frames.

    Args:
        mine: raw outputs of one.
        other: raw outputs of the other.
        batch: what both were shown.

    Returns:
        `joints`, `vertices` (relative to the wrist) and `root`, mm, any shape.
    """
    focal, size = batch.K[:, 0, 0].double().numpy(), batch.image.shape[-1]
    a, b = (camera_space(raw[0], raw[1], focal, size) * 1e3 for raw in (mine, other))
    return {
        "joints_mm": _distance((a - a[:, :1]) - (b - b[:, :1])),
        "vertices_mm": _distance(mine[2] - other[2]) * LENGTH_UNIT_M * 1e3,
        "root_mm": _distance(a[:, 0] - b[:, 0]),
    }


def errors(raw: tuple[F64, ...], batch: Batch, *, allow_reflection: bool) -> dict[str, F64]:
    """What is wrong with each hand, as `learning.hand_errors.hand_errors` says.

    Args:
        raw: outputs of a network.
        batch: what it was shown.
        allow_reflection: align as the official evaluators do, mirroring included.
    """
    joints = _joints_m(raw, batch)
    true = np.where(batch.joints_valid.numpy()[..., None], batch.joints_m.double().numpy(), np.nan)
    vertices = joints[:, :1] + raw[2] * LENGTH_UNIT_M
    return hand_errors(joints, true, vertices, batch.vertices_m.double().numpy(), allow_reflection=allow_reflection)


def pixels(raw: tuple[F64, ...], batch: Batch) -> F64:
    """Where a network says the joints are in the crops. `-> (B, 21, 2)` px."""
    projected = _joints_m(raw, batch) @ batch.K.double().numpy().transpose(0, 2, 1)
    found: F64 = projected[..., :2] / projected[..., 2:]
    return found


def as_hand(raw: tuple[F64, ...], batch: Batch) -> tuple[F64, ...]:
    """Raw outputs as they are: this is the task whose words others use."""
    return raw


def _joints_m(raw: tuple[F64, ...], batch: Batch) -> F64:
    """(B, 21, 3) m in the crops' frames."""
    return camera_space(raw[0], raw[1], batch.K[:, 0, 0].double().numpy(), batch.image.shape[-1])


def _distance(difference: F64) -> F64:
    """(..., 3) -> (...)."""
    length: F64 = (difference**2).sum(-1) ** 0.5
    return length
