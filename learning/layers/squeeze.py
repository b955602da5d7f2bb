"""Squeeze-and-excitation, and the three ways in which Lite I2L-MeshNet doubles the resolution of a map."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from learning.layers.sparse import Deconv2d, DenseConv2d

Block = Literal["squeeze", "mbconv", "separable", "deconv"]
"""What doubles the resolution: blocks C, B and A of Lite I2L-MeshNet's Fig. 3, or a plain transposed convolution."""
Activation = Literal["relu", "silu"]

_REDUCTION, _LEAST = 16, 8
"""Of the squeeze in the blocks: a sixteenth explains the 0.69 M parameters between the rows of A and B in Table 2."""


def activate(x: Tensor, kind: Activation) -> Tensor:
    """`relu` or `silu`, the second as a product, which int8 has kernels for."""
    return F.relu(x) if kind == "relu" else x * torch.sigmoid(x)


class SqueezeExcite(nn.Module):
    """Channels weighed by what two small layers make of their means (Hu et al. 2018)."""

    def __init__(self, channels: int, inner: int, activation: Activation = "relu") -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)`, the same shape."""
        means = activate(self.reduce(F.adaptive_avg_pool2d(x, 1)), self.activation)
        return x * torch.sigmoid(self.expand(means))


class Doubling(nn.Module):
    """One of the blocks that double the resolution.

    `deconv`: a transposed convolution of all channels. `separable` (A): a depthwise one, then a pointwise one; `mbconv`
    (B): with a squeeze between the two; `squeeze` (C): depthwise, then squeeze, and a pointwise convolution only where
    the number of channels changes.
    """

    def __init__(self, block: Block, c_in: int, c_out: int) -> None:
        super().__init__()
        self.deconv = Deconv2d(c_in, c_out) if block == "deconv" else Deconv2d(c_in, c_in, c_in)
        self.between = _squeeze(c_in) if block == "mbconv" else None
        pointwise = block in ("separable", "mbconv") or (block == "squeeze" and c_in != c_out)
        self.pointwise = DenseConv2d(c_in, c_out, 1) if pointwise else None
        self.after = _squeeze(c_out) if block == "squeeze" else None

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, C_out, 2 H, 2 W)`."""
        x = F.relu(self.deconv(x))
        if self.between is not None:
            x = self.between(x)
        if self.pointwise is not None:
            x = F.relu(self.pointwise(x))
        return x if self.after is None else self.after(x)


def _squeeze(channels: int) -> SqueezeExcite:
    return SqueezeExcite(channels, max(_LEAST, channels // _REDUCTION))
