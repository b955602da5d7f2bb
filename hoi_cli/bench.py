"""Time engines side by side: interleaved runs, medians, ratios.

Example: hoi-bench model splite_fp32.onnx splite_int8.onnx --json bench.json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from hoi_cli._run import Verbose, run, write_json
from hoi_core import log


@dataclass(frozen=True)
class Config:
    """What to time."""

    case: tyro.conf.Positional[Literal["model"]]
    """`model`: exported models in ONNX Runtime."""
    files: tyro.conf.Positional[tuple[Path, ...]]
    """Exported models; the first is what the others are compared with."""
    threads: int = 1
    """Threads per model."""
    repeats: int = 60
    """Runs of each."""
    sparsity: float = 0.88
    """Share of the input's pixels that are off the sites."""
    seed: int = 0
    """Seed of the input."""
    json: Path | None = None
    """File for the rows."""
    verbose: Verbose = False
    """Log more."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(Config, job, argv, prog="hoi-bench", doc=__doc__)


def job(settings: Config) -> None:
    """Time and report."""
    from learning.bench import time_models

    rows = time_models(
        settings.files,
        threads=settings.threads,
        repeats=settings.repeats,
        sparsity=settings.sparsity,
        seed=settings.seed,
    )
    write_json(settings.json, [row.to_dict() for row in rows])
    first = rows[0].median_ms
    lines = [
        f"{row.file.name:28s} {row.engine:9s} {row.median_ms:7.2f} ms  {first / row.median_ms:5.2f} times as fast as "
        f"{rows[0].file.name}, {row.megabytes:.1f} MB"
        for row in rows
    ]
    log.panel(f"hoi-bench model, {settings.threads} thread(s), one crop", lines)
