"""Small detector of hands in whole images: a centre and a box for each (CenterNet, Zhou et al. 2019).

Depthwise-separable blocks to stride 32 and a way back up to stride 8. Every cell says how likely the centre of a hand
lies in it, where the box around that hand's joints is, and how likely it is a right hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hoi_core.errors import ConfigError
from hoi_core.network_input import Input

if TYPE_CHECKING:
    from torch import nn


TASK = "detect"


@dataclass(frozen=True)
class Config:
    """Options of the detector."""

    width: int = 32
    """Channels at a quarter of the resolution; deeper ones are multiples."""
    head_channels: int = 96
    """Channels of the features that centres and boxes are read from."""

    @property
    def input(self) -> Input:
        """What the network is shown."""
        return "rgb"

    def __post_init__(self) -> None:
        """Refuse widths that cannot be built."""
        if self.width < 4 or self.head_channels < 4:
            raise ConfigError("expected --width and --head-channels of at least 4.", "Correct the flag.")


def build(config: Config) -> nn.Module:
    """Build the network with fresh weights."""
    from learning.models._detector_network import DetectorNetwork

    return DetectorNetwork(config)
