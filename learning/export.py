"""Export a run to ONNX with its sidecar, and compare the exported file with the trained model on real samples."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from hoi_core import crop as crops
from hoi_core import plugins, runtime
from hoi_core.conventions import DEFAULT_TIPS
from hoi_core.errors import ExportError, StorageError
from learning import quantize, runs
from learning.data import DataConfig
from learning.int8_proof import Proof, prove
from learning.layers.sparse import fold_batch_norms
from learning.onnx_file import tidy
from learning.qdq import integer_network
from learning.tasks import task_of


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    path: Path
    """The ONNX file; its sidecar lies beside it."""
    sidecar: runtime.Sidecar
    """Content of the sidecar."""
    megabytes: float
    """Size of the ONNX file, MB."""


def export(run: Path, out: Path, *, int8: bool, data: Path, samples: int = 16) -> Exported:
    """Export the last checkpoint of a run.

    Args:
        run: folder of the run; one of `--qat` for int8, of float training otherwise.
        out: ONNX file to write.
        int8: whether the file computes in int8.
        data: root of the datasets, for the comparison.
        samples: of the run's dataset (its test split) to compare on.

    Raises:
        ExportError: a float run asked for int8 or the other way round, or the file disagrees with the model.
        StorageError: the disk is full or not writable; an earlier export is as before.
    """
    loaded = runs.load_run(run)
    if int8 != loaded.settings.qat:
        steps = f"hoi-train --qat --from {run}" if int8 else f"hoi-export {run} --int8"
        raise ExportError(f"run {run} is {'not ' if int8 else ''}trained with --qat.", f"Type `{steps}`.")
    if out.suffix != ".onnx":
        raise ExportError(f"expected a file name that ends in .onnx, got {out}.", "Correct --out.")
    if samples < 1:
        raise ExportError(f"expected --samples >= 1 to compare on, got {samples}.", "Correct the flag.")
    task = task_of(loaded.settings.model)
    network = integer_network(loaded.model) if int8 else fold_batch_norms(copy.deepcopy(loaded.model))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # Both files are made elsewhere first: half an export must not take the place of a whole one.
        with TemporaryDirectory(prefix=".export-", dir=out.parent) as folder:
            draft = Path(folder) / out.name
            write_onnx(network, draft, loaded.settings.size, task.EXPORTED.OUTPUTS)
            if int8:
                _demand_integers(prove(draft), loaded.model)
            sidecar = _sidecar(loaded, draft, int8=int8)
            beside = draft.with_suffix(".json")
            _write_sidecar(sidecar, beside)
            report = parity(loaded, runtime.load_as(task.EXPORTED, draft, threads=1), data, samples)
            sidecar = replace(sidecar, parity=report)
            _write_sidecar(sidecar, beside)
            draft.replace(out)
            beside.replace(out.with_suffix(".json"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot write {out}: {reason}.", "Free some space or choose another --out.") from error
    limit = task.LARGEST_MEAN[sidecar.precision]
    if max(report[name] for name in task.JUDGED) > limit:
        found = ", ".join(f"{name} {report[name]:.2f}" for name in task.JUDGED)
        raise ExportError(
            f"the exported file differs from the model by {found}; at most {limit} is rounding.",
            "Train longer with --qat, or look at the parity report in the sidecar.",
        )
    return Exported(out, sidecar, out.stat().st_size / 1e6)


def write_onnx(network: nn.Module, out: Path, size: int, outputs: tuple[str, ...]) -> None:
    """Write a network with a free batch size and named outputs.

    Raises:
        ExportError: an operator that ONNX does not have.
    """
    exporter_log = logging.getLogger("torch.onnx")
    exporter_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter that handles quantised graphs says that it is the old one
            torch.onnx.export(
                network.eval(),
                (torch.zeros(1, 3, size, size),),
                str(out),
                dynamo=False,
                opset_version=17,
                do_constant_folding=False,  # weights keep their names; runtimes fold what they like
                input_names=["image"],
                output_names=list(outputs),
                dynamic_axes={name: {0: "batch"} for name in ("image", *outputs)},
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise ExportError(f"the network cannot be exported: {str(error).splitlines()[0]}.", "Report this.") from error
    tidy(out)


def _demand_integers(proof: Proof, model: nn.Module) -> None:
    """Make sure that every layer computes in integers, save those that the model keeps in float.

    Raises:
        ExportError: one does not.
    """
    kept = tuple(quantize.float_layers(model))
    wrong = [name for name in proof.in_float if not name.startswith(kept)]
    if wrong:
        raise ExportError(
            f"ONNX Runtime computes {len(wrong)} of {len(proof.layers)} layers in float: {', '.join(wrong[:5])}.",
            "Name them in the model's FLOAT_LAYERS, or write them as nn.Conv2d or nn.Linear on (rows, features).",
        )


def _write_sidecar(sidecar: runtime.Sidecar, path: Path) -> None:
    path.write_text(json.dumps(sidecar.to_dict(), indent=2) + "\n", encoding="utf8")


def _sidecar(loaded: runs.LoadedRun, out: Path, *, int8: bool) -> runtime.Sidecar:
    hand = str(loaded.about.get("hand_model", "stand-in"))
    mano = (
        "The mesh belongs to MANO, whose licence forbids commercial use and redistribution: do not publish this file."
    )
    return runtime.Sidecar(
        model=loaded.settings.model,
        precision="int8" if int8 else "fp32",
        sha256=runtime.file_hash(out),
        size=loaded.settings.size,
        edges=loaded.settings.edges,
        crop_scale=crops.SCALE,
        length_unit_m=crops.LENGTH_UNIT_M,
        root_unit_m=crops.ROOT_UNIT_M,
        joint_order="openpose21",
        tips=DEFAULT_TIPS,
        side="right",
        hand_model=hand,
        task=plugins.load("learning.models", loaded.settings.model).TASK,
        input=loaded.settings.net.input,
        licence="Made with the stand-in hand: no MANO data inside." if hand == "stand-in" else mano,
        training={
            "run": loaded.folder.name,
            "step": loaded.step,
            "dataset": loaded.settings.dataset,
            "options": {k: getattr(loaded.settings.net, k) for k in loaded.settings.net.__dataclass_fields__},
            "commit": loaded.about.get("commit", ""),
        },
    )


@torch.no_grad()
def parity(loaded: runs.LoadedRun, exported: runtime.ExportedModel, data: Path, samples: int) -> dict[str, float | int]:
    """Differences between the exported file and the trained model.

    Args:
        loaded: the run, after --qat with fake quantisation.
        exported: the file.
        data: root of the datasets.
        samples: of the test split, evenly spaced.

    Returns:
        Mean and largest of the task's `differences`, such as `joints_mean_mm` and `joints_max_mm`; `samples`.
    """
    settings = loaded.settings
    task = task_of(settings.model)
    shown = DataConfig(settings.size, settings.edges, settings.net.input, task.IN_SPACE)
    dataset = task.DATA(settings.dataset, data, "test", shown)
    numbers = np.unique(np.linspace(0, len(dataset) - 1, min(samples, len(dataset))).round().astype(int))
    found: dict[str, list[np.ndarray]] = {}
    for n in numbers:
        batch = dataset.as_batch(dataset.stack([dataset[int(n), 0]]))
        ours = tuple(_array(x) for x in loaded.model(batch.image))
        for name, values in task.differences(ours, exported.run(batch.image.numpy()), batch).items():
            found.setdefault(name, []).append(values)
    report: dict[str, float | int] = {}
    for name, parts in found.items():
        what, unit = name.rsplit("_", 1)
        values = np.concatenate([part.ravel() for part in parts])
        report |= {f"{what}_mean_{unit}": float(values.mean()), f"{what}_max_{unit}": float(values.max())}
    return report | {"samples": len(numbers)}


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
