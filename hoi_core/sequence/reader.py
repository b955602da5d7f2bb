"""Read `capture.h5`: lazily, one frame at a time, also from a recording that was killed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from hoi_core.camera import inverse_rigid
from hoi_core.errors import SequenceError
from hoi_core.sequence._files import (
    OpenFile,
    damage,
    log,
    read_json,
    read_stream_info,
    readable_rows,
    undo_left_delta,
)
from hoi_core.sequence.clocks import Clock, clock_of
from hoi_core.sequence.layout import CAPTURE
from hoi_core.sequence.writer import FIELDS, CaptureHeader
from hoi_core.types import F32, I64, Bool, Camera, ClockDomain, Frame, StreamInfo

_HEADER_TEXT = ("sequence", "participant", "scenario", "action", "rig", "calibration", "software", "created")


REFERENCE = "left/color"
"""The stream whose frames are the moments; a recording without it takes its first stream."""


@dataclass(frozen=True)
class Drop:
    """A frame that should be there and is not."""

    stream: str
    """Name of the stream."""
    frame_number: int
    """The device's number of the missing frame."""
    t_ns: int
    """Estimated common time, ns."""
    reason: str
    """`not delivered` by the device, or `queue full` in the recorder."""


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


class ImageStream:
    """One stream of a recording; indexing reads one image, iteration reads them in order."""

    def __init__(self, group: h5py.Group, name: str, kind: str) -> None:
        self.info: StreamInfo = read_stream_info(group, name, kind)
        self.name = name
        self._frames = group["frames"]
        self._delta = self._frames.attrs["filter"] == "left_delta"
        # A killed recorder leaves images whose numbers were not written yet: count whole frames only.
        self._count = min(readable_rows(group[name]) for name in ("frames", *FIELDS))
        self._fields = {field: group[field][: self._count] for field in FIELDS}
        self._domains: list[ClockDomain] = list(group["clock_domain"].attrs["names"])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, i: int) -> NDArray[np.unsignedinteger]:
        n = len(self)
        if not -n <= i < n:
            raise IndexError(f"stream {self.name} has {n} frames, asked for {i}")
        with damage(Path(self._frames.file.filename), "Check the recording with `hoi-data check`."):
            image = self._frames[int(i) % n]
        return undo_left_delta(image) if self._delta else image

    def __iter__(self) -> Iterator[NDArray[np.unsignedinteger]]:
        return (self[i] for i in range(len(self)))

    @property
    def camera(self) -> Camera:
        """Intrinsics and calibrated pose of this stream's imager."""
        return self.info.camera

    @property
    def scale_m(self) -> float | None:
        """Metres per unit, on depth streams."""
        return self.info.depth_scale_m

    @property
    def t_device_ns(self) -> I64:
        """(N,) mid-exposure on the device's clock, ns."""
        return self._fields["t_device_ns"]

    @property
    def t_host_ns(self) -> I64:
        """(N,) arrival on the host's monotonic clock, ns."""
        return self._fields["t_host_ns"]

    @property
    def frame_number(self) -> I64:
        """(N,) the device's own counter."""
        return self._fields["frame_number"]

    @property
    def exposure_us(self) -> F32:
        """(N,) exposure time, microseconds; NaN where unknown."""
        return self._fields["exposure_us"]

    @property
    def gain(self) -> F32:
        """(N,) sensor gain, device units; NaN where unknown."""
        return self._fields["gain"]

    @property
    def crc32(self) -> NDArray[np.uint32]:
        """(N,) checksum of each image as it came from the camera."""
        return self._fields["crc32"]

    @property
    def clock_domain(self) -> list[ClockDomain]:
        """Clock of `t_device_ns`, for each of the N frames."""
        return [self._domains[k] for k in self._fields["clock_domain"]]

    def frame(self, i: int) -> Frame:
        """Frame `i` as the camera delivered it."""
        values = {name: column[i].item() for name, column in self._fields.items() if name != "crc32"}
        values["clock_domain"] = self._domains[values["clock_domain"]]
        return Frame(stream=self.name, image=self[i], **values)

    def digest(self) -> bytes:
        """Hash of the stream's content: image checksums, times and numbers."""
        total = hashlib.sha256(f"{self.name} {self.info.shape} {self.info.dtype}".encode())
        for name, kind in FIELDS.items():
            total.update(np.ascontiguousarray(self._fields[name], dtype=f"<{kind}").tobytes())
        return total.digest()


class View:
    """One RGB-D camera of a recording."""

    def __init__(self, name: str, streams: Mapping[str, ImageStream]) -> None:
        self.name = name
        self._streams = streams

    def _stream(self, kind: str) -> ImageStream:
        if kind not in self._streams:
            raise SequenceError(
                f"view {self.name} has no {kind} stream, only {', '.join(self._streams)}.", "Record it with the rig."
            )
        return self._streams[kind]

    @property
    def color(self) -> ImageStream:
        """Colour images, (H, W, 3) uint8 RGB."""
        return self._stream("color")

    @property
    def depth(self) -> ImageStream:
        """Depth images in their own frame, (H, W) uint16 units of `scale_m`; 0 where nothing was measured."""
        return self._stream("depth")

    @property
    def infrared(self) -> ImageStream | None:
        """Left infrared images, (H, W) uint8, if they were recorded."""
        return self._streams.get("infrared")

    @property
    def camera(self) -> Camera:
        """The colour camera."""
        return self.color.camera

    @cached_property
    def _align(self) -> Callable[[NDArray[np.unsignedinteger]], F32]:
        from hoi_core.sequence.align import aligner

        info, T = self.depth.info, self.depth.info.T_depth_color
        if info.depth_scale_m is None:
            raise SequenceError(f"{info.name} does not say how long its unit is.", "Record it again.")
        if T is None:
            T = inverse_rigid(info.camera.T_world_cam) @ self.camera.T_world_cam
        return aligner(info.camera, self.camera, T, info.depth_scale_m)

    def depth_in_color_m(self, i: int) -> F32:
        """Depth frame `i` (an index of the depth stream) as the colour camera sees it.

        Returns:
            (H, W) float32 m along the colour camera's z; 0 where nothing was measured.
        """
        return self._align(self.depth[i])


class Sensor:
    """A gray-and-edge sensor of a recording."""

    def __init__(self, name: str, streams: Mapping[str, ImageStream]) -> None:
        self.name = name
        self.gray = streams["gray"]
        self.edge = streams["edge"]

    @property
    def camera(self) -> Camera:
        """Intrinsics and calibrated pose."""
        return self.gray.camera


class Capture(OpenFile):
    """An open recording; a context manager."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "hoi-capture", "Copy it again, or restore a backup.")

    def _read(self) -> None:
        attrs = self._file.attrs
        text = {name: str(attrs.get(name, "")) for name in _HEADER_TEXT}
        objects = tuple(json.loads(attrs["objects"]))
        self.header = CaptureHeader(objects=objects, edge_params=read_json(attrs, "edge_params"), **text)
        self.complete = bool(attrs["complete"])
        self.streams: dict[str, ImageStream] = {}
        self.views = {name: View(name, streams) for name, streams in self._groups("cameras")}
        self.sensors = {name: Sensor(name, streams) for name, streams in self._groups("sensors")}
        self.sync: Sync = self._read_sync()
        """The moments of the recording."""
        self.drops: list[Drop] = self._read_drops()
        """Every frame that is missing, in the order in which it was noticed."""
        self.clocks: dict[str, Clock] = self._read_clocks()
        """Each stream's clock model."""

    def _groups(self, kind: str) -> Iterator[tuple[str, dict[str, ImageStream]]]:
        for view, group in self._file.get(kind, {}).items():
            streams = {part: ImageStream(group[part], f"{view}/{part}", kind) for part in group}
            self.streams.update({stream.name: stream for stream in streams.values()})
            yield view, streams

    def _read_sync(self) -> Sync:
        group = self._file["sync"]
        names = [str(name) for name in group.attrs["streams"]]
        if missing := [name for name in names if name not in self.streams]:
            raise ValueError(f"it has no {' and no '.join(missing)}")
        count = min(readable_rows(group[name]) for name in ("t_ns", "index", "skew_ns"))
        index, skew = group["index"][:count], group["skew_ns"][:count]
        limit = np.array([len(self.streams[name]) for name in names])
        # Of a killed recording, moments may name frames that did not make it to the disk.
        index = np.where(index < limit, index, -1)
        return Sync(
            t_ns=group["t_ns"][:count],
            index={name: np.ascontiguousarray(index[:, k]) for k, name in enumerate(names)},
            skew_ns={name: np.ascontiguousarray(skew[:, k]) for k, name in enumerate(names)},
        )

    def _read_drops(self) -> list[Drop]:
        rows = self._file["drops"]
        return [
            Drop(row["stream"].decode(), int(row["frame_number"]), int(row["t_ns"]), row["reason"].decode())
            for row in rows[: readable_rows(rows)]
        ]

    def _read_clocks(self) -> dict[str, Clock]:
        pieces = self._file.get("clock_pieces", {})
        return {
            name: clock_of(pieces[name][()] if name in pieces else None, self._file[f"clocks/{name}"][()])
            for name in self.streams
        }

    @property
    def never_closed(self) -> bool:
        """Whether its recorder was killed, or is still running."""
        return bool(self._file.swmr_mode)

    @property
    def seconds(self) -> float:
        """Time from the first to the last moment, s."""
        return float(np.ptp(self.sync.t_ns)) * 1e-9 if len(self.sync) else 0.0

    def content_hash(self) -> str:
        """SHA-256 of what was recorded: the same however the file is compressed, repacked or recovered."""
        total = hashlib.sha256(json.dumps([self.header.sequence, self.header.participant]).encode())
        for name in sorted(self.streams):
            total.update(self.streams[name].digest())
        sync = self.sync
        total.update(sync.t_ns.astype("<i8").tobytes())
        for name in sorted(sync.index):
            total.update(sync.index[name].astype("<i8").tobytes())
        return total.hexdigest()


def open_capture(path: Path | str) -> Capture:
    """Open a recording for reading.

    Args:
        path: a `capture.h5`, or the folder of a sequence.

    Raises:
        SequenceError: missing, not HDF5, truncated, foreign, or of a version that this program cannot read.
    """
    path = Path(path)
    capture = Capture(path / CAPTURE if path.is_dir() else path)
    if not capture.complete and not capture._file.swmr_mode:
        log.warning("%s was closed before the recording was complete.", capture.path)
    return capture
