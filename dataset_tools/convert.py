"""Write a dataset in another format: any reader to any writer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from dataset_tools import readers
from hoi_core import plugins
from hoi_core.errors import DatasetError, StorageError

Progress = Callable[[int, int], None]
"""Called with (samples done, of how many)."""


@dataclass(frozen=True)
class Converted:
    """What a conversion wrote."""

    written: int
    """Samples."""
    left_out: int
    """Samples for which the format has no place."""


def convert(
    root: Path, dataset: str, splits: Sequence[str], target: str, out: Path, on_progress: Progress | None = None
) -> Converted:
    """Write splits of a dataset in another format.

    Args:
        root: of the datasets (`--data`).
        dataset: name of the reader.
        splits: of the dataset.
        target: name of the writer.
        out: new folder; it appears when all is written.
        on_progress: told how far it is.

    Raises:
        ConfigError: no such reader, writer or split.
        DatasetError: the folder exists, the dataset is damaged, or nothing of it has a place in the format.
        StorageError: the disk is full or not writable.
    """
    reader = plugins.load("dataset_tools.readers", dataset)
    writer = plugins.load("dataset_tools.writers", target)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} exists already.", "Name a new folder with --out.")
    home = readers.home(root, dataset)
    keys = {split: reader.index(home, split) for split in splits}
    draft = out.with_name(f"{out.name}.part")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        done = _write(reader, writer, home, keys, draft, on_progress)
        if done.written:
            with suppress(FileNotFoundError):
                out.rmdir()
            draft.rename(out)
    except OSError as error:
        raise StorageError(
            f"cannot write {draft}: {error.strerror or error}.", "Free some space, or name another --out."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    if not done.written:
        raise DatasetError(
            f"none of the {done.left_out} samples has a place in {target}: it keeps {writer.INFO.keeps}",
            "Choose another format.",
        )
    return done


def _write(
    reader: ModuleType,
    writer: ModuleType,
    home: Path,
    keys: dict[str, list[str]],
    draft: Path,
    on_progress: Progress | None,
) -> Converted:
    total = sum(len(listed) for listed in keys.values())
    seen = written = 0
    for split, listed in keys.items():
        target = writer.open(draft, split)
        for key in listed:
            written += bool(target.add(reader.read(home, key)))
            seen += 1
            if on_progress:
                on_progress(seen, total)
        target.close()
    return Converted(written, seen - written)
