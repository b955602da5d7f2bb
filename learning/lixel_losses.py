"""Losses of networks of lixels (Lite I2L-MeshNet, eq. 4), in lixels, as I2L-MeshNet takes them.

L = L_pose of the first stage + L_pose of the mesh + L_vertex + L_edge + 0.1 L_normal, and that of the wrist's depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hoi_core.crop import LENGTH_UNIT_M, ROOT_UNIT_M
from hoi_core.types import Batch
from learning.config import LossWeights
from learning.losses import Mesh, off_lengths, off_normals, project
from learning.processes import mean_over_all

_SHORT_LIXELS = 0.25
"""Shorter edges, about a millimetre, have no direction worth a gradient."""


@dataclass(frozen=True)
class Lixels:
    """The box that lixels divide."""

    count: int
    """Along each axis."""
    depth_box_m: float
    """Extent along depth, about the wrist, m."""

    def of_network(self, points: Tensor) -> Tensor:
        """Points as a network says them to lixels from the middle of the box. `(B, N, 3)`, the same shape."""
        reach = self.depth_box_m / 2.0 / LENGTH_UNIT_M
        return points * (0.5 * self.count) / points.new_tensor([1.0, 1.0, reach])

    def of_truth(self, points_m: Tensor, wrist_m: Tensor, K: Tensor, size: int) -> Tensor:
        """Labels to lixels from the middle of the box.

        Args:
            points_m: `(B, N, 3)` m, crop frame.
            wrist_m: `(B, 1, 3)` m.
            K: `(B, 3, 3)` px.
            size: side of the crops, px.

        Returns:
            `(B, N, 3)`.
        """
        uv = (2.0 * project(points_m, K) + 1.0) / size - 1.0
        depth = (points_m[..., 2:] - wrist_m[..., 2:]) / (self.depth_box_m / 2.0)
        return torch.cat([uv, depth], dim=-1) * (0.5 * self.count)

    def holds(self, lixels: Tensor) -> Tensor:
        """Which points lie in the box, where alone a network can put them. `(B, N, 3) -> (B, N)`."""
        return (lixels.abs() <= 0.5 * self.count).all(-1)


def total(
    raw: tuple[Tensor, ...], batch: Batch, mesh: Mesh, weights: LossWeights, box: Lixels
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the losses whose weight is not zero, and its parts.

    Args:
        raw: `hoi_core.lixel_model.LixelModel.OUTPUTS`.
        batch: labels.
        mesh: connectivity.
        weights: of the losses.
        box: what lixels divide.
    """
    size, wrist = batch.image.shape[-1], batch.joints_m[:, :1]
    joints = box.of_truth(batch.joints_m, wrist, batch.K, size)
    known = batch.joints_valid & batch.joints_valid[:, :1] & box.holds(joints)
    has_mesh = batch.vertices_valid & batch.joints_valid[:, 0]
    at = torch.where(has_mesh[:, None, None], batch.vertices_m, wrist)
    vertices = box.of_truth(at, wrist, batch.K, size)
    found = box.of_network(raw[1])
    makers = {
        "first_pose": (weights.lixel_pose, lambda: _away(box.of_network(raw[4]), joints, known)),
        "mesh_pose": (weights.lixel_pose, lambda: _away(box.of_network(raw[0]), joints, known)),
        "vertex": (weights.vertex, lambda: _away(found, vertices, has_mesh[:, None] & box.holds(vertices))),
        "edge": (weights.edge, lambda: off_lengths(found, vertices, has_mesh, mesh)),
        "normal": (weights.normal, lambda: off_normals(found / _SHORT_LIXELS, vertices, has_mesh, mesh)),
        "depth": (weights.depth, lambda: root(raw[2], batch) * (0.5 * box.count)),
    }
    parts = {name: make() for name, (weight, make) in makers.items() if weight != 0}
    value = torch.stack([makers[name][0] * part for name, part in parts.items()]).sum()
    return value, parts


def root(found: Tensor, batch: Batch) -> Tensor:
    """Absolute error of the wrist's depth, in the unit of the network: a share of the depth for most hands.

    Args:
        found: `(B, 1)`.
        batch: labels.
    """
    size = batch.image.shape[-1]
    true = batch.joints_m[:, 0, 2] * size / batch.K[:, 0, 0] / ROOT_UNIT_M
    return mean_over_all((found[:, 0] - true).abs(), batch.joints_valid[:, 0])


def _away(found: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Mean absolute difference of coordinates. `(B, N, 3)` twice, `(B, N)`."""
    difference = torch.where(known[..., None], found - true, 0.0).abs()
    return mean_over_all(difference, known[..., None].expand_as(difference))
