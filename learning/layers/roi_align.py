"""RoIAlign: a map of fixed size from a box on a feature map (He et al. 2017, Mask R-CNN, section 3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RoIAlign(nn.Module):
    """One box of each image, cut out of its features and resampled.

    What the ONNX operator RoiAlign computes, as which it is exported: `half_pixel`, means over `samples` x `samples`
    bilinear samples in each cell. Up to one cell outside the map its border goes on, farther out are zeros.
    """

    def __init__(self, cells: int, stride: int, samples: int = 2) -> None:
        """Take what it gives and where it reads.

        Args:
            cells: of each side of the map that it gives.
            stride: pixels of the image for each cell of the map that it reads.
            samples: along each side of a cell.
        """
        super().__init__()
        self.cells, self.stride, self.samples = cells, stride, samples

    def forward(self, x: Tensor, box: Tensor) -> Tensor:
        """Cut.

        Args:
            x: `(B, C, H, W)`; gradients come back to it, not to the boxes.
            box: `(B, 4)` x0, y0, x1, y1 px of the image, whose pixel centres lie at integers. A box without area reads
                one place only.

        Returns:
            `(B, C, cells, cells)`.
        """
        if torch.onnx.is_in_onnx_export():
            images = torch.arange(x.shape[0], device=x.device)
            return _Exported.apply(x, box + 0.5, images, self.cells, self.stride, self.samples)
        return roi_align(x, box, self.cells, self.stride, self.samples)


def roi_align(x: Tensor, box: Tensor, cells: int, stride: int, samples: int = 2) -> Tensor:
    """See `RoIAlign`, whose arguments and shapes these are."""
    count = cells * samples
    share = (torch.arange(count, device=box.device, dtype=box.dtype) + 0.5) / count
    # Continuous coordinates have the centre of the first pixel, and of the first cell, at one half.
    first, last = ((corner + 0.5) / stride - 0.5 for corner in (box[:, None, :2], box[:, None, 2:]))
    at = (first + share[:, None] * (last - first)).detach()
    limit = at.new_tensor([x.shape[3], x.shape[2]])
    inside = ((at >= -1.0) & (at <= limit)).to(x.dtype)
    # `grid_sample` has -1 and 1 in the centres of the outer cells.
    place = 2.0 * at / (limit - 1.0).clamp(min=1.0) - 1.0
    across, down = place.to(x.dtype).unbind(-1)
    grid = torch.stack([across[:, None, :].expand(-1, count, -1), down[:, :, None].expand(-1, -1, count)], dim=-1)
    sampled = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)
    sampled = sampled * (inside[:, None, None, :, 0] * inside[:, None, :, None, 1])
    return F.avg_pool2d(sampled, samples)


class _Exported(torch.autograd.Function):
    """The ONNX operator."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Tensor:
        x, box, _, cells, stride, samples = args
        return roi_align(x, box - 0.5, cells, stride, samples)

    @staticmethod
    def symbolic(g: Any, *args: Any) -> Any:
        """The operator, which also takes the number of each box's image."""
        x, box, images, cells, stride, samples = args
        return g.op(
            "RoiAlign",
            x,
            box,
            images,
            coordinate_transformation_mode_s="half_pixel",
            mode_s="avg",
            output_height_i=cells,
            output_width_i=cells,
            sampling_ratio_i=samples,
            spatial_scale_f=1.0 / stride,
        )
