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
    return _share(torch.where(mask, values, values.new_zeros(())).sum(), mask.sum())


def weighted_mean_over_all(values: Tensor, weights: Tensor) -> Tensor:
    """As `mean_over_all`, where values count more or less.

    Args:
        values: of any shape.
        weights: what each counts, 0 or more, of the same shape; if all of them are less than 1, they are of 1.

    Returns:
        A scalar; 0 where nothing counts.
    """
    return _share((values * weights).sum(), weights.detach().sum())


def _share(total: Tensor, weight: Tensor) -> Tensor:
    """This process's part of the total over the weight of all of them, times their number."""
    if torch.is_grad_enabled() and count() > 1:
        return total * count() / summed(weight).clamp(min=1)
    return total / weight.clamp(min=1)
