"""Predictions for a whole evaluation set: the files that FreiHAND's and HO-3D's evaluation servers take, and back.

Both are `pred.json` in a zip: a list of joints and a list of meshes, in metres, in the order of the evaluation set.
FreiHAND's joints are ours; HO-3D's are in MANO's order and OpenGL's axes.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
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
from hoi_core.runtime import HandModel
from hoi_core.types import F64
from hoi_core.whole_file import whole_file

Protocol = Literal["freihand", "ho3d"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
_OF_DATASET: dict[str, Protocol] = {"freihand": "freihand", "ho3d_v2": "ho3d", "ho3d_v3": "ho3d"}
_ORDER = {"freihand": "openpose21", "ho3d": "mano21"}
_AXES = {"freihand": np.ones(3), "ho3d": OPENGL_M}
_NAME = "pred.json"
_DIGITS = 7  # a tenth of a micrometre
_MOST_BYTES = 4 << 30


@dataclass(frozen=True)
class Hands:
    """Hands of an evaluation set, in its order, each in the frame of its camera. N of them."""

    joints_m: F64
    """(N, 21, 3), openpose21."""
    vertices_m: F64 | None
    """(N, 778, 3); None where there are no meshes."""


def protocol_of(dataset: str) -> Protocol:
    """Which files a dataset's evaluation takes.

    Raises:
        ConfigError: none that is known here.
    """
    if dataset not in _OF_DATASET:
        raise ConfigError(f"{dataset} takes no submission.", f"These do: {', '.join(_OF_DATASET)}.")
    return _OF_DATASET[dataset]


def predict(
    model: HandModel, root: Path, dataset: str, on_progress: Callable[[int, int], None] | None = None
) -> Iterator[tuple[F64, F64]]:
    """Joints `(21, 3)` m and mesh `(778, 3)` m of each image of a dataset's test split, in its order.

    The crop is laid around the box that the dataset gives to evaluate with, else around the labelled joints.

    Args:
        model: an exported one.
        root: of the datasets.
        dataset: name of its reader.
        on_progress: told how far it is.

    Raises:
        DatasetError: the dataset is missing or damaged, or nothing says where a hand is.
        ConfigError: the model has no mesh.
    """
    reader, home = plugins.load("dataset_tools.readers", dataset), readers.home(root, dataset)
    keys = reader.index(home, "test")
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
        reason = error.strerror or str(error)
        raise StorageError(f"cannot write {path}: {reason}.", "Free some space, or name another file.") from error
    return len(joints)


def read(path: Path, protocol: Protocol) -> Hands:
    """Predictions out of `pred.json`, or out of the zip that holds it.

    Args:
        path: of the file.
        protocol: whose order and axes it is in.

    Raises:
        DatasetError: missing, damaged, or not such a file; lists of different length, or a value that is no number.
    """
    remedy = "Write it again: `hoi-eval MODEL.onnx --dataset freihand --submission pred.zip`."
    try:
        content = json.loads(_bytes(path))
    except (OSError, ValueError, KeyError, RuntimeError, EOFError, zipfile.BadZipFile, RecursionError) as error:
        raise DatasetError(f"expected predictions in {path}, got {type(error).__name__}: {error}.", remedy) from error
    if not isinstance(content, list) or len(content) not in (1, 2):
        raise DatasetError(f"expected a list of joints and a list of meshes in {path}.", remedy)
    found = [
        _array(values, points, path, remedy) for values, points in zip(content, (N_JOINTS, N_VERTICES), strict=False)
    ]
    joints, meshes = found[0], found[1] if len(found) == 2 and len(found[1]) else None
    if meshes is not None and len(meshes) != len(joints):
        raise DatasetError(f"{path} holds {len(joints)} hands but {len(meshes)} meshes.", remedy)
    return _ours(joints, meshes, protocol)


def read_truth(folder: Path, protocol: Protocol) -> Hands:
    """What an evaluation set publishes: `evaluation_xyz.json` and, if it is there, `evaluation_verts.json`.

    Args:
        folder: that holds them.
        protocol: whose order and axes they are in.

    Raises:
        DatasetError: missing or damaged, or of different length.
    """
    files = [folder / f"evaluation_{kind}.json" for kind in ("xyz", "verts")]
    if not files[0].is_file():
        raise DatasetError(f"expected {files[0].name} in {folder}.", "Name the folder that holds it with --truth.")
    joints = _json_arrays.load(files[0], (N_JOINTS, 3)).astype(np.float64)
    meshes = _json_arrays.load(files[1], (N_VERTICES, 3)).astype(np.float64) if files[1].is_file() else None
    if meshes is not None and len(meshes) != len(joints):
        raise DatasetError(f"{folder} holds {len(joints)} hands but {len(meshes)} meshes.", "Take both from one place.")
    return _ours(joints, meshes, protocol)


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


def _array(values: object, points: int, path: Path, remedy: str) -> F64:
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"expected N x {points} x 3 numbers in {path}: {error}.", remedy) from error
    if found.size and found.shape[1:] != (points, 3):
        raise DatasetError(f"expected N x {points} x 3 numbers in {path}, got {found.shape}.", remedy)
    found = found.reshape(-1, points, 3)
    bad = np.flatnonzero(~np.isfinite(found).all((1, 2)))
    if len(bad):
        raise DatasetError(f"entry {bad[0]} of {path} holds a value that is no number.", remedy)
    return found
