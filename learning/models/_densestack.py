"""DenseStack: two hourglasses of densely connected depthwise-separable convolutions, the encoder of MobRecon."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from learning.layers.sparse import DenseConv2d

_MAPS = 24  # channels at the end of each stack
_SQUEEZED = 256  # most channels inside a squeeze block


class MobileUnit(nn.Module):
    """Depthwise 3x3 convolutions, then a pointwise one; added to the input where the channels are as many."""

    def __init__(self, c_in: int, c_out: int, depthwise: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.ModuleList(DenseConv2d(c_in, c_in, 3, groups=c_in) for _ in range(depthwise))
        self.pointwise = DenseConv2d(c_in, c_out, 1)
        self.adds = c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, C_out, H, W)`."""
        y = x
        for conv in self.depthwise:
            y = F.relu(conv(y))
        y = F.relu(self.pointwise(y))
        return y + x if self.adds else y


class DenseBlock(nn.Module):
    """Units that each see the input and what all units before them gave."""

    def __init__(self, c_in: int, growths: tuple[int, ...], *, keep_input: bool = True) -> None:
        """Take the channels of each unit; the input is part of the output if it is kept."""
        super().__init__()
        units, seen = [], c_in
        for growth in growths:
            units.append(MobileUnit(seen, growth))
            seen += growth
        self.units = nn.ModuleList(units)
        self.keep_input = keep_input

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, C_in + growths, H, W)`, or the growths alone."""
        made: list[Tensor] = []
        for unit in self.units:
            made.append(unit(torch.cat([x, *made], dim=1)))
        return torch.cat([x, *made] if self.keep_input else made, dim=1)


class Squeeze(nn.Module):
    """Squeeze-and-excitation: channels are weighed by what the whole map says (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = min(channels // 2, _SQUEEZED)
        self.down, self.up = DenseConv2d(channels, inner, 1), DenseConv2d(inner, channels, 1)
        self.bounded = nn.Hardtanh(0.0, 4.0)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)`, the same shape."""
        pooled = F.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.up(self.bounded(self.down(pooled))))


class Stack(nn.Module):
    """One hourglass: down from stride 4 to 32, and up to 8 with what was seen on the way down."""

    def __init__(self, c: int, *, full: bool) -> None:
        """Take the channels of the input; `full` adds two blocks at the lowest resolution."""
        super().__init__()
        self.dense1, self.squeeze1 = DenseBlock(c, (c // 2, c // 2)), Squeeze(2 * c)
        self.dense2, self.squeeze2 = DenseBlock(2 * c, (c // 2,) * 4), Squeeze(4 * c)
        self.dense3 = DenseBlock(4 * c, (c,) * 4)
        deep: list[nn.Module] = [Squeeze(8 * c), nn.AvgPool2d(2)] if full else [nn.AvgPool2d(2)]
        if full:
            deep += [DenseBlock(8 * c, (6 * c, 2 * c), keep_input=False) for _ in range(2)]
        self.deep = nn.Sequential(*deep)
        self.shrink1 = nn.Sequential(MobileUnit(8 * c, 4 * c), MobileUnit(4 * c, 4 * c, 2), Squeeze(4 * c))
        self.shrink2 = nn.Sequential(MobileUnit(4 * c, 2 * c), MobileUnit(2 * c, 2 * c, 2), Squeeze(2 * c))
        self.shrink3 = nn.Sequential(MobileUnit(2 * c, 2 * c), MobileUnit(2 * c, _MAPS, 2), Squeeze(_MAPS))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, C, S / 4, S / 4)` -> `(B, 24, S / 8, S / 8)` and `(B, 8 C, S / 32, S / 32)`."""
        d1 = F.avg_pool2d(self.squeeze1(self.dense1(x)), 2)
        d2 = F.avg_pool2d(self.squeeze2(self.dense2(d1)), 2)
        d3 = self.deep(self.dense3(d2))
        y = d2 + F.interpolate(self.shrink1(d3), scale_factor=2.0, mode="nearest")
        y = d1 + F.interpolate(self.shrink2(y), scale_factor=2.0, mode="nearest")
        return self.shrink3(y), d3


class DenseStack(nn.Module):
    """Stem and two stacks, the second of which sees what the first one made."""

    def __init__(self, width: int = 64, *, full: bool = True) -> None:
        """Take the channels of the first convolution; `full`: see `Config.first_stack`."""
        super().__init__()
        c = 2 * width
        self.channels = (_MAPS, 8 * c)
        self.stem1, self.stem2 = DenseConv2d(3, width, 3, 2), MobileUnit(width, c)
        self.shrink = DenseConv2d(4 * c, c, 1)
        self.stack1, self.stack2 = Stack(c, full=full), Stack(c, full=True)
        self.remap, self.join = DenseConv2d(_MAPS, _MAPS, 1), DenseConv2d(_MAPS + c, c, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, 3, S, S)` -> `(B, 24, S / 8, S / 8)` and `(B, 16 width, S / 32, S / 32)`; S a multiple of 32."""
        x = self.stem2(F.relu(self.stem1(image)))
        x = F.relu(self.shrink(F.pixel_unshuffle(x, 2)))
        first, _ = self.stack1(x)
        first = F.interpolate(first, scale_factor=2.0, mode="bilinear", align_corners=True)
        maps, deep = self.stack2(F.relu(self.join(torch.cat([F.relu(self.remap(first)), x], dim=1))))
        return maps, deep
