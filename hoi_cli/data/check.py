"""Check recordings and labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Check every image, time and label of one sequence or all."""

    sequence: tyro.conf.Positional[str] = ""
    """Sequence; default is all."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data check`."""
    from hoi_core import log
    from hoi_core.errors import SequenceError
    from hoi_core.sequence import check_sequence, find_sequence, list_sequences

    names = [command.sequence] if command.sequence else list_sequences(root)
    found: dict[str, list[str]] = {}
    with log.progress() as bar:
        for name in bar.track(names, description="checking"):
            folder = find_sequence(root, name)
            try:
                found[name] = check_sequence(folder)
            except SequenceError as error:
                found[name] = [str(error)]
    write_json(command.json, found)
    lines = [f"{name}: {text}" for name, problems in found.items() for text in problems[:10] or ["sound"]]
    log.panel(f"checked {len(names)}", lines or ["No recordings yet."], with_data("hoi-data list", command.data))
    bad = [name for name, problems in found.items() if problems]
    if bad:
        raise SequenceError(
            f"{len(bad)} of {len(names)} sequences are not sound: {', '.join(bad)}.",
            "Recover those that were not completed; take others out of use, or record them again.",
        )
