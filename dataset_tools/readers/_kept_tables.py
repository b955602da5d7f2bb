"""Tables of labels, read once from what a dataset has and kept as memory-mapped columns."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset_tools.readers._kept_arrays import folders, tag_of

Columns = dict[str, NDArray[Any]]
FORMAT = 1
"""Of the columns; another number makes them anew."""


def version_of(paths: Iterable[Path]) -> str:
    """Changes with the names, sizes and times of some files."""
    return f"{FORMAT}.{tag_of(paths)}"


def load(at: Path, version: str, build: Callable[[], Mapping[str, NDArray[Any]]]) -> Columns:
    """The columns of a table.

    Args:
        at: file or folder that they are made from; they are kept beside it, or in the user's cache.
        version: of what they are made from; see `version_of`.
        build: makes them: numbers or fixed-length strings, of equal length or not.

    Returns:
        Read-only, memory-mapped where they could be kept.
    """
    name = f"{at.name}.{version}"
    for folder in folders(at):
        kept = _mapped(folder / name)
        if kept is not None:
            return kept
    columns = {key: np.asarray(values) for key, values in build().items()}
    for folder in folders(at):
        draft = folder / f"{name}.{os.getpid()}.part"
        try:
            draft.mkdir(parents=True)
            for key, values in columns.items():
                np.save(draft / f"{key}.npy", values, allow_pickle=False)
            shutil.rmtree(folder / name, ignore_errors=True)
            draft.replace(folder / name)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
        kept = _mapped(folder / name)
        if kept is not None:
            return kept
    return columns


def _mapped(folder: Path) -> Columns | None:
    try:
        files = sorted(folder.glob("*.npy"))
        return {path.stem: np.load(path, mmap_mode=_mode(path), allow_pickle=False) for path in files} or None
    except (OSError, ValueError, EOFError):
        return None


def _mode(path: Path) -> Any:
    # An empty array cannot be mapped; its file holds little more than the header.
    return "r" if path.stat().st_size > 256 else None
