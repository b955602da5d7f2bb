"""Losses of hand networks: SPLite's four, its second view, and the mesh terms of its baseline. One function each.

Every loss is a mean over what is labelled, in units of 0.2 m (or half a crop for pixels), so weights compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hoi_core.crop import LENGTH_UNIT_M
from hoi_core.types import Batch
from learning.config import LossWeights
from learning.map_losses import divergence
from learning.output import HandOutput
from learning.processes import mean_over_all

_SIGMA = 1.0  # cells of the maps; narrower ones give cells far from the joint no gradient to speak of
_SHORT_M = 1e-3  # shorter edges have no direction worth a gradient, which would grow as one over their length
_TINY = 1e-12  # under a root: the slope of a root is infinite at 0


@dataclass(frozen=True)
class Mesh:
    """Connectivity of the hand."""

    faces: Tensor
    """(1538, 3)."""
    edges: Tensor
    """(E, 2), each once."""

    @classmethod
    def of(cls, faces: Tensor) -> Mesh:
        """From the faces alone."""
        pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(dim=1).values
        return cls(faces, pairs.unique(dim=0))

    def to(self, device: torch.device) -> Mesh:
        """The same on a device."""
        return Mesh(self.faces.to(device), self.edges.to(device))


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask` (leading axes) holds, over all training processes; 0 where nowhere."""
    mask = mask.reshape(*mask.shape, *[1] * (values.dim() - mask.dim())).expand_as(values)
    return mean_over_all(values, mask)


def project(points_m: Tensor, K: Tensor) -> Tensor:
    """Pinhole projection. `(B, N, 3) m, (B, 3, 3) px -> (B, N, 2) px`."""
    h = points_m @ K.transpose(1, 2).to(points_m.dtype)
    return h[..., :2] / h[..., 2:].clamp(min=1e-3)


def reproj(out: HandOutput, batch: Batch) -> Tensor:
    """L_reproj: squared distance of the projected joints, in half crops."""
    half = batch.image.shape[-1] / 2
    difference = (project(out.joints_m, batch.K) - project(batch.joints_m, batch.K)) / half
    return _mean(difference.square().sum(-1), batch.joints_valid)


def pose(out: HandOutput, batch: Batch) -> Tensor:
    """L_pose: squared distance of the joints relative to the wrist."""
    difference = (out.joints_m - out.joints_m[:, :1]) - (batch.joints_m - batch.joints_m[:, :1])
    valid = batch.joints_valid & batch.joints_valid[:, :1]
    return _mean((difference / LENGTH_UNIT_M).square().sum(-1), valid)


def depth(out: HandOutput, batch: Batch) -> Tensor:
    """L_depth: squared error of each joint's depth along the viewing axis."""
    difference = (out.joints_m[..., 2] - batch.joints_m[..., 2]) / LENGTH_UNIT_M
    return _mean(difference.square(), batch.joints_valid)


def heatmap(out: HandOutput, batch: Batch) -> Tensor:
    """Divergence of each joint's map from a Gaussian of one cell; 0 of networks that have no maps.

    The expectation over a map is right for many maps, flat ones among them, so alone it teaches slowly where to look.
    """
    return batch.K.new_zeros(()) if out.maps is None else divergence(out.maps, batch, _SIGMA)


def smooth(out: HandOutput, mesh: Mesh) -> Tensor:
    """L_smooth: squared difference of neighbouring vertices."""
    ends = out.vertices_m[:, mesh.edges] / LENGTH_UNIT_M
    return (ends[:, :, 0] - ends[:, :, 1]).square().sum(-1).mean()


def laplacian(out: HandOutput, mesh: Mesh) -> Tensor:
    """Squared distance of each vertex from the mean of its neighbours: another reading of L_smooth.

    The length of edges counts only where they bend, so that it takes less from the size of the mesh.
    """
    v = out.vertices_m / LENGTH_UNIT_M
    ends = torch.cat([mesh.edges, mesh.edges.flip(1)])
    sums = torch.zeros_like(v).index_add(1, ends[:, 0], v[:, ends[:, 1]])
    degree = torch.bincount(ends[:, 0], minlength=v.shape[1]).clamp(min=1)
    return (v - sums / degree[:, None]).square().sum(-1).mean()


def _relative_in_pairs(out: HandOutput, batch: Batch) -> tuple[Tensor, Tensor]:
    """Joints relative to the wrist in the world's axes, each view's and its partner's.

    Samples 2k and 2k + 1 of a batch show one instant. Their crops' rotations to the world are known, so a hand that one
    view sees can be compared with what the other does, whatever is labelled.
    """
    relative = (out.joints_m - out.joints_m[:, :1]) / LENGTH_UNIT_M
    world = relative @ batch.R_world_crop.transpose(1, 2)
    return world, world.reshape(-1, 2, *world.shape[1:]).flip(1).reshape(world.shape)


def pair(out: HandOutput, batch: Batch) -> Tensor:
    """Second view: squared distance of the two views' joints, relative to the wrist, in the world's axes."""
    mine, other = _relative_in_pairs(out, batch)
    return (mine - other).square().sum(-1).mean()


def pair_depth(out: HandOutput, batch: Batch) -> Tensor:
    """Second view: squared error of each relative depth, as the other view says it is along this view's axis.

    One view's depth is the other's position in the image, which is much better known.
    """
    mine, other = _relative_in_pairs(out, batch)
    return ((mine - other) * batch.R_world_crop[:, None, :, 2]).sum(-1).square().mean()


def _relative_truth(batch: Batch) -> tuple[Tensor, Tensor]:
    """True vertices relative to the wrist (0 where unknown), and which samples have them."""
    valid = batch.vertices_valid & batch.joints_valid[:, 0]
    return torch.where(valid[:, None, None], batch.vertices_m - batch.joints_m[:, :1], 0.0), valid


def vertex(out: HandOutput, batch: Batch) -> Tensor:
    """L1 of the vertices relative to the wrist."""
    true, valid = _relative_truth(batch)
    return _mean((out.vertices_m - true).abs() / LENGTH_UNIT_M, valid)


def normal(out: HandOutput, batch: Batch, mesh: Mesh) -> Tensor:
    """Cosine between the edges of each face and its true normal."""
    true, valid = _relative_truth(batch)
    return off_normals(out.vertices_m / _SHORT_M, true, valid, mesh)


def off_normals(found: Tensor, true: Tensor, valid: Tensor, mesh: Mesh) -> Tensor:
    """Absolute cosine between the edges of each face and its true normal, mean over the edges of all faces.

    Args:
        found: `(B, 778, 3)`, in a unit in which an edge shorter than 1 has no direction worth a gradient.
        true: `(B, 778, 3)`, in any unit.
        valid: `(B,)` whether it is known.
        mesh: connectivity.
    """
    a, b, c = (true[:, mesh.faces[:, k]] for k in range(3))
    n = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    p = [found[:, mesh.faces[:, k]] for k in range(3)]
    sides = torch.stack([p[1] - p[0], p[2] - p[1], p[0] - p[2]], dim=2)
    length = (sides.square().sum(-1, keepdim=True) + 1.0).sqrt()
    cosine = (sides / length * n[:, :, None]).sum(-1).abs()
    return _mean(cosine, valid)


def edge(out: HandOutput, batch: Batch, mesh: Mesh) -> Tensor:
    """L1 of the lengths of the edges."""
    true, valid = _relative_truth(batch)
    return off_lengths(out.vertices_m / LENGTH_UNIT_M, true / LENGTH_UNIT_M, valid, mesh)


def off_lengths(found: Tensor, true: Tensor, valid: Tensor, mesh: Mesh) -> Tensor:
    """Absolute difference of the lengths of the edges, mean over all. Arguments as for `off_normals`, in one unit."""

    def lengths(v: Tensor) -> Tensor:
        return (v[:, mesh.edges[:, 0]] - v[:, mesh.edges[:, 1]]).square().sum(-1).add(_TINY).sqrt()

    return _mean((lengths(found) - lengths(true)).abs(), valid)


def total(
    out: HandOutput, batch: Batch, mesh: Mesh, weights: LossWeights, *, pairs: bool = False
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the losses whose weight is not zero, and its parts; `pairs` if the batch holds two views each."""
    makers = {
        "reproj": lambda: reproj(out, batch),
        "pose": lambda: pose(out, batch),
        "depth": lambda: depth(out, batch),
        "heatmap": lambda: heatmap(out, batch),
        "smooth": lambda: smooth(out, mesh),
        "laplacian": lambda: laplacian(out, mesh),
        "vertex": lambda: vertex(out, batch),
        "normal": lambda: normal(out, batch, mesh),
        "edge": lambda: edge(out, batch, mesh),
    }
    if pairs:
        makers |= {"pair": lambda: pair(out, batch), "pair_depth": lambda: pair_depth(out, batch)}
    parts = {name: make() for name, make in makers.items() if getattr(weights, name) != 0}
    value = torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum()
    return value, parts
