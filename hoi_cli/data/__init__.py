"""Look after a dataset.

Example: hoi-data list
"""

from __future__ import annotations

from collections.abc import Sequence

from hoi_cli._run import Common, commands, run


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-data`."""
    return run(commands(__name__), job, argv, prog="hoi-data", doc=__doc__)


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
