"""Losses of the cross-model CVAE (Bandi & Thomas, eq. 2 to 5 and 8), each a mean over what is labelled.

L = L_hand + lambda_1 L_branch1 + lambda_2 L_branch2. Lengths of the hand are in decimetres: the paper gives no unit,
and in this one hand and object weigh about as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from hoi_core.conventions import N_JOINTS
from hoi_core.mano import ManoLayer
from hoi_core.mano.equations import rodrigues
from hoi_core.object_pose_model import hand_of
from learning import bmc_losses
from learning.grasps import GraspBatch
from learning.processes import mean_over_all

UNIT_M = 0.1
_FALLS = ((0.05, 0.5), (0.1, 0.1), (0.2, 0.01), (0.3, 0.001))
"""Until which share of the training beta has which value: of 200 epochs until 10, 20, 40 and 60; then 0.0001."""
_LEAST_BETA = 1e-4


@dataclass(frozen=True)
class Paths:
    """What the object's half says in training, in the order of the network's outputs."""

    pose_of_image: Tensor
    """(B, 9) from the image's encoder through the pose's decoder, in the network's own units."""
    pose_of_pose: Tensor
    """(B, 9) from the pose's encoder through its own decoder."""
    image_of_image: Tensor
    """(B, 3, C, C) from the image's encoder through its own decoder."""
    image_of_pose: Tensor
    """(B, 3, C, C) from the pose's encoder through the image's decoder."""
    mean: Tensor
    """(B, latent) of the image's encoder."""
    log_variance: Tensor
    """(B, latent) of the image's encoder."""
    own_mean: Tensor
    """(B, latent) of the pose's encoder."""
    own_log_variance: Tensor
    """(B, latent) of the pose's encoder."""


def beta(share: float) -> float:
    """Weight of the divergence at a share of the training, from 0 to 1 (section 3.5)."""
    return next((value for end, value in _FALLS if share < end), _LEAST_BETA)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """From the unit Gaussian (eq. 5), summed over the latent. `(B, latent)` twice `-> (B,)`."""
    return -0.5 * (1.0 + log_variance - mean.square() - log_variance.exp()).sum(-1)


def hand(
    raw: tuple[Tensor, ...], batch: GraspBatch, layer: ManoLayer, limits: bmc_losses.Limits | None
) -> Mapping[str, Tensor]:
    """The terms of eq. 3, unweighted.

    Args:
        raw: `hoi_core.object_pose_model.ObjectPoseModel.OUTPUTS`.
        batch: labels.
        layer: the hand.
        limits: of joints, or None for no such term.

    Returns:
        `joints` (relative to the wrist), `angles`, `shape`, and `bmc`.
    """
    pose, betas = raw[:2]
    joints, _ = hand_of(raw, layer)
    known = batch.joints_valid & batch.joints_valid[:, :1]
    true = batch.joints_m - batch.joints_m[:, :1]
    off = torch.where(known[..., None], joints - true, 0.0) / UNIT_M
    R = rodrigues(torch, pose.unflatten(1, (-1, 3)))
    parts = {
        "joints": N_JOINTS * mean_over_all(off.square().sum(-1), known),
        # Half the squared distance of two rotations is, for a small angle between them, its square.
        "angles": mean_over_all(0.5 * (R - torch.nan_to_num(batch.hand_R)).square().sum((1, 2, 3)), batch.params_valid),
        "shape": mean_over_all((betas - torch.nan_to_num(batch.betas)).square().sum(-1), batch.params_valid),
    }
    if limits is not None:
        parts["bmc"] = torch.stack(list(bmc_losses.losses(joints, limits).values())).sum()
    return parts


def places(joints_px: Tensor, batch: GraspBatch) -> Tensor:
    """Squared distance of the joints from where they are seen, in sides of the hand's box. `(B, 21, 2) px -> ()`."""
    side = (batch.hand_box[:, 2:] - batch.hand_box[:, :2]).clamp(min=1.0)[:, None]
    off = torch.where(batch.pixels_valid[..., None], joints_px - batch.joints_px, 0.0) / side
    return mean_over_all(off.square().sum(-1), batch.pixels_valid)


def pose(found: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Squared distance of the nine numbers, in the network's own units. `(B, 9), (B, 9), (B,) -> ()`."""
    return mean_over_all((found - torch.nan_to_num(true)).square().sum(-1), known)


def image(found: Tensor, batch: GraspBatch, known: Tensor) -> Tensor:
    """Squared distance of colours from those of the image, mean over the pixels of the reconstruction.

    Args:
        found: `(B, 3, C, C)`.
        batch: its `image`.
        known: `(B,)` which samples count.
    """
    true = F.adaptive_avg_pool2d(batch.image, found.shape[-1])
    return mean_over_all((found - true).square().mean((1, 2, 3)), known)


def branches(
    paths: Paths, true: Tensor, batch: GraspBatch, weight: float, *, every: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Eq. 4 of both encoders, each through both decoders.

    Args:
        paths: what the network says.
        true: `(B, 9)` in the network's own units.
        batch: labels.
        weight: beta, of the divergences.
        every: whether the pose's encoder also learns to show the image.

    Returns:
        Terms of branch 1, the pose's encoder, and of branch 2, the image's; each branch is their sum.
    """
    known, all_of_them = batch.object_valid, torch.ones_like(batch.object_valid)
    first = {
        "pose_of_pose": pose(paths.pose_of_pose, true, known),
        "divergence_1": weight * mean_over_all(divergence(paths.own_mean, paths.own_log_variance), known),
    }
    if every:
        first["image_of_pose"] = image(paths.image_of_pose, batch, known)
    second = {
        "pose_of_image": pose(paths.pose_of_image, true, known),
        "image_of_image": image(paths.image_of_image, batch, all_of_them),
        "divergence_2": weight * mean_over_all(divergence(paths.mean, paths.log_variance), all_of_them),
    }
    return first, second
