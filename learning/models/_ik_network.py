"""The network of `ik_net`: bones to angles and shape."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoi_core.conventions import BONES, N_BETAS
from hoi_core.ik.bones import N_NUMBERS, bones
from hoi_core.ik.guess import DOFS
from hoi_core.ik.hand import ik_hand
from hoi_core.ik.start import rest_joints
from hoi_core.mano import ManoLayer
from learning.layers.sparse import DenseConv2d
from learning.models.ik_net import Config

_LENGTH_SPREAD = 0.25
"""Of a bone's length, relative: what becomes 1, as directions go from -1 to 1 and share their 8 bits with lengths."""


class IkNetwork(nn.Module):
    """Bones to angles and shape."""

    FLOAT_LAYERS = ("relative",)
    """Two numbers for each feature; in 8 bits lengths of bones would all look alike."""
    HEADS = ("angles", "betas")
    """Give the outputs; their integer sums are not rounded."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.relative = Relative()
        widths = (N_NUMBERS, *[config.width] * config.layers)
        # A convolution of one pixel is a linear layer whose batch norm folds.
        self.layers = nn.ModuleList(DenseConv2d(a, b, 1) for a, b in pairwise(widths))
        self.angles = nn.Linear(config.width, config.dof)
        self.betas = nn.Linear(config.width, N_BETAS)
        self.limits = Limits(config.dof)
        self.more_in_training = True
        """Whether angles outside their limits are left there in training, where they would learn nothing at them."""
        for head in (self.angles, self.betas):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    def forward(self, bones: Tensor) -> tuple[Tensor, Tensor]:
        """Angles and shape.

        Args:
            bones: `(B, 80)` of `hoi_core.ik.bones.bones`.

        Returns:
            `(B, 23)` or `(B, 45)` rad, inside their limits but in training; `(B, 10)`.
        """
        x = self.relative(bones)[:, :, None, None]
        for layer in self.layers:
            x = F.relu(layer(x))
        x = x.flatten(1)
        angles = self.angles(x)
        return angles if self.training and self.more_in_training else self.limits(angles), self.betas(x)


class Relative(nn.Module):
    """Bones whose lengths are relative to the mean hand's."""

    def __init__(self) -> None:
        super().__init__()
        rest = flat_bones(1)[0, 3 * len(BONES) :]
        self.lengths: Tensor
        self.register_buffer("lengths", rest, persistent=False)

    def forward(self, bones: Tensor) -> Tensor:
        """`(B, 80) -> (B, 80)`."""
        directions, lengths = bones[:, : 3 * len(BONES)], bones[:, 3 * len(BONES) :]
        return torch.cat([directions, (lengths / self.lengths - 1.0) / _LENGTH_SPREAD], 1)


class Limits(nn.Module):
    """Angles inside their limits."""

    def __init__(self, dof: int) -> None:
        super().__init__()
        self.low: Tensor
        self.high: Tensor
        limits = torch.as_tensor(DOFS[dof].limits_rad, dtype=torch.float32)
        self.register_buffer("low", limits[:, 0], persistent=False)
        self.register_buffer("high", limits[:, 1], persistent=False)

    def forward(self, angles: Tensor) -> Tensor:
        """`(B, n) rad -> (B, n) rad`."""
        return torch.minimum(torch.maximum(angles, self.low), self.high)


def flat_bones(count: int) -> Tensor:
    """Bones of the mean right hand that the user has, flat. `-> (count, 80)`."""
    rest = rest_joints(ik_hand(ManoLayer.from_env("right")), np.zeros((1, N_BETAS)))
    return torch.as_tensor(bones(rest, rest), dtype=torch.float32).expand(count, -1).clone()
