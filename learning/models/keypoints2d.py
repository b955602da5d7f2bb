"""2D hand keypoints from a colour image: MobileNetV2 with a heatmap decoder (Gouidis et al. 2019).

Reimplemented from the paper (Accurate Hand Keypoint Localization on Mobile Devices, MVA 2019): MobileNetV2's blocks 1
to 17, the 14th without its stride, then VNect's decoder with depthwise convolutions, to 21 maps of joints and one of
the background at a quarter of the input's resolution. The paper gives no widths of the decoder; ours give its number
of parameters. Where it is silent or we chose otherwise, docs/models/keypoints2d.md says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hoi_core.errors import ConfigError
from hoi_core.heatmaps import Maps

if TYPE_CHECKING:
    from torch import nn

TASK = "keypoints"


@dataclass(frozen=True)
class Config:
    """Options of the keypoint network."""

    variant: Literal["paper", "resnet50", "slim"] = "paper"
    """`paper`: MobileNetV2; `resnet50`: the larger backbone of its ablation; `slim`: a twelfth of the size, for a
    phone."""
    width: float = 1.0
    """All numbers of channels times this."""
    maps: Maps = "softmax"
    """What the maps are taught: `softmax`: the logarithm of where the joint is, by cross-entropy; `squared`: Gaussians
    of height 1, by squared error, as the paper does."""
    sigma: float = 1.0
    """Standard deviation of the Gaussians, pixels of the maps."""
    input: Literal["rgb"] = "rgb"
    """What the network is shown."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built or taught."""
        if not (0 < self.width <= 4 and 0.3 <= self.sigma <= 8):
            raise ConfigError(
                f"expected --width above 0 and up to 4, and --sigma from 0.3 to 8, got {self.width} and {self.sigma}.",
                "Correct the flag.",
            )


def build(config: Config) -> nn.Module:
    """Build the network with fresh weights."""
    from learning.models._keypoint_network import KeypointNetwork

    return KeypointNetwork(config)
