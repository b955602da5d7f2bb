"""What lies where in a shard: HDF5 files of a few hundred synthetic images with all labels, lossless.

`/color`, `/depth` and `/segmentation` hold an image in each chunk, packed as in a recording
(`hoi_core.sequence.codec`). `/labels` is a table of one row for each view, `/objects` one of the objects in them,
`/vertices_m` the meshes; none of these is compressed, so that they can be mapped into memory.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hoi_core.conventions import N_BETAS, N_JOINTS
from hoi_core.types import Camera, StreamInfo

FORMAT = "hoi-synth-shard"
VERSION = (1, 0)
DEPTH_UNIT_M = 1e-4
"""Metres per unit of the depth; what is farther than 6.5 m is stored as unknown."""

LABELS = np.dtype(
    [
        ("index", "<i8"),  # of the image in its recipe
        ("group", "<i8"),
        ("view", "u1"),
        ("side", "u1"),  # in the order of `hoi_core.conventions.SIDES`
        ("joints_visible", "u1", (N_JOINTS,)),
        ("joints_m", "<f4", (N_JOINTS, 3)),
        ("orient", "<f4", (3,)),
        ("pose", "<f4", (45,)),
        ("betas", "<f4", (N_BETAS,)),
        ("trans_m", "<f4", (3,)),
        ("flat_hand_mean", "u1"),
        ("intrinsics", "<f8", (4,)),  # fx, fy, cx, cy in px; lenses have no distortion
        ("T_world_cam", "<f8", (4, 4)),
        ("first_object", "<i4"),
        ("objects", "<i4"),
        ("crc32_vertices", "<u4"),
        ("crc32_color", "<u4"),
        ("crc32_depth", "<u4"),
        ("crc32_segmentation", "<u4"),
        ("crc32", "<u4"),  # of this row up to here and of its objects
    ]
)
"""One row of `/labels`; camera frame, units and orders of `hoi_core.conventions`."""
OBJECTS = np.dtype(
    [("name", "S128"), ("mesh", "S256"), ("T_cam_obj", "<f8", (4, 4)), ("scale", "<f8"), ("visible", "<f8")]
)
"""One row of `/objects`."""

STREAMS = {"color": ("color", 3, "uint8"), "depth": ("depth", 0, "uint16"), "segmentation": ("labels", 0, "uint8")}


@dataclass(frozen=True)
class Head:
    """What a shard holds; stored in its attributes."""

    owner: str
    """Identity of the set that it belongs to: shards of another set are refused."""
    first: int
    """Number of its first image."""
    images: int
    """How many images follow each other."""
    views: int
    """Views of each image."""
    size_px: int
    """Edge of the images, px."""

    @property
    def rows(self) -> int:
        """Views of all images."""
        return self.images * self.views


class Images:
    """A stack of images of which one is written or read at a time; h5py's own indexing costs four times as much.

    Args:
        data: `(rows, H, W[, C])`, one image in each chunk.
    """

    def __init__(self, data: h5py.Dataset) -> None:
        self._data, self._shape, self._kind = data, data.shape, data.dtype
        self._start = [0] * data.ndim
        self._count = (1, *data.shape[1:])
        self._memory, self._place = h5py.h5s.create_simple(self._count), data.id.get_space()

    def write(self, row: int, image: NDArray[np.generic]) -> None:
        """Write an image. `(H, W[, C])`, contiguous."""
        self._data.id.write(self._memory, self._at(row), image.reshape(self._count))

    def read(self, row: int) -> NDArray[np.unsignedinteger]:
        """Read an image. `-> (H, W[, C])`."""
        image = np.empty(self._count, self._kind)
        self._data.id.read(self._memory, self._at(row), image)
        return image[0]

    def _at(self, row: int) -> h5py.h5s.SpaceID:
        if not 0 <= row < self._shape[0]:
            raise IndexError(f"no row {row} among {self._shape[0]}")
        self._start[0] = row
        self._place.select_hyperslab(tuple(self._start), self._count)
        return self._place


def stream_info(name: str, size_px: int) -> StreamInfo:
    """A kind of image as the codec knows them."""
    content, channels, dtype = STREAMS[name]
    shape = (size_px, size_px, channels) if channels else (size_px, size_px)
    camera = Camera(size_px, size_px, 1.0, 1.0, 0.0, 0.0)
    return StreamInfo(f"synth/{content}", "camera", shape, dtype, 0.0, camera)


@cache
def type_of(kind: np.dtype[Any] | str) -> h5py.h5t.TypeID:
    """How HDF5 stores a type."""
    return h5py.h5t.py_create(np.dtype(kind), logical=True)


def checksum(labels: np.void, objects: NDArray[np.void]) -> int:
    """Of a row without its last entry, and of its objects."""
    return zlib.crc32(objects.tobytes(), zlib.crc32(labels.tobytes()[: -LABELS["crc32"].itemsize]))
