"""The hand's half of the cross-model CVAE: three residual attention modules to MANO's 58 numbers; places of joints."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoi_core.conventions import N_BETAS, N_JOINTS
from hoi_core.object_pose_model import N_HAND_POSE
from learning.layers.rows import Pointwise
from learning.layers.sparse import DenseConv2d
from learning.models._cvae_attention import ResidualAttention
from learning.models._hfl_decoders import JointPlaces

_MODULES = 3
_HIDDEN = 512


class HandBranch(nn.Module):
    """Features of the hand's box to pose and shape (Fig. 4), and heatmaps for the loss that the text names."""

    FLOAT_PARTS = ("places",)
    HEADS = ("out", "maps")

    def __init__(self, channels: int, cells: int, attention_width: int, *, attention: bool) -> None:
        """Take the features' channels and cells, the channels of queries and keys, and whether there is attention."""
        super().__init__()
        self.blocks = nn.ModuleList(
            ResidualAttention(channels, attention_width) if attention else nn.Identity() for _ in range(_MODULES)
        )
        flat = channels * (cells // 2**_MODULES) ** 2
        self.hidden, self.out = DenseConv2d(flat, _HIDDEN, 1), nn.Linear(_HIDDEN, N_HAND_POSE + N_BETAS)
        self.maps, self.places = Pointwise(channels, N_JOINTS), JointPlaces()
        with torch.no_grad():
            # Fresh weights say the mean hand, flat, in the template's axes.
            self.out.weight.mul_(0.1)
            self.out.bias.zero_()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Say the hand.

        Args:
            x: `(B, C, cells, cells)`.

        Returns:
            Pose `(B, 48)`, shape `(B, 10)`, joints in the box `(B, 21, 2)`, confidence `(B, 21)`.
        """
        joints, confidence = self.places(self.maps(x))
        for block in self.blocks:
            x = F.max_pool2d(block(x), 2)
        y = F.relu(self.hidden(torch.flatten(x, 1)[:, :, None, None]))
        said = self.out(torch.flatten(y, 1))
        return said[:, :N_HAND_POSE], said[:, N_HAND_POSE:], joints, confidence
