"""Cross-model CVAE: a hand regressed with attention, an object's pose from a latent space (Bandi & Thomas).

Reimplemented from the paper (Hand Mesh and Object Pose Reconstruction Using Cross Model Autoencoder), whose code is not
public. Input: a 256 x 256 crop of hand and object in colour, the hand's box, and which object it is. Output: the
hand's MANO parameters, its joints in the box, and the object's pose as nine numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hoi_core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

TASK = "object_pose"


@dataclass(frozen=True)
class Config:
    """Options of the cross-model CVAE. What the paper does not say is marked (ours)."""

    learn: Literal["joint", "hand", "object"] = "joint"
    """What is trained: both, or one half alone (Table 1)."""
    hand_attention: bool = True
    """Attention before the hand's linear layers (Table 4)."""
    object_attention: bool = True
    """Attention in the encoders and decoders of the object's half (Table 4)."""
    condition: bool = True
    """Tell the pose's encoder and decoder which object it is (Table 4)."""
    bmc: float = 1.0
    """Weight of the biomechanical constraints on the hand; 0 for none (Table 4)."""
    paths: Literal["all", "pose"] = "all"
    """Through which decoders both encoders learn: all four ways, or all but from the pose to the image (ours)."""
    beta: float | None = None
    """Weight of the divergence from the prior; by default it falls as the paper's does, from 0.5 to 0.0001."""
    branch_1: float = 1.0
    """Weight of what the pose's encoder is trained by (ours)."""
    branch_2: float = 1.0
    """Weight of what the image's encoder is trained by (ours)."""
    lambda_joints: float = 0.5
    """Weight of the joints relative to the wrist, dm, squared."""
    lambda_angles: float = 5e-7
    """Weight of the hand's rotations, rad, squared."""
    lambda_shape: float = 5e-5
    """Weight of the hand's shape, squared."""
    places: float = 10.0
    """Weight of the joints' places in the hand's box, squared: the heatmap loss of the text (ours)."""
    encoder: Literal["resnet50", "resnet18"] = "resnet50"
    """Where the features come from."""
    width: float = 1.0
    """All numbers of channels of the encoder times this."""
    layers: float = 1.0
    """The number of blocks in each stage of the encoder times this, rounded up."""
    features: int = 256
    """Channels behind the encoder; a multiple of 8."""
    cells: int = 32
    """Cells of each side of the features that both halves see; --size / 8 is right."""
    separable: bool = False
    """Whether the last convolution of the pyramid is a depthwise and a pointwise one."""
    attention_width: int = 64
    """Channels of queries and keys in the hand's attention (ours)."""
    latent: int = 64
    """Numbers of the latent (ours)."""
    objects: int = 32
    """Most objects that it can know."""
    middle_m: float = 0.22
    """Mean of how wide the crop is at the object's depth, m (ours)."""
    spread_m: float = 0.04
    """What the object's place spreads by, m (ours)."""
    input: Literal["rgb"] = "rgb"
    """What the network is shown."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        sizes = 0 < self.width <= 4 and 0 < self.layers <= 4 and self.features >= 8 and self.features % 8 == 0
        if not sizes or self.cells < 8 or self.cells % 8 or min(self.attention_width, self.latent, self.objects) < 1:
            raise ConfigError(
                "expected --width and --layers above 0 and up to 4, --features and --cells multiples of 8, and "
                "--attention-width, --latent and --objects of 1 or more, got "
                f"{self.width}, {self.layers}, {self.features}, {self.cells}, {self.attention_width}, {self.latent} "
                f"and {self.objects}.",
                "Correct the flag.",
            )
        weights = (
            self.lambda_joints,
            self.lambda_angles,
            self.lambda_shape,
            self.bmc,
            self.branch_1,
            self.branch_2,
            self.places,
            self.beta or 0.0,
        )
        # Written so that NaN fails too.
        if not all(weight >= 0 for weight in weights) or not self.spread_m > 0 or not self.middle_m > 0:
            raise ConfigError(
                "expected weights of losses of 0 or more, and --middle-m and --spread-m above 0, got "
                f"{weights}, {self.middle_m} and {self.spread_m}.",
                "Correct the flag.",
            )


def build(config: Config) -> nn.Module:
    """Build the network with fresh weights."""
    from learning.models._cvae_network import CvaeNetwork

    return CvaeNetwork(config)


def example(config: Config, size: int, batch: int) -> tuple[Tensor, ...]:
    """Inputs of the right shapes: an image without content, a box in its middle, one object after the other.

    Args:
        config: options.
        size: side of the image, px.
        batch: how many.
    """
    import torch

    box = size * torch.tensor([[0.2, 0.2, 0.8, 0.8]])
    return torch.zeros(batch, 3, size, size), box.repeat(batch, 1), (torch.arange(batch) % config.objects).float()
