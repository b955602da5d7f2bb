"""Read shards: any view of any image by itself, checked against the checksums that it was written with."""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from dataset_tools.synth.shard_layout import (
    DEPTH_UNIT_M,
    FORMAT,
    LABELS,
    OBJECTS,
    STREAMS,
    VERSION,
    Head,
    Images,
    checksum,
    stream_info,
    type_of,
)
from dataset_tools.synth.types import SynthView
from hoi_core.conventions import N_VERTICES, SIDES, Side
from hoi_core.errors import DatasetError
from hoi_core.sequence import codec
from hoi_core.types import F32, F64, U8, Bool, Camera, HandParams, ObjectPose

REMEDY = "Remove the file and type the same `hoi-data synth` again: it makes what is missing."


class Shard:
    """A shard that is open for reading. Rows count views: image after image, each view by itself."""

    def __init__(self, path: Path) -> None:
        """Open it and make sure that it is whole.

        Raises:
            DatasetError: missing, truncated, damaged, or of another format.
        """
        self.path = path
        with self._damage():
            # Without HDF5's own cache, which would hold images of every open shard.
            self._file = h5py.File(path, "r", rdcc_nbytes=0)
        try:
            with self._damage():
                self._take_over()
        except DatasetError:
            self._file.close()
            raise

    def _take_over(self) -> None:
        head = json.loads(self._file.attrs["head"])
        kind, version = head.pop("format"), head.pop("format_version")
        if kind != FORMAT or int(version.split(".", 1)[0]) != VERSION[0]:
            raise ValueError(f"its format is {kind} {version}, not {FORMAT} {VERSION[0]}")
        self._undo = head.pop("predictions")
        self.head = Head(**head)
        self._streams = {}
        for name in STREAMS:
            info = stream_info(name, self.head.size_px)
            self._streams[name] = Images(self._checked(name, type_of(info.dtype), info.shape))
        with self.path.open("rb") as file:
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.labels = self._table("labels", LABELS)
        """(rows,) of `LABELS`, in the file: not checked."""
        self._checked_rows = bytearray(self.head.rows)
        self._vertices = self._table("vertices_m", np.dtype("<f4"), (N_VERTICES, 3))
        count = int(self.labels["objects"].sum())
        self._objects = self._table("objects", OBJECTS, rows=count) if count else np.zeros(0, OBJECTS)

    def view(self, row: int) -> SynthView:
        """Everything of one view."""
        return SynthView(
            self.color(row),
            self.depth_m(row),
            self.segmentation(row),
            self.camera(row),
            self.side(row),
            self.joints_m(row),
            self.joints_visible(row),
            self.vertices_m(row),
            self.params(row),
            self.objects(row),
        )

    def color(self, row: int) -> U8:
        """`(S, S, 3)` RGB."""
        return self._pixels("color", row).astype(np.uint8, copy=False)

    def depth_m(self, row: int) -> F32:
        """`(S, S)` m; 0 where unknown."""
        return self._pixels("depth", row).astype(np.float32) * np.float32(DEPTH_UNIT_M)

    def segmentation(self, row: int) -> U8:
        """`(S, S)`, values of `dataset_tools.synth.types`."""
        return self._pixels("segmentation", row).astype(np.uint8, copy=False)

    def vertices_m(self, row: int) -> F64:
        """`(778, 3)` m, camera frame."""
        found = self._vertices[row]
        self._expect(zlib.crc32(found) == self._sound(row)["crc32_vertices"], row, "mesh")
        return found.astype(np.float64)

    def camera(self, row: int) -> Camera:
        """Lens and place."""
        labels, size = self._sound(row), self.head.size_px
        fx, fy, cx, cy = labels["intrinsics"].tolist()
        return Camera(size, size, fx, fy, cx, cy, T_world_cam=labels["T_world_cam"].copy())

    def side(self, row: int) -> Side:
        """Which hand is labelled."""
        return SIDES[int(self._sound(row)["side"])]

    def joints_m(self, row: int) -> F64:
        """`(21, 3)` m, camera frame."""
        return self._sound(row)["joints_m"].astype(np.float64)

    def joints_visible(self, row: int) -> Bool:
        """`(21,)` whether the image shows the joint."""
        return self._sound(row)["joints_visible"].astype(np.bool_)

    def params(self, row: int) -> HandParams:
        """The hand model's parameters."""
        labels = self._sound(row)
        values = {name: labels[name].astype(np.float64) for name in ("orient", "pose", "betas", "trans_m")}
        return HandParams(**values, flat_hand_mean=bool(labels["flat_hand_mean"]))

    def objects(self, row: int) -> tuple[ObjectPose, ...]:
        """Poses of the objects, with the mesh as it is named in the file."""
        labels = self._sound(row)
        found = self._objects[labels["first_object"] :][: labels["objects"]]
        return tuple(
            ObjectPose(
                one["name"].decode(),
                one["T_cam_obj"].copy(),
                Path(one["mesh"].decode()) if one["mesh"] else None,
                float(one["scale"]),
                float(one["visible"]),
            )
            for one in found
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _sound(self, row: int) -> np.void:
        """A row of the labels, checked when it is first asked for."""
        labels = self.labels[row]
        if self._checked_rows[row]:
            return labels
        objects = self._objects[labels["first_object"] :][: labels["objects"]]
        self._expect(checksum(labels, objects) == labels["crc32"] and labels["side"] < len(SIDES), row, "labels")
        self._checked_rows[row] = True
        return labels

    def _pixels(self, name: str, row: int) -> NDArray[np.unsignedinteger]:
        with self._damage():
            pixels = codec.undo(self._undo[name], self._streams[name].read(row))
        self._expect(zlib.crc32(pixels.data) == self._sound(row)[f"crc32_{name}"], row, name)
        return pixels

    def _expect(self, holds: bool, row: int, what: str) -> None:
        if not holds:
            raise DatasetError(
                f"{self.path} is damaged: the {what} of view {row} changed since it was written.", REMEDY
            )

    def _checked(
        self, name: str, kind: h5py.h5t.TypeID, shape: tuple[int, ...], rows: int | None = None
    ) -> h5py.Dataset:
        data, expected = self._file[name], (self.head.rows if rows is None else rows, *shape)
        if data.shape != expected or not data.id.get_type().equal(kind):
            raise ValueError(f"expected {expected} numbers in {name}, got {data.shape} of {data.dtype}")
        return data

    def _table(
        self, name: str, kind: np.dtype[Any], shape: tuple[int, ...] = (), rows: int | None = None
    ) -> NDArray[Any]:
        """An uncompressed table, in the file: reading a row through HDF5 takes thirty times as long."""
        data = self._checked(name, type_of(kind), shape, rows)
        offset = data.id.get_offset()
        if offset is None:
            raise ValueError(f"{name} is not stored in one piece")
        return np.ndarray(data.shape, kind, self._mapped, offset)

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """Turn what a damaged file makes h5py raise into `DatasetError`."""
        try:
            yield
        except FileNotFoundError as error:
            raise DatasetError(f"expected a file {self.path}, found none.", REMEDY) from error
        except (KeyError, OSError, ValueError, TypeError, IndexError, RuntimeError) as error:
            reason = str(error.args[0] if error.args else error).split("\n", 1)[0]
            raise DatasetError(f"{self.path} is damaged: {reason}.", REMEDY) from error
