"""Errors of a run or an exported model on a dataset: of every sample, their means, and how sure these are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from dataset_tools import readers
from hoi_core import bootstrap, plugins, runtime
from hoi_core.errors import ConfigError
from hoi_core.known_object import KnownObject
from hoi_core.types import F64, I64, Batch, Bool
from learning import detect_errors, grasp_errors, inputs, runs
from learning.config import Engine
from learning.data import HandDataset, loader
from learning.grasp_errors import SaidGrasps
from learning.grasps import GraspBatch
from learning.hand_errors import Errors, figures
from learning.items import DataConfig
from learning.layers import minkowski
from learning.order import InOrder
from learning.tasks import task_of

_BATCH = 16

Network = Callable[[Batch], tuple[F64, ...]]
"""A batch to the raw outputs of a network."""


@dataclass(frozen=True)
class Evaluated:
    """A model, ready to be asked, and what it wants to see."""

    network: Network
    """Batch to raw outputs."""
    task: ModuleType
    """What they mean: a file of `learning/tasks`."""
    data: DataConfig
    """Crop and input."""
    dataset: str
    """What it was trained on."""
    int8: bool
    """Whether it computes in int8, or was trained to."""


@dataclass(frozen=True)
class Grasps:
    """Objects and hands of N samples, in the crops' frames."""

    said: SaidGrasps
    """What the model said, all samples one behind the other."""
    object_id: I64
    """(N,) number in `objects`; -1 where it is not labelled."""
    objects: Sequence[KnownObject]
    """Objects that the model knows."""


@dataclass(frozen=True)
class Evaluation:
    """What a model said of a split. N samples."""

    errors: Errors
    """Name of a figure -> `(N,)` or `(N, P)`."""
    pixels: F64
    """(N, 21, 2) px, where the joints are said to be in the crops."""
    joints_m: F64
    """(N, 21, 3) m, the labels in the crops' frames, left hands mirrored; NaN where unknown."""
    samples: HandDataset
    """What was looked at, in this order."""
    grasps: Grasps | None = None
    """Objects with their hands, of a task that says both."""
    only_contact: bool = False
    """Whether errors of samples without contact are left out: see `in_contact`."""

    @cached_property
    def places(self) -> list[tuple[str, str]]:
        """Dataset and key of each sample."""
        return [self.samples.place(number) for number in range(len(self.samples))]

    @cached_property
    def groups(self) -> list[str]:
        """Samples of one group err alike: they show one instant, or one recording."""
        return [f"{name}/{_reader(name).group(key)}" for name, key in self.places]

    @cached_property
    def visible(self) -> F64:
        """(N, 21) 1 where the image shows a joint, 0 where something hides it, NaN where the dataset does not say."""
        shown = np.full((len(self.places), 21), np.nan)
        for row, (name, key) in enumerate(self.places):
            if hasattr(_reader(name), "visible"):
                shown[row] = _reader(name).visible(readers.home(self.samples.root, name), key)
        return shown

    @cached_property
    def versions(self) -> dict[str, str]:
        """Which version of a dataset was looked at, where it has several."""
        return {
            part.name: _reader(part.name).about(readers.home(self.samples.root, part.name))
            for part in self.samples.parts
            if hasattr(_reader(part.name), "about")
        }

    def in_contact(self) -> Evaluation:
        """What it says of those samples alone in which hand and object are at most a centimetre apart.

        Raises:
            ConfigError: a task that says nothing of objects.
        """
        if self.grasps is None:
            raise ConfigError("this model says nothing of objects.", "Leave out --contact-only.")
        return replace(self, errors=grasp_errors.in_contact(self.errors), only_contact=True)

    def figures(self) -> dict[str, object]:
        """Means, their intervals (`ci95`), how many samples and groups, and which version of a benchmark it was."""
        near = {"in_contact": int(np.isfinite(self.errors["object_add01d"]).sum())} if self.only_contact else {}
        return {
            **figures(self.errors),
            **near,
            "groups": len(set(self.groups)),
            "ci95": bootstrap.intervals(self.errors, self.groups),
            "datasets": self.versions,
        }


def open_model(path: Path, engine: Engine = "masked") -> Evaluated:
    """A run's folder or an exported file.

    Args:
        path: of it.
        engine: what computes the sparse encoder of a run.

    Raises:
        HoiError: neither of both, damaged, or an engine that is not there or cannot compute it.
    """
    if path.is_dir():
        loaded = runs.load_run(path)
        if engine == "minkowski":
            minkowski.use(loaded.model)
        return _from_run(loaded)
    if engine != "masked":
        raise ConfigError(f"{path} is computed by ONNX Runtime, not by {engine}.", "Leave --engine out.")
    if path.suffix == ".onnx":
        return _from_file(path)
    raise ConfigError(
        f"expected a run's folder or an .onnx file, got {path}.", "Give what hoi-train or hoi-export made."
    )


def _from_run(loaded: runs.LoadedRun) -> Evaluated:
    settings = loaded.settings

    task = task_of(settings.model)

    @torch.no_grad()
    def network(batch: Batch) -> tuple[F64, ...]:
        return tuple(out.double().numpy() for out in loaded.model(*inputs.of_batch(task, batch)))

    data = DataConfig(
        settings.size, settings.edges, settings.net.input, space=task.IN_SPACE, cache_mb=0, objects=loaded.objects
    )
    return Evaluated(network, task, data, settings.dataset, settings.qat)


def _from_file(path: Path) -> Evaluated:
    about = runtime.read_sidecar(path)
    task = plugins.load("learning.tasks", about.task)
    model: runtime.ExportedModel = runtime.load_as(task.EXPORTED, path)

    def network(batch: Batch) -> tuple[F64, ...]:
        return model.run(*(x.numpy() for x in inputs.of_batch(task, batch)))

    names = runs.names_of(about.training.get("objects", []))
    data = DataConfig(about.size, about.edges, about.input, space=task.IN_SPACE, cache_mb=0, objects=names)
    return Evaluated(network, task, data, str(about.training.get("dataset", "")), about.precision == "int8")


def evaluate(
    model: Evaluated,
    dataset: str,
    root: Path,
    split: str,
    *,
    allow_reflection: bool = True,
    edge_alone: bool = False,
    workers: int = 0,
) -> Evaluation:
    """Predict a split and measure.

    Args:
        model: from `open_model`.
        dataset: names of readers joined by `+`.
        root: where the datasets lie.
        split: such as `test`.
        allow_reflection: align as the official evaluators do, mirroring included.
        edge_alone: show it the edge image and nothing else, as the sensor does.
        workers: loading processes.

    Raises:
        ConfigError: a task whose errors are not those of hands in crops; an edge image for a network of colours.
    """
    if not hasattr(model.task, "errors"):
        raise ConfigError("this model finds hands, and says nothing of one.", "`evaluate_detector` measures it.")
    samples = model.task.DATA(dataset, root, split, replace(model.data, edge_alone=edge_alone))
    batches = loader(samples, InOrder(len(samples), _BATCH), workers)
    return measure(model.network, model.task, samples, batches, allow_reflection=allow_reflection)


def evaluate_detector(model: Evaluated, dataset: str, root: Path, split: str, *, workers: int = 0) -> dict[str, object]:
    """Figures of a model that finds hands in whole images, see `learning.detect_errors.figures`.

    Args:
        model: from `open_model`, of the task `detect`.
        dataset: `scenes`.
        root: where datasets lie.
        split: such as `test`.
        workers: loading processes.

    Raises:
        ConfigError: another dataset or split.
    """
    samples = model.task.DATA(dataset, root, split, model.data)
    truths: list[detect_errors.Truth] = []
    said: list[detect_errors.Said] = []
    for batch in loader(samples, InOrder(len(samples), _BATCH), workers):
        truths += model.task.truths(batch)
        said += model.task.said(model.network(batch))
    return detect_errors.figures(truths, said)


def evaluate_angles(model: Evaluated, dataset: str, root: Path, split: str, *, workers: int = 0) -> dict[str, object]:
    """Figures of an IK network on hands whose joints are seen as they are.

    Args:
        model: from `open_model`, of the task `angles`.
        dataset: names of readers, or of what is drawn, joined by `+`.
        root: where datasets lie.
        split: such as `test`.
        workers: loading processes.

    Raises:
        HoiError: no such dataset or split.
    """
    samples = model.task.DATA(dataset, root, split, model.data)
    found = [
        model.task.errors(model.network(batch), batch, allow_reflection=True)
        for batch in loader(samples, InOrder(len(samples), _BATCH), workers)
    ]
    errors = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
    groups = [samples.group(number) for number in range(len(samples))]
    return {**figures(errors), "groups": len(set(groups)), "ci95": bootstrap.intervals(errors, groups)}


def measure(
    network: Network, task: ModuleType, samples: HandDataset, batches: Iterable[Batch], *, allow_reflection: bool = True
) -> Evaluation:
    """Errors of a network on batches that hold each sample once, in order.

    Args:
        network: batch to raw outputs.
        task: what they mean.
        samples: what the batches are made of.
        batches: of `loader`.
        allow_reflection: align as the official evaluators do, mirroring included.
    """
    found: list[Errors] = []
    pixels, joints = [], []
    grasps: list[tuple[SaidGrasps, GraspBatch]] = []
    for batch in batches:
        raw = network(batch)
        found.append(task.errors(raw, batch, allow_reflection=allow_reflection))
        if isinstance(batch, GraspBatch) and hasattr(task, "grasps"):
            grasps.append((task.grasps(raw, batch), batch))
            found[-1] |= grasp_errors.meeting_errors(*grasps[-1])
        pixels.append(task.pixels(raw, batch))
        known: Bool = batch.joints_valid.numpy()
        joints.append(np.where(known[..., None], batch.joints_m.double().numpy(), np.nan))
    errors = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
    both = _joined(grasps) if grasps else None
    return Evaluation(errors, np.concatenate(pixels), np.concatenate(joints), samples, both)


def _joined(grasps: list[tuple[SaidGrasps, GraspBatch]]) -> Grasps:
    said = [each for each, _ in grasps]
    whole = SaidGrasps(*(np.concatenate([getattr(each, f.name) for each in said]) for f in fields(SaidGrasps)))
    numbers = np.concatenate([batch.object_id.numpy() for _, batch in grasps])
    return Grasps(whole, numbers, grasps[0][1].objects)


def _reader(name: str) -> ModuleType:
    return plugins.load("dataset_tools.readers", name)
