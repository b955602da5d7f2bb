"""Logging and what commands print: libraries log, commands show panels and progress."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from hoi_core.errors import HoiError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_FRAME = 4  # columns that a panel's border takes


@cache
def console() -> Console:
    """The console that commands print results to (standard output)."""
    from rich.console import Console

    return Console(highlight=False)


@cache
def console_err() -> Console:
    """The console for errors and log lines (standard error)."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def setup(*, verbose: bool = False) -> None:
    """Send the library's log lines to standard error: warnings, or everything with `verbose`."""
    from rich.logging import RichHandler

    handler = RichHandler(console=console_err(), show_path=False, show_time=verbose)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    for package in ("hoi_core", "capture", "annotate", "dataset_tools", "learning", "gui", "hoi_cli"):
        logging.getLogger(package).setLevel(logging.DEBUG if verbose else logging.INFO)


def error(prog: str, problem: HoiError) -> None:
    """Print an error in one line: what was expected and met, then what to do."""
    from rich.text import Text

    message, hint = (" ".join(text.splitlines()) for text in (problem.message, problem.hint))
    line = Text.assemble((f"{prog}: ", "bold red"), message, " ", (hint, "cyan"))
    console_err().print(line, soft_wrap=True)


def panel(title: str, lines: Sequence[str], next_command: str = "") -> None:
    """Print the closing panel of a command: what was made, and what to type next."""
    from rich.panel import Panel
    from rich.text import Text

    text = Text("\n".join(lines))
    following = Text.assemble(("Next: ", "bold"), (next_command, "cyan"))
    fits = len(following) + _FRAME <= console().width
    if next_command and fits:
        text.append("\n\n").append_text(following)
    console().print(Panel(text, title=title, title_align="left", border_style="green", expand=False))
    if next_command and not fits:
        # A frame would break the command in two, and it could not be copied.
        console().print(following, soft_wrap=True)


def progress() -> Progress:
    """A progress bar with count and time left; where there is no terminal, a line every ten seconds."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from hoi_core._lines import Lines

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    if console_err().is_terminal:
        return Progress(*columns, console=console_err(), transient=True)
    return Lines(console=console_err(), disable=True)
