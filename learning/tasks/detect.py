"""Task `detect`: where in a whole image right and left hands are (CenterNet, Zhou et al. 2019, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hoi_core.conventions import SIDES
from hoi_core.detect import STRIDE, DetectorModel, boxes_of_cells, decoded
from hoi_core.types import F64
from learning.config import TrainConfig
from learning.detect_errors import LEAST_SCORE, Said, Truth
from learning.processes import weighted_mean_over_all
from learning.scenes import SceneBatch, SceneDataset
from learning.tasks import Loss, Raw

EXPORTED = DetectorModel
IN_SPACE = False
DATA = SceneDataset

LARGEST_MEAN = {"fp32": 0.001, "int8": 0.05}
"""Largest mean difference of scores that is no defect."""
JUDGED = ("score_mean_share",)

_SPREAD, _LEAST_SPREAD = 0.15, 0.6
"""Standard deviation of a centre's bump in sides of its box, and at least so many cells."""
_NEAR = 0.5
"""Cells where a bump is higher than this are asked for box and side too."""
_GROUND = 0.1
"""What a cell of the ground counts, of which there are so many more than of the middle of a hand, which counts 1."""


@dataclass(frozen=True)
class Targets:
    """What the network should say of a batch."""

    centres: Tensor
    """(B, 1, H, W): 1 in the cell of a centre, falling off about it."""
    asked: Tensor
    """(B, 1, H, W) bool: cells that count; not those of hands that are hardly seen."""
    boxes: Tensor
    """(B, 4, H, W) in the units of `hoi_core.detect.boxes_of_cells`, of the nearest hand."""
    near: Tensor
    """(B, 1, H, W) how much a cell's box and side count, 0 to 1."""
    right: Tensor
    """(B, 1, H, W): 1 where the nearest hand is a right one."""


def targets(boxes_px: Tensor, sides: Tensor, clear: Tensor, cells: int) -> Targets:
    """Targets of a batch.

    Args:
        boxes_px: `(B, N, 4)` px of the network's input.
        sides: `(B, N)` 0 right, 1 left, -1 for a row without a hand.
        clear: `(B, N)` bool, whether the hand must be found.
        cells: side of the output.
    """
    there = sides >= 0
    at = torch.arange(cells, dtype=torch.float32, device=boxes_px.device)
    low, high = boxes_px[..., :2], boxes_px[..., 2:]
    centre = (((low + high) / 2 - (STRIDE - 1) / 2) / STRIDE)[..., None, :]
    span = ((high - low) / STRIDE).clamp(min=0.05)[..., None, :]
    spread = (_SPREAD * span).clamp(min=_LEAST_SPREAD)
    # The bump stands in the middle of the centre's cell, so that this cell's target is 1.
    away = (at[:, None] - centre.round().clamp(0, cells - 1)) / spread
    bumps = torch.exp(-0.5 * away.square())
    bump = bumps[..., 1][..., :, None] * bumps[..., 0][..., None, :]
    bump = torch.where((there & clear)[..., None, None], bump, 0.0)
    edges = at[:, None] * STRIDE + (STRIDE - 1) / 2
    within = (edges > low[..., None, :]) & (edges < high[..., None, :])
    covered = within[..., 1][..., :, None] & within[..., 0][..., None, :] & (there & ~clear)[..., None, None]
    near, which = bump.max(1, keepdim=True)
    asked = ~covered.any(1, keepdim=True) | (near > _NEAR)
    offset, size = centre - at[:, None], span.log().expand(-1, -1, cells, -1)
    rows = [
        offset[..., 0][..., None, :],
        offset[..., 1][..., :, None],
        size[..., 0][..., None, :],
        size[..., 1][..., None],
    ]
    every = torch.stack([row.expand(*bump.shape) for row in rows], 2)
    boxes = every.gather(1, which[:, :, None].expand(-1, -1, 4, -1, -1))[:, 0]
    right = (sides == 0).to(bump.dtype)[..., None, None].expand_as(bump).gather(1, which)
    return Targets(near, asked, boxes, torch.where(near > _NEAR, near, 0.0), right)


def centre_loss(logits: Tensor, target: Targets) -> Tensor:
    """Cross entropy with the bumps, sum over the cells of an image. `(B, 1, H, W) -> ()`.

    The focal loss of the paper asks for the centre's cell alone and learns much more slowly from few images.
    """
    error = F.binary_cross_entropy_with_logits(logits, target.centres, reduction="none")
    return (error * (_GROUND + (1.0 - _GROUND) * target.centres) * target.asked).sum() / len(logits)


def side_loss(logits: Tensor, target: Targets) -> Tensor:
    """Cross entropy of the side, mean near centres. `(B, 1, H, W) -> ()`."""
    error = F.binary_cross_entropy_with_logits(logits, target.right, reduction="none")
    return weighted_mean_over_all(error, target.near)


def box_loss(boxes: Tensor, target: Targets) -> Tensor:
    """Error of the centre in sides of the box, and of the logarithms of the sides; mean near centres.

    Relative errors are what overlap depends on, for small hands and large ones alike. `(B, 4, H, W) -> ()`.
    """
    size = target.boxes[:, 2:].exp().clamp(min=1.0)
    error = (boxes - target.boxes).abs()
    relative = torch.cat([error[:, :2] / size, error[:, 2:]], 1).sum(1, keepdim=True)
    return weighted_mean_over_all(relative, target.near)


def losses(settings: TrainConfig[Any], device: torch.device) -> Loss:
    """The three losses of a run."""

    def loss(raw: Raw, batch: SceneBatch) -> tuple[Tensor, dict[str, Tensor]]:
        centres, boxes, sides = raw
        target = targets(batch.boxes_px, batch.sides, batch.clear, centres.shape[-1])
        parts = {
            "centre": centre_loss(centres, target),
            "box": box_loss(boxes, target),
            "side": side_loss(sides, target),
        }
        return torch.stack(list(parts.values())).sum(), parts

    return loss


def truths(batch: SceneBatch) -> list[Truth]:
    """The hands of each image of a batch."""
    rows = zip(batch.boxes_px.double().numpy(), batch.sides.numpy(), batch.clear.numpy(), strict=True)
    return [Truth(boxes[sides >= 0], sides[sides >= 0], clear[sides >= 0]) for boxes, sides, clear in rows]


def said(raw: tuple[F64, ...]) -> list[Said]:
    """What a network's outputs say of each image of a batch, as `DetectorModel` reads them."""
    out = []
    for centres, boxes, sides in zip(*raw, strict=True):
        found = decoded(centres, boxes, sides, LEAST_SCORE)
        names = np.array([SIDES.index(side) for side, _, _ in found], dtype=np.int64)
        corners = np.array([box for _, box, _ in found], dtype=np.float64).reshape(-1, 4)
        # Labels end at the border of the image, and so does what the runtime says.
        limit = STRIDE * centres.shape[-1] - 0.5
        out.append(Said(corners.clip(-0.5, limit), names, np.array([score for _, _, score in found])))
    return out


def differences(mine: tuple[F64, ...], other: tuple[F64, ...], batch: SceneBatch) -> dict[str, F64]:
    """How far two networks disagree about the same images.

    Args:
        mine: raw outputs of one.
        other: raw outputs of the other.
        batch: what both were shown.

    Returns:
        `score_share` in every cell, 0 to 1, and `box_px` of the corners in cells that the first takes for a centre.
    """
    scores = [1.0 / (1.0 + np.exp(-raw[0])) for raw in (mine, other)]
    corners = [boxes_of_cells(raw[1]) for raw in (mine, other)]
    sure = scores[0].max(1) > 0.5
    off = np.abs(corners[0] - corners[1])[sure]
    return {"score_share": np.abs(scores[0] - scores[1]), "box_px": off if len(off) else np.zeros(1)}
