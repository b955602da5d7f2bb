"""The network of `hand_detector`."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from learning.layers.rows import Pointwise
from learning.layers.sparse import DenseConv2d
from learning.models.hand_detector import Config

_RARE = 0.01
"""What a fresh network thinks of a cell: most hold no centre (Lin et al. 2017, section 4.1)."""


class Separable(nn.Module):
    """Depthwise 3x3, ReLU, pointwise, ReLU (Howard et al. 2017); with a shortcut where the shape stays."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = DenseConv2d(c_in, c_in, 3, stride, groups=c_in)
        self.pointwise = DenseConv2d(c_in, c_out, 1)
        self.same = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, C_out, H / stride, W / stride)`."""
        y = self.pointwise(F.relu(self.depthwise(x)))
        return F.relu(x + y) if self.same else F.relu(y)


class DetectorNetwork(nn.Module):
    """Encoder to stride 32, features at stride 8, three heads."""

    HEADS = ("centres", "boxes", "sides")
    """Give the outputs; their integer sums are not rounded."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        w, c = config.width, config.head_channels
        self.stem = DenseConv2d(3, w // 2, 3, 2)
        self.to4 = DenseConv2d(w // 2, w, 3, 2)
        self.to8 = nn.Sequential(Separable(w, 2 * w, 2), Separable(2 * w, 2 * w), Separable(2 * w, 2 * w))
        self.to16 = nn.Sequential(
            Separable(2 * w, 4 * w, 2), Separable(4 * w, 4 * w), Separable(4 * w, 4 * w), Separable(4 * w, 4 * w)
        )
        self.to32 = nn.Sequential(Separable(4 * w, 6 * w, 2), Separable(6 * w, 6 * w), Separable(6 * w, 6 * w))
        self.lateral32 = DenseConv2d(6 * w, c, 1)
        self.lateral16 = DenseConv2d(4 * w, c, 1)
        self.lateral8 = DenseConv2d(2 * w, c, 1)
        self.smooth16, self.smooth8 = Separable(c, c), Separable(c, c)
        self.head = Separable(c, c)
        self.centres, self.boxes, self.sides = (Pointwise(c, n) for n in (1, 4, 1))
        with torch.no_grad():
            self.centres.bias.fill_(log(_RARE / (1.0 - _RARE)))  # type: ignore[union-attr]
            self.boxes.weight.mul_(0.1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `hoi_core.detect` for the units.

        Args:
            image: `(B, 3, S, S)` in [-1, 1].

        Returns:
            Logits of centres `(B, 1, S / 8, S / 8)`, boxes `(B, 4, S / 8, S / 8)`, logits of right hands
            `(B, 1, S / 8, S / 8)`.
        """
        x8 = self.to8(F.relu(self.to4(F.relu(self.stem(image)))))
        x16 = self.to16(x8)
        top = F.relu(self.lateral32(self.to32(x16)))
        p16 = self.smooth16(F.relu(F.interpolate(top, scale_factor=2.0, mode="nearest") + self.lateral16(x16)))
        p8 = self.smooth8(F.relu(F.interpolate(p16, scale_factor=2.0, mode="nearest") + self.lateral8(x8)))
        features = self.head(p8)
        return self.centres(features), self.boxes(features), self.sides(features)
