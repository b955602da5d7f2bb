"""Lite I2L-MeshNet: EfficientNet-B0 and depthwise decoders in place of I2L-MeshNet's (Fan & Wang).

Reimplemented from the paper (Lightweight Estimation of Hand Mesh and Biomechanically Feasible Kinematic Parameters).
Its code is not public: where the paper is silent, docs/models/i2l.md says what we took, and from which of its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hoi_core.network_input import Input
from learning.models.i2l import check

if TYPE_CHECKING:
    from torch import nn

TASK = "lixels"


@dataclass(frozen=True)
class Config:
    """Options of Lite I2L-MeshNet."""

    block: Literal["squeeze", "mbconv", "separable", "deconv"] = "squeeze"
    """What doubles the resolution in decoders and aggregator: the paper's C, B or A (Fig. 3), or I2L-MeshNet's own
    transposed convolutions (Table 2, Ef-B0 Bb.)."""
    depth_rank: int = 0
    """Numbers between the image and the features of depth; 0 for the paper's full layers, which hold 81 % of the
    parameters. `slim` has 64."""
    width: float = 1.0
    """All numbers of channels times this."""
    layers: float = 1.0
    """The number of blocks in each stage of the encoders times this, rounded up."""
    lixels: int = 64
    """Cells of the depth axis; x and y have one for each four pixels of the crop."""
    depth_box_m: float = 0.4
    """Extent of the depth axis about the wrist; the paper's 0.3 m cuts fingers that point at the camera."""
    activation: Literal["relu", "silu"] = "relu"
    """Of the EfficientNets: `silu` is theirs, and takes two more operations in int8."""
    input: Input = "rgb"
    """What the network is shown."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        check(self.width, self.layers, self.lixels, self.depth_rank, self.depth_box_m)


def build(config: Config) -> nn.Module:
    """Build the network with fresh weights, its joints from the user's hand model."""
    from learning.models._hand_mesh import joint_regressor
    from learning.models._lixel_backbones import EfficientNetDeep, EfficientNetEarly, Scale
    from learning.models._lixel_network import LixelNetwork, Shape

    scale = Scale(config.width, config.layers, config.activation)
    shape = Shape(config.block, scale.channels(256), config.lixels, config.depth_rank, config.depth_box_m)
    deep = EfficientNetDeep(scale), EfficientNetDeep(scale)
    return LixelNetwork(shape, EfficientNetEarly(scale), deep, joint_regressor())
