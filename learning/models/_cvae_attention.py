"""Attention with one head, on the cells of a map and on the parts of a vector (Bandi & Thomas, eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from learning.layers.attention import Attend
from learning.layers.sparse import DenseConv2d


class ConvAttention(nn.Module):
    """Every cell looks at all cells of a map; 1x1 convolutions make queries, keys, values, and mix what was found."""

    FLOAT_PARTS = ("attend",)

    def __init__(self, channels: int, width: int) -> None:
        """Take the channels of the map and those of queries and keys."""
        super().__init__()
        self.query, self.key = nn.Conv2d(channels, width, 1), nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.attend = Attend(1)
        self.mix = DenseConv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)`, the same shape."""
        return self.mix(self.attend(self.query(x), self.key(x), self.value(x)))


class ResidualAttention(nn.Module):
    """Two layers of attention beside the map itself."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first, self.second = ConvAttention(channels, width), ConvAttention(channels, width)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)`, the same shape."""
        return F.relu(x + self.second(F.relu(self.first(x))))


class VectorAttention(nn.Module):
    """The parts of a vector look at each other, beside the vector itself.

    The paper feeds vectors of features to its attention and does not say what attends to what: here queries, keys and
    values are full linear layers, cut into tokens of so many numbers.
    """

    FLOAT_PARTS = ("attend",)

    def __init__(self, width: int, token: int) -> None:
        """Take the length of the vector and that of its parts."""
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.attend = Attend(1)
        self.tokens, self.token = width // token, token

    def forward(self, x: Tensor) -> Tensor:
        """`(B, width)`, the same shape."""
        q, k, v = (self._cut(layer(x)) for layer in (self.query, self.key, self.value))
        return x + torch.flatten(self.attend(q, k, v).transpose(1, 2), 1)

    def _cut(self, x: Tensor) -> Tensor:
        """`(B, width) -> (B, token, tokens)`."""
        return x.reshape(-1, self.tokens, self.token).transpose(1, 2)
