"""Feature pyramid: maps of several strides become one of the finest (Lin et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from learning.layers.bottleneck import SeparableConv2d


class FeaturePyramid(nn.Module):
    """1x1 convolutions of all maps to as many channels, added from the coarsest to the finest, and a 3x3 convolution.

    Of the pyramid's maps only the finest is made, which is all that hand-object networks read.
    """

    def __init__(self, channels: Sequence[int], c_out: int, *, separable: bool = False) -> None:
        """Take the widths.

        Args:
            channels: of the maps, the finest first.
            c_out: of the result.
            separable: a depthwise and a pointwise convolution at the end, for small networks.
        """
        super().__init__()
        self.sides = nn.ModuleList(nn.Conv2d(c_in, c_out, 1) for c_in in channels)
        self.smooth = SeparableConv2d(c_out, c_out, linear=True) if separable else nn.Conv2d(c_out, c_out, 3, padding=1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Merge.

        Args:
            maps: `(B, C_k, H / 2^k, W / 2^k)`, the finest first.

        Returns:
            `(B, c_out, H, W)`.
        """
        x = self.sides[-1](maps[-1])
        for side, finer in zip(reversed(self.sides[:-1]), reversed(maps[:-1]), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear") + side(finer)
        return self.smooth(x)
