"""The training loop: plain steps on Lightning Fabric, for float and quantisation-aware runs alike."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hoi_core import config, log
from hoi_core.errors import ConfigError, FitError
from hoi_core.types import Batch
from learning import losses, quantize, runs
from learning.config import TrainConfig
from learning.data import DataConfig, HandDataset, StepSampler, loader, to_device
from learning.output import interpret

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


@dataclass
class _State:
    """What a step changes."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
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
    from lightning_fabric import Fabric

    root = config.data_root(settings.data)
    # Some machines' name servers answer slowly: index before any process group starts.
    dataset = HandDataset(
        settings.dataset,
        root,
        "train",
        DataConfig(settings.size, settings.edges),
        augment=settings.augment,
        seed=settings.seed,
    )
    fabric = Fabric(accelerator=settings.device, devices=settings.processes, precision=settings.precision)
    fabric.launch()
    fabric.seed_everything(settings.seed, verbose=False)
    folder = settings.out if settings.resume and settings.out else runs.new_folder(settings)
    model = _starting_model(settings)
    mesh, hand_source = _hand()
    if settings.dry_run:
        logger.info("would train %s on %d samples into %s", settings.model, len(dataset), folder)
        return None
    trainable = [p for p in model.parameters() if p.requires_grad]
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(trainable, lr=settings.peak_lr)
    wrapped, optimizer = fabric.setup(model, optimizer)
    state = _State(model, optimizer)
    if settings.resume:
        _resume(folder, state)
    elif fabric.is_global_zero:
        runs.describe(folder, replace(settings, out=folder), {"hand_model": hand_source, "samples": len(dataset)})
    sampler = StepSampler(
        dataset.sizes,
        dataset.weights,
        settings.batch_size // fabric.world_size,
        settings.seed,
        state.step,
        settings.steps,
        fabric.global_rank,
        fabric.world_size,
    )
    batches = loader(dataset, sampler, settings.workers)
    history, seconds = _fit(fabric, settings, state, wrapped, batches, mesh, folder)
    if not history:
        raise ConfigError(
            f"run {folder} has all of its {settings.steps} steps.", "Raise --steps, or leave out --resume."
        )
    tenth = max(1, len(history) // 10)
    return TrainReport(
        folder=folder,
        step=state.step,
        loss_first=sum(history[:tenth]) / tenth,
        loss_last=sum(history[-tenth:]) / tenth,
        steps_per_second=len(history) / max(seconds, 1e-9),
        parameters=sum(p.numel() for p in trainable),
    )


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


def _hand() -> tuple[losses.Mesh, str]:
    """Connectivity of the right hand, and where it comes from."""
    from hoi_core.mano import ManoLayer

    layer = ManoLayer.from_env("right")
    return losses.Mesh.of(torch.as_tensor(layer.faces.astype("int64"))), layer.model.source


def _resume(folder: Path, state: _State) -> None:
    checkpoint = runs.last_checkpoint(folder)
    runs.load_weights(state.model, checkpoint)
    saved = torch.load(checkpoint / "state.pt", weights_only=True)
    state.optimizer.load_state_dict(saved["optimizer"])
    state.step = int(saved["step"])


def _save(folder: Path, state: _State) -> None:
    runs.save_checkpoint(
        folder, state.step, state.model, {"step": state.step, "optimizer": state.optimizer.state_dict()}
    )


def _fit(
    fabric: Any,
    settings: TrainConfig[Any],
    state: _State,
    wrapped: nn.Module,
    batches: Iterable[Batch],
    mesh: losses.Mesh,
    folder: Path,
) -> tuple[list[float], float]:
    """Run the steps that are left; returns each step's loss and the seconds taken. Ctrl-C saves before it stops."""
    mesh = losses.Mesh(mesh.faces.to(fabric.device), mesh.edges.to(fabric.device))
    history: list[float] = []
    start = time.perf_counter()
    wrapped.train()
    try:
        for batch in _progress(batches, settings.steps, state.step):
            loss, parts = _step(fabric, settings, state, wrapped, to_device(batch, fabric.device), mesh)
            history.append(loss)
            state.step += 1
            if not math.isfinite(loss):
                raise FitError(f"the loss is {loss} at step {state.step}.", "Lower --lr; the last checkpoint is kept.")
            if fabric.is_global_zero and (state.step % settings.log_every == 0 or state.step == settings.steps):
                _log(folder, settings, state.step, loss, parts, len(history) / (time.perf_counter() - start))
            if fabric.is_global_zero and state.step % settings.save_every == 0:
                _save(folder, state)
    except KeyboardInterrupt:
        if fabric.is_global_zero and history:
            _save(folder, state)
            logger.warning("saved step %d of %s; go on with --resume --out %s", state.step, folder, folder)
        raise
    if fabric.is_global_zero and history:
        _save(folder, state)
    return history, time.perf_counter() - start


def _step(
    fabric: Any,
    settings: TrainConfig[Any],
    state: _State,
    wrapped: nn.Module,
    batch: Batch,
    mesh: losses.Mesh,
) -> tuple[float, dict[str, Tensor]]:
    """One optimiser step: the loss and its parts."""
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(settings, state.step)
    if settings.qat and state.step == int(settings.freeze * settings.steps):
        quantize.freeze_observers(state.model)
    image = batch.image.contiguous(memory_format=torch.channels_last)
    out = interpret(wrapped(image), batch.K, settings.size)
    loss, parts = losses.total(out, batch, mesh, settings.loss)
    state.optimizer.zero_grad(set_to_none=True)
    fabric.backward(loss)
    fabric.clip_gradients(wrapped, state.optimizer, max_norm=settings.clip, error_if_nonfinite=False)
    state.optimizer.step()
    return float(loss.detach()), parts


def _log(
    folder: Path, settings: TrainConfig[Any], step: int, loss: float, parts: dict[str, Tensor], speed: float
) -> None:
    """Append one flat line to metrics.jsonl."""
    line = {"step": step, "loss": loss, "lr": learning_rate(settings, step - 1), "steps_per_second": speed}
    line |= {f"loss_{name}": float(value.detach()) for name, value in parts.items()}
    with (folder / "metrics.jsonl").open("a", encoding="utf8") as file:
        file.write(json.dumps(line) + "\n")


def _progress(batches: Iterable[Batch], steps: int, done: int) -> Iterator[Batch]:
    """The batches, with a bar where there is a terminal."""
    with log.progress() as bar:
        task = bar.add_task("training", total=steps, completed=done)
        for batch in batches:
            yield batch
            bar.advance(task)
