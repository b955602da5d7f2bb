"""The encoders of lixel networks, ResNet-50 and EfficientNet-B0, cut where joints are mixed in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from learning.layers.bottleneck import Bottleneck
from learning.layers.sparse import DenseConv2d
from learning.layers.squeeze import Activation, SqueezeExcite, activate

_EFFICIENTNET_B0 = (
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
)  # fmt: skip
"""Widening, channels, blocks, first stride and kernel of each stage (Tan & Le 2019, Table 1)."""
_STEM, _HEAD, _EARLY = 32, 1280, 2  # channels of the first and the last convolution; stages before stride 4 is left


@dataclass(frozen=True)
class Scale:
    """How large an encoder is, and what is between its layers."""

    width: float
    """All numbers of channels times this."""
    depth: float
    """The number of blocks of each stage times this, rounded up."""
    activation: Activation = "relu"
    """Of an EfficientNet."""

    def channels(self, count: int) -> int:
        """A number of channels at this width, a multiple of 8."""
        return count if math.isclose(self.width, 1.0) else max(8, round(count * self.width / 8) * 8)


class ResNetEarly(nn.Module):
    """ResNet's 7x7 convolution and max-pool."""

    def __init__(self, width: int) -> None:
        """Take the number of channels."""
        super().__init__()
        self.stem = DenseConv2d(3, width, 7, 2)
        self.channels = width

    def forward(self, image: Tensor) -> Tensor:
        """`(B, 3, S, S) -> (B, width, S / 4, S / 4)`."""
        return F.max_pool2d(F.relu(self.stem(image)), 3, 2, 1)


class ResNetDeep(nn.Sequential):
    """The four stages of ResNet-50: `(B, width, h, h) -> (B, 32 width, h / 8, h / 8)`."""

    def __init__(self, width: int, depth: float) -> None:
        blocks, previous = [], width
        for stage, count in enumerate((3, 4, 6, 3)):
            inner = width << stage
            for n in range(math.ceil(count * depth)):
                blocks.append(Bottleneck(previous, inner, 2 if stage and n == 0 else 1))
                previous = 4 * inner
        super().__init__(*blocks)
        self.channels = previous


class MobileBlock(nn.Module):
    """EfficientNet's block: MobileNetV2's with a squeeze behind the depthwise convolution."""

    def __init__(self, c_in: int, c_out: int, stride: int, expand: int, kernel: int, activation: Activation) -> None:
        super().__init__()
        wide = expand * c_in
        self.widen = DenseConv2d(c_in, wide, 1) if expand != 1 else None
        self.depthwise = DenseConv2d(wide, wide, kernel, stride, groups=wide)
        self.squeeze = SqueezeExcite(wide, max(1, c_in // 4), activation)
        self.narrow = DenseConv2d(wide, c_out, 1)
        self.residual = stride == 1 and c_in == c_out
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, C_out, H / stride, W / stride)`."""
        y = x if self.widen is None else activate(self.widen(x), self.activation)
        y = self.squeeze(activate(self.depthwise(y), self.activation))
        y = self.narrow(y)
        return x + y if self.residual else y


class EfficientNetEarly(nn.Module):
    """EfficientNet-B0's stem and first two stages."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        c = scale.channels(_STEM)
        self.stem = DenseConv2d(3, c, 3, 2)
        self.stages, self.channels = _stages(c, _EFFICIENTNET_B0[:_EARLY], scale)
        self.activation = scale.activation

    def forward(self, image: Tensor) -> Tensor:
        """`(B, 3, S, S) -> (B, 24, S / 4, S / 4)`."""
        return self.stages(activate(self.stem(image), self.activation))


class EfficientNetDeep(nn.Module):
    """EfficientNet-B0's other stages and its last 1x1 convolution."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        c_in = scale.channels(_EFFICIENTNET_B0[_EARLY - 1][1])
        self.stages, c_last = _stages(c_in, _EFFICIENTNET_B0[_EARLY:], scale)
        self.channels = scale.channels(_HEAD)
        self.head = DenseConv2d(c_last, self.channels, 1)
        self.activation = scale.activation

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 24, h, h) -> (B, 1280, h / 8, h / 8)`."""
        return activate(self.head(self.stages(x)), self.activation)


def _stages(c_in: int, rows: tuple[tuple[int, ...], ...], scale: Scale) -> tuple[nn.Module, int]:
    """Blocks of some stages, and the channels behind them."""
    blocks: list[nn.Module] = []
    for expand, channels, count, stride, kernel in rows:
        for n in range(math.ceil(count * scale.depth)):
            c_out = scale.channels(channels)
            blocks.append(MobileBlock(c_in, c_out, stride if n == 0 else 1, expand, kernel, scale.activation))
            c_in = c_out
    return nn.Sequential(*blocks), c_in
