"""Tables and pages on disk; a file is there whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hoi_core.sequence import storage_errors
from hoi_core.whole_file import write_whole

if TYPE_CHECKING:
    import pandas as pd


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write each table as `<name>.csv`; what is missing is an empty cell.

    Raises:
        StorageError: the folder cannot be written.
    """
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        with storage_errors(path):
            write_whole(path, table.to_csv(index=False, lineterminator="\n"))


def write_page(path: Path, text: str) -> None:
    """Write a page.

    Raises:
        StorageError: it cannot be written.
    """
    with storage_errors(path):
        write_whole(path, text)
