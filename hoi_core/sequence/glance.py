"""What an index needs of a labelled sequence, without opening its streams: thousands of sequences in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from hoi_core.conventions import Side
from hoi_core.sequence._files import OpenFile, read_camera, read_whole
from hoi_core.sequence._revision_io import HandPlaces
from hoi_core.sequence._segment import FIELDS
from hoi_core.sequence._tables import SYNC, sync_of
from hoi_core.sequence.annotation import Binding, open_annotation
from hoi_core.sequence.layout import CAPTURE
from hoi_core.sequence.reader import hash_content, open_capture, open_segments
from hoi_core.sequence.streams import stream_digest
from hoi_core.types import I64, Camera


@dataclass(frozen=True)
class Glance:
    """A recording and its current labels, as far as an index asks."""

    revision: str
    """Name of the current revision."""
    binding: Binding
    """What the labels hold for."""
    cameras: Mapping[str, Camera]
    """Colour camera of each view that has one."""
    hands: Mapping[Side, HandPlaces]
    """Labelled hands."""
    frame_index: Mapping[str, I64]
    """view -> (M,) frame of its colour stream, -1 where there is none."""


def glance(folder: Path) -> Glance:
    """Where the hands of a sequence's current labels are, made sure that the labels are of its recording.

    Args:
        folder: of the sequence.

    Raises:
        SequenceError: a file is missing, damaged or of a version that cannot be read, or the labels are of another
            recording.
    """
    with open_annotation(folder) as labels:
        hands, frame_index = labels.places()
        cameras, content_hash = _recording(folder / CAPTURE)
        labels.check_hash(content_hash)
        return Glance(labels.current, labels.binding, cameras, hands, frame_index)


def _recording(path: Path) -> tuple[Mapping[str, Camera], str]:
    """Colour cameras by view, and the hash of the content."""
    with _Outline(path) as outline:
        if outline.content_hash:
            return outline.cameras, outline.content_hash
    # Of a file that was never closed, the frames that reached the disk are counted one by one.
    with open_capture(path) as capture:
        streams = capture.streams
        return {name: streams[f"{name}/color"].camera for name in outline.cameras}, capture.content_hash()


class _Outline(OpenFile):
    """A recording's cameras and hash; the latter is empty where its recorder never closed a file."""

    def __init__(self, path: Path) -> None:
        self._segments: list[h5py.File] = []
        super().__init__(path, "hoi-capture", "Copy it again, or restore a backup.")

    def _read(self) -> None:
        open_segments(self.path, self._file, self._segments)
        named = dict(self._streams())
        views = {name.removesuffix("/color"): where for name, where in named.items() if where.endswith("/color")}
        self.cameras = {view: read_camera(self._file[where].attrs) for view, where in views.items()}
        closed = not any(file.swmr_mode for file in self._files)
        self.content_hash = self._hash(named) if closed else ""

    @property
    def _files(self) -> list[h5py.File]:
        return [self._file, *self._segments]

    def _streams(self) -> Iterator[tuple[str, str]]:
        """Names of the streams and the paths of their groups, such as `cameras/left/color`."""
        for kind in ("cameras", "sensors"):
            for view, group in self._file.get(kind, {}).items():
                yield from ((f"{view}/{part}", f"{kind}/{view}/{part}") for part in group)

    def _hash(self, named: Mapping[str, str]) -> str:
        lengths, digests = {}, {}
        for name, where in named.items():
            images = [h5py.h5d.open(file.id, f"{where}/frames".encode()) for file in self._files]
            parts = [self._part(file, where, i.shape[0]) for file, i in zip(self._files, images, strict=True)]
            joined = {field: np.concatenate([part[field] for part in parts]) for field in FIELDS}
            lengths[name] = len(joined["crc32"])
            digests[name] = stream_digest(name, images[0].shape[1:], str(images[0].dtype), joined)
        columns = {name: read_whole(self._file, f"sync/{name}") for name in SYNC}
        sync = sync_of([str(name) for name in self._file["sync"].attrs["streams"]], columns, lengths)
        attrs = self._file.attrs
        return hash_content(str(attrs.get("sequence", "")), str(attrs.get("participant", "")), digests, sync)

    @staticmethod
    def _part(file: h5py.File, where: str, images: int) -> dict[str, np.ndarray]:
        """The numbers beside a stream's whole frames in one file."""
        fields = {field: read_whole(file, f"{where}/{field}") for field in FIELDS}
        count = min(images, *(len(values) for values in fields.values()))
        return {field: values[:count] for field, values in fields.items()}

    def close(self) -> None:
        """Close all files."""
        for file in self._segments:
            file.close()
        super().close()
