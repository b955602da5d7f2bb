"""Joint angles and shape from the bones of a hand (Fan and Wang 2023, section 3.3).

Three fully connected layers, each with batch norm and ReLU, and two heads: the shape, and the angles, which end inside
their limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hoi_core.errors import ConfigError
from hoi_core.network_input import Input

if TYPE_CHECKING:
    from torch import Tensor, nn


TASK = "angles"


@dataclass(frozen=True)
class Config:
    """Options of the IK network; the paper gives no widths."""

    dof: Literal[23, 45] = 23
    """Angles: 23 that a hand has and robots need, or all 45 of MANO, the paper's baseline."""
    shape: Literal["solved", "known"] = "solved"
    """`known`: the hand's shape is measured beforehand; lengths of bones are then those of that shape."""
    width: int = 512
    """Features of a layer."""
    layers: int = 3
    """Layers before the heads."""

    @property
    def input(self) -> Input:
        """What the network is shown."""
        return "bones" if self.shape == "solved" else "shaped_bones"

    def __post_init__(self) -> None:
        """Refuse a network that cannot be built."""
        if self.width < 4 or self.layers < 1:
            raise ConfigError("expected --width of at least 4 and --layers of at least 1.", "Correct the flag.")


def build(config: Config) -> nn.Module:
    """Build the network with fresh weights."""
    from learning.models._ik_network import IkNetwork

    return IkNetwork(config)


def example(config: Config, size: int, batch: int) -> tuple[Tensor]:
    """Bones of flat hands. `-> ((B, 80),)`."""
    from learning.models._ik_network import flat_bones

    return (flat_bones(batch),)
