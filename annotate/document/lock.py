"""One writer per sequence: a lock that the system takes back when its holder dies, and who holds it."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from hoi_core.errors import SequenceError
from hoi_core.sequence import storage_errors

LOCK = "annotation.lock"
"""Beside the labels; it stays there, empty, when nobody writes."""


class LabelsTakenError(SequenceError):
    """Somebody else writes the labels; the message says who, where and since when."""


def user_name() -> str:
    """Who is logged in; `unknown` where the system does not say."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


class WriteLock:
    """The right to write the labels of a sequence, from its making until `release`; a context manager.

    Args:
        folder: of the sequence.
        author: who will write.

    Raises:
        LabelsTakenError: somebody else writes.
        StorageError: the folder cannot be written.
    """

    def __init__(self, folder: Path, author: str) -> None:
        path = folder / LOCK
        with storage_errors(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._file, 4096, 0)
            os.close(self._file)
            raise _taken(folder.name, holder) from error
        about = {
            "who": author or user_name(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with storage_errors(path):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps(about, ensure_ascii=False).encode(), 0)

    def release(self) -> None:
        """Let others write."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            fcntl.flock(self._file, fcntl.LOCK_UN)  # closing alone would leave it to processes forked meanwhile
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> WriteLock:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def _taken(sequence: str, holder: bytes) -> LabelsTakenError:
    try:
        about = json.loads(holder)
        since = datetime.fromisoformat(about["since"]).astimezone()  # as the clock on the reader's wall says it
        who = f"{about['who']} (process {about['pid']} on {about['host']}, since {since:%Y-%m-%d %H:%M})"
    except (ValueError, KeyError, TypeError):
        who = "somebody else"  # the holder has only just begun
    return LabelsTakenError(
        f"the labels of {sequence} are being written by {who}.",
        "Close them there first, or open them to look at with --read-only.",
    )
