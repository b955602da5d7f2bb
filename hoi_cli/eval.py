"""Measure a trained run, an exported model or a file of predictions; write predictions for an evaluation server.

Example: hoi-eval runs/float --dataset ours --split test --data data --json eval.json
Example: hoi-eval model.onnx --dataset freihand --submission pred.zip
Example: hoi-eval --predictions pred.zip --truth data/freihand --protocol freihand
"""

from __future__ import annotations

import json as json_module
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from hoi_cli._run import Common, run, with_data, write_json
from hoi_core import config, log
from hoi_core.errors import ConfigError

_SHOWN = (
    ("joints, absolute", "xyz_mm"),
    ("joints, relative to the wrist", "mpjpe_mm"),
    ("joints, wrist and scale given", "xyz_sc_tr_mm"),
    ("joints, aligned", "xyz_pa_mm"),
    ("mesh, aligned", "mesh_pa_mm"),
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
    submission: Path | None = None
    """Write the predictions of an exported model here (.zip), as the evaluation server of --dataset takes them."""
    predictions: Path | None = None
    """Measure this pred.json (or the zip that holds it) instead of a model."""
    truth: Path | None = None
    """Folder that holds evaluation_xyz.json and evaluation_verts.json, for --predictions."""
    protocol: Literal["freihand", "ho3d"] = "freihand"
    """Joint order, axes and figures of --predictions and --truth."""
    proper_rotation: bool = False
    """Align without mirroring. The official FreiHAND evaluator lets the alignment mirror, and so do we by default."""
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
    if settings.predictions is not None:
        _measure_file(settings, settings.predictions)
    elif settings.model is not None and settings.submission is not None:
        _submit(settings, settings.model, settings.submission)
    elif settings.model is not None:
        _measure_model(settings, settings.model)


def _measure_model(settings: Config, path: Path) -> None:
    from learning import evaluate

    model = evaluate.open_model(path)
    figures = evaluate.evaluate(
        model,
        settings.dataset or model.dataset or "ours",
        config.data_root(settings.data),
        settings.split,
        allow_reflection=not settings.proper_rotation,
        edge_alone=settings.input == "edge",
        workers=settings.workers,
    )
    following = ""
    if path.is_dir():
        int8 = " --int8" if model.int8 else ""
        following = with_data(f"hoi-export {shlex.quote(str(path))}{int8} --out model.onnx", settings.data)
    _report(settings, figures, f"hoi-eval {path}", f"{figures['n']} samples of {settings.split}", following)


def _measure_file(settings: Config, path: Path) -> None:
    from dataset_tools import submission
    from learning import evaluate

    if settings.truth is None:
        raise ConfigError("--predictions needs labels to compare with.", "Name their folder with --truth.")
    figures = evaluate.compare(
        submission.read(path, settings.protocol),
        submission.read_truth(settings.truth, settings.protocol),
        allow_reflection=not settings.proper_rotation,
        scaled=settings.protocol == "ho3d",
    )
    _report(settings, figures, f"hoi-eval --predictions {path}", f"{figures['n']} hands of {settings.truth}", "")


def _submit(settings: Config, model: Path, out: Path) -> None:
    from dataset_tools import readers, submission
    from hoi_core import runtime

    dataset = settings.dataset or ""
    protocol = submission.protocol_of(dataset)
    if model.suffix != ".onnx":
        raise ConfigError(
            f"expected an exported model (.onnx), got {model}.", f"Type `hoi-export {model} --out m.onnx`."
        )
    if settings.split != "test":
        raise ConfigError("a submission is of the whole test split.", "Leave out --split.")
    root, loaded = config.data_root(settings.data), runtime.load(model)
    with log.progress() as bar:
        task = bar.add_task("predicting", total=None)
        hands = submission.predict(loaded, root, dataset, lambda n, total: bar.update(task, completed=n, total=total))
        count = submission.write(out, protocol, hands)
    write_json(settings.json, {"n": count, "out": out, "protocol": protocol})
    truth = shlex.quote(str(readers.home(root, dataset)))
    following = f"hoi-eval --predictions {shlex.quote(str(out))} --truth {truth} --protocol {protocol}"
    log.panel(f"{count} hands in {out}", [f"for the evaluation server of {dataset}"], following)


def _report(settings: Config, figures: Mapping[str, float | int], title: str, counted: str, following: str) -> None:
    write_json(settings.json, figures)
    lines = [f"{label:32s} {figures[key]:7.1f} mm" for label, key in _SHOWN if key in figures]
    lines.append(f"{'F-score at 5 / 15 mm, aligned':32s} {figures['f5_pa']:.3f} / {figures['f15_pa']:.3f}")
    lines.append(counted)
    if settings.verbose:
        log.console().print(json_module.dumps(dict(figures), indent=2))
    log.panel(title, lines, following)
