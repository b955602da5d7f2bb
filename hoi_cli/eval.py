"""Measure a trained run or an exported model on a dataset.

Example: hoi-eval runs/float --dataset ours --split test --data data --json eval.json
"""

from __future__ import annotations

import json as json_module
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from hoi_cli._run import Common, run, with_data, write_json
from hoi_core import config, log
from hoi_core.errors import ConfigError

_SHOWN = (
    ("joints, absolute", "xyz_mm"),
    ("joints, relative to the wrist", "mpjpe_mm"),
    ("joints, aligned", "xyz_pa_mm"),
    ("mesh, aligned", "mesh_pa_mm"),
)


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """What to measure on what."""

    model: tyro.conf.Positional[Path]
    """Folder of a run, or an .onnx file with its sidecar."""
    dataset: str | None = None
    """Datasets joined by `+`; those it was trained on by default."""
    split: str = "test"
    """Part of the dataset."""
    proper_rotation: bool = False
    """Align without mirroring. The official FreiHAND evaluator lets the alignment mirror, and so do we by default."""
    workers: int = 0
    """Loading processes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(Config, job, argv, prog="hoi-eval", doc=__doc__)


def job(settings: Config) -> None:
    """Predict, measure, report."""
    from learning import evaluate

    if settings.workers < 0:
        raise ConfigError(f"expected --workers >= 0, got {settings.workers}.", "Correct the flag.")

    model = evaluate.open_model(settings.model)
    figures = evaluate.evaluate(
        model,
        settings.dataset or model.dataset or "ours",
        config.data_root(settings.data),
        settings.split,
        allow_reflection=not settings.proper_rotation,
        workers=settings.workers,
    )
    write_json(settings.json, figures)
    lines = [f"{label:32s} {figures[key]:7.1f} mm" for label, key in _SHOWN]
    lines.append(f"{'F-score at 5 / 15 mm, aligned':32s} {figures['f5_pa']:.3f} / {figures['f15_pa']:.3f}")
    lines.append(f"{figures['n']} samples of {settings.split}")
    if settings.verbose:
        log.console().print(json_module.dumps(figures, indent=2))
    following = ""
    if settings.model.is_dir():
        int8 = " --int8" if model.int8 else ""
        following = with_data(f"hoi-export {shlex.quote(str(settings.model))}{int8} --out model.onnx", settings.data)
    log.panel(f"hoi-eval {settings.model}", lines, following)
