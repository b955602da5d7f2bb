"""Show versions, the hand model in use, and where data and runs lie; compile what is compiled at its first use.

Example: hoi-info
Example: hoi-info --compile
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hoi_cli._run import Verbose, run, write_json


@dataclass(frozen=True)
class Config:
    """Options of hoi-info."""

    compile: bool = False
    """Compile everything that is compiled at its first use, so that nobody waits for it later: one to three minutes."""
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

    if config.compile:
        _compile()
    facts = info.collect()
    width = max(map(len, facts))
    write_json(config.json, facts)
    log.panel("hoi-info", [f"{name:<{width}}  {value}" for name, value in facts.items()], "hoi-devices")


def _compile() -> None:
    """Compile with a line for each part that is ready."""
    from hoi_cli._rehearsal import rehearse
    from hoi_core import log

    said = log.console_err()
    said.print("compiling what is compiled at its first use; this takes one to three minutes")
    rehearse(lambda part, seconds: said.print(f"{part} ready after {seconds:.0f} s"))
