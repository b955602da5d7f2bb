"""Pack synthetic images into a shard: the same images give the same bytes."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from uuid import uuid4

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
)
from dataset_tools.synth.types import SynthImage, SynthView
from hoi_core.conventions import N_VERTICES, SIDES
from hoi_core.errors import ConfigError
from hoi_core.sequence import codec
from hoi_core.types import F32, ObjectPose

_BLOCK = 1 << 22  # memory is taken in pieces of so many bytes


class Packer:
    """Makes the bytes of one shard, image by image.

    Args:
        head: what it will hold.
        recipe: of the set, as text.
    """

    def __init__(self, head: Head, recipe: str) -> None:
        self._head = head
        # In memory; HDF5 wants a name that no other open file of the process has.
        self._file = h5py.File(
            uuid4().hex, "w", driver="core", backing_store=False, block_size=_BLOCK, libver=("v110", "v110")
        )
        self._streams = {name: self._stream(name) for name in STREAMS}
        # All in one attribute: each costs a fifth of a millisecond to read.
        said = {
            "format": FORMAT,
            "format_version": "{}.{}".format(*VERSION),
            "predictions": {name: packer.prediction for name, (packer, _) in self._streams.items()},
        }
        self._file.attrs["head"] = json.dumps(said | asdict(head), sort_keys=True)
        self._file.attrs["recipe"] = recipe
        self._vertices = np.zeros((head.rows, N_VERTICES, 3), np.float32)
        self._labels = np.zeros(head.rows, LABELS)
        self._objects: list[NDArray[np.void]] = []
        self._row = 0

    def _stream(self, name: str) -> tuple[codec.Packer, Images]:
        info = stream_info(name, self._head.size_px)
        prediction, options = codec.choose(info)
        data = self._file.create_dataset(
            name, (self._head.rows, *info.shape), info.dtype, chunks=(1, *info.shape), **options
        )
        data.attrs.update(codec.attributes(prediction))
        if name == "depth":
            data.attrs["depth_scale_m"] = DEPTH_UNIT_M
        return codec.Packer(prediction, info.shape, info.dtype), Images(data)

    def add(self, image: SynthImage) -> None:
        """Pack the next image.

        Raises:
            ValueError: it is not the next one, has other views or another size, or labels that are no numbers.
            ConfigError: an object's name or path is too long.
        """
        expected = self._head.first + self._row // self._head.views
        if image.index != expected or len(image.views) != self._head.views:
            raise ValueError(
                f"expected image {expected} with {self._head.views} views, got {image.index} with {len(image.views)}"
            )
        for number, view in enumerate(image.views):
            self._add_view(image, number, view)

    def _add_view(self, image: SynthImage, number: int, view: SynthView) -> None:
        labels = self._labels[self._row]
        labels["index"], labels["group"], labels["view"] = image.index, image.group, number
        pixels = {"color": view.color, "depth": _units(view.depth_m), "segmentation": view.segmentation}
        for name, content in pixels.items():
            whole = np.ascontiguousarray(content)
            pack, images = self._streams[name]
            images.write(self._row, pack(whole))
            labels[f"crc32_{name}"] = zlib.crc32(whole.data)
        self._vertices[self._row] = view.vertices_m
        labels["crc32_vertices"] = zlib.crc32(self._vertices[self._row])
        _write_labels(labels, view)
        labels["first_object"], labels["objects"] = sum(map(len, self._objects)), len(view.objects)
        objects = _object_rows(view.objects)
        self._objects.append(objects)
        labels["crc32"] = checksum(labels, objects)
        if not np.isfinite(self._vertices[self._row]).all() or not _finite(labels):
            raise ValueError(f"a label of image {image.index} is no number")
        self._row += 1

    def close(self) -> bytes:
        """The shard as a file's bytes.

        Raises:
            ValueError: images are missing.
        """
        with self._file:
            if self._row != self._head.rows:
                raise ValueError(f"expected {self._head.rows} views, got {self._row}")
            self._file.create_dataset("labels", data=self._labels)
            self._file.create_dataset("vertices_m", data=self._vertices)
            objects = np.concatenate(self._objects)
            if len(objects):
                self._file.create_dataset("objects", data=objects)
            self._file.flush()
            image: bytes = self._file.id.get_file_image()
            return image


def _units(depth_m: F32) -> NDArray[np.uint16]:
    units = np.rint(np.nan_to_num(depth_m) / DEPTH_UNIT_M)
    return np.where((units > 0) & (units < 65536), units, 0).astype(np.uint16)


def _write_labels(labels: np.void, view: SynthView) -> None:
    labels["side"] = SIDES.index(view.side)
    labels["joints_visible"], labels["joints_m"] = view.joints_visible, view.joints_m
    for name in ("orient", "pose", "betas", "trans_m", "flat_hand_mean"):
        labels[name] = getattr(view.params, name)
    camera = view.camera
    if any(camera.distortion):
        raise ValueError("a shard has no place for a lens with distortion")
    labels["intrinsics"] = camera.fx, camera.fy, camera.cx, camera.cy
    labels["T_world_cam"] = camera.T_world_cam


def _object_rows(objects: tuple[ObjectPose, ...]) -> NDArray[np.void]:
    rows = np.zeros(len(objects), OBJECTS)
    for row, shown in zip(rows, objects, strict=True):
        for name, text in (("name", shown.name), ("mesh", str(shown.mesh or ""))):
            coded = text.encode()
            if len(coded) > OBJECTS[name].itemsize:
                raise ConfigError(
                    f"a shard has {OBJECTS[name].itemsize} bytes for the {name} of an object, got {text!r}.",
                    "Give the meshes a shorter path.",
                )
            row[name] = coded
        row["T_cam_obj"], row["scale"], row["visible"] = shown.T_cam_obj, shown.scale, shown.visible
    return rows


def _finite(labels: np.void) -> bool:
    names = ("joints_m", "orient", "pose", "betas", "trans_m", "intrinsics", "T_world_cam")
    return all(bool(np.isfinite(labels[name]).all()) for name in names)
