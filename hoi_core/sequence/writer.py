"""Write a recording while the cameras run, so that a killed recorder loses at most half a second."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np

from hoi_core.errors import SequenceError, StorageError
from hoi_core.sequence._files import stamp, storage_errors
from hoi_core.sequence._segment import Segment, abandon, group_path, segment_path
from hoi_core.sequence._tables import Mark, Sync, drop_rows, make_tables, mark_rows, sync_columns, write_clock
from hoi_core.sequence.clocks import Clock, Epoch, epoch_rows
from hoi_core.sequence.drops import Drop
from hoi_core.types import I64, Frame, StreamInfo

FLUSH_S = 0.25
"""What is younger may be lost with a killed recorder, and what waits for the writer on a busy machine."""
RESERVE_BYTES = 64 << 20
"""Recording stops before the disk is fuller than this, so that the file can still be closed."""
SEGMENT_S = 300.0
"""After so long a recording goes on in the next file, about 10 GB for two cameras."""


@dataclass(frozen=True)
class CaptureHeader:
    """What was recorded, by whom, with what."""

    sequence: str
    """Name of the sequence."""
    participant: str = ""
    """Pseudonym of the participant."""
    objects: tuple[str, ...] = ()
    """Identifiers of the objects, as in objects.csv."""
    scenario: str = ""
    """Scenario of the protocol."""
    action: str = ""
    """What the participant does."""
    rig: str = ""
    """Name of the rig."""
    calibration: str = ""
    """Identifier of the calibration in use."""
    software: str = ""
    """Program and version that recorded."""
    created: str = ""
    """Wall-clock time of the start, ISO 8601 with zone."""
    edge_params: Mapping[str, object] = field(default_factory=dict)
    """Parameters of `hoi_core.edges` with which gray and edge views of the colour streams are derived on reading."""


class CaptureWriter:
    """Appends frames, moments, drops and clocks to a new recording; flushed four times a second.

    After `segment_s` the images go on in a file of their own (`capture.001.h5`, ...); the tables of the whole
    recording stay in `capture.h5`, which is open to the end.

    Example:
        >>> with CaptureWriter.create(path, header, streams) as writer:  # doctest: +SKIP
        ...     writer.append(frame)
    """

    def __init__(
        self,
        path: Path,
        file: h5py.File,
        header: CaptureHeader,
        streams: Sequence[StreamInfo],
        settings: Mapping[str, Mapping[str, object]],
        segment_s: float,
    ) -> None:
        self.path = path
        self._file = file
        self._header = header
        self._streams = list(streams)
        self._settings = settings
        self._segment_s = segment_s
        self._names = [info.name for info in streams]
        self._open = True
        self._broken = False
        self._write_header(file, 0)
        make_tables(file, self._names)
        self._segment = Segment(file, streams, settings)
        self._number = 0
        self._before = dict.fromkeys(self._names, 0)
        self._earlier_bytes = 0
        file.swmr_mode = True
        self._last_flush = self._segment_began = time.monotonic()

    @classmethod
    def create(
        cls,
        path: Path,
        header: CaptureHeader,
        streams: Sequence[StreamInfo],
        *,
        settings: Mapping[str, Mapping[str, object]] | None = None,
        segment_s: float = SEGMENT_S,
    ) -> CaptureWriter:
        """Make a new file.

        Args:
            path: of `capture.h5`.
            header: what is recorded.
            streams: what will come.
            settings: how each stream's device was set (exposure, gain, firmware, ...), by stream.
            segment_s: length of a segment, s.

        Raises:
            SequenceError: the file exists.
            StorageError: the file cannot be made, or the disk is nearly full.
        """
        path = Path(path)
        if path.exists():
            raise SequenceError(
                f"{path} exists already, and recordings are never overwritten.",
                "A redo is a new sequence: choose another name.",
            )
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _check_space(path)
            return cls(path, h5py.File(path, "w-", libver="v110"), header, streams, settings or {}, segment_s)

    def _write_header(self, file: h5py.File, number: int) -> None:
        attrs, header = file.attrs, self._header
        stamp(file, "hoi-capture")
        for name in ("sequence", "participant", "scenario", "action", "rig", "calibration", "software", "created"):
            attrs[name] = getattr(header, name)
        attrs["objects"] = json.dumps(list(header.objects))
        attrs["edge_params"] = json.dumps(dict(header.edge_params))
        attrs["complete"] = np.uint8(0)
        attrs["segment"] = np.int64(number)
        if number == 0:
            attrs["segments"] = np.int64(1)

    @property
    def counts(self) -> dict[str, int]:
        """Frames written so far, by stream."""
        return {name: before + self._segment.parts[name].count for name, before in self._before.items()}

    @property
    def bytes(self) -> int:
        """Size of all files so far."""
        now = self.path.stat().st_size if self.path.exists() else 0
        if self._number:
            now += segment_path(self.path, self._number).stat().st_size
        return self._earlier_bytes + now

    def append(self, frame: Frame) -> int:
        """Append a frame to its stream and return its index there; flushes when `FLUSH_S` has passed.

        Raises:
            SequenceError: an unknown stream, or an image of another shape or type.
            StorageError: the disk is full; what was written stays readable.
        """
        part = self._segment.parts.get(frame.stream)
        if part is None:
            raise SequenceError(f"no stream {frame.stream!r} in this recording.", f"Streams: {', '.join(self._names)}.")
        with self._writing():
            part.append(frame)
        index = self._before[frame.stream] + part.count - 1
        now = time.monotonic()
        if now - self._last_flush > FLUSH_S:
            self.flush()
            if now - self._segment_began > self._segment_s:
                self._next_segment()
        return index

    def columns(self, stream: str) -> dict[str, I64]:
        """What was written of a stream's `frame_number`, `t_device_ns` and `t_host_ns`. Each `(n,)`."""
        names = ("frame_number", "t_device_ns", "t_host_ns")
        found: dict[str, list[I64]] = {name: [] for name in names}
        place = group_path(self._segment.parts[stream].info)
        with self._writing():
            self._segment.write_fields()
            for number in range(self._number):
                if number == 0:
                    for name in names:
                        found[name].append(self._file[f"{place}/{name}"][:])
                    continue
                with h5py.File(segment_path(self.path, number), "r") as file:
                    for name in names:
                        found[name].append(file[f"{place}/{name}"][:])
            for name in names:
                found[name].append(self._segment.parts[stream].column(name))
        return {name: np.concatenate(values).astype(np.int64) for name, values in found.items()}

    def drop(self, stream: str, frame_number: int, t_ns: int, reason: str) -> None:
        """Record that a frame is missing, with its estimated common time and why."""
        self.extend_drops([Drop(stream, frame_number, t_ns, reason)])

    def extend_drops(self, drops: Sequence[Drop], *, replace: bool = False) -> None:
        """Record several missing frames, or `replace` all that were recorded."""
        self._extend("drops", drop_rows(drops), first=0 if replace else None)

    def mark(self, t_ns: int, text: str) -> None:
        """Record that somebody noted something at a common time."""
        self._extend("marks", mark_rows([Mark(t_ns, text)]))

    def extend_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Record from which frames on numbers or times were continued."""
        self._extend("epochs", epoch_rows(epochs))

    def sync(self, t_ns: int, index: Mapping[str, int], skew_ns: Mapping[str, int]) -> None:
        """Append a moment: its common time, each stream's frame (-1 or absent: none) and its distance in time."""
        self.extend_sync(
            np.array([t_ns], dtype=np.int64),
            {name: np.array([value], dtype=np.int64) for name, value in index.items()},
            {name: np.array([value], dtype=np.int64) for name, value in skew_ns.items()},
        )

    def extend_sync(
        self,
        t_ns: np.ndarray,
        index: Mapping[str, np.ndarray],
        skew_ns: Mapping[str, np.ndarray],
        *,
        replace: bool = False,
    ) -> None:
        """Append M moments at once, or `replace` all (when the clocks are known better at the end).

        Args:
            t_ns: (M,) common time.
            index: stream -> (M,) frame index, -1 where the stream has none; absent streams have none.
            skew_ns: stream -> (M,) distance of that frame from the moment; 0 where there is none.
            replace: forget the moments written before.
        """
        columns = sync_columns(self._names, Sync(np.asarray(t_ns), index, skew_ns))
        for name, rows in columns.items():
            self._extend(f"sync/{name}", rows, first=0 if replace else None)

    def clock(
        self, stream: str, offset_ns: int, drift_ppm: float, residual_ns: float, *, reference_ns: int = 0
    ) -> None:
        """Set a stream's clock model of one piece: `t = t_device + offset + drift * (t_device - reference)`."""
        self.set_clock(stream, Clock.line(reference_ns, offset_ns, drift_ppm, residual_ns))

    def set_clock(self, stream: str, clock: Clock) -> None:
        """Set a stream's clock model."""
        with self._writing():
            write_clock(self._file, stream, clock)

    def flush(self) -> None:
        """Make everything written so far readable, also if the program is killed right after.

        Raises:
            StorageError: the disk is (nearly) full; what was written stays readable.
        """
        _check_space(self.path)
        with self._writing():
            self._segment.write_fields()
            self._segment.file.flush()
            if self._number:
                self._file.flush()
            self._segment.cache.let_go()
        self._last_flush = time.monotonic()

    def close(self, *, complete: bool = True) -> None:
        """Flush, mark the recording complete (or leave it unmarked) and close; does nothing the second time."""
        if not self._open:
            return
        try:
            if not self._broken:
                with self._writing():
                    self._segment.write_fields()
                    if self._number:
                        self._segment.file.attrs.modify("complete", np.uint8(complete))
                        self._segment.file.close()
                    self._file.attrs.modify("complete", np.uint8(complete))
                    self._file.close()
                self._open = False
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the files after a failed write: they stay as flushed last, for `hoi-data recover`."""
        if not self._open:
            return
        self._open = False
        if self._number:
            abandon(self._segment.file)
        abandon(self._file)

    def _next_segment(self) -> None:
        """Close the file of the last minutes and go on in a new one."""
        path = segment_path(self.path, self._number + 1)
        with self._writing():
            # Under its own name only when it is whole: a recorder that is killed here leaves nothing half made.
            draft = path.with_suffix(".h5.new")
            file = h5py.File(draft, "w", libver="v110")
            self._write_header(file, self._number + 1)
            following = Segment(file, self._streams, self._settings)
            file.swmr_mode = True
            draft.rename(path)
            self._before = self.counts
            if self._number:
                self._earlier_bytes += segment_path(self.path, self._number).stat().st_size
                self._segment.file.attrs.modify("complete", np.uint8(1))
                self._segment.file.close()
            self._segment, self._number = following, self._number + 1
            self._file.attrs.modify("segments", np.int64(self._number + 1))
            self._file.flush()
        self._segment_began = time.monotonic()

    def _extend(self, name: str, rows: np.ndarray, first: int | None = None) -> None:
        """Append rows to a table, or let it hold just these from row `first` on."""
        with self._writing():
            dataset = self._file[name]
            start = len(dataset) if first is None else first
            dataset.resize(start + len(rows), axis=0)
            if len(rows):
                dataset[start:] = rows

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Typed errors; after a failed write the file must not be touched again."""
        try:
            with storage_errors(self.path):
                yield
        except StorageError:
            self._broken = True
            raise

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=kind is None)


def _check_space(path: Path) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < RESERVE_BYTES:
        raise StorageError(
            f"only {free / 1e6:.0f} MB are free beside {path}, {RESERVE_BYTES / 1e6:.0f} MB are needed to go on; "
            "what was written before is kept.",
            "Free some space, or record to another disk with --data.",
        )
