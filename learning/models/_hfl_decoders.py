"""HFL-Net's decoders: MANO parameters of the hand, places of the object's control points."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoi_core.conventions import N_BETAS, N_CONTROL, N_JOINTS
from hoi_core.grasp_model import N_ROTATIONS
from learning.layers.hourglass import Activation, FirstNormBottleneck, Hourglass, activate
from learning.layers.rows import Pointwise
from learning.layers.sparse import DenseConv2d
from learning.models._lixel_network import centres

_OBJECT_SLOPE = 0.1  # of the leaky activations in the object's decoder
_OBJECT_BLOCKS = 3
_REACH = 0.1  # of the object's box for each unit of an offset


class HandDecoder(nn.Module):
    """An hourglass to heatmaps of the joints, and a residual encoder of both its outputs to MANO parameters."""

    HEADS = ("score", "pose", "shape")
    FLOAT_PARTS = ("places",)

    def __init__(self, channels: int, cells: int, activation: Activation) -> None:
        """Take the channels and cells of the hand's features."""
        super().__init__()
        halvings = int(math.log2(cells)) - 1
        self.activation = activation
        self.hourglass = Hourglass(channels, halvings, activation)
        self.residual = FirstNormBottleneck(channels, activation)
        self.mix = DenseConv2d(channels, channels, 1, bias=True)
        self.score = Pointwise(channels, N_JOINTS)
        self.places = JointPlaces()
        self.of_score, self.of_features = nn.Conv2d(N_JOINTS, channels, 1), nn.Conv2d(channels, channels, 1)
        self.encoder = nn.ModuleList(
            nn.Sequential(FirstNormBottleneck(channels, activation), FirstNormBottleneck(channels, activation))
            for _ in range(halvings)
        )
        flat = 4 * channels  # 2 x 2 cells are left
        self.first, self.second = nn.Linear(flat, flat), nn.Linear(flat, flat // 2)
        self.pose, self.shape = nn.Linear(flat // 2, 6 * N_ROTATIONS), nn.Linear(flat // 2, N_BETAS)
        with torch.no_grad():
            # Fresh weights say a flat hand that faces the camera, not rotations of two columns that are nothing.
            for head in (self.pose, self.shape):
                head.weight.mul_(0.1)
                head.bias.zero_()
            self.pose.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).repeat(N_ROTATIONS))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Decode.

        Args:
            x: `(B, C, cells, cells)` features of the hand's box.

        Returns:
            Rotations `(B, 16, 6)`, shape `(B, 10)`, joints in the box `(B, 21, 2)`, confidence `(B, 21)`.
        """
        features = activate(self.mix(self.residual(self.hourglass(x))), self.activation)
        score = self.score(features)
        joints, confidence = self.places(score)
        y = self.of_score(score) + self.of_features(features)
        for blocks in self.encoder:
            y = F.max_pool2d(blocks(y), 2)
        y = activate(self.first(y.flatten(1)), self.activation)
        y = activate(self.second(y), self.activation)
        return self.pose(y).reshape(-1, N_ROTATIONS, 6), self.shape(y), joints, confidence


class JointPlaces(nn.Module):
    """Soft-argmax over the box with a learnt temperature for each joint, and the peak that it comes from."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(N_JOINTS))

    def forward(self, score: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, 21, n, n)` -> places `(B, 21, 2)`, x and y from 0 to 1 over the box; peaks `(B, 21)`."""
        share = (score.flatten(2) * self.temperature[:, None]).softmax(dim=-1)
        at = middles(score.shape[-1], score)
        return share @ at, share.amax(dim=-1)


class ObjectDecoder(nn.Module):
    """Six convolutions and one to what each cell says of each control point."""

    HEADS = ("head",)
    FLOAT_PARTS = ("votes",)

    def __init__(self, channels: int, activation: Activation) -> None:
        """Take the channels of the object's features."""
        super().__init__()
        self.narrow = nn.ModuleList(DenseConv2d(channels, channels // 2, 1) for _ in range(_OBJECT_BLOCKS))
        self.widen = nn.ModuleList(DenseConv2d(channels // 2, channels, 3) for _ in range(_OBJECT_BLOCKS))
        self.head = Pointwise(channels, 3 * N_CONTROL)
        self.votes = Votes()
        self.slope = _OBJECT_SLOPE if activation == "leaky" else 0.0

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, C, n, n)` features of the object's box -> `Votes`."""
        for narrow, widen in zip(self.narrow, self.widen, strict=True):
            x = self._activated(widen(self._activated(narrow(x))))
        return self.votes(self.head(x))

    def _activated(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.slope) if self.slope else F.relu(x)


class Votes(nn.Module):
    """Where each cell sees each control point, and how much it trusts itself."""

    def forward(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Read.

        Args:
            raw: `(B, 63, n, n)`: dx, dy and a logit of each point.

        Returns:
            `(B, 21, 2, n^2)`: x and y from 0 to 1 over the box; `(B, 21, n^2)` trust from 0 to 1.
        """
        cells = middles(raw.shape[-1], raw).T
        offset_x, offset_y, logit = raw.unflatten(1, (N_CONTROL, 3)).flatten(3).unbind(2)
        return torch.stack([offset_x, offset_y], 2) * _REACH + cells, torch.sigmoid(logit)


def middles(count: int, like: Tensor) -> Tensor:
    """Middles of the cells of a square grid, row by row: x and y from 0 to 1. `-> (count^2, 2)`."""
    line = 0.5 * (centres(count, like) + 1.0)
    return torch.stack([line.repeat(count), line.repeat_interleave(count)], dim=-1)
