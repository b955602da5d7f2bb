"""Report on a take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Report on a take: cadence, skew, missing frames, exposure, depth, and whether it can be annotated."""

    sequence: tyro.conf.Positional[str]
    """Sequence."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data report`."""
    from capture.report import take_report
    from hoi_core import log
    from hoi_core.sequence import find_sequence

    report = take_report(find_sequence(root, command.sequence))
    write_json(command.json, report.to_json())
    following = f"hoi-annotate {command.sequence} --auto"
    if report.state == "never closed":
        following = f"hoi-data recover {command.sequence}"
    elif report.level == "bad":
        following = f"hoi-data protocol --reject {command.sequence}"
    title, *lines = report.lines()
    log.panel(title, lines, with_data(following, command.data))
