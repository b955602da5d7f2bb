"""The networks of `keypoints2d`: a backbone of stride 16, a decoder to maps of stride 4."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from hoi_core.conventions import N_JOINTS
from learning.layers.bottleneck import BasicBlock, Bottleneck, InvertedResidual, SeparableConv2d
from learning.layers.rows import Pointwise
from learning.layers.sparse import Deconv2d, DenseConv2d
from learning.models.keypoints2d import Config

N_MAPS = N_JOINTS + 1
"""One for each joint, and the background."""

_MOBILENET_V2 = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 1), (6, 320, 1, 1)
)  # fmt: skip
"""Widening, channels, blocks and first stride of each stage (its table 2), the sixth without its stride of 2."""


class KeypointNetwork(nn.Module):
    """Colour image to maps."""

    HEADS: tuple[str, ...]
    """Gives the output; its integer sums are not rounded."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

        def scaled(channels: int) -> int:
            return max(8, round(channels * config.width / 8) * 8)

        self.maps: nn.Module
        if config.variant == "slim":
            self.backbone: nn.Module = nn.Identity()
            self.maps = Slim([scaled(c) for c in (16, 32, 64, 128)])
        elif config.variant == "resnet50":
            self.backbone = resnet50_stride16(scaled(64))
            self.maps = Decoder(16 * scaled(64), scaled(256), scaled(440))
        else:
            self.backbone = mobilenet_v2_stride16(scaled)
            self.maps = Decoder(scaled(320), scaled(256), scaled(512))
        self.HEADS = ("maps.head",) if config.variant == "slim" else ("maps.rest.5",)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Maps at a quarter of the resolution.

        Args:
            image: `(B, 3, S, S)` RGB, (x / 255 - 0.5) / 0.5; S a multiple of 32.

        Returns:
            `(B, 22, S / 4, S / 4)`: the joints in the order `openpose21`, then the background.
        """
        return (self.maps(self.backbone(image)),)


class Activated(nn.Module):
    """A convolution with batch norm, then ReLU."""

    def __init__(self, conv: DenseConv2d | Deconv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution, never below 0."""
        return F.relu(self.conv(x))


def mobilenet_v2_stride16(scaled: Callable[[int], int]) -> nn.Module:
    """MobileNetV2 up to block 17, with block 14 unstrided: 1.81 M parameters at full width.

    Args:
        scaled: the number of channels in use for one of the paper's.
    """
    blocks: list[nn.Module] = [Activated(DenseConv2d(3, scaled(32), 3, 2))]
    previous = scaled(32)
    for expand, channels, count, stride in _MOBILENET_V2:
        for i in range(count):
            blocks.append(InvertedResidual(previous, scaled(channels), stride if i == 0 else 1, expand=expand))
            previous = scaled(channels)
    return nn.Sequential(*blocks)


def resnet50_stride16(width: int) -> nn.Module:
    """ResNet-50 without its last stage: 8.54 M parameters at width 64, 16 times as many channels at its end."""
    layers: list[nn.Module] = [Activated(DenseConv2d(3, width, 7, 2)), nn.MaxPool2d(3, 2, 1)]
    previous = width
    for stage, count in enumerate((3, 4, 6)):
        for i in range(count):
            inner = width << stage
            layers.append(Bottleneck(previous, inner, 2 if stage and i == 0 else 1))
            previous = 4 * inner
    return nn.Sequential(*layers)


class Decoder(nn.Module):
    """The paper's: a residual block, a separable one, two deconvolutions, a separable convolution to the maps."""

    def __init__(self, c_in: int, inner: int, between: int) -> None:
        super().__init__()
        wide, last = 2 * inner, inner // 2
        self.main = nn.Sequential(Activated(DenseConv2d(c_in, inner, 1)), SeparableConv2d(inner, wide, linear=True))
        self.skip = DenseConv2d(c_in, wide, 1)
        self.rest = nn.Sequential(
            Activated(DenseConv2d(wide, wide, 1)),
            SeparableConv2d(wide, wide),
            Activated(Deconv2d(wide, between)),
            Activated(Deconv2d(between, last)),
            Activated(DenseConv2d(last, last, 5, groups=last)),
            Pointwise(last, N_MAPS),
        )

    def forward(self, features: Tensor) -> Tensor:
        """`(B, C_in, S / 16, S / 16) -> (B, 22, S / 4, S / 4)`."""
        maps: Tensor = self.rest(F.relu(self.main(features) + self.skip(features)))
        return maps


class Slim(nn.Module):
    """Our own: residual blocks to stride 16 and back, adding what was there before at each resolution.

    Plain convolutions, few channels: of equal cost in multiply-adds, depthwise ones took three times as long to train
    and run in int8 at the speed of memory.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        stem, c4, c8, c16 = channels
        self.to4 = nn.Sequential(Activated(DenseConv2d(3, stem, 3, 2)), Activated(DenseConv2d(stem, c4, 3, 2)))
        self.to8 = BasicBlock(c4, c8, 2)
        self.to16 = nn.Sequential(BasicBlock(c8, c16, 2), BasicBlock(c16, c16))
        self.up16 = DenseConv2d(c16, 4 * c8, 1)
        self.smooth8 = Activated(DenseConv2d(c8, c8, 3))
        self.up8, self.lateral4 = DenseConv2d(c8, 4 * c4, 1), DenseConv2d(c4, c4, 1)
        self.smooth4 = Activated(DenseConv2d(c4, 2 * c4, 3))
        self.head = Pointwise(2 * c4, N_MAPS)

    def forward(self, image: Tensor) -> Tensor:
        """`(B, 3, S, S) -> (B, 22, S / 4, S / 4)`."""
        x4 = self.to4(image)
        x8 = self.to8(x4)
        x16 = self.to16(x8)
        y8 = self.smooth8(F.relu(x8 + F.pixel_shuffle(self.up16(x16), 2)))
        y4 = self.smooth4(F.relu(self.lateral4(x4) + F.pixel_shuffle(self.up8(y8), 2)))
        maps: Tensor = self.head(y4)
        return maps
