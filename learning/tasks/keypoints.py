"""Joints of one hand in the image: 21 maps of where each is, and one of where none is (Gouidis et al. 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hoi_core.conventions import N_JOINTS
from hoi_core.heatmaps import locate, probabilities, to_input_px
from hoi_core.keypoint_model import KeypointModel
from hoi_core.metrics import areas
from hoi_core.types import F64, Batch
from learning.config import TrainConfig
from learning.data import HandDataset
from learning.map_losses import divergence, profiles
from learning.processes import mean_over_all
from learning.tasks import Loss, Raw

EXPORTED = KeypointModel
IN_SPACE = False
DATA = HandDataset

LARGEST_MEAN = {"fp32": 0.001, "int8": 0.3}
"""Largest mean share of a joint's probability that lies elsewhere which is no defect: int8 flips the last bits of maps.
Pixels would not do: where a network knows nothing its maps are flat, and a last bit moves their peak anywhere."""
JUDGED = ("moved_mean_share",)
RANKED_BY = "epe_px"

_AUC_PX, _PCK_SHARE = 30.0, 0.2


def losses(settings: TrainConfig[Any], device: torch.device) -> Loss:
    """The loss that the model's `maps` asks for."""
    kind, sigma = settings.net.maps, settings.net.sigma

    def loss(raw: Raw, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        parts = (softmax_losses if kind == "softmax" else squared_losses)(raw[0], batch, sigma)
        return torch.stack(list(parts.values())).sum(), parts

    return loss


def squared_losses(maps: Tensor, batch: Batch, sigma: float) -> dict[str, Tensor]:
    """The paper's: squared distance to Gaussians of height 1 (eq. 1) and to the background (eq. 2), mean over pixels.

    Maps of joints without a label do not count, nor does the background of a hand with such a joint.

    Args:
        maps: `(B, 22, h, w)`.
        batch: `joints_px` and `pixels_valid`.
        sigma: of the Gaussians, pixels of the maps.
    """
    along_x, along_y = profiles(maps, batch, sigma)
    target = along_y.exp()[..., :, None] * along_x.exp()[..., None, :]
    known = batch.pixels_valid
    joints = (maps[:, :N_JOINTS] - target).square().mean((2, 3))
    background = (maps[:, N_JOINTS] - (1.0 - target.amax(1))).square().mean((1, 2))
    # The maps are nearly empty: without a factor the loss would be a thousandth, and be lost in its own rounding.
    return {
        "joints": target.shape[-1] * mean_over_all(joints, known),
        "background": mean_over_all(background, known.all(1)),
    }


def softmax_losses(maps: Tensor, batch: Batch, sigma: float) -> dict[str, Tensor]:
    """Divergence (Kullback-Leibler) of each map's softmax from a Gaussian of sum 1; cross-entropy of the background.

    Joints outside the crop have no place in the softmax and do not count.

    Args:
        maps: `(B, 22, h, w)` logits.
        batch: `joints_px` and `pixels_valid`.
        sigma: of the Gaussians, pixels of the maps.
    """
    along_x, along_y = profiles(maps, batch, sigma)
    here = along_y.exp()[..., :, None] * along_x.exp()[..., None, :] * batch.pixels_valid[..., None, None]
    background = F.binary_cross_entropy_with_logits(maps[:, N_JOINTS], 1.0 - here.amax(1), reduction="none")
    return {
        "joints": divergence(maps[:, :N_JOINTS], batch, sigma),
        "background": mean_over_all(background.mean((1, 2)), batch.pixels_valid.all(1)),
    }


def differences(mine: tuple[F64, ...], other: tuple[F64, ...], batch: Batch) -> dict[str, F64]:
    """How differently two networks see the joints.

    Args:
        mine: raw outputs of one.
        other: raw outputs of the other.
        batch: what both were shown.

    Returns:
        `moved_share`: of each joint's probability, the part that lies elsewhere, 0 to 1; `joints_px`: distance of the
        joints in the crop.
    """
    size = batch.image.shape[-1]
    pairs = [(a[:N_JOINTS], b[:N_JOINTS]) for a, b in zip(mine[0], other[0], strict=True)]
    places = [[to_input_px(locate(of), size / of.shape[-1])[:, :2] for of in pair] for pair in pairs]
    spread = [[probabilities(of, "softmax") for of in pair] for pair in pairs]
    return {
        "moved_share": np.stack([0.5 * np.abs(a - b).sum((1, 2)) for a, b in spread]),
        "joints_px": np.stack([np.linalg.norm(a - b, axis=-1) for a, b in places]),
    }


def errors(raw: tuple[F64, ...], batch: Batch, *, allow_reflection: bool) -> dict[str, F64]:
    """How far joints are from their labels in the crops; nothing is aligned.

    Args:
        raw: outputs of a network.
        batch: what it was shown.
        allow_reflection: without a meaning here.

    Returns:
        `(B, 21)` each, NaN where a joint is not labelled: `epe_px` of the crop, `epe_auc` of PCK from 0 to 30 px, and
        `pck20`, whether it is within a fifth of the larger side of the labels' box.
    """
    known = batch.pixels_valid.numpy()
    true = np.where(known[..., None], batch.joints_px.double().numpy(), np.nan)
    away = np.linalg.norm(pixels(raw, batch) - true, axis=-1)
    sides = np.nanmax(true, axis=1) - np.nanmin(true, axis=1)
    near = (away <= _PCK_SHARE * sides.max(-1, keepdims=True)).astype(np.float64)
    return {"epe_px": away, "epe_auc": areas(away, _AUC_PX), "pck20": np.where(known, near, np.nan)}


def pixels(raw: tuple[F64, ...], batch: Batch) -> F64:
    """Where a network says the joints are in the crops. `-> (B, 21, 2)` px."""
    size = batch.image.shape[-1]
    return np.stack([to_input_px(locate(maps[:N_JOINTS]), size / maps.shape[-1])[:, :2] for maps in raw[0]])
