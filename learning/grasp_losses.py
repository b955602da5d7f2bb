"""Losses of networks of hand and object that say MANO parameters and control points (HFL-Net, eq. 1 to 3).

L = L_hand + L_obj with L_hand = a_h L_H + a_3d L_3d + a_mano L_mano and L_obj = a_p2d L_p2d + a_conf L_conf. Squared
errors but for the object's, means over what is labelled, in the units of the released code: metres, rotation matrices,
and shares of the boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from hoi_core.grasp_model import hand_of
from hoi_core.mano import ManoLayer
from learning.config import LossWeights
from learning.grasps import GraspBatch
from learning.processes import mean_over_all

_TINY = 1e-12  # under a root, whose slope is infinite at 0


@dataclass(frozen=True)
class SaidHand:
    """The hand that a network says, at the origin."""

    joints_m: Tensor
    """(B, 21, 3) m, relative to the wrist."""
    vertices_m: Tensor
    """(B, 778, 3) m, relative to the wrist."""
    rotations: Tensor
    """(B, 16, 3, 3), see `GraspBatch.hand_R`."""
    betas: Tensor
    """(B, 10)."""


def said_hand(columns: Tensor, betas: Tensor, layer: ManoLayer) -> SaidHand:
    """Pose the hand model.

    Args:
        columns: `(B, 16, 6)` first two columns of each rotation, of any length and angle.
        betas: `(B, 10)`.
        layer: the right hand.
    """
    joints, vertices, rotations = hand_of(columns.float(), betas.float(), layer)
    return SaidHand(joints, vertices, rotations, betas)


def _squared(found: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Mean squared difference of the numbers whose row is known; `known` has the leading axes."""
    mask = known.reshape(*known.shape, *[1] * (found.dim() - known.dim())).expand_as(found)
    return mean_over_all(torch.where(mask, found - true, 0.0).square(), mask)


def joints(hand: SaidHand, batch: GraspBatch) -> Tensor:
    """L_3d of the joints, relative to the wrist, m^2."""
    true = batch.joints_m - batch.joints_m[:, :1]
    return _squared(hand.joints_m, true, batch.joints_valid & batch.joints_valid[:, :1])


def vertices(hand: SaidHand, batch: GraspBatch) -> Tensor:
    """L_3d of the mesh, relative to the wrist, m^2."""
    true = batch.vertices_m - batch.joints_m[:, :1]
    return _squared(hand.vertices_m, true, batch.vertices_valid & batch.joints_valid[:, 0])


def rotations(hand: SaidHand, batch: GraspBatch) -> Tensor:
    """L_mano of the pose: squared differences of rotation matrices."""
    return _squared(hand.rotations, batch.hand_R, batch.params_valid)


def shape(hand: SaidHand, batch: GraspBatch) -> Tensor:
    """L_mano of the shape: squared differences of its coefficients."""
    return _squared(hand.betas, batch.betas, batch.params_valid)


def places(found: Tensor, batch: GraspBatch) -> Tensor:
    """L_H, in the released code a loss on the joints' places and not on maps: squared, in shares of the hand's box.

    Args:
        found: `(B, 21, 2)`, 0 and 1 at the edges of the hand's box.
        batch: labels.
    """
    return _squared(found, in_box(batch.joints_px, batch.hand_box), batch.pixels_valid)


def in_box(points_px: Tensor, box: Tensor) -> Tensor:
    """Pixels to places in a box, 0 and 1 at its edges. `(B, N, 2)` px, `(B, 4)` px; finite for boxes without area."""
    extent = box[:, None, 2:] - box[:, None, :2]
    return (points_px - box[:, None, :2]) / torch.where(extent > 0, extent, 1.0)


def votes(found: Tensor, trust: Tensor, batch: GraspBatch) -> tuple[Tensor, Tensor]:
    """L_p2d and L_conf: absolute errors of the places that the object's cells say, and of how far off they think it is.

    A cell's trust should be exp(-distance) of its vote; cells off the object count in neither.

    Args:
        found: `(B, 21, 2, M)`, 0 and 1 at the edges of the object's box.
        trust: `(B, 21, M)`.
        batch: labels.
    """
    true = in_box(batch.control_px, batch.object_box)[..., None]
    on_object = cells(batch, found.shape[-1])[:, None, :].expand_as(trust)
    off = torch.where(on_object[:, :, None], found - true, 0.0)
    distance = (off.detach().square().sum(2) + _TINY).sqrt()
    lost = (trust - torch.exp(-distance)).abs()
    return mean_over_all(off.abs(), on_object[:, :, None].expand_as(off)), mean_over_all(lost, on_object)


def cells(batch: GraspBatch, count: int) -> Tensor:
    """Which cells of a network's grid show the object; all of the box where the mask shows none. `-> (B, count)`."""
    side = round(count**0.5)
    mask = F.adaptive_avg_pool2d(batch.mask[:, None].float(), side).flatten(1) >= 0.5
    mask = mask | ~mask.any(dim=1, keepdim=True)
    return mask & batch.object_valid[:, None]


def total(
    raw: tuple[Tensor, ...], batch: GraspBatch, layer: ManoLayer, weights: LossWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the losses whose weight is not zero, and its parts.

    Args:
        raw: `hoi_core.grasp_model.GraspModel.OUTPUTS`.
        batch: labels.
        layer: the right hand.
        weights: of the losses.
    """
    hand = said_hand(raw[0], raw[1], layer)
    object_places, object_trust = votes(raw[4].float(), raw[5].float(), batch)
    made = {
        "hand_places": places(raw[2].float(), batch),
        "hand_joints": joints(hand, batch),
        "hand_vertices": vertices(hand, batch),
        "hand_rotations": rotations(hand, batch),
        "hand_shape": shape(hand, batch),
        "object_places": object_places,
        "object_trust": object_trust,
    }
    parts = {name: value for name, value in made.items() if getattr(weights, name) != 0}
    return torch.stack([getattr(weights, name) * value for name, value in parts.items()]).sum(), parts
