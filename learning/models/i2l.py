"""I2L-MeshNet: ResNet-50 twice, joints and vertices as heatmaps along lines (Moon & Lee 2020).

Reimplemented from the paper (Image-to-Lixel Prediction Network, ECCV 2020) and the facts of its released code, as the
baseline of `lite_i2l`. Input: a 256 x 256 hand crop in colour. Output: 778 vertices, and the joints that they imply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hoi_core.errors import ConfigError
from hoi_core.network_input import Input

if TYPE_CHECKING:
    from torch import nn

TASK = "lixels"


@dataclass(frozen=True)
class Config:
    """Options of I2L-MeshNet."""

    width: float = 1.0
    """All numbers of channels times this."""
    layers: float = 1.0
    """The number of blocks in each stage of the encoders times this, rounded up."""
    lixels: int = 64
    """Cells of the depth axis; x and y have one for each four pixels of the crop."""
    depth_rank: int = 0
    """Numbers between the image and the features of depth (64 is a good one); 0 for the paper's full layer."""
    depth_box_m: float = 0.4
    """Extent of the depth axis about the wrist; the paper's 0.3 m cuts fingers that point at the camera."""
    input: Input = "rgb"
    """What the network is shown."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        check(self.width, self.layers, self.lixels, self.depth_rank, self.depth_box_m)


def check(width: float, layers: float, lixels: int, depth_rank: int, depth_box_m: float) -> None:
    """Refuse options that no lixel network can have.

    Raises:
        ConfigError: one is out of its range.
    """
    if not (0 < width <= 4 and 0 < layers <= 4 and lixels >= 4 and depth_rank >= 0 and 0.1 <= depth_box_m <= 2):
        raise ConfigError(
            "expected --width and --layers above 0 and up to 4, --lixels >= 4, --depth-rank >= 0 and --depth-box-m "
            f"from 0.1 to 2, got {width}, {layers}, {lixels}, {depth_rank} and {depth_box_m}.",
            "Correct the flag.",
        )


def build(config: Config) -> nn.Module:
    """Build the network with fresh weights, its joints from the user's hand model."""
    import torch
    from torch import nn

    from learning.models._hand_mesh import joint_regressor
    from learning.models._lixel_backbones import ResNetDeep, ResNetEarly, Scale
    from learning.models._lixel_network import LixelNetwork, Shape

    scale = Scale(config.width, config.layers)
    width = scale.channels(64)
    shape = Shape("deconv", scale.channels(256), config.lixels, config.depth_rank, config.depth_box_m)
    deep = ResNetDeep(width, config.layers), ResNetDeep(width, config.layers)
    network = LixelNetwork(shape, ResNetEarly(width), deep, joint_regressor())
    # The released code declares a stem in its second ResNet and never runs it. Without these 9,536 the network would
    # not have the published number of parameters.
    sizes = ((width, 3, 7, 7), (width,), (width,))
    network.never_run = nn.ParameterList(nn.Parameter(torch.zeros(size), requires_grad=False) for size in sizes)
    return network
