"""Measure a trained run, an exported model or a file of predictions; write predictions for an evaluation server.

Example: hoi-eval runs/float --dataset ours --split test --data data --json eval.json
Example: hoi-eval runs/float --dataset synthbench --report errors.html
Example: hoi-eval runs/both --dataset graspbench --contact-only --sheet grasps.png
Example: hoi-eval model.onnx --dataset freihand --submission pred.zip
Example: hoi-eval model.onnx --dataset synthbench --ik --post-opt
Example: hoi-eval model.onnx --dataset synthbench --ik-net runs/ik --post-opt --known-shape
Example: hoi-eval --predictions pred.zip --truth data/freihand --protocol freihand
"""

from __future__ import annotations

import json as json_module
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from hoi_cli._run import Common, run, with_data, write_json
from hoi_core import config, log
from hoi_core.errors import ConfigError
from hoi_core.plain import plain
from learning.config import Engine

if TYPE_CHECKING:
    from learning.evaluate import Evaluated, Evaluation

_SHOWN = (
    ("joints, absolute", "xyz_mm", "mm"),
    ("joints, relative to the wrist", "mpjpe_mm", "mm"),
    ("joints, wrist and scale given", "xyz_sc_tr_mm", "mm"),
    ("joints, aligned", "xyz_pa_mm", "mm"),
    ("joints, aligned, no mirroring", "xyz_pa_proper_mm", "mm"),
    ("mesh, aligned", "mesh_pa_mm", "mm"),
    ("depth relative to the wrist", "depth_rr_mm", "mm"),
    ("joint angles", "angle_deg", "deg"),
    ("joints in the crop", "epe_px", "px"),
    ("PCK at a fifth of the box", "pck20", ""),
    ("hands found, overlap 0.5", "recall50", ""),
    ("detections right, overlap 0.5", "precision50", ""),
    ("average precision, overlap 0.5", "ap50", ""),
    ("hands found, overlap 0.3", "recall30", ""),
    ("detections right, overlap 0.3", "precision30", ""),
    ("average precision, overlap 0.3", "ap30", ""),
    ("sides right, of hands found", "side_share", ""),
    ("centre, of hands found", "centre_px", "px"),
    ("objects, ADD-0.1D(S)", "object_add01d", ""),
    ("objects, by the box's diagonal", "object_add01d_box", ""),
    ("objects, corners", "object_mce_mm", "mm"),
    ("objects, corners from the wrist", "object_mce_rel_mm", "mm"),
    ("objects, Chamfer", "object_chamfer_mm", "mm"),
    ("hand in object, deepest", "penetration_mm", "mm"),
    ("hand in object, volume", "intersection_cm3", "cm3"),
    ("hand touches object", "contact", ""),
    ("F-score at 5 mm, aligned", "f5_pa", ""),
    ("F-score at 15 mm, aligned", "f15_pa", ""),
)


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """What to measure on what."""

    model: tyro.conf.Positional[Path | None] = None
    """Folder of a run, or an .onnx file with its sidecar."""
    dataset: str | None = None
    """Datasets joined by `+`; those it was trained on by default."""
    split: str = "test"
    """Part of the dataset."""
    input: Literal["rgb", "edge"] = "rgb"
    """`edge`: show a model of edges the edge image and nothing else, as the sensor does."""
    report: Path | None = None
    """Write a page (.html) of all figures, errors by joint, occlusion, view, and the worst hands; .png: only these."""
    samples: Path | None = None
    """Write the errors of each sample to this table (.csv)."""
    sheet: Path | None = None
    """Of a model of hand and object: write forty predictions, drawn over their images, here (.png)."""
    contact_only: bool = False
    """Of a model of hand and object: only samples whose hand is at most 1 cm from the object, as papers on DexYCB."""
    submission: Path | None = None
    """Write the predictions of an exported model here, as the evaluation of --dataset takes them: .zip, DexYCB .csv."""
    predictions: Path | None = None
    """Measure this pred.json (or the zip that holds it; of DexYCB results.csv) instead of a model."""
    truth: Path | None = None
    """Folder that holds evaluation_xyz.json and evaluation_verts.json, or DexYCB itself, for --predictions."""
    protocol: Literal["freihand", "ho3d", "dexycb"] = "freihand"
    """Joint order, axes and figures of --predictions and --truth."""
    proper_rotation: bool = False
    """Align without mirroring. The official FreiHAND evaluator lets the alignment mirror, and so do we by default."""
    ik: bool = False
    """Measure what inverse kinematics makes of a mesh model's joints: a hand model's pose inside the joints' limits."""
    post_opt: bool = False
    """With --ik: move that pose onto the model's joints and vertices, 20 iterations."""
    ik_net: Path | None = None
    """As --ik, the pose guessed by this IK network: a run or an exported file."""
    known_shape: bool = False
    """With --ik: take the hand's shape from the labels, as if it had been measured beforehand."""
    engine: Engine = "masked"
    """What computes the sparse encoder of a run; `minkowski` where MinkowskiEngine is installed."""
    workers: int = 0
    """Loading processes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(Config, job, argv, prog="hoi-eval", doc=__doc__)


def job(settings: Config) -> None:
    """Predict, measure, report."""
    if settings.workers < 0:
        raise ConfigError(f"expected --workers >= 0, got {settings.workers}.", "Correct the flag.")
    if (settings.model is None) == (settings.predictions is None):
        raise ConfigError("expected a model or --predictions, one of both.", "See `hoi-eval --help`.")
    ik = settings.ik or settings.ik_net is not None
    other = settings.predictions is not None or settings.submission is not None
    if ((settings.post_opt or settings.known_shape) and not ik) or (ik and other):
        raise ConfigError(
            "--post-opt and --known-shape go with --ik or --ik-net, and these with the figures of a model.",
            "Correct the flags.",
        )
    if settings.predictions is not None:
        _measure_file(settings, settings.predictions)
    elif settings.model is not None and settings.submission is not None:
        _submit(settings, settings.model, settings.submission)
    elif settings.model is not None:
        _measure_model(settings, settings.model)


def _measure_model(settings: Config, path: Path) -> None:
    from learning import eval_report, evaluate

    model = evaluate.open_model(path, settings.engine)
    if settings.ik or settings.ik_net:
        from learning.kinematics import Way, behind_ik

        model = behind_ik(model, Way(settings.post_opt, settings.ik_net, settings.known_shape))
    if not hasattr(model.task, "pixels"):
        _measure_without_pictures(settings, path, model)
        return
    found = evaluate.evaluate(
        model,
        settings.dataset or model.dataset or "ours",
        config.data_root(settings.data),
        settings.split,
        allow_reflection=not settings.proper_rotation,
        edge_alone=settings.input == "edge",
        workers=settings.workers,
    )
    if settings.contact_only:
        found = found.in_contact()
    figures = found.figures()
    title = f"hoi-eval {path}"
    counted = [f"{figures['n']} samples of {settings.split} in {figures['groups']} groups", *found.versions.values()]
    if found.grasps is not None or settings.sheet is not None:
        counted += _objects(settings, found, figures)
    if settings.samples is not None:
        eval_report.write_samples(settings.samples, found)
        counted.append(f"errors of each: {settings.samples}")
    if settings.report is not None:
        eval_report.write_report(settings.report, found, figures, title, model.task.RANKED_BY)
        counted.append(f"the worst hands and more: {settings.report}")
    following = ""
    if path.is_dir():
        int8 = " --int8" if model.int8 else ""
        following = with_data(f"hoi-export {shlex.quote(str(path))}{int8} --out model.onnx", settings.data)
    _report(settings, figures, title, counted, following)


def _objects(settings: Config, found: Evaluation, figures: dict[str, object]) -> list[str]:
    """Add the table of the objects to the figures, write the pictures; returns what to say of them."""
    from learning import grasp_report

    rows = grasp_report.per_object(found)
    figures["objects"] = [row.to_dict() for row in rows]
    said = grasp_report.lines(rows) if rows else ["no object is labelled there"]
    if settings.contact_only:
        said.append("of samples whose hand is at most 1 cm from the object")
    if settings.sheet is not None:
        count = grasp_report.write_sheet(settings.sheet, found)
        said.append(f"{count} of them drawn: {settings.sheet}")
    return said


def _measure_without_pictures(settings: Config, path: Path, model: Evaluated) -> None:
    """Measure a model that finds hands in whole images, or an IK network, which is shown none."""
    from learning import evaluate

    extras = (settings.report, settings.samples, settings.sheet)
    if any(each is not None for each in extras) or settings.input != "rgb" or settings.contact_only:
        raise ConfigError("of such a model there are figures alone.", "Leave out all flags but --split and --json.")
    dataset = settings.dataset or model.dataset
    root = config.data_root(settings.data)
    if hasattr(model.task, "errors"):
        figures = evaluate.evaluate_angles(model, dataset, root, settings.split, workers=settings.workers)
        counted = [f"{figures['n']} hands in {figures['groups']} groups of {dataset}, {settings.split}"]
    else:
        figures = evaluate.evaluate_detector(model, dataset, root, settings.split, workers=settings.workers)
        counted = [f"{figures['n']} hands in {figures['groups']} images of {dataset}, {settings.split}"]
    _report(settings, figures, f"hoi-eval {path}", counted, "")


def _measure_file(settings: Config, path: Path) -> None:
    from dataset_tools import submission
    from hoi_core import bootstrap
    from learning import hand_errors

    if settings.truth is None:
        raise ConfigError("--predictions needs labels to compare with.", "Name their folder with --truth.")
    true = submission.read_truth(settings.truth, settings.protocol, settings.split)
    pred = submission.read(path, settings.protocol)
    if true.ids is not None or pred.ids is not None:
        pred = pred.of(true.ids or tuple(range(len(true.joints_m))))
    errors = hand_errors.compare(pred, true, settings.protocol, allow_reflection=not settings.proper_rotation)
    each = [str(n) for n in range(len(true.joints_m))]
    figures = {**hand_errors.figures(errors), "ci95": bootstrap.intervals(errors, each)}
    _report(settings, figures, f"hoi-eval --predictions {path}", [f"{figures['n']} hands of {settings.truth}"], "")


def _submit(settings: Config, model: Path, out: Path) -> None:
    from dataset_tools import readers, submission
    from hoi_core import runtime

    if settings.dataset is None:
        raise ConfigError("--submission needs the dataset that it is for.", "Add it, such as --dataset freihand.")
    dataset = settings.dataset
    protocol = submission.protocol_of(dataset)
    if model.suffix != ".onnx":
        raise ConfigError(
            f"expected an exported model (.onnx), got {model}.", f"Type `hoi-export {model} --out m.onnx`."
        )
    if settings.split != "test" and protocol != "dexycb":
        raise ConfigError("a submission is of the whole test split.", "Leave out --split.")
    root, loaded = config.data_root(settings.data), runtime.load_hand(model)
    home = readers.home(root, dataset)
    with log.progress() as bar:
        task = bar.add_task("predicting", total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        hands = submission.predict(loaded, root, dataset, tell, split=settings.split)
        if protocol == "dexycb":
            from dataset_tools.readers import dexycb

            count = submission.write_numbered(out, dexycb.image_ids(home, settings.split), hands)
        else:
            count = submission.write(out, protocol, hands)
    write_json(settings.json, {"n": count, "out": out, "protocol": protocol})
    split = f" --split {settings.split}" if settings.split != "test" else ""
    files = f"--predictions {shlex.quote(str(out))} --truth {shlex.quote(str(home))}"
    following = f"hoi-eval {files} --protocol {protocol}{split}"
    log.panel(f"{count} hands in {out}", [f"for the evaluation server of {dataset}"], following)


def _report(
    settings: Config, figures: Mapping[str, object], title: str, counted: Sequence[str], following: str
) -> None:
    write_json(settings.json, figures)
    intervals = figures["ci95"]
    lines = []
    for label, key, unit in _SHOWN:
        value = figures.get(key)
        if not isinstance(intervals, Mapping) or not isinstance(value, float) or math.isnan(value):
            continue
        digits = 2 if unit else 3
        low, high = intervals[key]
        interval = "" if math.isnan(low) else f"  ({low:.{digits}f} to {high:.{digits}f})"
        lines.append(f"{label:32s} {value:8.{digits}f} {unit:2s}{interval}")
    lines += [*counted, "in brackets: 95 % intervals of the means" if lines else ""]
    if settings.verbose:
        log.console().print(json_module.dumps(plain(figures), indent=2))
    log.panel(title, [line for line in lines if line], following)
