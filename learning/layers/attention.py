"""Attention between the pixels of maps: one block of a transformer, its linear layers as 1x1 convolutions."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

_WIDER = 4  # the layer between the two of the feed-forward part


class MapAttention(nn.Module):
    """Multi-head attention, then a feed-forward part, each added to what went in (Vaswani et al. 2017).

    As in HFL-Net's released code: no projection behind the heads, and one layer norm, before the feed-forward part.
    """

    FLOAT_PARTS = ("attend", "norm")
    """Stay in float when the rest is quantised."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        """Take the number of channels, which divides by that of heads."""
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(channels, channels, 1) for _ in range(3))
        self.attend, self.norm = Attend(heads), PixelNorm(channels)
        self.widen, self.narrow = nn.Conv2d(channels, _WIDER * channels, 1), nn.Conv2d(_WIDER * channels, channels, 1)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Enhance.

        Args:
            x: `(B, C, H, W)`, which asks.
            other: `(B, C, H, W)`, which answers; `x` again for self-attention.

        Returns:
            `(B, C, H, W)`.
        """
        x = x + self.attend(self.query(x), self.key(other), self.value(other))
        return x + self.narrow(F.gelu(self.widen(self.norm(x))))


class Attend(nn.Module):
    """Scaled dot products of all pixels with all others, in each head."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """`(B, D, ...)` twice and `(B, C, ...)`, each of as many pixels -> the shape of `value`."""
        q, k, v = (x.flatten(2).unflatten(1, (self.heads, -1)) for x in (query, key, value))
        share = (q.transpose(-1, -2) @ k / math.sqrt(q.shape[2])).softmax(dim=-1)
        return (v @ share.transpose(-1, -2)).reshape_as(value)


class PixelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)`, the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
