"""SPLite: sparse ResNet-18 on edges, heatmap and depth heads, partial spiral decoder (Hao et al. 2025).

Reimplemented from the paper (SPLite Hand, arXiv 2510.16396). Input: two edge maps of a 128 x 128 hand crop. Output: 21
joints and 778 vertices in the camera frame. Where the paper is silent the choice is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hoi_core.errors import ConfigError
from hoi_core.network_input import Input

if TYPE_CHECKING:
    from torch import nn


TASK = "hand"


@dataclass(frozen=True)
class Config:
    """Options of SPLite."""

    width: int = 64
    """Channels of the stem; 64 is the ResNet of the literature."""
    backbone: Literal["resnet18", "resnet50"] = "resnet18"
    """Residual network of the encoder; `resnet50` is the paper's other one (Table 1)."""
    encoder: Literal["sparse", "dense"] = "sparse"
    """`dense` makes every pixel a site: the same weights and shapes, for comparison."""
    head_channels: int = 256
    """Channels of the features that joints gather (the paper's C_g)."""
    spiral_length: int = 9
    """Vertices in a spiral, the centre included (the paper's Table 3 implies 10)."""
    partial: Literal["keep", "drop"] = "keep"
    """`keep`: untouched channels are mixed back in; `drop`: the literal count of the paper's Table 3."""
    part: float = 0.25
    """Share of the channels that the spiral convolution reads."""

    @property
    def input(self) -> Input:
        """What the network is shown."""
        return "edges"

    def __post_init__(self) -> None:
        """Refuse widths that cannot be built."""
        if self.width < 4 or self.head_channels < 16 or not 0 < self.part <= 1 or not 2 <= self.spiral_length <= 49:
            raise ConfigError(
                "expected --width >= 4, --head-channels >= 16, 0 < --part <= 1, 2 <= --spiral-length <= 49.",
                "Correct the flag.",
            )


def build(config: Config) -> nn.Module:
    """Build the network with fresh weights, its mesh hierarchy from the user's hand model."""
    from learning.models._splite_network import SpliteNetwork

    return SpliteNetwork(config)
