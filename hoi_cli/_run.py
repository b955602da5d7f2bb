"""What the commands of this folder share: flags, and the list of sub-commands; `hoi_core.command` runs them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Union

import tyro

from hoi_core.command import run, with_data, write_json

__all__ = ["Common", "Verbose", "commands", "run", "with_data", "write_json"]
Verbose = Annotated[bool, tyro.conf.arg(aliases=["-v"])]
"""The flag that every command has for log lines and tracebacks."""


@dataclass(frozen=True, kw_only=True)
class Common:
    """The flags of every command that works on a dataset."""

    data: Path | None = None
    """Root of the dataset; default $HOI_DATA or ./data."""
    json: Path | None = None
    """Also write the figures to this file."""
    mano: Path | None = None
    """Folder of your MANO_RIGHT.pkl and MANO_LEFT.pkl; default $HOI_MANO, else the stand-in hand."""
    verbose: Verbose = False
    """Show log lines and tracebacks."""
    makes_root: ClassVar[bool] = False
    """Whether the command may begin with a dataset that is not there yet."""


def commands(package: str) -> Any:
    """The union of the `Config` of every file in a folder of sub-commands; its docstring is the help."""
    from hoi_core import plugins

    choices = []
    for name in sorted(plugins.names(package)):
        config = plugins.load(package, name).Config
        choices.append(Annotated[config, tyro.conf.subcommand(name, description=config.__doc__)])
    return Union[tuple(choices)]  # noqa: UP007 - the members are known at run time only
