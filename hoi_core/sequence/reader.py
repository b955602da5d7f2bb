"""Read a recording: lazily, one frame at a time, all its files as one, also when its recorder was killed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from hoi_core.errors import SequenceError
from hoi_core.sequence._files import OpenFile, log, open_checked, read_json
from hoi_core.sequence._segment import segment_path
from hoi_core.sequence._tables import Mark, Sync, read_clocks, read_drops, read_epochs, read_marks, read_sync
from hoi_core.sequence.clocks import Clock, Epoch
from hoi_core.sequence.drops import Drop
from hoi_core.sequence.layout import CAPTURE
from hoi_core.sequence.streams import ImageStream, Sensor, View
from hoi_core.sequence.writer import CaptureHeader

_HEADER_TEXT = ("sequence", "participant", "scenario", "action", "rig", "calibration", "software", "created")

REFERENCE = "left/color"
"""The stream whose frames are the moments; a recording without it takes its first stream."""


class Capture(OpenFile):
    """An open recording; a context manager."""

    def __init__(self, path: Path) -> None:
        self._segments: list[h5py.File] = []
        super().__init__(path, "hoi-capture", "Copy it again, or restore a backup.")

    def _read(self) -> None:
        attrs = self._file.attrs
        text = {name: str(attrs.get(name, "")) for name in _HEADER_TEXT}
        objects = tuple(json.loads(attrs["objects"]))
        self.header = CaptureHeader(objects=objects, edge_params=read_json(attrs, "edge_params"), **text)
        self.complete = bool(attrs["complete"])
        open_segments(self.path, self._file, self._segments)
        self.streams: dict[str, ImageStream] = {}
        self.views = {name: View(name, streams) for name, streams in self._groups("cameras")}
        self.sensors = {name: Sensor(name, streams) for name, streams in self._groups("sensors")}
        self.sync: Sync = read_sync(self._file, {name: len(stream) for name, stream in self.streams.items()})
        """The moments of the recording."""
        self.drops: list[Drop] = read_drops(self._file)
        """Every frame that is missing, in the order in which it was noticed."""
        self.clocks: dict[str, Clock] = read_clocks(self._file, list(self.streams))
        """Each stream's clock model."""
        self.epochs: list[Epoch] = read_epochs(self._file)
        """From which frames on numbers or times were continued."""
        self.marks: list[Mark] = read_marks(self._file)
        """What was noted while recording."""

    def _groups(self, kind: str) -> Iterator[tuple[str, dict[str, ImageStream]]]:
        for view, group in self._file.get(kind, {}).items():
            streams = {
                part: ImageStream(
                    [group[part], *(file[f"{kind}/{view}/{part}"] for file in self._segments)], f"{view}/{part}", kind
                )
                for part in group
            }
            self.streams.update({stream.name: stream for stream in streams.values()})
            yield view, streams

    @property
    def paths(self) -> list[Path]:
        """The recording's files, in order."""
        return [segment_path(self.path, k) for k in range(len(self._segments) + 1)]

    @property
    def files(self) -> list[h5py.File]:
        """The recording's open files, in order."""
        return [self._file, *self._segments]

    def close(self) -> None:
        """Close all files; what was not read yet can no longer be read."""
        for file in self._segments:
            file.close()
        super().close()

    @property
    def never_closed(self) -> bool:
        """Whether its recorder was killed, or is still running."""
        return any(file.swmr_mode for file in self.files)

    @property
    def seconds(self) -> float:
        """Time from the first to the last moment, s."""
        return float(np.ptp(self.sync.t_ns)) * 1e-9 if len(self.sync) else 0.0

    def content_hash(self) -> str:
        """SHA-256 of what was recorded: the same however the file is compressed, repacked or recovered."""
        digests = {name: stream.digest() for name, stream in self.streams.items()}
        return hash_content(self.header.sequence, self.header.participant, digests, self.sync)


def hash_content(sequence: str, participant: str, digests: Mapping[str, bytes], sync: Sync) -> str:
    """`Capture.content_hash` of its parts; `digests` are those of the streams."""
    total = hashlib.sha256(json.dumps([sequence, participant]).encode())
    for name in sorted(digests):
        total.update(digests[name])
    total.update(sync.t_ns.astype("<i8").tobytes())
    for name in sorted(sync.index):
        total.update(sync.index[name].astype("<i8").tobytes())
    return total.hexdigest()


def open_segments(path: Path, first: h5py.File, files: list[h5py.File]) -> None:
    """Open the files after the first; a recording that was closed says how many there are.

    Args:
        path: of the first.
        first: open.
        files: takes them, one by one, so that the caller can close what is open already.

    Raises:
        SequenceError: one is missing or cannot be read.
    """
    while (more := segment_path(path, len(files) + 1)).is_file():
        files.append(open_checked(more, "hoi-capture"))
    if len(files) + 1 < int(first.attrs.get("segments", 1)):
        raise SequenceError(f"{path} goes on in {more.name}, which is missing.", "Copy all files of the sequence.")


def open_capture(path: Path | str) -> Capture:
    """Open a recording for reading.

    Args:
        path: a `capture.h5`, or the folder of a sequence.

    Raises:
        SequenceError: missing, not HDF5, truncated, foreign, or of a version that this program cannot read.
    """
    path = Path(path)
    capture = Capture(path / CAPTURE if path.is_dir() else path)
    if not capture.complete and not capture.never_closed:
        log.warning("%s was closed before the recording was complete.", capture.path)
    return capture
