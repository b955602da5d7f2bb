"""What the processes of one training share."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def count() -> int:
    """How many processes train together; 1 without any group."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def summed(values: Tensor) -> Tensor:
    """Add up the values of all processes, in place; with one process they stay what they are."""
    if count() > 1:
        distributed.all_reduce(values)
    return values


def mean_over_all(values: Tensor, mask: Tensor) -> Tensor:
    """This process's share of a mean over the labelled values of all processes.

    Averaged over the processes, as their gradients are, the shares give the mean that one process would have found
    on the whole batch, however unevenly the labels are spread. Without gradients, as in validation, each process
    counts its own labels only, so that they need not keep step.

    Args:
        values: of any shape.
        mask: which of them count, of the same shape.

    Returns:
        A scalar; 0 where nothing counts.
    """
    total = torch.where(mask, values, values.new_zeros(())).sum()
    labelled = mask.sum()
    if torch.is_grad_enabled() and count() > 1:
        return total * count() / summed(labelled).clamp(min=1)
    return total / labelled.clamp(min=1)
