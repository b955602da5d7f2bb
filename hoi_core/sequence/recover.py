"""Bring a recording whose recorder was killed back to a clean file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from hoi_core.errors import SequenceError, StorageError
from hoi_core.sequence._files import storage_errors
from hoi_core.sequence.layout import CAPTURE
from hoi_core.sequence.reader import Capture, Drop, Sync, open_capture
from hoi_core.sequence.writer import DROP, FIELDS, RESERVE_BYTES, group_path


@dataclass(frozen=True)
class Recovery:
    """What `recover` found and kept."""

    needed: bool
    """Whether the file was unclean; if not, nothing was changed."""
    frames: dict[str, int]
    """Whole frames kept, by stream."""
    cut: dict[str, int]
    """Images cut off because their times had not been written yet, by stream."""
    moments: int
    """Moments kept."""


Realign = Callable[[Capture], tuple[Sync, Sequence[Drop]]]
"""Finds the moments and drops of a recording anew."""


def recover(path: Path | str, realign: Realign | None = None) -> Recovery:
    """Copy what a killed recorder left into a clean file and put it in the old one's place.

    Streams are trimmed to whole frames and the mark of the open writer is gone. The recording stays marked as
    incomplete, since it is. The content hash is the same before and after, unless `realign` adds moments.

    Args:
        path: a `capture.h5`, or the folder of a sequence. A recording that is still running must not be recovered.
        realign: finds moments and drops also for the last frames, for which the recorder had not written any
            (`capture.sync.realign`); None keeps those that were written.

    Raises:
        SequenceError: the file is missing, foreign, or its recorder is still writing.
        StorageError: no space for the copy; the file is as before.
    """
    path = Path(path)
    path = path / CAPTURE if path.is_dir() else path
    with open_capture(path) as capture:
        frames = {name: len(stream) for name, stream in capture.streams.items()}
        places = {name: group_path(stream.info) for name, stream in capture.streams.items()}
        sync, drops = (capture.sync, capture.drops) if realign is None else realign(capture)
        moments = len(sync)
        source: h5py.File = capture._file
        cut = {name: len(source[f"{place}/frames"]) - frames[name] for name, place in places.items()}
        if not source.swmr_mode and not any(cut.values()):
            return Recovery(False, frames, cut, moments)
        _check_space(path)
        draft = path.with_suffix(".h5.part")
        try:
            with storage_errors(draft), h5py.File(draft, "w", libver="v110") as clean:
                _copy(source, clean, capture, places)
                _write_tables(source, clean, sync, drops)
            _check_still(path, frames, places)
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    return Recovery(True, frames, cut, moments)


def _copy(source: h5py.File, clean: h5py.File, capture: Capture, places: dict[str, str]) -> None:
    clean.attrs.update(source.attrs)
    for stream, place in places.items():
        group = clean.create_group(place)
        group.attrs.update(source[place].attrs)
        for name in ("frames", *FIELDS):
            _copy_rows(source[f"{place}/{name}"], group, name, len(capture.streams[stream]))
        source.copy(f"clocks/{stream}", clean.require_group("clocks"), stream)


def _write_tables(source: h5py.File, clean: h5py.File, sync: Sync, drops: Sequence[Drop]) -> None:
    """Moments and drops; moments may have named frames that did not reach the disk, and `sync` does not."""
    table = clean.create_group("sync")
    table.attrs.update(source["sync"].attrs)
    names, none = list(table.attrs["streams"]), np.full(len(sync), -1)
    columns = {
        "t_ns": sync.t_ns,
        "index": np.stack([sync.index.get(name, none) for name in names], axis=-1),
        "skew_ns": np.stack([sync.skew_ns.get(name, 0 * none) for name in names], axis=-1),
    }
    for name, rows in columns.items():
        old = source[f"sync/{name}"]
        table.create_dataset(name, data=rows.astype(old.dtype), maxshape=old.maxshape, chunks=old.chunks)
    old = source["drops"]
    rows = np.array([(d.stream.encode(), d.frame_number, d.t_ns, d.reason.encode()) for d in drops], dtype=DROP)
    clean.create_dataset("drops", data=rows, maxshape=old.maxshape, chunks=old.chunks)


def _copy_rows(source: h5py.Dataset, group: h5py.Group, name: str, rows: int) -> None:
    """Copy leading rows chunk by chunk: compressed images need not be unpacked, and missing chunks not read."""
    tail = source.shape[1:]
    space = h5py.h5s.create_simple((rows, *tail), (h5py.h5s.UNLIMITED, *tail))
    plist = source.id.get_create_plist()
    copy = h5py.Dataset(h5py.h5d.create(group.id, name.encode(), source.id.get_type(), space, dcpl=plist))
    copy.attrs.update(source.attrs)
    for first in range(0, rows, source.chunks[0]):
        corner = (first, *(0 for _ in tail))
        mask, packed = source.id.read_direct_chunk(corner)
        copy.id.write_direct_chunk(corner, packed, mask)


def _check_space(path: Path) -> None:
    need, free = path.stat().st_size + RESERVE_BYTES, shutil.disk_usage(path.parent).free
    if free < need:
        raise StorageError(
            f"recovering {path} needs {need / 1e6:.0f} MB beside it, {free / 1e6:.0f} MB are free.", "Free some space."
        )


def _check_still(path: Path, frames: dict[str, int], places: dict[str, str]) -> None:
    """A file that grew while it was copied has a living recorder."""
    with open_capture(path) as now:
        if any(len(stream) > frames[name] for name, stream in now.streams.items() if name in places):
            raise SequenceError(f"{path} is still being recorded.", "Stop the recorder first.")
