"""Hourglass of residual blocks whose norms come first (Newell et al. 2016)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from learning.layers.sparse import DenseConv2d, FirstNorm

Activation = Literal["leaky", "relu"]
"""`leaky` lets a hundredth of negative values through; `relu` is free in int8."""


def activate(x: Tensor, kind: Activation) -> Tensor:
    """Any shape."""
    return F.leaky_relu(x) if kind == "leaky" else F.relu(x)


class FirstNormBottleneck(nn.Module):
    """Norm, activation, convolution, three times: 1x1 to half of the channels, 3x3, 1x1 back; added to what went in."""

    FLOAT_PARTS = ("first",)
    """Stay in float when the rest is quantised: they are no convolutions."""

    def __init__(self, channels: int, activation: Activation = "leaky") -> None:
        super().__init__()
        inner = channels // 2
        self.first = FirstNorm(channels)
        self.reduce = DenseConv2d(channels, inner, 1, bias=True)
        self.middle = DenseConv2d(inner, inner, 3, bias=True)
        self.widen = nn.Conv2d(inner, channels, 1)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)`, the same shape."""
        y = activate(self.first(x), self.activation)
        y = activate(self.reduce(y), self.activation)
        y = activate(self.middle(y), self.activation)
        return x + self.widen(y)


class Hourglass(nn.Module):
    """Down by halves to the coarsest map and up again, with a block beside each way down: `3 depth + 1` blocks."""

    def __init__(self, channels: int, depth: int, activation: Activation = "leaky") -> None:
        """Take the number of channels and of halvings."""
        super().__init__()

        def block() -> nn.Module:
            return FirstNormBottleneck(channels, activation)

        self.beside, self.down, self.up = block(), block(), block()
        self.inner = Hourglass(channels, depth - 1, activation) if depth > 1 else block()

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)`, the same shape; H and W divide by `2^depth`."""
        low = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.beside(x) + F.interpolate(low, scale_factor=2.0)
