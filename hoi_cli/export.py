"""Export a run to ONNX with a sidecar that says how to use it.

Examples:
  hoi-export runs/float --out splite_fp32.onnx
  hoi-export runs/int8 --int8 --out splite_int8.onnx
  hoi-export runs/float --int8 --ptq 256 --out splite_ptq.onnx
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from hoi_cli._run import Common, run, write_json
from hoi_core import config, log
from learning.scheme import Heads, Scheme, WeightBits


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """What to export where."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    out: Path = Path("model.onnx")
    """ONNX file to write; the sidecar takes its name with .json."""
    int8: bool = False
    """Compute in int8; the run must be one of `hoi-train --qat`, or give --ptq."""
    ptq: int = 0
    """Samples to find the ranges of a float run on: int8 without training, less exact. 0 for none; 256 do."""
    weight_bits: WeightBits | None = None
    """With --ptq: bits of the weights, 8 by default; 7 for processors without VNNI that are to be fast."""
    heads: Heads | None = None
    """With --ptq: arithmetic of the layers that give the outputs, int8 by default."""
    samples: int = 16
    """Samples to compare on."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(Config, job, argv, prog="hoi-export", doc=__doc__)


def job(settings: Config) -> None:
    """Export, compare, report."""
    from learning.export import AGAINST_FLOAT, export

    asked: dict[str, Any] = {
        name: getattr(settings, name) for name in ("weight_bits", "heads") if getattr(settings, name) is not None
    }
    made = export(
        settings.run,
        settings.out,
        int8=settings.int8,
        data=config.data_root(settings.data),
        samples=settings.samples,
        calibrate=settings.ptq,
        scheme=Scheme(**asked) if asked else None,
    )
    parity = made.sidecar.parity
    figures = {"onnx": made.path, "megabytes": made.megabytes, "precision": made.sidecar.precision, **parity}
    write_json(settings.json, figures)
    beside = made.path.with_suffix(".json").name
    log.panel(
        "hoi-export",
        [
            f"{made.path} ({made.sidecar.precision}, {made.megabytes:.1f} MB) and {beside}",
            f"against the {'simulation' if settings.ptq else 'trained model'} on {parity['samples']} samples, on "
            f"average: {_averages(parity, '')}",
            *([f"against the float run: {_averages(parity, AGAINST_FLOAT)}"] if settings.ptq else []),
            made.sidecar.licence,
        ],
        f"hoi-bench model {shlex.quote(str(made.path))}",
    )


def _averages(parity: dict[str, float | int], prefix: str) -> str:
    """Mean differences in words, such as `joints 0.002 mm, root 0.010 mm`; of names that begin so."""
    found = {name.removeprefix(prefix): value for name, value in parity.items() if name.startswith(prefix)}
    means = {name: value for name, value in found.items() if "_mean_" in name and not name.startswith("against_")}
    return ", ".join(name.replace("_mean_", f" {value:.3f} ") for name, value in means.items())
