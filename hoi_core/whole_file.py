"""Files that are there in full or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A draft beside a file, which takes the file's place when the block ends; an error leaves the file as it was.

    Args:
        path: to be written; its folder is made where it is missing.
        durable: wait until the disk holds it. What can be made again does without.

    Raises:
        OSError: the disk is full or not writable.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may write the same file, one after the other being the winner, but never the same draft.
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield draft
        if durable:
            _bring_to_disk(draft)
        draft.replace(path)
        if durable:
            _bring_to_disk(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str, *, durable: bool = True) -> None:
    """Write a file at once; text as UTF-8. Arguments and errors as in `whole_file`."""
    with whole_file(path, durable=durable) as draft:
        draft.write_bytes(content if isinstance(content, bytes) else content.encode("utf8"))


def _bring_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
