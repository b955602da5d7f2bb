"""Does anybody have a file open? Recorders and annotators on this machine, and recorders on others."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hoi_core.sequence._files import _never_closed

_FRESH_S = 10.0
"""A recorder flushes many times in this: a file marked as open that has not changed since belongs to a dead one."""


def opened(paths: Sequence[Path]) -> dict[Path, str]:
    """Those of the files that are open, and who has them."""
    held = _held_here(paths)
    for path in paths:
        if path in held:
            continue
        if _locked(path):
            held[path] = "a program has locked it"
        elif path.suffix == ".h5" and _never_closed(path) and time.time() - path.stat().st_mtime < _FRESH_S:
            held[path] = "a recorder wrote to it a moment ago"
    return held


def _held_here(paths: Sequence[Path]) -> dict[Path, str]:
    """Files that processes of this machine have open, as far as we may look."""
    wanted = {os.path.realpath(path): path for path in paths}
    held: dict[Path, str] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for handle in (process / "fd").iterdir():
                with suppress(OSError):
                    path = wanted.get(os.readlink(handle))
                    if path is not None:
                        held[path] = f"process {process.name} ({_name(process)}) has it open"
    return held


def _name(process: Path) -> str:
    with suppress(OSError):
        return (process / "comm").read_text().strip()
    return "unknown"


def _locked(path: Path) -> bool:
    """Whether somebody holds the lock that HDF5 takes."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False
