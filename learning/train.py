"""The training loop: plain steps on Lightning Fabric, for float and quantisation-aware runs alike."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from dataset_tools import mix
from hoi_core import config, log
from hoi_core.errors import ConfigError, FitError
from hoi_core.types import Batch
from learning import quantize, runs
from learning.config import TrainConfig
from learning.data import DataConfig, loader, to_device
from learning.order import PairSampler, Sampler, StepSampler, need_pairs
from learning.tasks import Loss, task_of
from learning.track import Track, track

logger = logging.getLogger(__name__)

_FLOOR = 0.01  # of the peak learning rate at the end of the cosine
_WARM_UP = 0.03  # share of the run


@dataclass(frozen=True)
class TrainReport:
    """What came out of a run."""

    folder: Path
    """Folder of the run."""
    step: int
    """Steps trained."""
    loss_first: float
    """Mean loss of the first tenth of this call's steps."""
    loss_last: float
    """Mean loss of the last tenth."""
    steps_per_second: float
    """Over the loop, loading included."""
    parameters: int
    """Trainable numbers of the model."""
    first_process: bool
    """Whether this process is the one that reports."""


@dataclass
class _Run:
    """A run while it trains."""

    fabric: Fabric
    settings: TrainConfig[Any]
    folder: Path
    model: nn.Module
    wrapped: nn.Module
    """The model as Fabric runs it: over all processes, in the chosen arithmetic."""
    optimizer: torch.optim.Optimizer
    losses: Loss
    step: int = 0


def learning_rate(settings: TrainConfig[Any], step: int) -> float:
    """The learning rate of a step."""
    share = step / settings.steps
    warm = min(1.0, (step + 1) / max(1.0, _WARM_UP * settings.steps))
    if settings.schedule == "step":
        return settings.peak_lr * warm * (0.1 if share >= 30 / 38 else 1.0)
    return settings.peak_lr * warm * (_FLOOR + (1.0 - _FLOOR) * 0.5 * (1.0 + math.cos(math.pi * share)))


def train(settings: TrainConfig[Any]) -> TrainReport | None:
    """Train a model; None after --dry-run.

    Raises:
        HoiError: an unknown name, a dataset that is not there, a run that cannot go on, a loss that is not finite.
    """
    root = config.data_root(settings.data)
    # Some machines' name servers answer slowly: index before any process group starts.
    task = task_of(settings.model)
    shown = DataConfig(settings.size, settings.edges, settings.net.input, task.IN_SPACE)
    dataset = task.DATA(settings.dataset, root, "train", shown, augment=settings.augment, seed=settings.seed)
    if settings.pairs:
        need_pairs(task, dataset)
    settings = _counted(settings, dataset)
    fabric = Fabric(accelerator=settings.device, devices=settings.processes, precision=settings.precision)
    fabric.launch()
    fabric.seed_everything(settings.seed, verbose=False)
    folder = _folder(fabric, settings)
    model = _starting_model(settings)
    if settings.dry_run:
        logger.info("would train %s on %d samples into %s", settings.model, len(dataset), folder)
        return None
    trainable = [p for p in model.parameters() if p.requires_grad]
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    wrapped, optimizer = fabric.setup(model, torch.optim.Adam(trainable, lr=settings.peak_lr))
    run = _Run(fabric, settings, folder, model, wrapped, optimizer, task.losses(settings, fabric.device))
    if settings.resume:
        _resume(run)
    elif fabric.is_global_zero:
        runs.describe(folder, replace(settings, out=folder), {"hand_model": _hand_source(), "samples": len(dataset)})
    with _logged(run) as figures:
        history, seconds = _fit(run, loader(dataset, _sampler(run, dataset), settings.workers), figures)
    if not history:
        raise ConfigError(
            f"run {folder} has all of its {settings.steps} steps.", "Raise --steps, or leave out --resume."
        )
    tenth = max(1, len(history) // 10)
    return TrainReport(
        folder=folder,
        step=run.step,
        loss_first=sum(history[:tenth]) / tenth,
        loss_last=sum(history[-tenth:]) / tenth,
        steps_per_second=len(history) / max(seconds, 1e-9),
        parameters=sum(p.numel() for p in trainable),
        first_process=fabric.is_global_zero,
    )


def _counted(settings: TrainConfig[Any], dataset: Any) -> TrainConfig[Any]:
    """The settings with --epochs as steps."""
    if settings.epochs is None:
        return settings
    epoch = len(mix.epoch_order(dataset.sizes, dataset.weights, settings.seed, 0))
    return replace(settings, steps=math.ceil(settings.epochs * epoch / settings.batch_size), epochs=None)


def _folder(fabric: Fabric, settings: TrainConfig[Any]) -> Path:
    """The folder of the run, which the first process chooses for all."""
    if settings.resume and settings.out:
        return settings.out
    return Path(fabric.broadcast(str(runs.new_folder(settings)) if fabric.is_global_zero else ""))


def _starting_model(settings: TrainConfig[Any]) -> nn.Module:
    """Fresh weights, or those of --from; with --qat folded and prepared."""
    if settings.from_run is None:
        return runs.build_model(settings)
    source = runs.read_settings(settings.from_run)
    if (source.model, source.net, source.size) != (settings.model, settings.net, settings.size):
        raise ConfigError(
            f"{settings.from_run} holds another model: {source.model} {source.net} at {source.size} px.",
            "Give the same --model, its options and --size.",
        )
    model = runs.build_model(source)
    runs.load_weights(model, runs.last_checkpoint(settings.from_run))
    if settings.qat and not source.qat:
        example = torch.zeros(1, 3, settings.size, settings.size)
        return quantize.prepare(model.eval(), example)
    return model


def _hand_source() -> str:
    """Where the right hand's model comes from."""
    from hoi_core.mano import ManoLayer

    return ManoLayer.from_env("right").model.source


def _resume(run: _Run) -> None:
    checkpoint = runs.last_checkpoint(run.folder)
    runs.load_weights(run.model, checkpoint)
    saved = runs.load_state(checkpoint)
    run.optimizer.load_state_dict(saved["optimizer"])
    run.step = int(saved["step"])


def _save(run: _Run) -> None:
    state = {"step": run.step, "optimizer": run.optimizer.state_dict()}
    runs.save_checkpoint(run.folder, run.step, run.model, state)


def _sampler(run: _Run, dataset: Any) -> Sampler:
    """The steps that are left, this process's share of each."""
    fabric, settings = run.fabric, run.settings
    share = settings.batch_size // fabric.world_size
    steps = StepSampler(
        dataset.sizes,
        dataset.weights,
        share // 2 if settings.pairs else share,
        settings.seed,
        run.step,
        settings.steps,
        fabric.global_rank,
        fabric.world_size,
    )
    return PairSampler(steps, dataset.second_view) if settings.pairs else steps


@contextmanager
def _logged(run: _Run) -> Iterator[Track | None]:
    """The log of the run, which the first process keeps; None in the others.

    Raises:
        ConfigError: another training is at work in the folder.
    """
    if not run.fabric.is_global_zero:
        yield None
        return
    with runs.held(run.folder) as free:
        if not free:
            raise ConfigError(f"another process trains in {run.folder}.", "Wait for it, or choose another --out.")
        with track(run.folder, run.step) as figures:
            yield figures


def _fit(run: _Run, batches: Iterable[Batch], figures: Track | None) -> tuple[list[float], float]:
    """Run the steps that are left; returns each step's loss and the seconds taken. Ctrl-C saves before it stops."""
    settings = run.settings
    history: list[float] = []
    start = time.perf_counter()
    run.wrapped.train()
    try:
        for batch in _progress(batches, run):
            loss, parts = _step(run, to_device(batch, run.fabric.device))
            history.append(loss)
            run.step += 1
            if not math.isfinite(loss):
                raise FitError(f"the loss is {loss} at step {run.step}.", "Lower --lr; the last checkpoint is kept.")
            if figures and (run.step % settings.log_every == 0 or run.step == settings.steps):
                speed = len(history) / (time.perf_counter() - start)
                line = {"loss": loss, "lr": learning_rate(settings, run.step - 1), "steps_per_second": speed}
                figures.add(run.step, line | {f"loss_{k}": float(v.detach()) for k, v in parts.items()})
            if figures and (run.step % settings.save_every == 0 or run.step == settings.steps):
                _save(run)
    except KeyboardInterrupt:
        if figures and history:
            _save(run)
            logger.warning("saved step %d of %s; go on with --resume --out %s", run.step, run.folder, run.folder)
        raise
    return history, time.perf_counter() - start


def _step(run: _Run, batch: Batch) -> tuple[float, dict[str, Tensor]]:
    """One optimiser step: the loss, mean over all processes, and its parts in this one."""
    settings = run.settings
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(settings, run.step)
    if settings.qat and run.step == int(settings.freeze * settings.steps):
        quantize.freeze_observers(run.model)
    image = batch.image.contiguous(memory_format=torch.channels_last)
    loss, parts = run.losses(run.wrapped(image), batch)
    run.optimizer.zero_grad(set_to_none=True)
    run.fabric.backward(loss)
    run.fabric.clip_gradients(run.wrapped, run.optimizer, max_norm=settings.clip, error_if_nonfinite=False)
    run.optimizer.step()
    # All processes must see the same loss, or one that is not finite would stop one of them and leave the rest waiting.
    return float(cast(Tensor, run.fabric.all_reduce(loss.detach()))), parts


def _progress(batches: Iterable[Batch], run: _Run) -> Iterator[Batch]:
    """The batches, with a bar in the first process."""
    if not run.fabric.is_global_zero:
        yield from batches
        return
    with log.progress() as bar:
        task = bar.add_task("training", total=run.settings.steps, completed=run.step)
        for batch in batches:
            yield batch
            bar.advance(task)


if __name__ == "__main__":
    import sys

    from learning.command import main

    sys.exit(main())
