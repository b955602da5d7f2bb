"""Encoders of two streams: which of their stages hand and object share, and the pyramids behind them."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from learning.layers.bottleneck import BasicBlock
from learning.layers.fpn import FeaturePyramid
from learning.models._lixel_backbones import ResNetDeep, ResNetEarly, Scale
from learning.models.hfl import Config

_SHARED = {"harmonious": (0, 3), "single": (0, 1, 2, 3), "double": ()}
"""Of the four maps' stages: the paper's stages 0 and 1 together make the first map."""
_BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet18": (2, 2, 2, 2)}


class TwoStreams(nn.Module):
    """Image to the features of the hand and those of the object, a quarter of its resolution.

    A stage that is not shared begins as a copy of the hand's. Stage 4, where it is shared, sees both streams as one
    batch: its norms then see in training what they see afterwards.
    """

    def __init__(self, config: Config) -> None:
        """Take the options of the network."""
        super().__init__()
        stages, channels = resnet_stages(config)
        apart = [i for i in range(len(stages)) if i not in _SHARED[config.streams]]
        self.stages = nn.ModuleList(stages)
        self.object_stages = nn.ModuleDict({str(i): copy.deepcopy(stages[i]) for i in apart})
        self.pyramid = FeaturePyramid(channels, config.features, separable=config.separable)
        self.object_pyramid = copy.deepcopy(self.pyramid) if apart else None
        self.channels = channels

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, 3, S, S)` -> twice `(B, features, S / 4, S / 4)`."""
        hand = self._shared_start(image)
        if self.object_pyramid is None:
            both = self.pyramid(hand)
            return both, both
        first = len(hand)
        objects = list(hand) if hand else []
        for i in range(first, len(self.stages)):
            x = hand[-1] if hand else image
            y = objects[-1] if objects else image
            if str(i) in self.object_stages:
                made = self.stages[i](x), self.object_stages[str(i)](y)
            else:
                made = self._as_one_batch(i, x, y)
            hand.append(made[0])
            objects.append(made[1])
        return self.pyramid(hand), self.object_pyramid(objects)

    def _shared_start(self, image: Tensor) -> list[Tensor]:
        """The maps of both streams before they part."""
        maps: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            if str(i) in self.object_stages:
                break
            maps.append(stage(maps[-1] if maps else image))
        return maps

    def _as_one_batch(self, i: int, hand: Tensor, objects: Tensor) -> tuple[Tensor, Tensor]:
        """A shared stage on both streams."""
        joined = torch.cat([hand, objects], dim=1).unflatten(1, (2, self.channels[i - 1])).flatten(0, 1)
        made = self.stages[i](joined).unflatten(0, (-1, 2))
        return made[:, 0], made[:, 1]


def resnet_stages(config: Config) -> tuple[list[nn.Module], Sequence[int]]:
    """The encoder as the stages of its four maps, and their channels; the stem is in the first."""
    scale = Scale(config.width, config.layers)
    width = scale.channels(64)
    counts = [math.ceil(count * config.layers) for count in _BLOCKS[config.encoder]]
    if config.encoder == "resnet50":
        deep = list(ResNetDeep(width, config.layers))
        channels = [4 * width << stage for stage in range(4)]
    else:
        channels = [width << stage for stage in range(4)]
        deep = _basic_blocks(width, channels, counts)
    first, *others = (nn.Sequential(*deep[a:b]) for a, b in pairwise([0, *accumulate(counts)]))
    return [nn.Sequential(ResNetEarly(width), *first), *others], channels


def _basic_blocks(width: int, channels: Sequence[int], counts: Sequence[int]) -> list[nn.Module]:
    """The blocks of a ResNet-18."""
    blocks: list[nn.Module] = []
    previous = width
    for stage, (c_out, count) in enumerate(zip(channels, counts, strict=True)):
        for n in range(count):
            blocks.append(BasicBlock(previous, c_out, 2 if stage and n == 0 else 1))
            previous = c_out
    return blocks
