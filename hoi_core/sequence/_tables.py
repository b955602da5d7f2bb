"""The tables of a whole recording, in `capture.h5`: moments, drops, clocks, epochs, marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import NDArray

from hoi_core.sequence._files import readable_rows
from hoi_core.sequence.clocks import EPOCH, PIECE, UNKNOWN, Clock, Epoch, clock_of, epochs_of, rows_of, scalar_of
from hoi_core.sequence.drops import Drop
from hoi_core.types import I64, Bool

DROP = np.dtype([("stream", "S64"), ("frame_number", "i8"), ("t_ns", "i8"), ("reason", "S64")])
"""A row of `/drops`."""
MARK = np.dtype([("t_ns", "i8"), ("text", "S256")])
"""A row of `/marks`; text in UTF-8."""
SYNC = ("t_ns", "index", "skew_ns")
"""Datasets of `/sync`."""


@dataclass(frozen=True)
class Mark:
    """Something that somebody noted while recording."""

    t_ns: int
    """Common time, ns."""
    text: str
    """What was noted."""


@dataclass(frozen=True)
class Sync:
    """The moments: which frames of the streams belong together."""

    t_ns: I64
    """(M,) common time of the reference stream's mid-exposure, ns."""
    index: Mapping[str, I64]
    """stream -> (M,) frame index, -1 where the stream has none at this moment."""
    skew_ns: Mapping[str, I64]
    """stream -> (M,) time of that frame minus the moment's, ns; 0 where there is none."""

    def __len__(self) -> int:
        return len(self.t_ns)

    @property
    def complete(self) -> Bool:
        """(M,) whether every stream has a frame."""
        return np.all([index >= 0 for index in self.index.values()], axis=0)


def drop_rows(drops: Sequence[Drop]) -> NDArray[np.void]:
    """`(D,) DROP`."""
    return np.array([(d.stream.encode(), d.frame_number, d.t_ns, d.reason.encode()) for d in drops], dtype=DROP)


def drops_of(rows: NDArray[np.void]) -> list[Drop]:
    """Inverse of `drop_rows`."""
    return [Drop(r["stream"].decode(), int(r["frame_number"]), int(r["t_ns"]), r["reason"].decode()) for r in rows]


def mark_rows(marks: Sequence[Mark]) -> NDArray[np.void]:
    """`(K,) MARK`; what is too long is cut, between characters."""
    width = MARK["text"].itemsize
    return np.array([(m.t_ns, m.text.encode()[:width].decode(errors="ignore").encode()) for m in marks], dtype=MARK)


def marks_of(rows: NDArray[np.void]) -> list[Mark]:
    """Inverse of `mark_rows`."""
    return [Mark(int(row["t_ns"]), row["text"].decode()) for row in rows]


def sync_columns(names: Sequence[str], moments: Sync) -> dict[str, I64]:
    """The datasets of `/sync`: `t_ns` (M,), `index` and `skew_ns` (M, S) with a column for each name."""
    none, still = np.full(len(moments), -1), np.zeros(len(moments), dtype=np.int64)
    shape = (len(moments), len(names))
    return {
        "index": np.stack([moments.index.get(name, none) for name in names], axis=-1).reshape(shape),
        "skew_ns": np.stack([moments.skew_ns.get(name, still) for name in names], axis=-1).reshape(shape),
        "t_ns": np.asarray(moments.t_ns),
    }


def make_tables(file: h5py.File, names: Sequence[str]) -> None:
    """Make the empty tables of a new recording."""
    width = len(names)
    sync = file.create_group("sync")
    sync.attrs["streams"] = list(names)
    sync.create_dataset("t_ns", (0,), "i8", maxshape=(None,), chunks=(1024,))
    for name in ("index", "skew_ns"):
        sync.create_dataset(name, (0, width), "i8", maxshape=(None, width), chunks=(1024, width))
    for name, kind in (("drops", DROP), ("epochs", EPOCH), ("marks", MARK)):
        file.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(256,))
    for name in names:
        file.create_dataset(f"clocks/{name}", data=scalar_of(UNKNOWN))
        file.create_dataset(f"clock_pieces/{name}", (0,), PIECE, maxshape=(None,), chunks=(64,))


def write_clock(file: h5py.File, stream: str, clock: Clock) -> None:
    """Set a stream's clock model, in an open recording."""
    file[f"clocks/{stream}"][()] = scalar_of(clock)
    rows, table = rows_of(clock), file[f"clock_pieces/{stream}"]
    table.resize(len(rows), axis=0)
    table[:] = rows


def read_sync(file: h5py.File, lengths: Mapping[str, int]) -> Sync:
    """The moments; those of a killed recording may name frames that did not reach the disk: they are none.

    Args:
        file: the recording.
        lengths: number of frames by stream.
    """
    group = file["sync"]
    names = [str(name) for name in group.attrs["streams"]]
    return sync_of(names, {name: group[name][: readable_rows(group[name])] for name in SYNC}, lengths)


def sync_of(names: Sequence[str], columns: Mapping[str, I64], lengths: Mapping[str, int]) -> Sync:
    """Inverse of `sync_columns`; frames that a stream does not have are none, moments that a column lacks are left out.

    Args:
        names: the streams, in the order of the columns.
        columns: `t_ns` (M,), `index` and `skew_ns` (M, S).
        lengths: number of frames by stream.

    Raises:
        ValueError: a stream is missing.
    """
    if missing := [name for name in names if name not in lengths]:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    t_ns, index, skew = (columns[name][: min(map(len, columns.values()))] for name in SYNC)
    index = np.where(index < np.array([lengths[name] for name in names]), index, -1)
    return Sync(
        t_ns=t_ns,
        index={name: np.ascontiguousarray(index[:, k]) for k, name in enumerate(names)},
        skew_ns={name: np.ascontiguousarray(skew[:, k]) for k, name in enumerate(names)},
    )


def read_clocks(file: h5py.File, names: Sequence[str]) -> dict[str, Clock]:
    """Each stream's clock; of format 1.0 a single piece."""
    pieces = file.get("clock_pieces", {})
    return {
        name: clock_of(
            pieces[name][: readable_rows(pieces[name])] if name in pieces else None, file[f"clocks/{name}"][()]
        )
        for name in names
    }


def read_drops(file: h5py.File) -> list[Drop]:
    """`/drops`."""
    return drops_of(file["drops"][: readable_rows(file["drops"])])


def read_epochs(file: h5py.File) -> list[Epoch]:
    """`/epochs`; none in format 1.0."""
    return epochs_of(file["epochs"][: readable_rows(file["epochs"])]) if "epochs" in file else []


def read_marks(file: h5py.File) -> list[Mark]:
    """`/marks`; none in format 1.0."""
    return marks_of(file["marks"][: readable_rows(file["marks"])]) if "marks" in file else []
