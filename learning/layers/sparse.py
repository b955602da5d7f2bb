"""Sparse convolution by masking: dense kernels, sites tracked in a mask, MinkowskiEngine's semantics.

A stride-1 layer keeps its sites; a stride-s layer's sites are `unique(floor(site / s))`. The mask is applied after
convolution + batch norm (+ residual) + ReLU, so values off the sites never reach the next layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from learning import processes


def site_mask(image: Tensor, stride: int) -> Tensor:
    """Sites of the input at a stride: cells that hold any non-zero pixel.

    Args:
        image: `(B, C, H, W)`, non-negative, zero off the sites.
        stride: power of two that divides H and W.

    Returns:
        `(B, 1, H / stride, W / stride)`, 0 or 1.
    """
    return F.max_pool2d(image.amax(dim=1, keepdim=True), stride, stride).sign()


def on_sites(x: Tensor, mask: Tensor | None) -> Tensor:
    """`x` with zeros off the sites; as it is where every pixel is one (None)."""
    return x if mask is None else x * mask


class _SiteNorm(torch.autograd.Function):
    """Batch norm whose statistics run over the sites of all processes; one fused forward and backward."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, mask, weight, bias, eps = args
        sums = processes.summed(torch.cat([(x * mask).sum((0, 2, 3)), mask.sum().reshape(1)]))
        n = sums[-1].clamp(min=1.0)
        mean = sums[:-1] / n
        centred = (x - mean[:, None, None]) * mask
        variance = processes.summed((centred * centred).sum((0, 2, 3))) / n
        inverse = torch.rsqrt(variance + eps)
        scale = weight * inverse
        ctx.save_for_backward(centred, mask, weight, inverse, n)
        ctx.mark_non_differentiable(mean, variance, n)
        return centred * scale[:, None, None] + bias[:, None, None], mean, variance, n

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        centred, mask, weight, inverse, n = ctx.saved_tensors
        g = grads[0] * mask
        grad_bias = g.sum((0, 2, 3))
        grad_weight = (g * centred).sum((0, 2, 3)) * inverse
        # The statistics couple x to the losses of all processes; the parameters' own gradients are averaged later.
        all_bias, all_weight = processes.summed(torch.stack([grad_bias, grad_weight]))
        slope = all_weight * inverse / n
        grad_x = (g - (all_bias / n)[:, None, None]) * mask - centred * slope[:, None, None]
        return grad_x * (weight * inverse)[:, None, None], None, grad_weight, grad_bias, None


class MaskedBatchNorm2d(nn.Module):
    """Batch norm over the sites only, those of all training processes together.

    In evaluation it is an affine map that folds into the convolution before it.
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise `(B, C, H, W)`; `mask (B, 1, H, W)` marks the sites, None makes every pixel one.

        In training y = (x - m) / sqrt(v + eps) * weight + bias, with mean m and variance v over the sites of the batch.
        Values off the sites are meaningless.
        """
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            return x * scale[:, None, None] + (self.bias - self.running_mean * scale)[:, None, None]
        if mask is None:
            if x.numel() > x.shape[1] and processes.count() == 1:
                # The same numbers in a third of the time.
                statistics = self.running_mean, self.running_var
                return F.batch_norm(x, *statistics, self.weight, self.bias, True, self.momentum, self.eps)
            mask = torch.ones_like(x[:, :1])
        out, mean, variance, n = _SiteNorm.apply(x, mask, self.weight, self.bias, self.eps)
        with torch.no_grad():
            unbiased = variance * n / (n - 1).clamp(min=1.0)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        return out


class SparseConv2d(nn.Module):
    """Convolution + masked batch norm; the caller applies ReLU and the mask."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.norm: MaskedBatchNorm2d | None = MaskedBatchNorm2d(c_out)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """`(B, C_in, H, W)`, sites of the output `(B, 1, H / stride, W / stride)` -> `(B, C_out, ...)`."""
        y = self.conv(x)
        return y if self.norm is None else self.norm(y, mask)


class SparseBlock(nn.Module):
    """Residual block of ResNet-18 on sites: two 3x3 convolutions."""

    EXPANSION = 1

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = SparseConv2d(c_in, c_out, 3, stride)
        self.conv2 = SparseConv2d(c_out, c_out, 3)
        self.shortcut = SparseConv2d(c_in, c_out, 1, stride) if stride != 1 or c_in != c_out else None

    def forward(self, x: Tensor, before: Tensor | None, mask: Tensor | None) -> Tensor:
        """Features, sites of the input (not needed here) and of the output; None makes every pixel a site.

        `(B, C_in, H, W)`, `(B, 1, H, W)`, `(B, 1, H / stride, W / stride)` -> `(B, C_out, H / stride, W / stride)`,
        zero off the sites.
        """
        y = on_sites(F.relu(self.conv1(x, mask)), mask)
        y = self.conv2(y, mask)
        kept = x if self.shortcut is None else self.shortcut(x, mask)
        return on_sites(F.relu(y + kept), mask)


class SparseBottleneck(nn.Module):
    """Residual block of ResNet-50 on sites: 1x1 to a quarter of the channels, 3x3 (which strides), 1x1 back."""

    EXPANSION = 4

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        narrow = c_out // self.EXPANSION
        self.conv1 = SparseConv2d(c_in, narrow, 1)
        self.conv2 = SparseConv2d(narrow, narrow, 3, stride)
        self.conv3 = SparseConv2d(narrow, c_out, 1)
        self.shortcut = SparseConv2d(c_in, c_out, 1, stride) if stride != 1 or c_in != c_out else None

    def forward(self, x: Tensor, before: Tensor | None, mask: Tensor | None) -> Tensor:
        """As `SparseBlock`; the first convolution computes on the sites of the input, the others on the output's."""
        y = on_sites(F.relu(self.conv1(x, before)), before)
        y = on_sites(F.relu(self.conv2(y, mask)), mask)
        y = self.conv3(y, mask)
        kept = x if self.shortcut is None else self.shortcut(x, mask)
        return on_sites(F.relu(y + kept), mask)


class DenseConv2d(nn.Module):
    """Convolution + batch norm where every pixel is a site, for dense heads and dense networks."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, *, bias: bool = False
    ) -> None:
        """A bias is taken away again by the batch norm: it is for networks that are published with one."""
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=bias)
        self.norm: MaskedBatchNorm2d | None = MaskedBatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, C_out, H / stride, W / stride)`."""
        y = self.conv(x)
        return y if self.norm is None else self.norm(y)


class FirstNorm(nn.Module):
    """Batch norm with no convolution before it to fold into: folded it is a scale and a shift of each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm: MaskedBatchNorm2d | None = MaskedBatchNorm2d(channels)
        self.scale: Tensor
        self.shift: Tensor
        self.register_parameter("scale", None)
        self.register_parameter("shift", None)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)`, the same shape."""
        return self.norm(x) if self.norm is not None else x * self.scale + self.shift


class Deconv2d(nn.Module):
    """Transposed 4x4 convolution with stride 2 and padding 1, batch norm after it; doubles the resolution.

    Each output pixel reads 2x2 input pixels. So it is a 2x2 convolution to the four phases of the output, which a pixel
    shuffle brings to their places, one pixel too many on each side: as quick, as many weights, and unlike the
    transposed form it can be quantised for each output channel.
    """

    def __init__(self, c_in: int, c_out: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, 4 * c_out, 2, padding=1, groups=groups, bias=False)
        self.norm: MaskedBatchNorm2d | None = MaskedBatchNorm2d(c_out)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C_in, H, W) -> (B, C_out, 2 H, 2 W)`."""
        y = F.pixel_shuffle(self.conv(x), 2)[:, :, 1:-1, 1:-1]
        return y if self.norm is None else self.norm(y)


@torch.no_grad()
def fold_batch_norms(model: nn.Module) -> nn.Module:
    """Fold every batch norm into the convolution before it, in place; the model then computes the same in eval."""
    for module in model.modules():
        if isinstance(module, FirstNorm) and module.norm is not None:
            norm, module.norm = module.norm, None
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            module.scale = nn.Parameter(scale[:, None, None])
            module.shift = nn.Parameter((norm.bias - norm.running_mean * scale)[:, None, None])
        if isinstance(module, (SparseConv2d, DenseConv2d, Deconv2d)) and module.norm is not None:
            norm, conv = module.norm, module.conv
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            mean = norm.running_mean if conv.bias is None else norm.running_mean - conv.bias
            shift = norm.bias - mean * scale
            phases = conv.out_channels // len(scale)
            conv.weight.mul_(scale.repeat_interleave(phases)[:, None, None, None])
            conv.bias = nn.Parameter(shift.repeat_interleave(phases))
            module.norm = None
    return model
