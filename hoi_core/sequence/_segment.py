"""One file of a recording: the images of all streams over some minutes, with their numbers beside them."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import get_args

import h5py
import numpy as np

from hoi_core.errors import SequenceError
from hoi_core.sequence._files import write_stream_info
from hoi_core.sequence.codec import Packer, attributes, choose
from hoi_core.types import ClockDomain, Frame, StreamInfo

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
_ROWS = 1024  # of a field in one chunk: 34 s at 30 frames per second


def group_path(info: StreamInfo) -> str:
    """Where a stream lies in the file."""
    return f"/{'sensors' if info.kind == 'sensor' else 'cameras'}/{info.name}"


def segment_path(capture: Path, number: int) -> Path:
    """The file of a segment; segment 0 is the capture itself, the next `capture.001.h5`."""
    return capture if number == 0 else capture.with_name(f"{capture.stem}.{number:03d}{capture.suffix}")


class StreamPart:
    """One stream in one file: images at once, the numbers beside them in blocks."""

    def __init__(self, file: h5py.File, info: StreamInfo, settings: Mapping[str, object]) -> None:
        self.info = info
        self.count = 0
        group = file.create_group(group_path(info))
        write_stream_info(group, info)
        group.attrs["settings"] = json.dumps(dict(settings), default=str)
        prediction, packing = choose(info)
        self._pack = Packer(prediction, info.shape, info.dtype)
        self._frames = group.create_dataset(
            "frames",
            (0, *info.shape),
            info.dtype,
            maxshape=(None, *info.shape),
            chunks=(1, *info.shape),
            # Too small for a chunk: each image is packed and written at once, not copied first and flushed in bursts.
            rdcc_nbytes=1,
            **packing,
        )
        self._frames.attrs.update(attributes(prediction))
        self._memory = h5py.h5s.create_simple((1, *info.shape))
        self._fields = {
            name: group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(_ROWS,))
            for name, kind in FIELDS.items()
        }
        self._fields["clock_domain"].attrs["names"] = list(CLOCK_DOMAINS)
        self._pending: list[tuple[float, ...]] = []

    def append(self, frame: Frame) -> None:
        """Write an image now, and its numbers with the next `write_fields`."""
        image = np.ascontiguousarray(frame.image)
        if image.shape != self.info.shape or image.dtype != np.dtype(self.info.dtype):
            raise SequenceError(
                f"stream {self.info.name} takes {self.info.dtype} {self.info.shape}, got {image.dtype} {image.shape}.",
                "Check the camera's configuration.",
            )
        self._write_image(self._pack(image))
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

    def _write_image(self, packed: np.ndarray) -> None:
        # h5py's own indexing takes five times as long for the same three calls.
        frames, shape = self._frames.id, packed.shape
        frames.set_extent((self.count + 1, *shape))
        place = frames.get_space()
        place.select_hyperslab((self.count, *(0 for _ in shape)), (1, *shape))
        frames.write(self._memory, place, packed)

    def write_fields(self) -> None:
        """Write the numbers of the images since the last time."""
        if not self._pending:
            return
        first, count = self.count - len(self._pending), len(self._pending)
        memory = h5py.h5s.create_simple((count,))
        for (name, dataset), values in zip(self._fields.items(), zip(*self._pending, strict=True), strict=True):
            # As with the images: h5py's own indexing takes several times as long.
            dataset.id.set_extent((self.count,))
            place = dataset.id.get_space()
            place.select_hyperslab((first,), (count,))
            dataset.id.write(memory, place, np.array(values, dtype=FIELDS[name]))
        self._pending.clear()

    def column(self, name: str) -> np.ndarray:
        """A field of the frames whose numbers are written. `(n,)`."""
        return np.asarray(self._fields[name][:])


class CacheBehind:
    """Lets the system drop what a file has written some seconds ago from its cache of the disk.

    A recording would fill all memory with what nobody reads soon, and new memory for each image costs as much CPU as
    packing it; what was just let go is used again.
    """

    def __init__(self, file: h5py.File) -> None:
        self._descriptor = int(file.id.get_vfd_handle())
        self._marks = [0, 0]

    def let_go(self) -> None:
        """Say that what was there the last but one time is not needed; it begins to be written if it was not."""
        size = os.fstat(self._descriptor).st_size
        with suppress(OSError):  # a file system without a cache
            os.posix_fadvise(self._descriptor, self._marks[0], size - self._marks[0], os.POSIX_FADV_DONTNEED)
        self._marks = [self._marks[1], size]


class Segment:
    """The streams of one open file.

    Args:
        file: new and open for writing; in the mode for concurrent reading only after this.
        streams: what will come.
        settings: of each stream's device, by stream.
    """

    def __init__(
        self, file: h5py.File, streams: Sequence[StreamInfo], settings: Mapping[str, Mapping[str, object]]
    ) -> None:
        self.file = file
        self.cache = CacheBehind(file)
        self.parts = {info.name: StreamPart(file, info, settings.get(info.name, {})) for info in streams}

    def write_fields(self) -> None:
        """Write all numbers that wait."""
        for part in self.parts.values():
            part.write_fields()


def abandon(file: h5py.File) -> None:
    """Let go of a file after a failed write: it stays as it was flushed last."""
    # HDF5 cannot drop a file without writing to it once more, and half of that may fit on a full disk and
    # damage what is there. So its descriptor is led to memory first.
    nowhere = os.memfd_create("abandoned")
    with suppress(OSError, RuntimeError, ValueError):
        os.dup2(nowhere, file.id.get_vfd_handle())
        file.close()
    os.close(nowhere)
