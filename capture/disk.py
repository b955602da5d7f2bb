"""How much space a recording takes, and whether it is there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hoi_core.errors import StorageError
from hoi_core.sequence.writer import RESERVE_BYTES
from hoi_core.types import StreamInfo

_LEFT = {"color": 0.60, "depth": 0.25}
"""Share of the raw size that is left after packing, for noisy images; half for the other streams."""


def bytes_per_s(streams: Sequence[StreamInfo]) -> float:
    """Expected size of a recording, bytes for each second, before one has shown its own."""
    return sum(
        float(np.prod(info.shape)) * np.dtype(info.dtype).itemsize * info.fps * _LEFT.get(info.content, 0.5)
        for info in streams
    )


def free_bytes(folder: Path) -> int:
    """Bytes that can be written under a folder, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def require_space(root: Path, streams: Sequence[StreamInfo], seconds: float | None) -> None:
    """Refuse a recording that cannot fit.

    Args:
        root: where it goes.
        streams: what is recorded.
        seconds: planned length; None for one that somebody will stop: then there must be room for a few seconds.

    Raises:
        StorageError: it does not fit; the message names the bytes needed and the bytes free.
    """
    need = bytes_per_s(streams) * (5.0 if seconds is None else seconds) + RESERVE_BYTES
    free = free_bytes(root)
    if free < need:
        length = "a few seconds" if seconds is None else f"{seconds:.0f} s"
        raise StorageError(
            f"recording {length} needs {_size(need)}, {_size(free)} are free in {root}.",
            "Free some space, record a shorter take, or record to another disk with --data.",
        )


def explained(error: StorageError, root: Path, rate: float, seconds_left: float | None) -> StorageError:
    """An error of a disk that filled up, with what the rest of the take would have needed.

    Args:
        error: what the writer said.
        root: where it wrote.
        rate: bytes for each second.
        seconds_left: of the planned length; None where none was planned: a minute is named.
    """
    wanted = 60.0 if seconds_left is None else max(seconds_left, 1.0)
    what = "a further minute" if seconds_left is None else f"the {wanted:.0f} s that were left"
    need = rate * wanted + RESERVE_BYTES
    return StorageError(
        f"{error.message.rstrip('.')}; {what} need {_size(need)}, {_size(free_bytes(root))} are free.", error.hint
    )


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
