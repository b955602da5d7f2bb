"""HFL-Net: hand and object from one image, two streams that share their first and last layers (Lin et al. 2023).

Reimplemented from the paper (Harmonious Feature Learning for Interactive Hand-Object Pose Estimation, CVPR 2023) and
the facts of its released code. Input: a 256 x 256 crop of hand and object in colour, and the box of each. Output: the
hand's MANO parameters, its joints in the hand's box, and places of the object's 21 control points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hoi_core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

TASK = "control_points"


@dataclass(frozen=True)
class Config:
    """Options of HFL-Net."""

    streams: Literal["harmonious", "single", "double"] = "harmonious"
    """Which layers hand and object share: all but the middle stages (the paper's), all, or none (its Tables 5, 6)."""
    hand_to_object: Literal["hand", "object", "none"] = "hand"
    """What the object's features are enhanced with: those of the hand where both boxes meet (H-to-O), the object's own
    there (O-to-O), or nothing (Table 7)."""
    object_to_hand: Literal["concat", "add", "self", "cross", "none"] = "concat"
    """How the hand's features are enhanced: the object's beside them or added to them, then self-attention;
    self-attention alone; cross-attention to the object's; or nothing (Table 8)."""
    encoder: Literal["resnet50", "resnet18"] = "resnet50"
    """Where the features come from."""
    width: float = 1.0
    """All numbers of channels of the encoder times this."""
    layers: float = 1.0
    """The number of blocks in each stage of the encoder times this, rounded up."""
    features: int = 256
    """Channels behind the encoder; a multiple of 8."""
    cells: int = 32
    """Cells of each side of what is cut out at a box: 4, 8, 16 or 32."""
    separable: bool = False
    """Whether the last convolution of the pyramids is a depthwise and a pointwise one."""
    activation: Literal["leaky", "relu"] = "leaky"
    """Of both decoders; `relu` is free in int8."""
    input: Literal["rgb"] = "rgb"
    """What the network is shown."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        sizes = 0 < self.width <= 4 and 0 < self.layers <= 4 and self.features >= 8 and self.features % 8 == 0
        if not sizes or self.cells not in (4, 8, 16, 32):
            raise ConfigError(
                "expected --width and --layers above 0 and up to 4, --features a multiple of 8 and --cells 4, 8, 16 or "
                f"32, got {self.width}, {self.layers}, {self.features} and {self.cells}.",
                "Correct the flag.",
            )


def build(config: Config) -> nn.Module:
    """Build the network with fresh weights."""
    from learning.models._hfl_network import HflNetwork

    return HflNetwork(config)


def example(config: Config, size: int, batch: int) -> tuple[Tensor, ...]:
    """Inputs of the right shapes: an image without content, and boxes that overlap.

    Args:
        config: options.
        size: side of the image, px.
        batch: how many.
    """
    import torch

    boxes = (torch.tensor([[0.1, 0.2, 0.6, 0.7]]), torch.tensor([[0.4, 0.3, 0.9, 0.8]]))
    return (torch.zeros(batch, 3, size, size), *((size * box).repeat(batch, 1) for box in boxes))
