"""I2L-MeshNet: joints, then vertices, each coordinate as a heatmap along one line (Moon & Lee 2020).

A lixel is a cell of such a line. The first stage (PoseNet) finds the joints; their heatmaps in space and early features
of the image go into the second (MeshNet), which finds the vertices.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoi_core.conventions import N_JOINTS, N_VERTICES
from hoi_core.crop import LENGTH_UNIT_M
from learning.layers.cells import centres
from learning.layers.rows import Pointwise
from learning.layers.sparse import DenseConv2d
from learning.layers.squeeze import Block, Doubling

_SIGMA = 2.5 / 64.0
"""Spread of the rendered joints, in lengths of an axis: 2.5 of 64 lixels (released code of I2L-MeshNet)."""
_DOUBLINGS = 3


@dataclass(frozen=True)
class Shape:
    """What the two designs of a lixel network differ in."""

    block: Block
    """What doubles the resolution."""
    channels: int
    """Of the maps that lines are read from."""
    lixels: int
    """Along depth; along x and y there are as many in a crop of 256 px."""
    depth_rank: int
    """Numbers between the image and the features of depth; 0 for one full layer."""
    depth_box_m: float
    """Extent of the depth axis about the wrist, m."""


class LixelNetwork(nn.Module):
    """Both stages, and a layer for the wrist's depth, which I2L-MeshNet leaves to a network of its own."""

    FLOAT_LAYERS = ("first_places", "second_places", "peaks", "heatmaps", "regressor")
    """Stay in float when the rest is quantised: softmax, rendered joints, and the sum that makes joints of vertices."""
    HEADS = ("first.x", "first.y", "first.z", "second.x", "second.y", "second.z", "root")
    """Give the outputs; their integer sums are not rounded."""

    def __init__(self, shape: Shape, early: nn.Module, deep: tuple[nn.Module, nn.Module], regressor: Tensor) -> None:
        """Put the network together.

        Args:
            shape: see there.
            early: image to features at a quarter of the resolution, `early.channels` of them.
            deep: of each stage, from there to `deep.channels` at an eighth of that.
            regressor: `(21, 778)` joints as means of vertices.
        """
        super().__init__()
        c_early, c_deep = int(early.channels), int(deep[0].channels)  # type: ignore[arg-type]
        reach = shape.depth_box_m / 2.0 / LENGTH_UNIT_M
        doubles = shape.block != "deconv"
        c_joined = c_early + N_JOINTS * shape.lixels
        self.early, self.first_deep, self.second_deep = early, deep[0], deep[1]
        self.first = LixelStage(shape, c_deep, N_JOINTS)
        self.first_places, self.peaks = Places(reach), Peaks()
        self.heatmaps = JointHeatmaps(shape.lixels, reach)
        # The public design keeps the resolution here, the lite one doubles it.
        self.aggregate: nn.Module = (
            Doubling(shape.block, c_joined, c_early) if doubles else DenseConv2d(c_joined, c_early, 3, bias=True)
        )
        self.doubles = doubles
        self.second = LixelStage(shape, c_deep, N_VERTICES, halved=doubles)
        self.second_places = Places(reach)
        self.regressor = JointsOfVertices(regressor)
        self.root = Pointwise(c_deep, 1)
        with torch.no_grad():
            self.root.weight.mul_(0.1)
            self.root.bias.fill_(1.0)  # type: ignore[union-attr]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """See `hoi_core.lixel_model` for the units.

        Args:
            image: `(B, 3, S, S)`; S a multiple of 32.

        Returns:
            Joints of the mesh `(B, 21, 3)`, vertices `(B, 778, 3)`, the wrist's depth `(B, 1)`, confidence `(B, 21)`,
            joints of the first stage `(B, 21, 3)`.
        """
        early = self.early(image)
        deep = self.first_deep(early)
        x, y, z = self.first(deep)
        joints, confidence = self.first_places(x, y, z), self.peaks(x, y)
        features = self.aggregate(torch.cat([early, self.heatmaps(joints, early)], dim=1))
        vertices = self.second_places(*self.second(self.second_deep(features if self.doubles else F.relu(features))))
        root = self.root(F.adaptive_avg_pool2d(deep, 1)).reshape(-1, 1)
        return self.regressor(vertices), vertices, root, confidence, joints


class LixelStage(nn.Module):
    """Deep features to the logits of some points along x, y and depth."""

    def __init__(self, shape: Shape, c_in: int, points: int, *, halved: bool = False) -> None:
        """Three doublings; `halved` takes the mean of each two lixels of the lines in the image."""
        super().__init__()
        c = shape.channels
        self.channels, self.lixels, self.halved = c, shape.lixels, halved
        widths = (c_in, *[c] * _DOUBLINGS)
        self.up = nn.Sequential(*(Doubling(shape.block, a, b) for a, b in pairwise(widths)))
        self.x, self.y, self.z = (Pointwise(c, points) for _ in range(3))
        wide, rank = c * shape.lixels, shape.depth_rank
        self.depth: nn.Module = (
            nn.Sequential(DenseConv2d(c_in, rank, 1), DenseConv2d(rank, wide, 1, bias=True))
            if rank
            else DenseConv2d(c_in, wide, 1, bias=True)
        )

    def forward(self, deep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`(B, C, h, h)` -> `(B, N, 1, L)`, `(B, N, L, 1)` and `(B, N, lixels, 1)`."""
        plane = self.up(deep)
        columns, rows = plane.mean(2, keepdim=True), plane.mean(3, keepdim=True)
        if self.halved:
            columns, rows = F.avg_pool2d(columns, (1, 2)), F.avg_pool2d(rows, (2, 1))
        along = F.relu(self.depth(F.adaptive_avg_pool2d(deep, 1))).reshape(-1, self.channels, self.lixels, 1)
        return self.x(columns), self.y(rows), self.z(along)


class Places(nn.Module):
    """Soft-argmax: the expectation of the softmax along each line."""

    def __init__(self, reach: float) -> None:
        """Take half of the depth axis, in units of 0.2 m."""
        super().__init__()
        self.reach = reach

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Logits of N points -> `(B, N, 3)`: x and y from -1 to 1 at the crop's outer edges, depth in 0.2 m."""
        return torch.stack([expectation(x), expectation(y), expectation(z) * self.reach], dim=-1)


def expectation(logits: Tensor) -> Tensor:
    """`(B, N, ...)` logits of L cells -> `(B, N)` from -1 to 1, the outer edges of the line."""
    p = logits.flatten(2).softmax(dim=-1)
    return p @ centres(p.shape[-1], p)


class Peaks(nn.Module):
    """How much the lines in the image insist on one cell: the product of the peaks of both."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Logits -> `(B, N)` in [0, 1]."""
        return x.flatten(2).softmax(dim=-1).amax(dim=-1) * y.flatten(2).softmax(dim=-1).amax(dim=-1)


class JointHeatmaps(nn.Module):
    """A Gaussian in space around each joint; nothing is learnt through it, as in the released code."""

    def __init__(self, lixels: int, reach: float) -> None:
        super().__init__()
        self.lixels, self.reach = lixels, reach

    def forward(self, joints: Tensor, like: Tensor) -> Tensor:
        """`(B, 21, 3)` of `Places`, features `(B, C, h, w)` -> `(B, 21 lixels, h, w)`, 1 at the joints."""
        found = joints.detach()
        x, y = (self._line(found[..., k], like.shape[3 - k], like) for k in (0, 1))
        z = self._line(found[..., 2] / self.reach, self.lixels, like)
        in_space = z[:, :, :, None, None] * y[:, :, None, :, None] * x[:, :, None, None, :]
        return in_space.flatten(1, 2)

    def _line(self, at: Tensor, count: int, like: Tensor) -> Tensor:
        """Gaussian along one axis. `(B, 21) -> (B, 21, count)`."""
        away = (centres(count, like) - at[..., None]) / (2.0 * _SIGMA)
        return torch.exp(-0.5 * away * away)


class JointsOfVertices(nn.Module):
    """Joints as weighted means of vertices."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights: Tensor
        self.register_buffer("weights", weights)

    def forward(self, vertices: Tensor) -> Tensor:
        """`(B, 778, 3) -> (B, 21, 3)`."""
        return self.weights @ vertices
