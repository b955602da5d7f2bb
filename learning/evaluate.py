"""Errors of a run or an exported model on a dataset, with the FreiHAND evaluator's definitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dataset_tools.submission import Hands
from hoi_core import metrics, runtime
from hoi_core.conventions import N_VERTICES
from hoi_core.edges import EdgeParams
from hoi_core.errors import ConfigError, DatasetError
from hoi_core.network_input import Input
from hoi_core.types import F64, Batch
from learning import runs
from learning.data import DataConfig, HandDataset, loader
from learning.order import InOrder
from learning.output import interpret

_TINY_M = 1e-8  # a prediction of zeros has no length

Predictor = Callable[[Batch], tuple[F64, F64]]
"""A batch to joints `(B, 21, 3)` m and vertices `(B, 778, 3)` m in the crop's frame."""


@dataclass(frozen=True)
class Evaluated:
    """A model, ready to be asked, and what it wants to see."""

    predict: Predictor
    """Batch to joints and vertices."""
    size: int
    """Side of the crop, px."""
    edges: EdgeParams
    """How edges are made."""
    input: Input
    """What it is shown."""
    dataset: str
    """What it was trained on."""
    int8: bool
    """Whether it computes in int8, or was trained to."""


def open_model(path: Path) -> Evaluated:
    """A run's folder or an exported file.

    Raises:
        HoiError: neither of both, or damaged.
    """
    if path.is_dir():
        return _from_run(runs.load_run(path))
    if path.suffix == ".onnx":
        return _from_file(runtime.load(path))
    raise ConfigError(
        f"expected a run's folder or an .onnx file, got {path}.", "Give what hoi-train or hoi-export made."
    )


def _from_run(loaded: runs.LoadedRun) -> Evaluated:
    settings = loaded.settings

    @torch.no_grad()
    def predict(batch: Batch) -> tuple[F64, F64]:
        out = interpret(loaded.model(batch.image), batch.K, settings.size)
        return out.joints_m.double().numpy(), (out.joints_m[:, :1] + out.vertices_m).double().numpy()

    return Evaluated(predict, settings.size, settings.edges, settings.net.input, settings.dataset, settings.qat)


def _from_file(model: runtime.HandModel) -> Evaluated:
    def predict(batch: Batch) -> tuple[F64, F64]:
        joints, vertices, _ = model.hands(batch.image.numpy(), batch.K[:, 0, 0].numpy())
        return joints, vertices

    side = model.sidecar
    trained_on = str(side.training.get("dataset", ""))
    return Evaluated(predict, side.size, side.edges, side.input, trained_on, side.precision == "int8")


def evaluate(
    model: Evaluated,
    dataset: str,
    root: Path,
    split: str,
    *,
    allow_reflection: bool = True,
    edge_alone: bool = False,
    workers: int = 0,
) -> dict[str, float | int]:
    """Predict a split and measure.

    Args:
        model: from `open_model`.
        dataset: names of readers joined by `+`.
        root: where the datasets lie.
        split: such as `test`.
        allow_reflection: align as the official evaluator does, mirroring included.
        edge_alone: show it the edge image and nothing else, as the sensor does.
        workers: loading processes.

    Returns:
        The figures of `hand_figures`.
    """
    shown = DataConfig(model.size, model.edges, model.input, edge_alone=edge_alone, cache_mb=0)
    samples = HandDataset(dataset, root, split, shown)
    found: list[tuple[np.ndarray, ...]] = []
    for batch in loader(samples, InOrder(len(samples), 16), workers):
        joints, vertices = model.predict(batch)
        true = np.where(batch.joints_valid.numpy()[..., None], batch.joints_m.double().numpy(), np.nan)
        found.append((joints, true, vertices, batch.vertices_m.double().numpy()))
    joints, true, vertices, true_vertices = (np.concatenate(x) for x in zip(*found, strict=True))
    return hand_figures(joints, true, vertices, true_vertices, allow_reflection=allow_reflection)


def compare(pred: Hands, true: Hands, *, allow_reflection: bool, scaled: bool = False) -> dict[str, float | int]:
    """Errors of predictions of an evaluation set.

    Args:
        pred: predictions.
        true: labels, in the same order.
        allow_reflection: align as the official evaluators do, mirroring included.
        scaled: also errors with the wrist and one bone's length taken from the labels (`xyz_sc_tr_*`), as HO-3D has.

    Returns:
        The figures of `hand_figures`; those of meshes are NaN where either side has none.

    Raises:
        DatasetError: another number of predictions than of labels.
    """
    if len(pred.joints_m) != len(true.joints_m):
        raise DatasetError(
            f"expected {len(true.joints_m)} predictions, as there are labels; got {len(pred.joints_m)}.",
            "Predict every image of the evaluation set, in its order.",
        )
    unknown = np.full((len(true.joints_m), N_VERTICES, 3), np.nan)
    meshes = (unknown if hands.vertices_m is None else hands.vertices_m for hands in (pred, true))
    figures = hand_figures(pred.joints_m, true.joints_m, *meshes, allow_reflection=allow_reflection)
    if scaled:
        errors = metrics.point_errors_mm(_scaled(pred.joints_m, true.joints_m), true.joints_m)
        figures["xyz_sc_tr_mm"] = metrics.mean_over_points_mm(errors)
        figures["xyz_sc_tr_auc"] = metrics.auc(errors)
    return figures


def _scaled(joints_m: F64, true_m: F64) -> F64:
    """Predictions with the true wrist, and the true distance from there to the base of the middle finger."""
    spread, true_spread = joints_m - joints_m[:, :1], true_m - true_m[:, :1]
    factor = np.linalg.norm(true_spread[:, 9], axis=-1) / np.maximum(np.linalg.norm(spread[:, 9], axis=-1), _TINY_M)
    return spread * factor[:, None, None] + true_m[:, :1]


def hand_figures(
    joints_m: F64, true_joints_m: F64, vertices_m: F64, true_vertices_m: F64, *, allow_reflection: bool
) -> dict[str, float | int]:
    """All figures of a set of predictions; joints and vertices are aligned separately, as FreiHAND does.

    Args:
        joints_m: `(B, 21, 3)` m.
        true_joints_m: `(B, 21, 3)` m, NaN where unknown.
        vertices_m: `(B, 778, 3)` m.
        true_vertices_m: `(B, 778, 3)` m, NaN where unknown.
        allow_reflection: whether alignment may mirror.

    Returns:
        `xyz_*` of joints and `mesh_*` of vertices: mean error (`_mm`) and area under PCK to 50 mm (`_auc`), absolute
        and after similarity alignment (`_pa`); F-scores at 5 and 15 mm; errors relative to the wrist; `n` samples.
    """
    figures: dict[str, float | int] = {}
    for name, pred, true in (("xyz", joints_m, true_joints_m), ("mesh", vertices_m, true_vertices_m)):
        aligned = metrics.align_similarity(pred, true, allow_reflection=allow_reflection)
        for suffix, points in (("", pred), ("_pa", aligned)):
            errors = metrics.point_errors_mm(points, true)
            figures[f"{name}{suffix}_mm"] = metrics.mean_over_points_mm(errors)
            figures[f"{name}{suffix}_auc"] = metrics.auc(errors)
        if name == "mesh":
            known = np.isfinite(true).all((1, 2))
            for suffix, points in (("", pred), ("_pa", aligned)):
                figures |= {f"f{t}{suffix}": metrics.f_score(points[known], true[known], float(t)) for t in (5, 15)}
    figures["mpjpe_mm"] = metrics.mpjpe_mm(joints_m, true_joints_m, root=0)
    wrist, true_wrist = joints_m[:, :1], true_joints_m[:, :1]
    figures["mpvpe_mm"] = metrics.mpjpe_mm(vertices_m - wrist, true_vertices_m - true_wrist)
    figures["n"] = len(joints_m)
    return figures
