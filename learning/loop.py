"""The steps of a training run: forward, backward, log, validate, save; and what ends them."""

from __future__ import annotations

import logging
import math
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from hoi_core import log
from hoi_core.errors import FitError, StorageError
from hoi_core.plugins import unknown_name
from hoi_core.types import Batch
from learning import inputs, quantize, remedies, report, runs
from learning import validation as validations
from learning.average import AveragedWeights
from learning.config import TrainConfig
from learning.data import to_device
from learning.stopping import Best, on_request
from learning.tasks import Loss, task_of
from learning.track import Track
from learning.validation import Validation

logger = logging.getLogger(__name__)

_FLOOR = 0.01  # of the peak learning rate at the end of the cosine
_WARM_UP = 0.03  # share of the run
_REPORT_EVERY_S = 300.0  # the page of a run that goes on
_SHOWN_OVER = 20  # steps that the loss on screen is a mean of


@dataclass
class Run:
    """A run while it trains."""

    fabric: Fabric
    settings: TrainConfig[Any]
    folder: Path
    model: nn.Module
    wrapped: nn.Module
    """The model as Fabric runs it: over all processes, in the chosen arithmetic."""
    optimizer: torch.optim.Optimizer
    losses: Loss
    average: AveragedWeights | None
    """With --ema."""
    best: Best = field(default_factory=Best)
    """The best validation so far."""
    step: int = 0
    saved: int = 0
    """Step of the last checkpoint of this call."""
    reported: float = field(default_factory=time.monotonic)
    """When the page of the run was written last, s."""
    whole: bool = True
    """Whether the weights are those of a step, not of a moment within one."""


def learning_rate(settings: TrainConfig[Any], step: int) -> float:
    """The learning rate of a step."""
    share = step / settings.steps
    warm = min(1.0, (step + 1) / max(1.0, _WARM_UP * settings.steps))
    if settings.schedule == "step":
        return settings.peak_lr * warm * 0.1 ** sum(share >= at for at in (settings.drop_at, settings.drop_again_at))
    if settings.schedule == "stairs":
        # A share that is a multiple of the interval may be a rounding below it.
        falls = math.floor(min(share, settings.drop_until) / settings.drop_every + 1e-9)
        return settings.peak_lr * warm * settings.drop_by**falls
    return settings.peak_lr * warm * (_FLOOR + (1.0 - _FLOOR) * 0.5 * (1.0 + math.cos(math.pi * share)))


def fit(
    run: Run, batches: Iterable[Batch], figures: Track | None, validation: Validation | None
) -> tuple[list[float], float]:
    """Run the steps that are left; returns each step's loss and the seconds taken.

    Whatever ends it, the last whole step is saved first.
    """
    settings = run.settings
    history: list[float] = []
    start = time.perf_counter()
    run.wrapped.train()
    try:
        with on_request() as request, _progress(run) as show:
            for batch in batches:
                loss, parts, stop = _step(run, to_device(batch, run.fabric.device), stop=request.made)
                history.append(loss)
                speed = len(history) / (time.perf_counter() - start)
                show(loss, speed)
                if figures and (run.step % settings.log_every == 0 or run.step == settings.steps):
                    line = {"loss": loss, "lr": learning_rate(settings, run.step - 1), "steps_per_second": speed}
                    figures.add(run.step, line | {f"loss_{k}": float(v.detach()) for k, v in parts.items()})
                ended = _end_of_step(run, figures, validation)
                if stop:
                    raise KeyboardInterrupt
                if ended:
                    break
    except BaseException as error:
        _rescue(run, figures, error)
        if (better := remedies.explained(error, settings)) is None:
            raise
        raise better from error
    return history, time.perf_counter() - start


def _end_of_step(run: Run, figures: Track | None, validation: Validation | None) -> bool:
    """Validate and save where it is time; whether the run is to end early."""
    settings, last = run.settings, run.step == run.settings.steps
    best = False
    if validation and (run.step % settings.validate_every == 0 or last):
        best = _validate(run, validation, figures)
    if figures and (best or last or run.step % settings.save_every == 0):
        _save(run, best=best)
    if figures and time.monotonic() - run.reported > _REPORT_EVERY_S:
        report.write(run.folder)
        run.reported = time.monotonic()
    if not validation or not run.best.exhausted(run.step, settings.validate_every, settings.patience):
        return False
    if figures and not last:
        _save(run)
        logger.info("no better %s since step %d: the run ends at step %d", settings.watch, run.best.step, run.step)
    return True


def _validate(run: Run, validation: Validation, figures: Track | None) -> bool:
    """Measure the network of now; whether it is the best so far.

    Raises:
        ConfigError: --watch names no figure of the task.
    """
    network = validations.candidate(run.model, run.average, qat=run.settings.qat)
    found = validations.validate(network, task_of(run.settings.model), run.losses, validation, run.fabric)
    if run.settings.watch not in found.figures:
        raise unknown_name("figure", run.settings.watch, list(found.figures))
    if figures:
        figures.add(run.step, {f"{report.VALIDATED}{name}": value for name, value in found.figures.items()})
        if found.picture is not None:
            report.keep_picture(run.folder, run.step, found.picture)
            figures.picture(run.step, found.picture)
    return run.best.take(found.figures[run.settings.watch], run.step)


def _rescue(run: Run, figures: Track | None, error: BaseException) -> None:
    """Save the last whole step before an error ends the run, and say how to go on."""
    if not figures or not run.whole or run.step == 0:
        return
    try:
        if run.saved < run.step:
            _save(run)
    except StorageError as full:
        logger.warning("step %d could not be saved: %s", run.step, full.message)
    if run.saved:
        again = f"hoi-train --resume --out {shlex.quote(str(run.folder))}"
        what = "stopped" if isinstance(error, KeyboardInterrupt) else "ended by an error"
        logger.warning("%s; step %d is saved. Go on with: %s", what, run.saved, again)


def _step(run: Run, batch: Batch, *, stop: bool) -> tuple[float, dict[str, Tensor], bool]:
    """One optimiser step.

    Args:
        run: its weights and `step` are updated.
        batch: this process's share.
        stop: whether this process was asked to stop.

    Returns:
        The loss, mean over all processes; its parts in this one; whether any process was asked to stop.

    Raises:
        FitError: loss or gradient are not finite; the weights are left as they were.
    """
    settings = run.settings
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(settings, run.step)
    if settings.qat and run.step == settings.freeze_step:
        quantize.freeze_observers(run.model)
    # What a layer draws depends on the step alone, so that no generator needs to be saved.
    torch.manual_seed((settings.seed * 1_000_003 + run.step) * 4096 + run.fabric.global_rank)
    if (at := getattr(run.losses, "at", None)) is not None:
        at(run.step)
    loss, parts = run.losses(run.wrapped(*inputs.in_training(task_of(settings.model), batch)), batch)
    run.optimizer.zero_grad(set_to_none=True)
    run.fabric.backward(loss)
    norm = run.fabric.clip_gradients(run.wrapped, run.optimizer, max_norm=settings.clip, error_if_nonfinite=False)
    # All processes must see the same, or one of them would stop and leave the rest waiting.
    told = torch.stack([loss.detach().float(), cast(Tensor, norm).float(), loss.new_tensor(float(stop)).float()])
    value, length, asked = cast(Tensor, run.fabric.all_reduce(told)).tolist()
    if not math.isfinite(value) or not math.isfinite(length):
        raise FitError(
            f"the loss is {value} and the gradient's length {length} at step {run.step + 1}.",
            f"Go on from before it with a smaller --lr (now {settings.peak_lr:g}), or look at this step's samples.",
        )
    run.whole = False
    run.optimizer.step()
    if run.average:
        run.average.update(run.model, run.step + 1)
    run.step += 1
    run.whole = True
    return value, parts, asked > 0


@contextmanager
def _progress(run: Run) -> Iterator[Callable[[float, float], None]]:
    """What to call after each step with its loss and the steps per second; a bar in the first process."""
    if not run.fabric.is_global_zero:
        yield lambda loss, speed: None
        return
    with log.progress() as bar:
        task = bar.add_task("training", total=run.settings.steps, completed=run.step)
        smooth: list[float] = []

        def show(loss: float, speed: float) -> None:
            smooth.append(loss)
            del smooth[:-_SHOWN_OVER]
            told = f"training, loss {sum(smooth) / len(smooth):.4f}, {speed:.2f} steps/s"
            bar.update(task, description=told, completed=run.step)

        yield show


def _save(run: Run, *, best: bool = False) -> None:
    state = {"step": run.step, "optimizer": run.optimizer.state_dict(), "best": asdict(run.best)}
    with run.average.shown(run.model) if run.average else nullcontext() as weights:
        if weights is not None:
            state["weights"] = weights
        runs.save_checkpoint(run.folder, run.step, run.model, state, best=best, keep=run.settings.keep)
    run.saved = run.step
