"""How far maps of where joints are lie from Gaussians at the joints: the keypoint net's loss and SPLite's help."""

from __future__ import annotations

import torch
from torch import Tensor

from hoi_core.types import Batch
from learning.processes import mean_over_all

_TINY = 1e-12


def divergence(maps: Tensor, batch: Batch, sigma: float) -> Tensor:
    """Divergence (Kullback-Leibler) of each map's softmax from a Gaussian of sum 1, mean over joints.

    Joints outside the crop have no place in the softmax and do not count.

    Args:
        maps: `(B, 21, h, w)` logits.
        batch: `joints_px` and `pixels_valid`.
        sigma: of the Gaussians, cells of the maps.
    """
    along_x, along_y = profiles(maps, batch, sigma)
    size = batch.image.shape[-1]
    inside = ((batch.joints_px >= -0.5) & (batch.joints_px <= size - 0.5)).all(-1) & batch.pixels_valid
    of_x, of_y = along_x.softmax(-1), along_y.softmax(-1)
    said = maps.flatten(2).log_softmax(-1).unflatten(2, maps.shape[2:])
    cross = -torch.einsum("bjhw,bjh,bjw->bj", said, of_y, of_x)
    return mean_over_all(cross - _entropy(of_x) - _entropy(of_y), inside)


def profiles(maps: Tensor, batch: Batch, sigma: float) -> tuple[Tensor, Tensor]:
    """Logarithms of the Gaussians along each axis, 0 at their middles. Two of `(B, 21, w)`."""
    stride = batch.image.shape[-1] / maps.shape[-1]
    places = (batch.joints_px + 0.5) / stride - 0.5
    cells = torch.arange(maps.shape[-1], device=maps.device, dtype=maps.dtype)
    x, y = (-(cells - places[..., k : k + 1]).square() / (2.0 * sigma**2) for k in (0, 1))
    return x, y


def _entropy(p: Tensor) -> Tensor:
    return -(p * p.clamp_min(_TINY).log()).sum(-1)
