"""Time exported models side by side: interleaved runs, medians, ratios."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from hoi_cli._run import Verbose, write_json
from hoi_core import log


@dataclass(frozen=True)
class Config:
    """Time exported models: interleaved runs on one image, medians, slowest runs, ratios."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Exported models; the first is what the others are compared with."""
    engines: tuple[Literal["onnxruntime", "native"], ...] = ("onnxruntime",)
    """What runs each of them; the first is what the others are compared with."""
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


def job(settings: Config) -> None:
    """Run `hoi-bench model`."""
    from learning.bench import time_models

    rows = time_models(
        settings.files,
        engines=settings.engines,
        threads=settings.threads,
        repeats=settings.repeats,
        sparsity=settings.sparsity,
        seed=settings.seed,
    )
    write_json(settings.json, [row.to_dict() for row in rows])
    first = rows[0].median_ms
    lines = [
        f"{row.file.name:28s} {row.engine:11s} {row.median_ms:7.2f} ms, 99 of 100 within {row.p99_ms:.2f}  "
        f"{first / row.median_ms:5.2f} times as fast as the first, {row.megabytes:.1f} MB"
        for row in rows
    ]
    log.panel(f"hoi-bench model, {settings.threads} thread(s), one crop", lines)
