"""Show versions, the hand model in use, and where data and runs lie.

Example: hoi-info
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hoi_cli._run import Verbose, run, write_json


@dataclass(frozen=True)
class Config:
    """Options of hoi-info."""

    json: Path | None = None
    """Also write the figures to this file."""
    mano: Path | None = None
    """Folder of your MANO_RIGHT.pkl and MANO_LEFT.pkl; else $HOI_MANO, else the stand-in hand."""
    verbose: Verbose = False
    """Show log lines and tracebacks."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-info`."""
    return run(Config, job, argv, prog="hoi-info", doc=__doc__)


def job(config: Config) -> None:
    """Collect the facts and show them."""
    from hoi_core import info, log

    facts = info.collect()
    width = max(map(len, facts))
    write_json(config.json, facts)
    log.panel("hoi-info", [f"{name:<{width}}  {value}" for name, value in facts.items()], "hoi-devices")
