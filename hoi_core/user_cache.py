"""Arrays kept in the user's cache folder, where making them takes seconds; a cache that fails is as good as none."""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoi_core.whole_file import whole_file

log = logging.getLogger(__name__)


def recall(name: str) -> dict[str, Any] | None:
    """The arrays kept under a name; None where nothing, or nothing readable, is there."""
    try:
        with np.load(_path(name), allow_pickle=False) as kept:
            return {key: kept[key] for key in kept.files}
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        log.debug("nothing kept as %s: %s", name, error)
        return None


def keep(name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep arrays under a name, for this user; whatever goes wrong, they are merely not kept."""
    try:
        with whole_file(_path(name), durable=False) as draft, draft.open("wb") as file:
            np.savez(file, allow_pickle=False, **dict(arrays))
    except (OSError, RuntimeError) as error:
        log.debug("%s is not kept: %s", name, error)


def code_version(sources: Iterable[Path]) -> str:
    """Changes with numpy and with any of some source files: what they made is to be made again."""
    total = hashlib.sha256(np.__version__.encode())
    for source in sources:
        total.update(source.read_bytes())
    return total.hexdigest()[:16]


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/hoi-toolkit`, by default ~/.cache/hoi-toolkit.

    Raises:
        RuntimeError: the user has no home.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "hoi-toolkit"


def _path(name: str) -> Path:
    return cache_folder() / f"{name}.npz"
