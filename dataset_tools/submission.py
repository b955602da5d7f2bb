"""Predictions for a whole evaluation set: the files that official evaluations take, and back.

FreiHAND's and HO-3D's are `pred.json` in a zip: a list of joints and a list of meshes, in metres, in the order of the
evaluation set. FreiHAND's joints are ours; HO-3D's are in MANO's order and OpenGL's axes. DexYCB's are lines of a
number and 63 coordinates in millimetres; the number counts the images of a split, those without a hand too.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dataset_tools import readers
from dataset_tools.readers import _json_arrays
from dataset_tools.readers._native import OPENGL_M
from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core import plugins
from hoi_core.conventions import N_JOINTS, N_VERTICES, reorder
from hoi_core.errors import ConfigError, DatasetError, StorageError
from hoi_core.metrics import MM
from hoi_core.runtime import HandModel
from hoi_core.types import F64
from hoi_core.whole_file import whole_file

Protocol = Literal["freihand", "ho3d", "dexycb"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
_OF_DATASET: dict[str, Protocol] = {
    "freihand": "freihand",
    "ho3d_v2": "ho3d",
    "ho3d_v3": "ho3d",
    "dexycb": "dexycb",
}
_ORDER = {"freihand": "openpose21", "ho3d": "mano21", "dexycb": "openpose21"}
_AXES = {"freihand": np.ones(3), "ho3d": OPENGL_M, "dexycb": np.ones(3)}
_NAME = "pred.json"
_DIGITS = 7  # a tenth of a micrometre
_MM_DIGITS = 4
_MOST_BYTES = 4 << 30


@dataclass(frozen=True)
class Hands:
    """Hands of an evaluation set, in its order, each in the frame of its camera. N of them."""

    joints_m: F64
    """(N, 21, 3), openpose21."""
    vertices_m: F64 | None
    """(N, 778, 3), or another number of vertices for a mesh of one's own; None where there are no meshes."""
    ids: tuple[int, ...] | None = None
    """N numbers of the images, where the evaluation counts them."""

    def of(self, ids: tuple[int, ...]) -> Hands:
        """Those of some images, in their order; of two of one number the last, as the official code takes it.

        Raises:
            DatasetError: an image has no prediction.
        """
        place = {number: n for n, number in enumerate(self.ids or range(len(self.joints_m)))}
        absent = next((number for number in ids if number not in place), None)
        if absent is not None:
            raise DatasetError(
                f"image {absent} has no prediction; {len(ids)} images have a hand.", "Predict every one of the split."
            )
        rows = [place[number] for number in ids]
        return Hands(self.joints_m[rows], None if self.vertices_m is None else self.vertices_m[rows], ids)


def protocol_of(dataset: str) -> Protocol:
    """Which files a dataset's evaluation takes.

    Raises:
        ConfigError: none that is known here.
    """
    if dataset not in _OF_DATASET:
        raise ConfigError(f"{dataset} takes no submission.", f"These do: {', '.join(_OF_DATASET)}.")
    return _OF_DATASET[dataset]


def predict(
    model: HandModel,
    root: Path,
    dataset: str,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    split: str = "test",
) -> Iterator[tuple[F64, F64]]:
    """Joints `(21, 3)` m and mesh `(778, 3)` m of each image of a split, in its order.

    The crop is laid around the box that the dataset gives to evaluate with, else around the labelled joints.

    Args:
        model: an exported one.
        root: of the datasets.
        dataset: name of its reader.
        on_progress: told how far it is.
        split: which one; `test`, but for datasets with several tests.

    Raises:
        DatasetError: the dataset is missing or damaged, or nothing says where a hand is.
        ConfigError: the model has no mesh.
    """
    reader, home = plugins.load("dataset_tools.readers", dataset), readers.home(root, dataset)
    keys = reader.index(home, split)
    for n, key in enumerate(keys):
        sample = reader.read(home, key)
        box = reader.box_px(home, key) if hasattr(reader, "box_px") else None
        if box is None:
            box = crops.box_of(cameras.project(sample.camera, sample.joints_m), sample.joints_valid)
        found = model.predict(sample.image, sample.camera, box, side=sample.side)
        if found.vertices_m is None:
            raise ConfigError("the model predicts no mesh, which a submission needs.", "Take one that does.")
        yield found.joints_m, found.vertices_m
        if on_progress:
            on_progress(n + 1, len(keys))


def write_numbered(path: Path, ids: Sequence[int], hands: Iterator[tuple[F64, F64]]) -> int:
    """Write DexYCB's results; the file appears when all is written.

    Args:
        path: of the file (.csv).
        ids: numbers of the images.
        hands: joints and mesh of each image, in order.

    Returns:
        How many images it is for.

    Raises:
        StorageError: the disk is full or not writable.
    """
    count = 0
    try:
        with whole_file(path) as draft, draft.open("w", encoding="utf8") as out:
            for number, (joints_m, _) in zip(ids, hands, strict=True):
                values = np.round(joints_m.reshape(-1) * MM, _MM_DIGITS).tolist()
                out.write(",".join(map(str, [number, *values])) + "\n")
                count += 1
    except OSError as error:
        raise _unwritable(path, error) from error
    return count


def write(path: Path, protocol: Protocol, hands: Iterator[tuple[F64, F64]]) -> int:
    """Write a submission; it appears when all is written.

    Args:
        path: of the zip.
        protocol: whose evaluation it is for.
        hands: joints and mesh of each image, in order.

    Returns:
        How many images it is for.

    Raises:
        StorageError: the disk is full or not writable.
    """
    joints, meshes = [], []
    for joints_m, vertices_m in hands:
        native = reorder(joints_m, "openpose21", _ORDER[protocol]) * _AXES[protocol]
        joints.append(_text(native))
        meshes.append(_text(vertices_m * _AXES[protocol]))
    try:
        with whole_file(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as file:
            entry = zipfile.ZipInfo(_NAME)  # without a time: the same predictions give the same bytes
            entry.compress_type = zipfile.ZIP_DEFLATED
            with file.open(entry, "w", force_zip64=True) as out:
                out.write(b"[[" + b", ".join(joints) + b"], [")
                for n, mesh in enumerate(meshes):
                    out.write((b", " if n else b"") + mesh)
                out.write(b"]]")
    except OSError as error:
        raise _unwritable(path, error) from error
    return len(joints)


def _unwritable(path: Path, error: OSError) -> StorageError:
    reason = error.strerror or str(error)
    return StorageError(f"cannot write {path}: {reason}.", "Free some space, or name another file.")


def read(path: Path, protocol: Protocol) -> Hands:
    """Predictions out of `pred.json`, out of the zip that holds it, or out of DexYCB's lines (.csv).

    Args:
        path: of the file.
        protocol: whose order and axes it is in.

    Raises:
        DatasetError: missing, damaged, or not such a file; lists of different length, or a value that is no number.
    """
    if path.suffix == ".csv":
        return _read_numbered(path)
    remedy = "Write it again: `hoi-eval MODEL.onnx --dataset freihand --submission pred.zip`."
    try:
        content = json.loads(_bytes(path))
    except (OSError, ValueError, KeyError, RuntimeError, EOFError, zipfile.BadZipFile, RecursionError) as error:
        raise DatasetError(f"expected predictions in {path}, got {type(error).__name__}: {error}.", remedy) from error
    if not isinstance(content, list) or len(content) not in (1, 2):
        raise DatasetError(f"expected a list of joints and a list of meshes in {path}.", remedy)
    found = [_array(values, points, path, remedy) for values, points in zip(content, (N_JOINTS, None), strict=False)]
    joints, meshes = found[0], found[1] if len(found) == 2 and len(found[1]) else None
    if meshes is not None and len(meshes) != len(joints):
        raise DatasetError(f"{path} holds {len(joints)} hands but {len(meshes)} meshes.", remedy)
    return _ours(joints, meshes, protocol)


def _read_numbered(path: Path) -> Hands:
    remedy = "Write it again: `hoi-eval MODEL.onnx --dataset dexycb --submission results.csv`."
    ids, rows = [], []
    try:
        for line in path.read_text(encoding="utf8").splitlines():
            number, *values = line.split(",")
            if len(values) != 3 * N_JOINTS:
                raise ValueError(f"a line has {1 + len(values)} values, not {1 + 3 * N_JOINTS}")
            ids.append(int(number))
            rows.append([float(value) for value in values])
    except (OSError, ValueError) as error:
        raise DatasetError(f"expected predictions in {path}, got {type(error).__name__}: {error}.", remedy) from error
    return Hands(_array(rows, N_JOINTS, path, remedy, flat=True) / MM, None, tuple(ids))


def read_truth(folder: Path, protocol: Protocol, split: str = "test") -> Hands:
    """What an evaluation set publishes: `evaluation_xyz.json` and, if it is there, `evaluation_verts.json`.

    DexYCB publishes its labels image by image: of its own folder they are read one by one.

    Args:
        folder: that holds them.
        protocol: whose order and axes they are in.
        split: of DexYCB.

    Raises:
        DatasetError: missing or damaged, or of different length.
    """
    files = [folder / f"evaluation_{kind}.json" for kind in ("xyz", "verts")]
    if protocol == "dexycb" and not files[0].is_file():
        return _dexycb_truth(folder, split)
    if not files[0].is_file():
        raise DatasetError(f"expected {files[0].name} in {folder}.", "Name the folder that holds it with --truth.")
    joints = _json_arrays.load(files[0], (N_JOINTS, 3)).astype(np.float64)
    meshes = _json_arrays.load(files[1], (N_VERTICES, 3)).astype(np.float64) if files[1].is_file() else None
    if meshes is not None and len(meshes) != len(joints):
        raise DatasetError(f"{folder} holds {len(joints)} hands but {len(meshes)} meshes.", "Take both from one place.")
    return _ours(joints, meshes, protocol)


def _dexycb_truth(folder: Path, split: str) -> Hands:
    from dataset_tools.readers import dexycb

    keys = dexycb.index(folder, split)
    joints = np.stack([dexycb.labelled_joints_m(folder, key) for key in keys])
    # The official code turns labels to millimetres in their own precision.
    millimetres = (joints.astype(np.float32) * np.float32(MM)).astype(np.float64)
    return Hands(millimetres / MM, None, tuple(dexycb.image_ids(folder, split)))


def _ours(joints: F64, meshes: F64 | None, protocol: Protocol) -> Hands:
    moved = np.asarray(reorder(joints, _ORDER[protocol], "openpose21") * _AXES[protocol], np.float64)
    return Hands(moved, None if meshes is None else meshes * _AXES[protocol])


def _text(points_m: NDArray[np.floating]) -> bytes:
    return json.dumps(np.round(points_m, _DIGITS).tolist()).encode()


def _bytes(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as file:
        if file.getinfo(_NAME).file_size > _MOST_BYTES:
            raise ValueError(f"{_NAME} is larger than {_MOST_BYTES >> 30} GB")
        return file.read(_NAME)


def _array(values: object, points: int | None, path: Path, remedy: str, *, flat: bool = False) -> F64:
    """Numbers as `(N, points, 3)`, of a mesh as many points as it has; `flat` where they come as `(N, 3 * points)`."""
    wanted = f"N x {points or 'V'} x 3"
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"expected {wanted} numbers in {path}: {error}.", remedy) from error
    if flat or not found.size:
        found = found.reshape(-1, points or N_VERTICES, 3)
    if found.ndim != 3 or found.shape[2] != 3 or (points is not None and found.shape[1] != points):
        raise DatasetError(f"expected {wanted} numbers in {path}, got {found.shape}.", remedy)
    bad = np.flatnonzero(~np.isfinite(found).all((1, 2)))
    if len(bad):
        raise DatasetError(f"entry {bad[0]} of {path} holds a value that is no number.", remedy)
    return found
