"""Bring a killed recording back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Bring a recording whose recorder was killed back to a clean file."""

    sequence: tyro.conf.Positional[str]
    """Sequence."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data recover`."""
    from capture.sync import realign
    from hoi_core import log
    from hoi_core.sequence import annotation_path, find_sequence, open_capture, read_table, recover, register_recording

    folder = find_sequence(root, command.sequence)
    # Labels are bound to the moments they were made for: do not add any then.
    result = recover(folder, None if annotation_path(root, command.sequence).exists() else realign)
    if command.sequence not in set(read_table(root, "protocol")["sequence"]):
        # Its recorder did not live to enter it.
        with open_capture(folder) as capture:
            header, seconds, drops = capture.header, capture.seconds, len(capture.drops)
            status = "recorded" if capture.complete else "incomplete"
        register_recording(root, header, seconds=seconds, drops=drops, status=status)
    write_json(
        command.json,
        {"needed": result.needed, "frames": result.frames, "cut": result.cut, "moments": result.moments},
    )
    lines = [f"{name:<16} {count} frames kept, {result.cut[name]} cut off" for name, count in result.frames.items()]
    lines.append(f"{result.moments} moments")
    title = f"recovered {command.sequence}" if result.needed else f"{command.sequence} needed no recovery"
    log.panel(title, lines, with_data(f"hoi-data check {command.sequence}", command.data))
