"""Export a run to ONNX with its sidecar, and compare the exported file with the trained model on real samples."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator
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
from hoi_core.types import Batch
from learning import inputs, lineage, quantize, runs
from learning.inputs import Shown
from learning.int8_proof import Proof, prove
from learning.items import DataConfig
from learning.layers.sparse import fold_batch_norms
from learning.onnx_file import tidy
from learning.qdq import integer_network
from learning.scheme import Scheme
from learning.tasks import task_of

AGAINST_FLOAT = "against_float_"
"""How the parity of a file quantised by calibration with the float network begins."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    path: Path
    """The ONNX file; its sidecar lies beside it."""
    sidecar: runtime.Sidecar
    """Content of the sidecar."""
    megabytes: float
    """Size of the ONNX file, MB."""


def export(
    run: Path, out: Path, *, int8: bool, data: Path, samples: int = 16, calibrate: int = 0, scheme: Scheme | None = None
) -> Exported:
    """Export the checkpoint of a run that validated best, else its newest one.

    Args:
        run: folder of the run; one of `--qat` for int8, of float training otherwise.
        out: ONNX file to write.
        int8: whether the file computes in int8.
        data: root of the datasets, for the comparison.
        samples: of the run's dataset (its test split) to compare on.
        calibrate: samples of its training split to find the ranges of a float run on, for int8 without --qat; or 0.
        scheme: how to quantise a float run; a run of --qat has its own.

    Raises:
        ExportError: a float run asked for int8 or the other way round, or the file disagrees with the model.
        StorageError: the disk is full or not writable; an earlier export is as before.
    """
    loaded = runs.load_run(run)
    if calibrate < 0 or (calibrate and (not int8 or loaded.settings.qat)):
        raise ExportError(f"--ptq quantises a float run to int8; {run} or the flags say otherwise.", "Leave it out.")
    if int8 != loaded.settings.qat and not calibrate:
        steps = f"hoi-train --qat --from {run}" if int8 else f"hoi-export {run} --int8"
        raise ExportError(f"run {run} is {'not ' if int8 else ''}trained with --qat.", f"Type `{steps}`.")
    if out.suffix != ".onnx":
        raise ExportError(f"expected a file name that ends in .onnx, got {out}.", "Correct --out.")
    if samples < 1:
        raise ExportError(f"expected --samples >= 1 to compare on, got {samples}.", "Correct the flag.")
    if scheme and not calibrate:
        raise ExportError("--weight-bits and --heads go with --ptq.", "Give them to `hoi-train --qat`, or add --ptq.")
    task = task_of(loaded.settings.model)
    trained, scheme = loaded, scheme or (Scheme() if calibrate else loaded.settings.scheme)
    if calibrate:
        shown = (inputs.of_batch(task, batch) for batch in _spread(loaded, data, "train", calibrate))
        loaded = replace(loaded, model=quantize.calibrate(loaded.model, shown, scheme))
    network = integer_network(loaded.model) if int8 else fold_batch_norms(copy.deepcopy(loaded.model))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # Both files are made elsewhere first: half an export must not take the place of a whole one.
        with TemporaryDirectory(prefix=".export-", dir=out.parent) as folder:
            draft = Path(folder) / out.name
            example = inputs.example(loaded.settings.model, loaded.settings.net, loaded.settings.size)
            write_onnx(network, draft, example, task.EXPORTED.OUTPUTS, inputs.names(task))
            sidecar = _sidecar(loaded, draft, int8=int8)
            if int8:
                proof = prove(draft)
                _demand_integers(proof, loaded.model)
                about = {
                    "how": f"ranges of {calibrate} samples" if calibrate else "trained",
                    "modules_kept_in_float": quantize.float_layers(loaded.model),
                    **proof.to_dict(),
                }
                sidecar = replace(sidecar, weight_bits=scheme.weight_bits, training={**sidecar.training, "int8": about})
            beside = draft.with_suffix(".json")
            _write_sidecar(sidecar, beside)
            model = runtime.load_as(task.EXPORTED, draft, threads=1)
            report = parity(loaded, model, data, samples)
            if calibrate:
                # What quantising cost, not only whether the file computes what was simulated.
                cost = parity(trained, model, data, samples)
                report |= {f"{AGAINST_FLOAT}{name}": value for name, value in cost.items() if name != "samples"}
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


def write_onnx(
    network: nn.Module, out: Path, example: Shown, outputs: tuple[str, ...], names: tuple[str, ...] = ("image",)
) -> None:
    """Write a network with a free batch size, its inputs and outputs named.

    Args:
        network: in float, or of `qdq.integer_network`.
        out: file to write.
        example: inputs of the right shapes.
        outputs: their names.
        names: of the inputs.

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
                example,
                str(out),
                dynamo=False,
                opset_version=17,
                do_constant_folding=False,  # weights keep their names; runtimes fold what they like
                input_names=list(names),
                output_names=list(outputs),
                dynamic_axes={name: {0: "batch"} for name in (*names, *outputs)},
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise ExportError(f"the network cannot be exported: {str(error).splitlines()[0]}.", "Report this.") from error
    tidy(out)


def _demand_integers(proof: Proof, model: nn.Module) -> None:
    """Make sure that every layer computes in integers, save those that the model keeps in float.

    Raises:
        ExportError: one does not.
    """
    kept = quantize.float_layers(model)
    # A layer that is called twice has `:2` behind its name.
    parts = (*(f"{name}." for name in kept), *(f"{name}:" for name in kept))
    wrong = [name for name in proof.in_float if name not in kept and not name.startswith(parts)]
    if wrong:
        raise ExportError(
            f"ONNX Runtime computes {len(wrong)} of {len(proof.layers)} layers in float: {', '.join(wrong[:5])}.",
            "Name them in the model's FLOAT_LAYERS, or write them as nn.Conv2d or nn.Linear on (rows, features).",
        )


def _write_sidecar(sidecar: runtime.Sidecar, path: Path) -> None:
    path.write_text(json.dumps(sidecar.to_dict(), indent=2) + "\n", encoding="utf8")


def _sidecar(loaded: runs.LoadedRun, out: Path, *, int8: bool) -> runtime.Sidecar:
    trainings = lineage.before(loaded.folder)
    exported = task_of(loaded.settings.model).EXPORTED
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
        hand_model=trainings[0]["hand_model"],
        task=plugins.load("learning.models", loaded.settings.model).TASK,
        input=loaded.settings.net.input,
        licence="Made with the stand-in hand: no MANO data inside." if lineage.is_free_of_mano(trainings) else mano,
        preprocessing=exported.preprocessing(loaded.settings.net.input, loaded.settings.size),
        inputs=exported.INPUT_MEANINGS,
        outputs=exported.MEANINGS,
        training={
            "run": loaded.folder.name,
            "step": loaded.step,
            "dataset": loaded.settings.dataset,
            **({"objects": loaded.about["objects"]} if loaded.objects else {}),
            "options": {k: getattr(loaded.settings.net, k) for k in loaded.settings.net.__dataclass_fields__},
            "commit": loaded.about.get("commit", ""),
            "weights_sha256": runtime.file_hash(runs.chosen_checkpoint(loaded.folder) / "model.safetensors"),
            "licences": lineage.licences(trainings),
            "lineage": trainings,
        },
    )


def _spread(loaded: runs.LoadedRun, data: Path, split: str, count: int) -> Iterator[Batch]:
    """Samples of a split, evenly spaced, one by one, as evaluation shows them."""
    settings = loaded.settings
    task = task_of(settings.model)
    shown = DataConfig(settings.size, settings.edges, settings.net.input, task.IN_SPACE, objects=loaded.objects)
    dataset = task.DATA(settings.dataset, data, split, shown)
    numbers = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int))
    for n in numbers:
        yield dataset.as_batch(dataset.stack([dataset[int(n), 0]]))


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
    task = task_of(loaded.settings.model)
    found: dict[str, list[np.ndarray]] = {}
    compared = 0
    for batch in _spread(loaded, data, "test", samples):
        shown = inputs.of_batch(task, batch)
        compared += len(shown[0])
        ours = tuple(_array(x) for x in loaded.model(*shown))
        theirs = exported.run(*(x.numpy() for x in shown))
        for name, values in task.differences(ours, theirs, batch).items():
            found.setdefault(name, []).append(values)
    report: dict[str, float | int] = {}
    for name, parts in found.items():
        what, unit = name.rsplit("_", 1)
        values = np.concatenate([part.ravel() for part in parts])
        report |= {f"{what}_mean_{unit}": float(values.mean()), f"{what}_max_{unit}": float(values.max())}
    return report | {"samples": compared}


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
