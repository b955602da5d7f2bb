"""Residual blocks of dense networks: MobileNetV2's and ResNet's, and the depthwise-separable convolution."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from learning.layers.sparse import DenseConv2d


class SeparableConv2d(nn.Module):
    """Depthwise convolution, then a 1x1 convolution; ReLU after both, or after the first alone."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, *, linear: bool = False) -> None:
        super().__init__()
        self.depthwise = DenseConv2d(c_in, c_in, kernel, stride, groups=c_in)
        self.pointwise = DenseConv2d(c_in, c_out, 1)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, C_out, H / stride, W / stride)`."""
        y = self.pointwise(F.relu(self.depthwise(x)))
        return y if self.linear else F.relu(y)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widen by 1x1, depthwise, narrow by 1x1 without activation (Sandler et al. 2018).

    With ReLU in place of ReLU6, which int8 would have to compute as an operation of its own.
    """

    def __init__(self, c_in: int, c_out: int, stride: int = 1, *, expand: int = 6, kernel: int = 3) -> None:
        super().__init__()
        wide = expand * c_in
        self.widen = DenseConv2d(c_in, wide, 1) if expand != 1 else None
        self.depthwise = DenseConv2d(wide, wide, kernel, stride, groups=wide)
        self.narrow = DenseConv2d(wide, c_out, 1)
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, C_out, H / stride, W / stride)`."""
        y = x if self.widen is None else F.relu(self.widen(x))
        y = self.narrow(F.relu(self.depthwise(y)))
        return x + y if self.residual else y


class Bottleneck(nn.Module):
    """ResNet-50's block: 1x1, 3x3 and 1x1 convolutions, the last to four times the width."""

    def __init__(self, c_in: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.reduce = DenseConv2d(c_in, width, 1)
        self.middle = DenseConv2d(width, width, 3, stride)
        self.widen = DenseConv2d(width, 4 * width, 1)
        self.shortcut = DenseConv2d(c_in, 4 * width, 1, stride) if stride != 1 or c_in != 4 * width else None

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, 4 width, H / stride, W / stride)`."""
        y = self.widen(F.relu(self.middle(F.relu(self.reduce(x)))))
        kept = x if self.shortcut is None else self.shortcut(x)
        return F.relu(y + kept)


class BasicBlock(nn.Module):
    """ResNet-18's block: two 3x3 convolutions."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = DenseConv2d(c_in, c_out, 3, stride)
        self.conv2 = DenseConv2d(c_out, c_out, 3)
        self.shortcut = DenseConv2d(c_in, c_out, 1, stride) if stride != 1 or c_in != c_out else None

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, C_out, H / stride, W / stride)`."""
        y = self.conv2(F.relu(self.conv1(x)))
        kept = x if self.shortcut is None else self.shortcut(x)
        return F.relu(y + kept)
