"""Play a recording in a window."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from hoi_cli._run import Common


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Play a recording: all streams in time, with what is missing and why."""

    sequence: tyro.conf.Positional[str]
    """Sequence; a killed recording and one in several files can be played too."""
    theme: Literal["system", "light", "dark"] = "system"
    """Colours of the window."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data view`."""
    from hoi_core.sequence import find_sequence

    folder = find_sequence(root, command.sequence)
    from gui.view_window import main

    main(folder, command.theme)
