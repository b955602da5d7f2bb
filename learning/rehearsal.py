"""Go through all that a long run will come to with one batch, so that nothing fails after hours that could fail now."""

from __future__ import annotations

import copy
import logging
import math
import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from hoi_core.errors import FitError, StorageError
from hoi_core.types import Batch
from learning import inputs, quantize
from learning.config import TrainConfig
from learning.data import to_device
from learning.export import write_onnx
from learning.layers.sparse import fold_batch_norms
from learning.qdq import integer_network
from learning.tasks import Loss
from learning.validation import errors_of

logger = logging.getLogger(__name__)

_NUMBER_BYTES = 4
_NUMBERS_KEPT = 3  # a weight and two moments of Adam


def rehearse(
    model: nn.Module, task: ModuleType, losses: Loss, batch: Batch, settings: TrainConfig[Any], fabric: Fabric
) -> None:
    """Forward, backward, evaluation and export of a copy of the network, and the space that checkpoints take.

    All processes must call it, each with its share of a batch.

    Args:
        model: as it will be trained; not changed.
        task: its file of `learning/tasks`.
        losses: of the run.
        batch: the first one, of full size, so that memory is tried too.
        settings: of the run.
        fabric: of the run.

    Raises:
        HoiError: what would have ended the run later.
    """
    batch = to_device(batch, fabric.device)
    network = copy.deepcopy(model).train()
    with fabric.autocast():
        raw = tuple(x.float() for x in network(*inputs.in_training(task, batch)))
    loss, parts = losses(raw, batch)
    loss.backward()
    _look_at_gradients(network, float(loss.detach()), {name: float(v.detach()) for name, v in parts.items()})
    if fabric.is_global_zero:
        if settings.qat:
            quantize.freeze_observers(network)
        shown = inputs.laid_out(inputs.of_batch(task, batch))
        with torch.no_grad():
            said = tuple(x.double().cpu().numpy() for x in network.eval()(*shown))
        errors_of(task, said, to_device(batch, torch.device("cpu")))
        _try_export(network.cpu(), task, settings)
    fabric.barrier()


def _look_at_gradients(network: nn.Module, loss: float, parts: dict[str, float]) -> None:
    if not math.isfinite(loss):
        bad = ", ".join(name for name, value in parts.items() if not math.isfinite(value)) or "their weights"
        raise FitError(f"the loss of the first batch is {loss}, by {bad}.", "Look at the labels and the loss weights.")
    gradients = {name: p.grad for name, p in network.named_parameters() if p.requires_grad}
    wild = [name for name, g in gradients.items() if g is not None and not bool(g.isfinite().all())]
    if wild:
        raise FitError(
            f"gradients of the first batch are not finite: {', '.join(wild[:3])} and {len(wild) - 1} others.",
            "Look at the labels and the loss weights.",
        )
    still = [name for name, g in gradients.items() if g is None or not bool(g.any())]
    if still:
        logger.warning("%d of %d weights get no gradient, such as %s", len(still), len(gradients), still[0])


def _try_export(network: nn.Module, task: ModuleType, settings: TrainConfig[Any]) -> None:
    """Write the file that hoi-export will write, as far as this run allows, and throw it away."""
    example = inputs.example(settings.model, settings.net, settings.size)
    final = integer_network(network) if settings.qat else fold_batch_norms(copy.deepcopy(network))
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        write_onnx(final.eval(), Path(folder) / "model.onnx", example, task.EXPORTED.OUTPUTS, inputs.names(task))
    if not settings.qat:
        # A network that cannot be prepared for int8 should say so before its float weights are paid for.
        quantize.prepare(network.eval(), example, settings.scheme)


def check_space(folder: Path, model: nn.Module, settings: TrainConfig[Any]) -> None:
    """Make sure that the disk holds the checkpoints.

    Args:
        folder: of the run, which need not be there yet.
        model: that will be saved.
        settings: of the run.

    Raises:
        StorageError: too little is free.
    """
    there = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
    numbers = sum(p.numel() for p in model.parameters()) * (_NUMBERS_KEPT + (settings.ema > 0))
    # Those kept, the best one, and the one at work.
    needed, free = numbers * _NUMBER_BYTES * (settings.keep + 2), shutil.disk_usage(there).free
    if free < needed:
        raise StorageError(
            f"checkpoints in {folder} will take {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free.",
            "Free some space, choose another --out, or lower --keep.",
        )
