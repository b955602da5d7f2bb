"""Arrays that are made from a dataset once and kept, memory-mapped.

They lie in `.hoi-index` beside it, or in the user's cache where the dataset is read-only. A tag tells what they were
made from: of anything else they are made anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hoi_core.user_cache import cache_folder
from hoi_core.whole_file import whole_file


def load(path: Path, tag: str, make: Callable[[], NDArray[np.generic]]) -> NDArray[np.generic]:
    """Arrays that belong to a file or folder of a dataset.

    Args:
        path: of the file or folder.
        tag: what tells its state, a part of a file name; see `tag_of`.
        make: makes them where none are kept.

    Returns:
        Memory-mapped and read-only where some place took them, else as they were made.
    """
    name = f"{path.stem}.{tag}.npy"
    for folder in folders(path):
        with suppress(OSError, ValueError):  # a damaged file is made anew
            kept: NDArray[np.generic] = np.load(folder / name, mmap_mode="r", allow_pickle=False)
            return kept
    return _kept(path, name, make())


def tag_of(paths: Iterable[Path]) -> str:
    """A tag that changes with size or time of any of some files or folders, or when one comes or goes."""
    state = hashlib.sha256()
    for path in paths:
        try:
            facts = path.stat()
            known = f"{facts.st_size} {facts.st_mtime_ns}"
        except OSError:
            known = "absent"
        state.update(f"{path.parent.name}/{path.name} {known}\n".encode())
    return state.hexdigest()[:16]


def folders(path: Path) -> tuple[Path, ...]:
    """Where arrays are kept, the better place first."""
    apart = hashlib.sha256(str(path.resolve().parent).encode()).hexdigest()[:12]
    places = [path.parent / ".hoi-index"]
    with suppress(RuntimeError):  # a user without a home
        places.append(cache_folder() / "datasets" / apart)
    return tuple(places)


def _kept(path: Path, name: str, arrays: NDArray[np.generic]) -> NDArray[np.generic]:
    """The arrays from the disk, if some place takes them; else as they are."""
    for folder in folders(path):
        try:
            with whole_file(folder / name, durable=False) as draft, draft.open("wb") as file:
                np.save(file, arrays, allow_pickle=False)
        except OSError:
            continue
        kept: NDArray[np.generic] = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        return kept
    return arrays
