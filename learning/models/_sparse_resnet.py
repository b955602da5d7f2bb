"""ResNet-18 on sites: the encoder that sparse models share."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from learning.layers.sparse import SparseBlock, SparseConv2d, site_mask


class SparseStage(nn.Module):
    """Two residual blocks on the same sites."""

    def __init__(self, first: SparseBlock, second: SparseBlock) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`(B, C_in, H, W)`, sites of the output `(B, 1, ...)` -> `(B, C_out, ...)`."""
        return self.second(self.first(x, mask), mask)


class SparseResNet18(nn.Module):
    """7x7 stem and four stages of two blocks; 11.2 M parameters at width 64."""

    def __init__(self, width: int = 64, c_in: int = 3) -> None:
        super().__init__()
        self.channels = (width, 2 * width, 4 * width, 8 * width)
        self.stem = SparseConv2d(c_in, width, 7, 2)
        stages = []
        previous = width
        for i, channels in enumerate(self.channels):
            first = SparseBlock(previous, channels, 1 if i == 0 else 2)
            stages.append(SparseStage(first, SparseBlock(channels, channels)))
            previous = channels
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features at strides 4, 8, 16 and 32, zero off their sites.

        Args:
            image: `(B, 3, S, S)`, non-negative, zero off the sites; S a multiple of 32.
        """
        mask = site_mask(image, 2)
        x = F.relu(self.stem(image, mask)) * mask
        mask = F.max_pool2d(mask, 2, 2)
        # Over non-negative values with zeros off the sites this is the sparse max-pool; the mask drops its overhang.
        x = F.max_pool2d(x, 3, 2, 1) * mask
        out = []
        for i, stage in enumerate(self.stages):
            if i > 0:
                mask = F.max_pool2d(mask, 2, 2)
            x = stage(x, mask)
            out.append(x)
        return out
