"""Tables and pages on disk; a file is there whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hoi_core.sequence import storage_errors

if TYPE_CHECKING:
    import pandas as pd


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write each table as `<name>.csv`; what is missing is an empty cell.

    Raises:
        StorageError: the folder cannot be written.
    """
    for name, table in tables.items():
        _write(folder / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))


def write_page(path: Path, text: str) -> None:
    """Write a page.

    Raises:
        StorageError: it cannot be written.
    """
    _write(path, text)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.part")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_text(text, encoding="utf8")
            draft.replace(path)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
