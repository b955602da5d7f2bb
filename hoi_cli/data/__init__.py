"""Look after a dataset.

Example: hoi-data list
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Union

import tyro

from hoi_cli._run import Common, run


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-data`."""
    return run(_commands(), job, argv, prog="hoi-data", doc=__doc__)


def job(command: Common) -> None:
    """Run the sub-command, in whose file `command`'s class lies."""
    import importlib

    from hoi_core.config import data_root
    from hoi_core.errors import DatasetError

    module = importlib.import_module(type(command).__module__)
    root = data_root(command.data)
    if not root.is_dir() and not command.makes_root:
        raise DatasetError(
            f"expected a dataset folder {root}, found {'a file' if root.exists() else 'none'}.",
            "Record something with `hoi-capture --headless`, or point --data at your dataset.",
        )
    module.job(command, root)


def _commands() -> Any:
    """The union of every sub-command's `Config`, found by file name; its docstring is the help."""
    from hoi_core import plugins

    choices = []
    for name in sorted(plugins.names(__name__)):
        config = plugins.load(__name__, name).Config
        choices.append(Annotated[config, tyro.conf.subcommand(name, description=config.__doc__)])
    return Union[tuple(choices)]  # noqa: UP007 - the members are known at run time only
