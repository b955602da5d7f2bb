"""Measure a network now and then while it trains."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed, nn

from hoi_core import draw
from hoi_core.errors import ConfigError, DatasetError
from hoi_core.network_input import Input
from hoi_core.types import F64, U8, Batch
from learning import inputs, processes, quantize
from learning.average import AveragedWeights
from learning.config import TrainConfig
from learning.data import loader, to_device
from learning.items import DataConfig
from learning.overlays import overlay, picture_of
from learning.tasks import Loss

_SPLIT = "val"
_BATCH = 32
_PICTURES = 8
_COLUMNS = 4


@dataclass(frozen=True)
class Validation:
    """The samples to validate on, this process's share of them."""

    split: str
    """Their split."""
    samples: int
    """How many, over all processes."""
    batches: Iterable[Batch]
    """This process's, the same each time."""
    input: Input
    """What the network is shown."""


@dataclass(frozen=True)
class Found:
    """What a validation found."""

    figures: Mapping[str, float]
    """`loss` and the task's errors, means over the samples where they are known."""
    picture: U8 | None
    """`(H, W, 3)` RGB, in the first process, where the task tells where joints are."""


def prepare(settings: TrainConfig[Any], kind: Any, root: Path, shown: DataConfig, fabric: Fabric) -> Validation | None:
    """Find what to validate on: --validate-split, else the split `val` where all datasets have it.

    Args:
        settings: of the run.
        kind: the dataset that the task learns from, its `DATA`.
        root: where the datasets lie.
        shown: what the network is shown.
        fabric: of the run.

    Raises:
        HoiError: the split that was asked for is not there.
    """
    if settings.validate_every == 0:
        return None
    split = settings.validate_split or _SPLIT
    try:
        dataset = kind(settings.dataset, root, split, shown)
    except (ConfigError, DatasetError):
        if settings.validate_split:
            raise
        return None
    # Mixed, so that the first batch, which is drawn, shows more than one recording.
    numbers = np.random.default_rng(0).permutation(len(dataset))[: settings.validate_samples]
    chunks = [[(int(n), 0) for n in numbers[at : at + _BATCH]] for at in range(0, len(numbers), _BATCH)]
    own = chunks[fabric.global_rank :: fabric.world_size]
    return Validation(split, len(numbers), loader(dataset, own, settings.workers), shown.input)


def candidate(model: nn.Module, average: AveragedWeights | None, *, qat: bool) -> nn.Module:
    """The network that a checkpoint of now would give: a copy, so that measuring leaves training as it is."""
    with average.shown(model) if average else nullcontext():
        network = copy.deepcopy(model)
    if qat:
        quantize.freeze_observers(network)
    return network.eval()


@torch.no_grad()
def validate(network: nn.Module, task: ModuleType, losses: Loss, validation: Validation, fabric: Fabric) -> Found:
    """Measure a network.

    Args:
        network: in evaluation mode, on the device.
        task: its file of `learning/tasks`.
        losses: of the run.
        validation: what to measure on.
        fabric: of the run; each process measures its share, and all learn the whole.
    """
    sums: dict[str, Tensor] = {}
    picture: U8 | None = None
    for batch in validation.batches:
        on_device = to_device(batch, fabric.device)
        shown = inputs.laid_out(inputs.of_batch(task, on_device))
        with fabric.autocast():
            raw = tuple(x.float() for x in network(*shown))
        loss, _ = losses(raw, on_device)
        size = len(shown[0])
        _add(sums, "loss", loss.double() * size, size)
        said = tuple(x.double().cpu().numpy() for x in raw)
        for name, values in errors_of(task, said, batch).items():
            known = np.isfinite(values)
            _add(sums, name, torch.tensor(float(values[known].sum())), int(known.sum()))
        if picture is None and fabric.is_global_zero and hasattr(task, "pixels"):
            picture = _drawn(task.pixels(said, batch), batch, validation.input)
    return Found(_over_processes(sums), picture)


def errors_of(task: ModuleType, said: tuple[F64, ...], batch: Batch) -> dict[str, F64]:
    """The errors that a task names, aligned as `hoi-eval` does by default; none where it names none."""
    if not hasattr(task, "errors"):
        return {}
    found: dict[str, F64] = task.errors(said, batch, allow_reflection=True)
    return found


def _drawn(found_px: F64, batch: Batch, kind: Input) -> U8:
    """The first samples with the joints that were found."""
    true = np.where(batch.pixels_valid.numpy()[..., None], batch.joints_px.double().numpy(), np.nan)
    images = [picture_of(image, kind) for image in batch.image[:_PICTURES].numpy()]
    some = zip(images, found_px[:_PICTURES], true[:_PICTURES], strict=True)
    return draw.montage([overlay(*each) for each in some], columns=_COLUMNS)


def _add(sums: dict[str, Tensor], name: str, total: Tensor, count: int) -> None:
    """Add to a figure's sum and count."""
    both = torch.stack([total.double().cpu(), torch.tensor(float(count), dtype=torch.float64)])
    sums[name] = sums.get(name, torch.zeros(2, dtype=torch.float64)) + both


def _over_processes(sums: dict[str, Tensor]) -> dict[str, float]:
    """Means over the samples of all processes; NaN where none is known."""
    shares: list[dict[str, Tensor]] = [sums] * processes.count()
    if processes.count() > 1:
        distributed.all_gather_object(shares, sums)
    names = list(dict.fromkeys(name for share in shares for name in share))
    totals = {name: sum(share[name] for share in shares if name in share) for name in names}
    return {name: float(total[0] / total[1]) for name, total in totals.items() if isinstance(total, Tensor)}
