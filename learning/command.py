"""Train a hand model, in float or (--qat) with simulated int8 arithmetic.

Examples:
  hoi-train --dataset ours --model splite --steps 300 --data data --out runs/float
  hoi-train --qat --from runs/float --steps 60 --data data --out runs/int8
  hoi-train --config splite_paper --dataset freihand --data data --out runs/paper
  torchrun --nproc-per-node 2 -m learning.train --dataset ours --data data --out runs/both
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoi_core import config, log, plugins
from hoi_core.command import run, with_data, write_json
from hoi_core.errors import ConfigError, HoiError
from learning import presets
from learning.config import TrainConfig, settings_from

if TYPE_CHECKING:
    from learning.train import TrainReport


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        default = _defaults(arguments)
    except HoiError as error:
        log.error("hoi-train", error)
        return 2
    # The model's own options appear in --help.
    kind: Any = TrainConfig[type(default.net)]  # type: ignore[misc]
    return run(kind, job, arguments, prog="hoi-train", doc=__doc__, default=default)


def _defaults(arguments: list[str]) -> TrainConfig[Any]:
    """Defaults of the chosen model, from --config, --resume's run or --from's, before the flags are read in full."""
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--model")
    peek.add_argument("--config", type=Path)
    peek.add_argument("--from", dest="source", type=Path)
    peek.add_argument("--out", type=Path)
    peek.add_argument("--steps")
    peek.add_argument("--epochs")
    peek.add_argument("--resume", action="store_true")
    seen, _ = peek.parse_known_args(arguments)
    folder = seen.out if seen.resume else seen.source
    if seen.config is not None or folder is not None:
        path = presets.find(seen.config) if seen.config is not None else folder / "config.yaml"
        found = _earlier(path, keep_all=seen.resume or seen.config is not None)
        if seen.steps is not None and seen.epochs is None:
            found = replace(found, epochs=None)  # of a preset, which a flag wins over
        # Another model trains by the same settings, but has options of its own.
        return found if seen.model in (None, found.model) else replace(found, net=_options(seen.model))
    return TrainConfig(net=_options(seen.model or "splite"), model=seen.model or "splite")


def _options(model: str) -> Any:
    """The options of a model as they are by default."""
    return plugins.load("learning.models", model).Config()


def _earlier(path: Path, *, keep_all: bool) -> TrainConfig[Any]:
    """An earlier run's settings; for a run that starts from its weights only what the weights depend on."""
    if not path.exists():
        raise ConfigError(
            f"expected a run (a folder with config.yaml), found no {path}.", "Give a folder of hoi-train."
        )
    earlier = settings_from(config.read_yaml(path), str(path))
    if keep_all:
        return replace(earlier, json=None, config=None)
    return TrainConfig(
        net=earlier.net,
        model=earlier.model,
        dataset=earlier.dataset,
        data=earlier.data,
        size=earlier.size,
        edges=earlier.edges,
        seed=earlier.seed,
        batch_size=earlier.batch_size,
    )


def job(settings: TrainConfig[Any]) -> None:
    """Train, then say what was made."""
    # Waiting threads that spin make training several times slower where other programs want the cores too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from learning import report as report_page
    from learning.train import train

    report = train(settings)
    if report is None:
        log.panel("hoi-train", ["Everything is in place; nothing was trained (--dry-run)."])
        return
    if not report.first_process:
        return
    figures = {
        "run": str(report.folder),
        "step": report.step,
        "loss_first": report.loss_first,
        "loss_last": report.loss_last,
        "steps_per_second": report.steps_per_second,
        "parameters": report.parameters,
        "stopped": report.stopped,
        "best": report.best,
    }
    write_json(settings.json, figures)
    page = report_page.write(report.folder)
    run_folder = shlex.quote(str(report.folder))
    out = shlex.quote(f"{report.folder}/export/{settings.model}_int8.onnx")
    following = with_data(f"hoi-export {run_folder} --int8 --out {out}", settings.data)
    log.panel(
        "hoi-train",
        [
            f"{settings.model}, {report.parameters / 1e6:.2f} M parameters, step {report.step}: {report.folder}",
            f"loss {report.loss_first:.4f} -> {report.loss_last:.4f}, {report.steps_per_second:.2f} steps/s",
            *_best(report, settings.watch),
            f"curves and pictures: {page}",
        ],
        following if settings.qat else f"hoi-train --qat --from {run_folder}",
    )


def _best(report: TrainReport, watched: str) -> list[str]:
    """What validation found, in a line; none where nothing was validated."""
    if not report.best:
        return []
    why = "; the run ended for want of better" if report.stopped else ""
    return [f"best {watched} in validation {report.best[watched]:.4f} at step {report.best['step']:.0f}{why}"]
