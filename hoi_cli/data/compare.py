"""Compare labels with the truth of a simulated recording."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import tyro

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Compare the current labels of a simulated sequence with its truth."""

    sequence: tyro.conf.Positional[str]
    """Sequence."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data compare`."""
    from annotate.compare import compare
    from hoi_core import log

    figures = compare(root, command.sequence)
    write_json(command.json, figures)
    width = max(map(len, figures))
    lines = [
        f"{name:<{width}}  {'not labelled' if math.isnan(value) else format(value, '.3g')}"
        for name, value in figures.items()
    ]
    following = with_data("hoi-train --dataset ours --model splite", command.data)
    log.panel(f"{command.sequence}: labels against the truth", lines, following)
