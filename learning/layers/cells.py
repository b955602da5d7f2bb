"""Where the cells of a heatmap lie."""

from __future__ import annotations

import torch
from torch import Tensor


def centres(count: int, like: Tensor) -> Tensor:
    """Centres of the cells of a line from -1 to 1, its outer edges. `-> (count,)`."""
    return (torch.arange(count, device=like.device, dtype=like.dtype) * 2 + 1) / count - 1
