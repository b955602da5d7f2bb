"""The streams of a recording: images read one at a time, from however many files they lie in."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hoi_core.camera import inverse_rigid
from hoi_core.errors import SequenceError
from hoi_core.sequence._files import damage, read_json, read_stream_info, readable_rows
from hoi_core.sequence._segment import FIELDS
from hoi_core.sequence.codec import Image, is_blosc, named, undo, unpack
from hoi_core.types import F32, F64, I64, Camera, ClockDomain, Frame, StreamInfo

if TYPE_CHECKING:
    from hoi_core.sequence.align import Aligner

_AT_ONCE = 16
"""Images that are kept get memory for so many at a time."""


class _Part:
    """The frames of one stream in one file."""

    def __init__(self, group: h5py.Group) -> None:
        self.frames = group["frames"]
        self.prediction = named(self.frames.attrs)
        self._direct = is_blosc(self.frames)
        self.path = Path(self.frames.file.filename)
        # A killed recorder leaves images whose numbers were not written yet: count whole frames only.
        self.count = min(readable_rows(group[name]) for name in ("frames", *FIELDS))
        self.fields = {field: group[field][: self.count] for field in FIELDS}
        self._own = local()

    def read(self, i: int, out: Image) -> Image:
        """Image `i`, in `out` or in an array of its own."""
        packed = self._packed() if self.prediction in ("left", "green_left") else out
        with damage(self.path, "Check the recording with `hoi-data check`."):
            self._stored(i, packed)
        return undo(self.prediction, packed, out)

    def _stored(self, i: int, out: Image) -> None:
        """What was stored of image `i`. HDF5's own way holds Python's lock and copies twice."""
        if self._direct:
            skipped, chunk = self.frames.id.read_direct_chunk((i, *[0] * out.ndim))
            if not skipped:
                unpack(chunk, out)
                return
        self.frames.read_direct(out, np.s_[i])

    def _packed(self) -> Image:
        """For what was stored of an image: memory that the thread uses again, as new memory costs much more."""
        found: Image | None = getattr(self._own, "packed", None)
        if found is None:
            found = self._own.packed = np.empty(self.frames.shape[1:], self.frames.dtype)
        return found


class ImageStream:
    """One stream of a recording; indexing reads one image, iteration reads them in order."""

    def __init__(self, groups: Sequence[h5py.Group], name: str, kind: str) -> None:
        self.info: StreamInfo = read_stream_info(groups[0], name, kind)
        self.name = name
        self.settings: dict[str, object] = read_json(groups[0].attrs, "settings")
        """How the device was set while it recorded: exposure, gain, firmware, ...; empty in format 1.0."""
        self._parts = [_Part(group) for group in groups]
        self._first = [0, *np.cumsum([part.count for part in self._parts]).tolist()]
        self._fields = {field: np.concatenate([part.fields[field] for part in self._parts]) for field in FIELDS}
        self._domains: list[ClockDomain] = list(groups[0]["clock_domain"].attrs["names"])
        self._kept: dict[int, Image] = {}
        self._room = 0
        self._free: list[Image] = []

    def __len__(self) -> int:
        return self._first[-1]

    def __getitem__(self, i: int) -> Image:
        n = len(self)
        if not -n <= i < n:
            raise IndexError(f"stream {self.name} has {n} frames, asked for {i}")
        i = int(i) % n
        if i in self._kept:
            return self._kept[i]
        k = bisect_right(self._first, i) - 1
        keep = self.room
        image = self._parts[k].read(i - self._first[k], self._place() if keep else self._empty())
        if keep:
            self._kept[i] = image
        return image

    def _empty(self, *several: int) -> Image:
        return np.empty((*several, *self.info.shape), self.info.dtype)

    def _place(self) -> Image:
        """Memory for an image that is kept. Many are asked for at once: the system gives large pieces for far less."""
        try:
            return self._free.pop()
        except IndexError:
            first, *rest = self._empty(_AT_ONCE)
            self._free.extend(rest)
            return first

    @contextmanager
    def keeping(self, most_bytes: int) -> Iterator[None]:
        """Within it, images that are read again are not decoded again; nobody may change them.

        Args:
            most_bytes: memory for them; images beyond are decoded each time.
        """
        size = int(np.prod(self.info.shape)) * np.dtype(self.info.dtype).itemsize
        self._room = most_bytes // size
        try:
            yield
        finally:
            self._kept, self._room, self._free = {}, 0, []

    @property
    def room(self) -> bool:
        """Whether another image would be kept, within `keeping`."""
        return len(self._kept) < self._room

    @property
    def part_lengths(self) -> list[int]:
        """Number of frames in each of the recording's files."""
        return [part.count for part in self._parts]

    def __iter__(self) -> Iterator[Image]:
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
        """(N,) mid-exposure on the device's clock, ns; goes on where that clock began anew (`Capture.epochs`)."""
        return self._fields["t_device_ns"]

    @property
    def t_host_ns(self) -> I64:
        """(N,) arrival on the host's monotonic clock, ns."""
        return self._fields["t_host_ns"]

    @property
    def frame_number(self) -> I64:
        """(N,) the device's counter, continued where it began anew (`Capture.epochs`): a gap is a drop."""
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
        return stream_digest(self.name, self.info.shape, self.info.dtype, self._fields)


def stream_digest(name: str, shape: tuple[int, ...], dtype: str, fields: Mapping[str, NDArray[Any]]) -> bytes:
    """Hash of a stream's content.

    Args:
        name: `<view>/<kind>`.
        shape: of an image.
        dtype: of an image.
        fields: the numbers beside the N images, by name, `(N,)` each.
    """
    total = hashlib.sha256(f"{name} {shape} {dtype}".encode())
    for field, kind in FIELDS.items():
        total.update(np.ascontiguousarray(fields[field], dtype=f"<{kind}").tobytes())
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
    def _aligner(self) -> Aligner:
        from hoi_core.sequence.align import Aligner

        info, T = self.depth.info, self.depth.info.T_depth_color
        if info.depth_scale_m is None:
            raise SequenceError(f"{info.name} does not say how long its unit is.", "Record it again.")
        if T is None:
            T = inverse_rigid(info.camera.T_world_cam) @ self.camera.T_world_cam
        return Aligner(info.camera, self.camera, T, info.depth_scale_m)

    def depth_in_color_m(self, i: int) -> F32:
        """Depth frame `i` (an index of the depth stream) as the colour camera sees it.

        Returns:
            (H, W) float32 m along the colour camera's z; 0 where nothing was measured.
        """
        return self._aligner.image(self.depth[i])

    def depth_around_m(self, i: int, pixels: F64, reach_px: int) -> F64:
        """Median depth of frame `i` around some pixels of the colour image, without aligning all of it.

        Args:
            i: index of the depth stream.
            pixels: `(K, 2)` px of the colour image, as its lens forms it; may be NaN or outside.
            reach_px: half the side of the square that is looked at.

        Returns:
            `(K,)` m along the colour camera's z; NaN where nothing was measured.
        """
        return self._aligner.around(self.depth[i], pixels, reach_px)


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
