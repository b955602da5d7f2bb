"""What networks are shown: one place that says it, for all that train, prepare, count, export or run them.

Most are shown one image. The class that runs a task's exported files names its inputs (`INPUTS`), its task makes them
of a batch (`inputs`), and the file of a model makes examples of them (`example`), each only where an image is not all.
A network's `forward` has parameters of these names, in their order.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from hoi_core import plugins
from hoi_core.runtime import ExportedModel

Shown = tuple[Tensor, ...]
"""What a network is shown, in the order of its inputs; each begins with the batch."""


def names(task: ModuleType) -> tuple[str, ...]:
    """Names of the inputs of a task's exported networks."""
    exported: type[ExportedModel] = task.EXPORTED
    return exported.INPUTS


def of_batch(task: ModuleType, batch: Any) -> Shown:
    """What a network is shown of a batch, wherever it is not training.

    Args:
        task: its file of `learning/tasks`.
        batch: of the task's dataset.
    """
    shown: Shown = task.inputs(batch) if hasattr(task, "inputs") else (batch.image,)
    return shown


def in_training(task: ModuleType, batch: Any) -> Shown:
    """The same, and behind it what a network is given while it trains (`training_inputs`), such as the truth.

    Args:
        task: its file of `learning/tasks`.
        batch: of the task's dataset.
    """
    more: Shown = task.training_inputs(batch) if hasattr(task, "training_inputs") else ()
    return laid_out((*of_batch(task, batch), *more))


def example(model: str, net: Any, size: int, batch: int = 1) -> Shown:
    """Inputs of the right shapes, to trace a network or to count what it costs.

    Args:
        model: name of the model.
        net: its options.
        size: side of the image, px.
        batch: how many.
    """
    module = plugins.load("learning.models", model)
    if not hasattr(module, "example"):
        return image(size, batch)
    shown: Shown = module.example(net, size, batch)
    return shown


def image(size: int, batch: int = 1) -> Shown:
    """An example for a network that is shown one image: `(B, 3, S, S)` zeros."""
    return (torch.zeros(batch, 3, size, size),)


def laid_out(shown: Shown) -> Shown:
    """The same, images with their channels next to each other, as the layers of a network in training have them."""
    return tuple(x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x for x in shown)
