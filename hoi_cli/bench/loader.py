"""Time the loading of training batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hoi_cli._run import Verbose, write_json


@dataclass(frozen=True)
class Config:
    """Time the loader of `hoi-train` with every augmentation, and what each of its steps costs."""

    dataset: str = "synth"
    """As for hoi-train; without --data a small synthetic set is made for it."""
    data: Path | None = None
    """Root of the datasets."""
    size: int = 128
    """Side of the crop, px."""
    samples: int = 512
    """How many are loaded."""
    batch_size: int = 32
    """Samples in a batch."""
    workers: int = 2
    """Loading processes."""
    seed: int = 0
    """Other samples and changes with another seed."""
    json: Path | None = None
    """File for the rows."""
    verbose: Verbose = False
    """Log more."""


def job(settings: Config) -> None:
    """Run `hoi-bench loader`."""
    from hoi_core import log
    from learning import loader_bench as bench

    with bench.data_for(settings.dataset, settings.data, settings.size) as root:
        amounts = settings.size, settings.samples, settings.batch_size, settings.workers
        case = bench.Case(settings.dataset, root, *amounts, seed=settings.seed)
        figures: list[bench.Step | bench.Rate] = [*bench.steps(case), *bench.rates(case)]
    write_json(settings.json, bench.rows(case, figures))
    log.panel(f"hoi-bench loader, {settings.dataset}, {settings.size} px", [str(figure) for figure in figures])
