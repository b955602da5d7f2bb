"""How a network is quantised, as far as there is a choice. Imports no torch, so that `--help` is fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WeightBits = Literal[7, 8]
Heads = Literal["int8", "float"]


@dataclass(frozen=True)
class Scheme:
    """What to round how."""

    weight_bits: WeightBits = 8
    """Of the weights. Pairs of products of 7-bit weights fit into 16 bits, where x86 without VNNI adds them up."""
    heads: Heads = "int8"
    """Arithmetic of the layers that give the outputs, the network's `HEADS`."""
