"""Layers whose integer sums are read as numbers, unrounded, and the forms that runtimes have such integer kernels for.

A convolution with integer weights rounds what it gives to 8 bits. A linear layer on rows need not: runtimes hand out
its sums of 32 bits as floats. So what gives the outputs of a network, where 8 bits would be too coarse, is written as
rows when the network is quantised. A module that offers `integer_form(shape)`, where `shape` is that of its output, is
replaced by what it returns; its weights in float training keep their names.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Pointwise(nn.Conv2d):
    """A 1x1 convolution that gives an output of the network, or what only layers in float read."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(c_in, c_out, 1)

    @classmethod
    def like(cls, conv: nn.Conv2d) -> Pointwise:
        """A 1x1 convolution of that kind with the weights of a plain one."""
        made = cls(conv.in_channels, conv.out_channels)
        made.load_state_dict(conv.state_dict())
        return made

    def integer_form(self, shape: tuple[int, ...]) -> nn.Module:
        """The same on rows of pixels, for maps of `shape` `(B, C_out, H, W)`."""
        return PointwiseRows(self, shape[2], shape[3])


class PointwiseRows(nn.Module):
    """A 1x1 convolution as a linear layer on the pixels of maps whose size is known."""

    def __init__(self, conv: Pointwise, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.linear = nn.Linear(conv.in_channels, conv.out_channels)
        with torch.no_grad():
            self.linear.weight.copy_(conv.weight.flatten(1))
            self.linear.bias.copy_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, C_out, H, W)`."""
        rows = x.permute(0, 2, 3, 1).reshape(-1, self.linear.in_features)
        y = self.linear(rows).reshape(-1, self.height, self.width, self.linear.out_features)
        return y.permute(0, 3, 1, 2)


class AlongVertices(nn.Module):
    """A fixed map between the vertices of two meshes as a linear layer, for a known number of channels."""

    def __init__(self, matrix: Tensor, channels: int) -> None:
        """Take the weights `(V_fine, V_coarse)`."""
        super().__init__()
        self.channels = channels
        self.linear = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False)
        self.linear.weight = nn.Parameter(matrix.detach().clone(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, V_coarse, C) -> (B, V_fine, C)`."""
        rows = x.transpose(1, 2).reshape(-1, self.linear.in_features)
        return self.linear(rows).reshape(-1, self.channels, self.linear.out_features).transpose(1, 2)
