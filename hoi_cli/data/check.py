"""Check recordings and labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from hoi_cli._run import Common, with_data, write_json

_TABLES = "tables"
_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Check every image, camera, time and label of one sequence, or of all with the dataset's tables."""

    sequence: tyro.conf.Positional[str] = ""
    """Sequence; default is all."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data check`."""
    from dataset_tools.check import check, check_tables
    from hoi_core import log
    from hoi_core.errors import SequenceError
    from hoi_core.sequence import find_sequence, list_sequences

    names = [find_sequence(root, command.sequence).name] if command.sequence else list_sequences(root)
    found: dict[str, list[str]] = {}
    with log.progress() as bar:
        for name in bar.track(names, description="checking"):
            try:
                found[name] = check(root, name)
            except SequenceError as error:
                found[name] = [str(error)]
    if not command.sequence:
        found[_TABLES] = check_tables(root)
    write_json(command.json, found)
    lines = [f"{name}: {text}" for name, problems in found.items() for text in problems[:_SHOWN] or ["sound"]]
    log.panel(f"checked {len(names)}", lines or ["No recordings yet."], with_data("hoi-data list", command.data))
    bad = [name for name, problems in found.items() if problems]
    if bad:
        raise SequenceError(
            f"{len(bad)} of {len(found)} are not sound: {', '.join(bad)}.",
            "Recover recordings that were not completed; take others out of use, or record them again; correct tables.",
        )
