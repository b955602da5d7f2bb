"""Bring a recording whose recorder was killed back to a clean file."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from hoi_core.errors import SequenceError, StorageError
from hoi_core.sequence._files import readable_rows, storage_errors
from hoi_core.sequence._segment import FIELDS, group_path
from hoi_core.sequence._tables import Sync, drop_rows, sync_columns
from hoi_core.sequence.drops import Drop
from hoi_core.sequence.layout import ANNOTATION, CAPTURE
from hoi_core.sequence.reader import Capture, open_capture
from hoi_core.sequence.writer import RESERVE_BYTES


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
    """Copy what a killed recorder left into clean files and put them in the old ones' place.

    Streams are trimmed to whole frames and the mark of the open writer is gone. The recording stays marked as
    incomplete, since it is. The content hash is the same before and after, unless `realign` adds moments.

    Args:
        path: a `capture.h5`, or the folder of a sequence. A recording that is still running must not be recovered.
        realign: finds moments and drops also for the last frames, for which the recorder had not written any
            (`capture.sync.realign`); None keeps those that were written.

    Raises:
        SequenceError: a file is missing, foreign, or its recorder is still writing.
        StorageError: no space for the copy; the files are as before.
    """
    path = Path(path)
    path = path / CAPTURE if path.is_dir() else path
    with open_capture(path) as capture:
        frames = {name: len(stream) for name, stream in capture.streams.items()}
        sync, drops = (capture.sync, capture.drops) if realign is None else realign(capture)
        cut = {
            name: sum(len(file[f"{group_path(stream.info)}/frames"]) for file in capture.files) - frames[name]
            for name, stream in capture.streams.items()
        }
        if not capture.never_closed and not any(cut.values()):
            return Recovery(False, frames, cut, len(sync))
        # The first file last: its tables were worked out from all of them as they are now.
        for number in reversed(range(len(capture.files))):
            if capture.files[number].swmr_mode or number == 0:
                _recover_file(capture, number, (sync, drops) if number == 0 else None)
    for leftover in path.parent.glob(f"{path.stem}.*.h5.new"):
        leftover.unlink()
    return Recovery(True, frames, cut, len(sync))


def repair(folder: Path, realign: Realign | None = None, *, quiet_s: float = 5.0) -> Recovery | None:
    """Recover a recording before something is written beside it, if nobody writes to it any more.

    Args:
        folder: of the sequence.
        realign: as for `recover`.
        quiet_s: a recorder writes several times a second; one whose files are younger than this may be running.

    Returns:
        What was done, or None: it was clean, may still be running, or has labels, which are bound to it as it is.

    Raises:
        SequenceError: it cannot be opened at all.
        StorageError: no space for the copy; the files are as before.
    """
    with open_capture(folder) as capture:
        unclean, newest = capture.never_closed, max(path.stat().st_mtime for path in capture.paths)
    if not unclean or time.time() - newest < quiet_s or (Path(folder) / ANNOTATION).exists():
        return None
    return recover(folder, realign)


def _recover_file(capture: Capture, number: int, tables: tuple[Sync, Sequence[Drop]] | None) -> None:
    """Make one of a recording's files clean; `tables` go into the first."""
    source, path = capture.files[number], capture.paths[number]
    lengths = {name: stream.part_lengths[number] for name, stream in capture.streams.items()}
    _check_space(path)
    draft = path.with_suffix(".h5.part")
    try:
        with storage_errors(draft), h5py.File(draft, "w", libver="v110") as clean:
            _copy(source, clean, capture, lengths)
            if tables is not None:
                clean.attrs["segments"] = len(capture.files)
                _write_tables(source, clean, *tables)
        _check_still(capture.path, {name: len(stream) for name, stream in capture.streams.items()})
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _copy(source: h5py.File, clean: h5py.File, capture: Capture, lengths: dict[str, int]) -> None:
    clean.attrs.update(source.attrs)
    for stream, rows in lengths.items():
        place = group_path(capture.streams[stream].info)
        group = clean.create_group(place)
        group.attrs.update(source[place].attrs)
        for name in ("frames", *FIELDS):
            _copy_rows(source[f"{place}/{name}"], group, name, rows)


def _write_tables(source: h5py.File, clean: h5py.File, sync: Sync, drops: Sequence[Drop]) -> None:
    """Moments and drops anew, the other tables as they are."""
    table = clean.create_group("sync")
    table.attrs.update(source["sync"].attrs)
    for name, rows in sync_columns(list(table.attrs["streams"]), sync).items():
        old = source[f"sync/{name}"]
        table.create_dataset(name, data=rows.astype(old.dtype), maxshape=old.maxshape, chunks=old.chunks)
    old = source["drops"]
    clean.create_dataset("drops", data=drop_rows(drops), maxshape=old.maxshape, chunks=old.chunks)
    for name in table.attrs["streams"]:
        clean.create_dataset(f"clocks/{name}", data=source[f"clocks/{name}"][()])
    for name in ("epochs", "marks", *(f"clock_pieces/{stream}" for stream in table.attrs["streams"])):
        if name in source:
            old = source[name]
            rows = old[: readable_rows(old)]
            clean.create_dataset(name, data=rows, maxshape=old.maxshape, chunks=old.chunks)


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


def _check_still(path: Path, frames: dict[str, int]) -> None:
    """A recording that grew while it was copied has a living recorder."""
    with open_capture(path) as now:
        if any(len(stream) > frames[name] for name, stream in now.streams.items()):
            raise SequenceError(f"{path} is still being recorded.", "Stop the recorder first.")
