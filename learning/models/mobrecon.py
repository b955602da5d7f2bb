"""MobRecon: stacked dense or residual encoder, joints regressed from maps, spiral mesh decoder (Chen et al. 2022).

Reimplemented from the paper (MobRecon, CVPR 2022) and the facts of its released code, as the baseline of SPLite. Input:
a 128 x 128 hand crop in colour, or the edges that SPLite is shown. Output: 21 joints and 778 vertices in the camera
frame. Depth and confidence are ours: MobRecon leaves where the hand is to a registration afterwards.
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
    """Options of MobRecon."""

    backbone: Literal["densestack", "resnet18"] = "densestack"
    """Encoder; `resnet18` is the one that SPLite is compared with."""
    decoder: Literal["dsconv", "spiral", "splite"] = "dsconv"
    """Mesh convolutions: separable spirals (the released default), SpiralConv++, or those of SPLite."""
    width: int = 64
    """Channels of the first convolution; 64 in both encoders of the paper."""
    latent: int = 256
    """Channels of the features that joints gather."""
    spiral_length: int = 9
    """Vertices in a spiral, the centre included."""
    first_stack: Literal["full", "short"] = "full"
    """DenseStack only. `full`: both stacks are alike, 11.14 M parameters as the released code declares them. `short`:
    the first goes down three levels only, which is all that the released code runs of it: 8.05 M."""
    input: Input = "rgb"
    """What the network is shown; `edges` to train it like SPLite."""

    def __post_init__(self) -> None:
        """Refuse widths that cannot be built."""
        if self.width < 4 or self.width % 4 or self.latent < 16 or self.latent % 8 or not 2 <= self.spiral_length <= 49:
            raise ConfigError(
                "expected --width >= 4 that divides by 4, --latent >= 16 that divides by 8, 2 <= --spiral-length <= 49,"
                f" got {self.width}, {self.latent} and {self.spiral_length}.",
                "Correct the flag.",
            )


def build(config: Config) -> nn.Module:
    """Build the network with fresh weights, its mesh hierarchy from the user's hand model."""
    from learning.models._mobrecon_network import MobReconNetwork

    return MobReconNetwork(config)
