"""Count what models cost: parameters and multiply-adds of every model, decoder and layer, beside what is published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hoi_cli._run import Verbose, write_json


@dataclass(frozen=True)
class Config:
    """Count the parameters and multiply-adds of every model, mesh decoder and layer, beside what is published."""

    out: Path | None = None
    """Markdown file for the tables."""
    json: Path | None = None
    """File for the rows."""
    verbose: Verbose = False
    """Log more."""


def job(settings: Config) -> None:
    """Run `hoi-bench models`."""
    from hoi_core import log
    from hoi_core.whole_file import write_whole
    from learning import costs

    rows = costs.table()
    write_json(settings.json, [row.to_dict() for row in rows])
    if settings.out is not None:
        write_whole(settings.out, costs.markdown(rows))
    lines = [f"{row.name:54s} {row.parameters / 1e6:7.3f} M {row.multiply_adds / 1e6:8.2f} M" for row in rows]
    log.panel("hoi-bench models: parameters, multiply-adds", lines)
