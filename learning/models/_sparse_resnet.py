"""ResNet-18 and ResNet-50 on sites: the encoders that models share, sparse or (with every pixel a site) dense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from learning.config import Engine
from learning.layers.sparse import SparseBlock, SparseBottleneck, SparseConv2d, on_sites, site_mask

Backbone = Literal["resnet18", "resnet50"]

_BLOCKS: dict[Backbone, tuple[int, int, int, int]] = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}


class SparseStage(nn.Module):
    """Residual blocks on the same sites, the first of which may go over to a coarser grid."""

    def __init__(self, blocks: Sequence[SparseBlock | SparseBottleneck]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, before: Tensor | None, mask: Tensor | None) -> Tensor:
        """Features `(B, C_in, H, W)`, sites of the input and of the output -> `(B, C_out, ...)`."""
        for block in self.blocks:
            x = block(x, before, mask)
            before = mask
        return x


class SparseResNet(nn.Module):
    """7x7 stem, max-pool and four stages (He et al. 2016); at width 64 the bodies have 11.2 and 23.5 M parameters.

    The 50 layers stride in their 3x3 convolutions, as the common implementations do.
    """

    def __init__(self, width: int = 64, c_in: int = 3, backbone: Backbone = "resnet18", *, sparse: bool = True) -> None:
        """Fresh weights; they are the same, and fit each other, whether it is sparse or not.

        Args:
            width: channels of the stem.
            c_in: channels of the image.
            backbone: kind and number of blocks.
            sparse: compute on sites; else every pixel is one, and no mask is in the network.
        """
        super().__init__()
        self.sparse = sparse
        self.engine: Engine = "masked"
        kind: type[SparseBlock | SparseBottleneck] = SparseBlock if backbone == "resnet18" else SparseBottleneck
        self.channels = tuple(kind.EXPANSION * width * 2**i for i in range(4))
        self.stem = SparseConv2d(c_in, width, 7, 2)
        stages = []
        previous = width
        for i, (channels, count) in enumerate(zip(self.channels, _BLOCKS[backbone], strict=True)):
            first = kind(previous, channels, 1 if i == 0 else 2)
            stages.append(SparseStage([first, *(kind(channels, channels) for _ in range(count - 1))]))
            previous = channels
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features at strides 4, 8, 16 and 32, zero off their sites.

        Args:
            image: `(B, C, S, S)`; S a multiple of 32. If sparse: non-negative, zero off the sites.
        """
        # Batch norms are folded for export and int8, which are always computed by masks.
        if self.engine == "minkowski" and self.stem.norm is not None:
            from learning.layers import minkowski

            return minkowski.features(self, image)
        mask = site_mask(image, 2) if self.sparse else None
        x = on_sites(F.relu(self.stem(image, mask)), mask)
        mask = _coarser(mask)
        # Over non-negative values with zeros off the sites this is the sparse max-pool; the mask drops its overhang.
        x = on_sites(F.max_pool2d(x, 3, 2, 1), mask)
        before, out = mask, []
        for i, stage in enumerate(self.stages):
            if i > 0:
                mask = _coarser(before)
            x = stage(x, before, mask)
            before = mask
            out.append(x)
        return out


def _coarser(mask: Tensor | None) -> Tensor | None:
    """Sites at twice the stride."""
    return None if mask is None else F.max_pool2d(mask, 2, 2)
