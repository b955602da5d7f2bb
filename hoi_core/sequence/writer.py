"""Write `capture.h5` while the cameras run, so that a killed recorder loses at most half a second."""

from __future__ import annotations

import json
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import get_args

import h5py
import numpy as np

from hoi_core.errors import SequenceError, StorageError
from hoi_core.sequence._files import CODEC, left_delta, stamp, storage_errors, write_stream_info
from hoi_core.types import ClockDomain, Frame, StreamInfo

FLUSH_S = 0.4
RESERVE_BYTES = 64 << 20
"""Recording stops before the disk is fuller than this, so that the file can still be closed."""

CLOCK_DOMAINS: tuple[ClockDomain, ...] = get_args(ClockDomain)
"""`clock_domain` is stored as the index into this tuple."""
FIELDS: dict[str, str] = {
    "t_device_ns": "i8",
    "t_host_ns": "i8",
    "clock_domain": "u1",
    "frame_number": "i8",
    "exposure_us": "f4",
    "gain": "f4",
    "crc32": "u4",
}
DROP = np.dtype([("stream", "S64"), ("frame_number", "i8"), ("t_ns", "i8"), ("reason", "S64")])
CLOCK = np.dtype([("reference_ns", "i8"), ("offset_ns", "i8"), ("drift_ppm", "f8"), ("residual_ns", "f8")])


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


def group_path(info: StreamInfo) -> str:
    """Where a stream lies in the file."""
    return f"/{'sensors' if info.kind == 'sensor' else 'cameras'}/{info.name}"


class _StreamWriter:
    """One stream: images at once, the numbers beside them in blocks."""

    def __init__(self, file: h5py.File, info: StreamInfo) -> None:
        self.info = info
        self.count = 0
        group = file.create_group(group_path(info))
        write_stream_info(group, info)
        self._delta = info.name.endswith("/depth")
        self._frames = group.create_dataset(
            "frames", (0, *info.shape), info.dtype, maxshape=(None, *info.shape), chunks=(1, *info.shape), **CODEC
        )
        self._frames.attrs["filter"] = "left_delta" if self._delta else "none"
        self._fields = {
            name: group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(1024,))
            for name, kind in FIELDS.items()
        }
        self._fields["clock_domain"].attrs["names"] = list(CLOCK_DOMAINS)
        self._pending: list[tuple[float, ...]] = []

    def append(self, frame: Frame) -> None:
        image = np.ascontiguousarray(frame.image)
        if image.shape != self.info.shape or image.dtype != np.dtype(self.info.dtype):
            raise SequenceError(
                f"stream {self.info.name} takes {self.info.dtype} {self.info.shape}, got {image.dtype} {image.shape}.",
                "Check the camera's configuration.",
            )
        self._frames.resize(self.count + 1, axis=0)
        self._frames[self.count] = left_delta(image) if self._delta else image
        self.count += 1
        self._pending.append(
            (
                frame.t_device_ns,
                frame.t_host_ns,
                CLOCK_DOMAINS.index(frame.clock_domain),
                frame.frame_number,
                frame.exposure_us,
                frame.gain,
                zlib.crc32(image.data),
            )
        )

    def write_fields(self) -> None:
        if not self._pending:
            return
        stop = self.count
        for dataset, values in zip(self._fields.values(), zip(*self._pending, strict=True), strict=True):
            dataset.resize(stop, axis=0)
            dataset[stop - len(values) :] = np.asarray(values).astype(dataset.dtype)
        self._pending.clear()


class CaptureWriter:
    """Appends frames, moments, drops and clocks to a new `capture.h5`; flushed every half second.

    Example:
        >>> with CaptureWriter.create(path, header, streams) as writer:  # doctest: +SKIP
        ...     writer.append(frame)
    """

    def __init__(self, path: Path, file: h5py.File, header: CaptureHeader, streams: Sequence[StreamInfo]) -> None:
        self.path = path
        self._file = file
        self._streams = {info.name: _StreamWriter(file, info) for info in streams}
        self._names = list(self._streams)
        self._open = True
        self._broken = False
        self._write_header(header)
        self._make_tables()
        file.swmr_mode = True
        self._last_flush = time.monotonic()

    @classmethod
    def create(cls, path: Path, header: CaptureHeader, streams: Sequence[StreamInfo]) -> CaptureWriter:
        """Make a new file.

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
            return cls(path, h5py.File(path, "w-", libver="v110"), header, streams)

    def _write_header(self, header: CaptureHeader) -> None:
        attrs = self._file.attrs
        stamp(self._file, "hoi-capture")
        for name in ("sequence", "participant", "scenario", "action", "rig", "calibration", "software", "created"):
            attrs[name] = getattr(header, name)
        attrs["objects"] = json.dumps(list(header.objects))
        attrs["edge_params"] = json.dumps(dict(header.edge_params))
        attrs["complete"] = np.uint8(0)

    def _make_tables(self) -> None:
        width = len(self._names)
        sync = self._file.create_group("sync")
        sync.attrs["streams"] = self._names
        sync.create_dataset("t_ns", (0,), "i8", maxshape=(None,), chunks=(1024,))
        for name in ("index", "skew_ns"):
            sync.create_dataset(name, (0, width), "i8", maxshape=(None, width), chunks=(1024, width))
        self._file.create_dataset("drops", (0,), DROP, maxshape=(None,), chunks=(256,))
        for name in self._names:
            unknown = np.array((0, 0, np.nan, np.nan), dtype=CLOCK)
            self._file.create_dataset(f"clocks/{name}", data=unknown)

    @property
    def counts(self) -> dict[str, int]:
        """Frames written so far, by stream."""
        return {name: stream.count for name, stream in self._streams.items()}

    def append(self, frame: Frame) -> int:
        """Append a frame to its stream and return its index there; flushes when half a second has passed.

        Raises:
            SequenceError: an unknown stream, or an image of another shape or type.
            StorageError: the disk is full; what was written stays readable.
        """
        stream = self._streams.get(frame.stream)
        if stream is None:
            raise SequenceError(f"no stream {frame.stream!r} in this recording.", f"Streams: {', '.join(self._names)}.")
        with self._writing():
            stream.append(frame)
        if time.monotonic() - self._last_flush > FLUSH_S:
            self.flush()
        return stream.count - 1

    def drop(self, stream: str, frame_number: int, t_ns: int, reason: str) -> None:
        """Record that a frame is missing, with its estimated common time and why."""
        row = np.array([(stream.encode(), frame_number, t_ns, reason.encode())], dtype=DROP)
        self._extend("drops", row)

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
        missing, still = np.full(len(t_ns), -1), np.zeros(len(t_ns), dtype=np.int64)
        columns = np.stack([index.get(name, missing) for name in self._names], axis=-1)
        skews = np.stack([skew_ns.get(name, still) for name in self._names], axis=-1)
        for name, rows in (("index", columns), ("skew_ns", skews), ("t_ns", np.asarray(t_ns))):
            self._extend(f"sync/{name}", rows, first=0 if replace else None)

    def clock(
        self, stream: str, offset_ns: int, drift_ppm: float, residual_ns: float, *, reference_ns: int = 0
    ) -> None:
        """Set a stream's clock model: `t = t_device + offset + drift * (t_device - reference)`."""
        with self._writing():
            self._file[f"clocks/{stream}"][()] = np.array(
                (reference_ns, offset_ns, drift_ppm, residual_ns), dtype=CLOCK
            )

    def flush(self) -> None:
        """Make everything written so far readable, also if the program is killed right after.

        Raises:
            StorageError: the disk is (nearly) full; what was written stays readable.
        """
        _check_space(self.path)
        with self._writing():
            for stream in self._streams.values():
                stream.write_fields()
            self._file.flush()
        self._last_flush = time.monotonic()

    def close(self, *, complete: bool = True) -> None:
        """Flush, mark the recording complete (or leave it unmarked) and close; does nothing the second time."""
        if not self._open:
            return
        try:
            if not self._broken:
                with self._writing():
                    for stream in self._streams.values():
                        stream.write_fields()
                    self._file.attrs.modify("complete", np.uint8(complete))
                    self._file.close()
                self._open = False
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the file after a failed write: it stays as it was flushed last, for `hoi-data recover`."""
        if not self._open:
            return
        self._open = False
        # HDF5 cannot drop a file without writing to it once more, and half of that may fit on a full disk and
        # damage what is there. So its descriptor is led to memory first.
        nowhere = os.memfd_create("abandoned")
        with suppress(OSError, RuntimeError, ValueError):
            os.dup2(nowhere, self._file.id.get_vfd_handle())
            self._file.close()
        os.close(nowhere)

    def _extend(self, name: str, rows: np.ndarray, first: int | None = None) -> None:
        """Append rows to a table, or let it hold just these from row `first` on."""
        with self._writing():
            dataset = self._file[name]
            start = len(dataset) if first is None else first
            dataset.resize(start + len(rows), axis=0)
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
