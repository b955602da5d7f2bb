"""Spiral convolutions of meshes and the decoder they make up (SpiralNet++, MobRecon), on features `(B, V, C)`.

SpiralConv++: Gong et al. 2019. Its depthwise-separable form and the decoder: Chen et al. 2022 (MobRecon).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoi_core.types import F64, I64
from learning.layers.mesh import VertexMap
from learning.layers.rows import AlongVertices

MeshConv = Callable[[int, int, I64], nn.Module]
"""Makes a convolution from its input channels, output channels and spirals `(V, L)`."""


class SpiralGather(nn.Module):
    """What every spiral of a mesh reads, in one gather."""

    def __init__(self, spirals: I64) -> None:
        """Take the spirals `(V, L)` of a mesh."""
        super().__init__()
        self.n_vertices, self.length = spirals.shape
        self.spirals: Tensor
        self.register_buffer("spirals", torch.as_tensor(spirals.reshape(-1)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, V, C) -> (B, V L, C)`, the spirals one after another."""
        return torch.index_select(x, 1, self.spirals)


class SpiralConv(nn.Module):
    """SpiralConv++: y_v = W [x_s1 ... x_sL] + b over the spiral s of v; one gather, one linear map."""

    def __init__(self, c_in: int, c_out: int, spirals: I64) -> None:
        super().__init__()
        self.gather = SpiralGather(spirals)
        self.linear = nn.Linear(self.gather.length * c_in, c_out)
        # Nothing normalises the features here: the layers themselves must keep their size, or the decoder dies.
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """`(B, V, C_in) -> (B, V, C_out)`."""
        rows = self.gather(x).reshape(-1, self.linear.in_features)
        return self.linear(rows).reshape(-1, self.gather.n_vertices, self.linear.out_features)


class SeparableSpiralConv(nn.Module):
    """DSConv: y_v = W sum_l (k_l * x_sl); each channel weighs the spiral by itself, then a linear map mixes them.

    MobRecon lays nine values out as a 3 x 3 image for a depthwise convolution. A weighted sum is the same for any
    length, and does not make runtimes convolve thousands of tiny images.
    """

    def __init__(self, c_in: int, c_out: int, spirals: I64) -> None:
        super().__init__()
        self.gather = SpiralGather(spirals)
        self.depthwise = nn.Parameter(torch.empty(self.gather.length, c_in))
        self.pointwise = nn.Linear(c_in, c_out, bias=False)
        nn.init.normal_(self.depthwise, std=self.gather.length**-0.5)
        nn.init.kaiming_normal_(self.pointwise.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """`(B, V, C_in) -> (B, V, C_out)`."""
        n, (length, c_in) = self.gather.n_vertices, self.depthwise.shape
        mixed = (self.gather(x).reshape(-1, n, length, c_in) * self.depthwise).sum(2)
        return self.pointwise(mixed.reshape(-1, c_in)).reshape(-1, n, self.pointwise.out_features)

    def integer_form(self, _: tuple[int, ...]) -> nn.Module:
        """The weighted sums as a depthwise convolution, which has an integer form."""
        return SeparableSpiralLayers(self)


class SeparableSpiralLayers(nn.Module):
    """DSConv as a convolution along the spirals, each of which it reads once, and a linear layer."""

    def __init__(self, conv: SeparableSpiralConv) -> None:
        """Take over the weights."""
        super().__init__()
        length, self.channels = conv.depthwise.shape
        self.gather, self.pointwise = conv.gather, conv.pointwise
        self.depthwise = nn.Conv2d(
            self.channels, self.channels, (length, 1), (length, 1), groups=self.channels, bias=False
        )
        self.depthwise.weight = nn.Parameter(conv.depthwise.detach().t().reshape(self.channels, 1, length, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`(B, V, C_in) -> (B, V, C_out)`."""
        n, length = self.gather.n_vertices, self.gather.length
        gathered = self.gather(x).transpose(1, 2).reshape(-1, self.channels, n * length, 1)
        rows = self.depthwise(gathered).reshape(-1, self.channels, n).transpose(1, 2).reshape(-1, self.channels)
        return self.pointwise(rows).reshape(-1, n, self.pointwise.out_features)


class Upsampling(nn.Module):
    """Features of a coarse mesh on the finer one, by fixed barycentric weights."""

    def __init__(self, matrix: F64) -> None:
        """Take the weights `(V_fine, V_coarse)`."""
        super().__init__()
        self.matrix: Tensor
        self.register_buffer("matrix", torch.as_tensor(matrix, dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, V_coarse, C) -> (B, V_fine, C)`."""
        return torch.matmul(self.matrix, x)

    def integer_form(self, shape: tuple[int, ...]) -> nn.Module:
        """The same as a linear layer: products with a matrix on the left have no integer kernel."""
        return AlongVertices(self.matrix, shape[2])


class MeshHead(nn.Module):
    """The last convolution, to displacements of a learned mean mesh, which are not rounded to 8 bits."""

    def __init__(self, conv: nn.Module, start: Tensor) -> None:
        """Start near a mesh `(V, 3)`, in the output's unit."""
        super().__init__()
        self.conv = conv
        self.mean = nn.Parameter(start.float())
        with torch.no_grad():
            for weight in conv.parameters():
                weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, V, C) -> (B, V, 3)`."""
        return self.mean + self.conv(x)


class MeshDecoder(nn.Module):
    """Features of the joints to vertices: lift, then upsample and convolve level by level, as MobRecon does."""

    def __init__(
        self, conv: MeshConv, upsampling: tuple[F64, ...], spirals: tuple[I64, ...], channels: tuple[int, ...],
        start: Tensor,
    ) -> None:  # fmt: skip
        """Levels run from coarse to fine.

        Args:
            conv: makes the convolution of each level.
            upsampling: per level `(V_fine, V_coarse)`.
            spirals: per level `(V_fine, L)`.
            channels: of the lifted features, then after each level.
            start: `(V, 3)` mesh that training starts from, in the output's unit.
        """
        super().__init__()
        self.n_lifted = channels[0]
        self.lift = VertexMap(torch.full((upsampling[0].shape[1], 21), 0.01), learned=True)
        self.up = nn.ModuleList(Upsampling(m) for m in upsampling)
        pairs = zip(channels[:-1], channels[1:], spirals, strict=True)
        self.convs = nn.ModuleList(conv(c_in, c_out, s) for c_in, c_out, s in pairs)
        self.head = MeshHead(conv(channels[-1], 3, spirals[-1]), start)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, 21, 1) -> (B, 778, 3)`, in the output's own unit."""
        x = self.lift(x).reshape(-1, self.n_lifted, self.lift.n_out).transpose(1, 2)
        for up, conv in zip(self.up, self.convs, strict=True):
            x = F.relu(conv(up(x)))
        mesh: Tensor = self.head(x)
        return mesh
