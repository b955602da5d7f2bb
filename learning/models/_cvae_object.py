"""The object's half of the cross-model CVAE: two encoders and two decoders that share one latent space.

Branch 1 encodes and decodes the pose of an object, conditioned by which object it is; branch 2 does so with the image.
Encoders and decoders of different branches fit together: the image's encoder and the pose's decoder make the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoi_core.pose_vector import N_VECTOR
from learning.layers.sparse import Deconv2d, DenseConv2d
from learning.models._cvae_attention import VectorAttention

_SLOPE = 0.01
_TOKEN = 32
_CONVS = ((64, 1), (32, 3), (16, 1), (8, 3), (4, 1), (2, 3))
"""Channels and kernels of the image's encoder: 64 and 32 as printed, "repeated two more times" down to 2."""


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU."""
    return F.leaky_relu(x, _SLOPE)


class Layers(nn.Module):
    """Fully connected layers with batch norm and leaky ReLU, on vectors."""

    def __init__(self, widths: Sequence[int], *, plain_end: bool = False) -> None:
        """Take the lengths of the vectors; `plain_end` leaves norm and activation out of the last layer."""
        super().__init__()
        pairs = list(pairwise(widths))
        self.normed = nn.ModuleList(DenseConv2d(a, b, 1) for a, b in (pairs[:-1] if plain_end else pairs))
        self.last = nn.Linear(*pairs[-1]) if plain_end else None

    def forward(self, x: Tensor) -> Tensor:
        """`(B, first) -> (B, last)`."""
        for layer in self.normed:
            x = leaky(torch.flatten(layer(x[:, :, None, None]), 1))
        return x if self.last is None else self.last(x)


class Gaussian(nn.Module):
    """Mean and logarithm of the variance of the latent, behind attention or without it."""

    def __init__(self, width: int, latent: int, *, attention: bool) -> None:
        super().__init__()
        self.attention = VectorAttention(width, _TOKEN) if attention else None
        self.mean, self.log_variance = nn.Linear(width, latent), nn.Linear(width, latent)

    def features(self, x: Tensor) -> Tensor:
        """`(B, width)`, the same shape."""
        return x if self.attention is None else self.attention(x)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, width)` -> two of `(B, latent)`."""
        x = self.features(x)
        return self.mean(x), self.log_variance(x)


class PoseEncoder(nn.Module):
    """q(z | x, y): nine numbers and a condition to the latent. Needed in training alone."""

    def __init__(self, condition: int, latent: int, *, attention: bool) -> None:
        """Take the length of the condition and of the latent."""
        super().__init__()
        self.layers = Layers((N_VECTOR + condition, 128, 256, 512), plain_end=True)
        self.gaussian = Gaussian(512, latent, attention=attention)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, 9 + condition)` -> mean and log variance, `(B, latent)` each."""
        mean, log_variance = self.gaussian(self.layers(x))
        return mean, log_variance


class PoseDecoder(nn.Module):
    """p(x | z, y): the latent and a condition to nine numbers."""

    def __init__(self, condition: int, latent: int, *, attention: bool) -> None:
        super().__init__()
        self.layers = Layers((latent + condition, 512, 256))
        self.attention = VectorAttention(256, _TOKEN) if attention else None
        self.out = nn.Linear(256, N_VECTOR)

    def forward(self, z: Tensor) -> Tensor:
        """`(B, latent + condition) -> (B, 9)`."""
        x = self.layers(z)
        return self.out(x if self.attention is None else self.attention(x))


class ImageEncoder(nn.Module):
    """q(z | image): features of the image to the latent."""

    def __init__(self, channels: int, cells: int, latent: int, *, attention: bool) -> None:
        """Take the channels of the features, the cells of their sides, the length of the latent."""
        super().__init__()
        before = [channels, *(c for c, _ in _CONVS[:-1])]
        self.convs = nn.ModuleList(DenseConv2d(a, b, k) for a, (b, k) in zip(before, _CONVS, strict=True))
        self.layers = Layers((_CONVS[-1][0] * cells**2, 1024, 512, 256))
        self.gaussian = Gaussian(256, latent, attention=attention)

    def features(self, x: Tensor) -> Tensor:
        """`(B, C, cells, cells)` -> `(B, 256)`."""
        for conv in self.convs:
            x = leaky(conv(x))
        return self.gaussian.features(self.layers(torch.flatten(x, 1)))


class ImageDecoder(nn.Module):
    """p(image | z): the encoder backwards, the last three convolutions doubling the resolution. For training alone."""

    def __init__(self, cells: int, latent: int) -> None:
        super().__init__()
        self.cells, self.first = cells, _CONVS[-1][0]
        self.layers = Layers((latent, 256, 1024, self.first * cells**2))
        same = (DenseConv2d(self.first, 4, 3), DenseConv2d(4, 8, 1), DenseConv2d(8, 16, 3))
        self.convs = nn.ModuleList((*same, Deconv2d(16, 32), Deconv2d(32, 64)))
        self.out = nn.Conv2d(64, 3 * 4, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """`(B, latent) -> (B, 3, 8 cells, 8 cells)`."""
        x = self.layers(z).reshape(-1, self.first, self.cells, self.cells)
        for layer in self.convs:
            x = leaky(layer(x))
        return F.pixel_shuffle(self.out(x), 2)
