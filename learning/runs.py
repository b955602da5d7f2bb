"""The folder of a run: configuration, metrics, environment, checkpoints; and models loaded back from it.

RUN/config.yaml  command.txt  env.json  metrics.jsonl  tensorboard/  pictures/  report.html
RUN/checkpoints/step_000300/{model.safetensors, state.pt}    last -> step_000300    best -> step_000200
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from hoi_core import config, plugins
from hoi_core.errors import ConfigError, StorageError
from learning import inputs, quantize
from learning.config import TrainConfig, settings_from

METRICS = "metrics.jsonl"
_PACKAGES = ("torch", "numpy", "lightning-fabric", "onnx", "onnxruntime", "hoi-toolkit")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedRun:
    """A trained model with what it was trained on."""

    folder: Path
    """Folder of the run."""
    settings: TrainConfig[Any]
    """Its configuration."""
    step: int
    """Steps trained."""
    model: nn.Module
    """On the CPU, in evaluation mode; a GraphModule after --qat."""
    about: dict[str, Any]
    """env.json: versions, commit, hand model, objects that it knows."""

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the objects that it knows by number, in order."""
        return names_of(self.about.get("objects", []))


def names_of(objects: list[dict[str, Any]]) -> tuple[str, ...]:
    """Names of objects as a run keeps them, see `learning.object_table.ObjectTable.to_list`."""
    return tuple(str(each["name"]) for each in objects)


def new_folder(settings: TrainConfig[Any]) -> Path:
    """The folder of a new run; if another run lives there, the same with `_2`, `_3`, ..."""
    stamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M")
    wanted = settings.out or config.runs_root() / f"{stamp}_{settings.model}_{settings.dataset}".replace(":", "-")
    folder, n = wanted, 1
    while not _is_free(folder):
        n += 1
        folder = wanted.with_name(f"{wanted.name}_{n}")
    return folder


def _is_free(folder: Path) -> bool:
    """Whether a new run may use a folder: none is there, or only what a run left that died before it saved anything."""
    if not folder.is_dir():
        return not folder.exists()
    if not any(folder.iterdir()):
        return True
    saved = any(p.suffix != ".part" for p in (folder / "checkpoints").glob("*"))
    if saved or not (folder / "config.yaml").exists():
        return False
    with held(folder) as free:
        if free:
            logger.warning("the run in %s stopped before its first checkpoint: its folder is used again", folder)
        return free


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold the folder of a run while training in it; yields False where another process does."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong while writing into an error that says so.

    Raises:
        StorageError: the disk is full or not writable.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise StorageError(
            f"cannot write {path}: {error}.", "Free some space or choose another --out; earlier checkpoints are kept."
        ) from error


def describe(folder: Path, settings: TrainConfig[Any], extra: Mapping[str, object]) -> None:
    """Write config.yaml, command.txt and env.json.

    Raises:
        StorageError: the folder cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _describe(folder, settings, extra)


def add_command(folder: Path) -> None:
    """Note the command that goes on with a run.

    Raises:
        StorageError: the folder cannot be written.
    """
    with writing(folder), (folder / "command.txt").open("a", encoding="utf8") as file:
        file.write(shlex.join(sys.argv) + "\n")


def _describe(folder: Path, settings: TrainConfig[Any], extra: Mapping[str, object]) -> None:
    (folder / "config.yaml").write_text(config.to_yaml(settings), encoding="utf8")
    (folder / "command.txt").write_text(shlex.join(sys.argv) + "\n", encoding="utf8")
    facts = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        **extra,
    }
    (folder / "env.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf8")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _commit() -> str:
    """Commit of the source tree, with `+` where files differ from it; empty outside of git."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def save_checkpoint(
    folder: Path, step: int, model: nn.Module, state: Mapping[str, Any], *, best: bool = False, keep: int = 2
) -> Path:
    """Write weights (safetensors) and resume state, point `last` at them, and drop what is older.

    Args:
        folder: of the run.
        step: steps trained.
        model: its weights are what evaluation and export read.
        state: what training goes on with besides.
        best: also point `best` at it.
        keep: checkpoints that stay, the newest ones, besides the best one.

    Raises:
        StorageError: the disk is full or not writable; the checkpoint before stays the last.
    """
    target = folder / "checkpoints" / f"step_{step:06d}"
    weights = {k: v.detach().cpu().clone().contiguous() for k, v in model.state_dict().items()}
    try:
        with writing(target):
            _write_checkpoint(target, weights, state)
    except StorageError:
        # Dropping all but the last one may make the room that is missing.
        if not _prune(folder, 1):
            raise
        logger.warning("the disk was full: older checkpoints were removed to keep this one")
        with writing(target):
            _write_checkpoint(target, weights, state)
    with writing(target):
        for name in ("last", "best") if best else ("last",):
            fresh = target.with_name(f"{name}.part")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(target.name)
            fresh.replace(target.with_name(name))
        _prune(folder, keep)
    return target


def _write_checkpoint(target: Path, weights: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    """Write a checkpoint in full or not at all."""
    draft = target.with_name(target.name + ".part")
    try:
        draft.mkdir(parents=True, exist_ok=True)
        save_file(dict(weights), draft / "model.safetensors")
        torch.save(dict(state), draft / "state.pt")
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _prune(folder: Path, keep: int) -> int:
    """Remove checkpoints but the newest `keep`, the last and the best one; returns how many."""
    checkpoints = folder / "checkpoints"
    named = {(checkpoints / name).resolve() for name in ("last", "best")}
    steps = sorted((p for p in checkpoints.glob("step_*") if p.suffix != ".part"), key=_step_of)
    old = [p for p in steps[: max(0, len(steps) - keep)] if p.resolve() not in named]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)


def best_step(folder: Path) -> int | None:
    """The step that validated best; None where nothing was validated."""
    found = folder / "checkpoints" / "best"
    return _step_of(found) if found.exists() else None


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.resolve().name.removeprefix("step_"))


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl, but one that was cut off."""
    path = folder / METRICS
    lines = path.read_text(encoding="utf8").splitlines() if path.exists() else []
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def read_settings(folder: Path) -> TrainConfig[Any]:
    """The configuration of a run.

    Raises:
        ConfigError: not a run, or one with an unknown key.
    """
    if not (folder / "config.yaml").exists():
        raise ConfigError(f"expected a run (a folder with config.yaml), got {folder}.", "Give a folder of hoi-train.")
    return settings_from(config.read_yaml(folder / "config.yaml"), str(folder))


def last_checkpoint(folder: Path) -> Path:
    """The newest checkpoint of a run.

    Raises:
        ConfigError: the run has none.
    """
    found = folder / "checkpoints" / "last"
    if not (found / "model.safetensors").exists():
        raise ConfigError(f"run {folder} has no checkpoint.", "Train it to the end, or give another run.")
    return found


def chosen_checkpoint(folder: Path) -> Path:
    """The checkpoint to use: the one that validated best, else the newest.

    Raises:
        ConfigError: the run has none.
    """
    found = folder / "checkpoints" / "best"
    return found if (found / "model.safetensors").exists() else last_checkpoint(folder)


def build_model(settings: TrainConfig[Any]) -> nn.Module:
    """The network of a run with fresh weights, prepared for quantisation after --qat."""
    module = plugins.load("learning.models", settings.model)
    model: nn.Module = module.build(settings.net)
    if settings.qat:
        example = inputs.example(settings.model, settings.net, settings.size)
        return quantize.prepare(model.eval(), example, settings.scheme)
    return model


def load_run(folder: Path) -> LoadedRun:
    """Load the checkpoint of a run that validated best, else its newest one, ready to predict.

    Raises:
        ConfigError: not a run, no checkpoint, or weights that do not fit.
    """
    settings = read_settings(folder)
    checkpoint = chosen_checkpoint(folder)
    model = build_model(settings)
    load_weights(model, checkpoint)
    if settings.qat:
        quantize.freeze_observers(model)
    return LoadedRun(
        folder=folder,
        settings=settings,
        step=_step_of(checkpoint),
        model=model.eval(),
        about=read_about(folder),
    )


def read_about(folder: Path) -> dict[str, Any]:
    """env.json: versions, commit, hand model; empty where there is none.

    Raises:
        ConfigError: it is damaged.
    """
    path = folder / "env.json"
    if not path.exists():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf8"))
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}.", "Restore it, or remove it.") from error
    return values if isinstance(values, dict) else {}


def load_state(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint folder holds to go on with: step and optimiser.

    Raises:
        ConfigError: it is damaged.
    """
    try:
        saved: dict[str, Any] = torch.load(checkpoint / "state.pt", weights_only=True)
    except Exception as error:  # torch and pickle raise of every kind for a damaged file
        raise ConfigError(
            f"{checkpoint / 'state.pt'} is damaged: {str(error).splitlines()[0]}",
            "Point checkpoints/last at an earlier step, or start anew with --from.",
        ) from error
    return saved


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Load the weights of a checkpoint folder into a model.

    Raises:
        ConfigError: they are damaged, or belong to another model.
    """
    try:
        model.load_state_dict(load_file(checkpoint / "model.safetensors"))
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f"the weights in {checkpoint} are damaged: {str(error).splitlines()[0]}.",
            "Restore them, or point checkpoints/last at an earlier step.",
        ) from error
    except RuntimeError as error:
        raise ConfigError(
            f"the weights in {checkpoint} do not fit the model: {str(error).splitlines()[0]}.",
            "Use the run's own config.yaml.",
        ) from error
