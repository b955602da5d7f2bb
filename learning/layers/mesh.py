"""Mesh decoder blocks on features `(B, C, V, 1)`: lifting, upsampling, partial spiral convolution (SPLite)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoi_core.types import F64, I64
from learning.layers.rows import Pointwise


class VertexMap(nn.Module):
    """A linear map along the vertex axis, learned (lifting) or fixed (barycentric upsampling)."""

    def __init__(self, weight: Tensor, *, learned: bool) -> None:
        super().__init__()
        self.n_out, self.n_in = weight.shape
        self.linear = nn.Linear(self.n_in, self.n_out, bias=False)
        self.linear.weight = nn.Parameter(weight.float(), requires_grad=learned)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, V_in, 1) -> (B, C, V_out, 1)`."""
        channels = x.shape[1]
        return self.linear(x.reshape(-1, self.n_in)).reshape(-1, channels, self.n_out, 1)


class SpliteConv(nn.Module):
    """Spiral convolution on part of the channels: one gather, one convolution, one pointwise.

    `keep` (R2): the convolved part joins the untouched channels, then a pointwise map mixes all (FasterNet's PConv).
    Without it (R1): the convolution maps the part straight to the output, as the paper's parameter count implies.
    """

    def __init__(self, c_in: int, c_out: int, spirals: I64, *, part: float = 0.25, keep: bool = True) -> None:
        super().__init__()
        self.n_part = max(1, round(c_in * part))
        self.n_vertices, self.length = spirals.shape
        self.spirals: Tensor
        self.register_buffer("spirals", torch.as_tensor(spirals.reshape(-1)), persistent=False)
        self.conv = nn.Linear(self.length * self.n_part, self.n_part if keep else c_out)
        self.mix = nn.Conv2d(c_in, c_out, 1) if keep else None
        # Nothing normalises the features here: the layers themselves must keep their size, or the decoder dies.
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="linear" if keep else "relu")
        if self.mix is not None:
            nn.init.kaiming_normal_(self.mix.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, V, 1) -> (B, C_out, V, 1)`."""
        # Vertices outermost: the gather then copies whole rows of channels, eight times as fast as single values.
        part = x[:, : self.n_part].reshape(-1, self.n_part, self.n_vertices).transpose(1, 2)
        gathered = torch.index_select(part, 1, self.spirals)
        y = self.conv(gathered.reshape(-1, self.length * self.n_part))
        y = y.reshape(-1, self.n_vertices, self.conv.out_features).transpose(1, 2)
        y = y.reshape(-1, self.conv.out_features, self.n_vertices, 1)
        if self.mix is None:
            return y
        return self.mix(torch.cat([y, x[:, self.n_part :]], dim=1))


class SpliteDecoder(nn.Module):
    """Features of the joints to vertices: lift, then upsample and convolve level by level."""

    def __init__(
        self,
        upsampling: tuple[F64, ...],
        spirals: tuple[I64, ...],
        channels: tuple[int, ...],
        start: Tensor,
        *,
        part: float,
        keep: bool,
    ) -> None:
        """Levels run from coarse to fine.

        Args:
            upsampling: per level `(V_fine, V_coarse)`.
            spirals: per level `(V_fine, L)`.
            channels: of the lifted features, then after each level.
            start: `(V, 3)` mesh that training starts from, in the output's unit.
            part: share of the channels that spirals gather.
            keep: see `SpliteConv`.
        """
        super().__init__()
        n_coarse = upsampling[0].shape[1]
        self.lift = VertexMap(torch.full((n_coarse, 21), 0.01), learned=True)
        self.up = nn.ModuleList(VertexMap(torch.as_tensor(m), learned=False) for m in upsampling)
        self.convs = nn.ModuleList(
            SpliteConv(c_in, c_out, s, part=part, keep=keep)
            for c_in, c_out, s in zip(channels[:-1], channels[1:], spirals, strict=True)
        )
        self.head = VertexHead(SpliteConv(channels[-1], 3, spirals[-1], part=part, keep=keep), start)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, 21, 1) -> (B, 778, 3)`, in the output's own unit."""
        x = self.lift(x)
        for up, conv in zip(self.up, self.convs, strict=True):
            x = F.relu(conv(up(x)))
        return self.head(x)


class VertexHead(nn.Module):
    """The last convolution, to displacements of a learned mean mesh, which are not rounded to 8 bits."""

    def __init__(self, conv: SpliteConv, start: Tensor) -> None:
        """Start from a mesh `(V, 3)`, in the output's unit."""
        super().__init__()
        self.conv = conv
        self.mean = nn.Parameter(start.float())
        if conv.mix is not None:
            conv.mix = Pointwise.like(conv.mix)
        with torch.no_grad():
            last = conv.conv if conv.mix is None else conv.mix
            last.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, V, 1) -> (B, V, 3)`."""
        return self.mean + self.conv(x).reshape(-1, 3, self.conv.n_vertices).transpose(1, 2)
