"""Joints and mesh of one hand, as places in the crop and depths: what I2L-MeshNet says."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hoi_core.lixel_model import LixelModel, seen_through
from hoi_core.mano import ManoLayer
from hoi_core.types import F64, Batch
from learning import lixel_losses
from learning.config import TrainConfig
from learning.data import HandDataset
from learning.losses import Mesh
from learning.tasks import Loss, Raw, hand

EXPORTED = LixelModel
IN_SPACE = True
DATA = HandDataset

LARGEST_MEAN = hand.LARGEST_MEAN
JUDGED = hand.JUDGED
RANKED_BY = hand.RANKED_BY


def losses(settings: TrainConfig[Any], device: torch.device) -> Loss:
    """Equation 4, with the weights of a run."""
    mesh = Mesh.of(torch.as_tensor(ManoLayer.from_env("right").faces.astype("int64"))).to(device)
    box = lixel_losses.Lixels(settings.net.lixels, settings.net.depth_box_m)

    def loss(raw: Raw, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return lixel_losses.total(raw, batch, mesh, settings.loss, box)

    return loss


def differences(mine: tuple[F64, ...], other: tuple[F64, ...], batch: Batch) -> dict[str, F64]:
    """As those of `learning.tasks.hand`, of the hands that both networks see."""
    return hand.differences(as_hand(mine, batch), as_hand(other, batch), batch)


def errors(raw: tuple[F64, ...], batch: Batch, *, allow_reflection: bool) -> dict[str, F64]:
    """As those of `learning.tasks.hand`."""
    return hand.errors(as_hand(raw, batch), batch, allow_reflection=allow_reflection)


def pixels(raw: tuple[F64, ...], batch: Batch) -> F64:
    """Where a network says the joints are in the crops. `-> (B, 21, 2)` px."""
    return hand.pixels(as_hand(raw, batch), batch)


def as_hand(raw: tuple[F64, ...], batch: Batch) -> tuple[F64, ...]:
    """Raw outputs in the words of `learning.tasks.hand`, with the lenses of the crops."""
    return seen_through(raw, batch.K[:, 0, 0].double().numpy(), batch.image.shape[-1])
