"""Set up a training run on Lightning Fabric, float or quantisation-aware, new or resumed, and run its steps."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from dataset_tools import mix
from hoi_core import config
from hoi_core.errors import ConfigError
from learning import inputs, lineage, quantize, rehearsal, remedies, runs
from learning import validation as validations
from learning.average import AveragedWeights
from learning.config import TrainConfig
from learning.data import loader
from learning.items import DataConfig
from learning.layers import minkowski
from learning.loop import Run, fit
from learning.order import PairSampler, Sampler, StepSampler, need_pairs
from learning.stopping import Best
from learning.tasks import task_of
from learning.track import Track, track
from learning.validation import Validation

logger = logging.getLogger(__name__)

_LONG = 100  # steps from which a run begins with a rehearsal


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
    stopped: bool
    """Whether validation got no better and ended the run before its last step."""
    best: dict[str, float]
    """The best validation: its `step` and the figure that was watched; empty without any."""


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
    if hasattr(dataset, "objects"):
        # Another split, or another machine, might know other objects: numbers are those of the training.
        shown = replace(shown, objects=dataset.objects.names)
    if settings.pairs:
        need_pairs(task, dataset)
    settings = _counted(settings, dataset)
    fabric = _fabric(settings)
    fabric.launch()
    fabric.seed_everything(settings.seed, verbose=False)
    validation = validations.prepare(settings, task.DATA, root, shown, fabric)
    folder = _folder(fabric, settings)
    model = _starting_model(settings)
    if settings.engine == "minkowski":
        minkowski.use(model)
    trainable = [p for p in model.parameters() if p.requires_grad]
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    wrapped, optimizer = fabric.setup(model, optimizer_of(settings, trainable))
    average = AveragedWeights(model, settings.ema) if settings.ema else None
    run = Run(fabric, settings, folder, model, wrapped, optimizer, task.losses(settings, fabric.device), average)
    if settings.resume:
        _resume(run)
    with _exact(fabric):
        if settings.check and (settings.dry_run or settings.steps - run.step >= _LONG):
            _rehearse(run, dataset)
        if settings.dry_run:
            logger.info("would train %s on %d samples into %s", settings.model, len(dataset), folder)
            return None
        if fabric.is_global_zero:
            _describe(run, dataset, validation)
        with _logged(run) as figures:
            history, seconds = fit(run, loader(dataset, _sampler(run, dataset), settings.workers), figures, validation)
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
        stopped=run.step < settings.steps,
        best={"step": run.best.step, settings.watch: run.best.value} if run.best.step else {},
    )


def optimizer_of(settings: TrainConfig[Any], weights: list[nn.Parameter]) -> torch.optim.Optimizer:
    """What takes the steps of a run."""
    return torch.optim.Adam(weights, lr=settings.peak_lr, weight_decay=settings.weight_decay)


def _fabric(settings: TrainConfig[Any]) -> Fabric:
    """Device, processes and arithmetic; under torchrun as many processes as it started.

    Raises:
        ConfigError: the batch does not divide by the processes.
    """
    here = int(os.environ.get("LOCAL_WORLD_SIZE", settings.processes))
    world = int(os.environ.get("WORLD_SIZE", here)) if "LOCAL_WORLD_SIZE" in os.environ else here
    if settings.batch_size % world:
        raise ConfigError(
            f"--batch-size {settings.batch_size} does not divide by the {world} processes.", "Change one."
        )
    precision = settings.precision
    if precision == "auto":
        on_gpu = settings.device != "cpu" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        # Simulated int8 rounds by itself; rounding to bf16 before would blur its ranges.
        precision = "bf16-mixed" if on_gpu and not settings.qat else "32-true"
    return Fabric(accelerator=settings.device, devices=here, num_nodes=world // here, precision=precision)


def _rehearse(run: Run, dataset: Any) -> None:
    """One batch through everything before a long run."""
    rehearsal.check_space(run.folder, run.model, run.settings)
    try:
        # Read as the run will read: a process that has read files itself should not fork others afterwards.
        batch = next(iter(loader(dataset, _sampler(run, dataset), run.settings.workers)))
        rehearsal.rehearse(run.model, task_of(run.settings.model), run.losses, batch, run.settings, run.fabric)
    except (RuntimeError, MemoryError) as error:
        better = remedies.explained(error, run.settings)
        raise better or ConfigError(f"the first batch failed: {error}.", "Nothing was trained yet.") from error


@contextmanager
def _exact(fabric: Fabric) -> Iterator[None]:
    """On the CPU, sums whose order does not change from run to run, so that a resumed run is the same bit for bit."""
    if fabric.device.type != "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # its switch is a property of the module, unknown to type checkers
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filled


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
    runs.load_weights(model, runs.chosen_checkpoint(settings.from_run))
    if settings.qat and not source.qat:
        example = inputs.example(settings.model, settings.net, settings.size)
        return quantize.prepare(model.eval(), example, settings.scheme)
    return model


def _hand_source() -> str:
    """Where the right hand's model comes from."""
    from hoi_core.mano import ManoLayer

    return ManoLayer.from_env("right").model.source


def _describe(run: Run, dataset: Any, validation: Validation | None) -> None:
    """Write what the run is; of one that goes on only the command."""
    if run.settings.resume:
        runs.add_command(run.folder)
        return
    if validation is None and run.settings.validate_every:
        logger.info("no split `val`, so no validation; --validate-split names another one")
    hand, settings = _hand_source(), run.settings
    facts: dict[str, object] = {"hand_model": hand, "samples": len(dataset), "threads": torch.get_num_threads()}
    if hasattr(dataset, "facts"):
        facts |= dataset.facts()
    facts["lineage"] = lineage.of(run.folder.name, settings, hand)
    if validation:
        facts["validation"] = f"{validation.samples} samples of {validation.split}"
    runs.describe(run.folder, replace(settings, out=run.folder), facts)


def _resume(run: Run) -> None:
    checkpoint = runs.last_checkpoint(run.folder)
    runs.load_weights(run.model, checkpoint)
    saved = runs.load_state(checkpoint)
    run.optimizer.load_state_dict(saved["optimizer"])
    run.step = run.saved = int(saved["step"])
    run.best = Best(**saved.get("best", {}))
    if run.average and "weights" in saved:
        run.average.restore(run.model, saved["weights"])
    elif run.average:
        run.average = AveragedWeights(run.model, run.settings.ema)


def _sampler(run: Run, dataset: Any) -> Sampler:
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
def _logged(run: Run) -> Iterator[Track | None]:
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


if __name__ == "__main__":
    import sys

    from learning.command import main

    sys.exit(main())
