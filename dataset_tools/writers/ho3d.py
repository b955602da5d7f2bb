"""HO-3D version 3: a pickle of labels for each picture, in OpenGL's axes and MANO's order; right hands alone."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import cv2
import numpy as np

from dataset_tools.readers._ho3d import DEPTH_UNIT_M, FOLDERS, HEIGHT, ORDER, WIDTH
from dataset_tools.readers._native import OPENGL_M
from dataset_tools.writers import PLAIN, Extras, WriterInfo, write_jpeg
from dataset_tools.writers._json_lists import JsonLists
from dataset_tools.writers._object_files import corners_of, nearest, surface_of, write_model
from dataset_tools.writers._pinhole import as_pinhole, pinhole_for
from dataset_tools.writers._places import Place, Places
from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core.conventions import reorder
from hoi_core.errors import DatasetError
from hoi_core.rotation import exp_so3, log_so3
from hoi_core.types import F32, F64, ObjectPose, Sample

INFO = WriterInfo(
    name="ho3d",
    url="https://github.com/shreyashampali/ho3d",
    keeps="picture (whole, 640x480, without distortion), depth, intrinsics, joints, parameters of the hand model "
    "(training), joints and mesh of the evaluation set, the object nearest to the hand with its mesh. Right hands of "
    "which all joints and, to train on, the parameters are known. Poses of the cameras and segmentation are lost.",
    maps=True,
)
_MOST_CAMERAS = 10
_FLIP = np.diag(OPENGL_M)
_PREFIX = {"train": "T", "test": "E"}


class Ho3d:
    """One split."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split, self._part = folder, split, FOLDERS[split]
        (folder / self._part).mkdir(parents=True)
        self._places = Places()
        self._list = (folder / f"{self._part}.txt").open("w", encoding="ascii")
        self._keys = JsonLists({"key": folder / f"{self._part}_keys.json"})
        published = {kind: folder / f"{self._part}_{kind}.json" for kind in ("xyz", "verts")}
        self._published = JsonLists(published) if split == "test" else None
        self._meshes = True

    def add(self, sample: Sample, extras: Extras = PLAIN) -> bool:
        """Write a right hand of which everything is known that the split labels."""
        whole = sample.side == "right" and bool(sample.joints_valid.all() and (sample.joints_m[:, 2] > 0).all())
        if not whole or (self._split == "train" and not _has_params(sample)):
            return False
        place = self._places.of(sample, extras)
        if place is None or place.camera >= _MOST_CAMERAS:
            return False
        shown = as_pinhole(sample, extras, pinhole_for(sample.camera, WIDTH, HEIGHT))
        sequence = sequence_name(self._split, place)
        files = {kind: self._folder / self._part / sequence / kind for kind in ("rgb", "depth", "meta")}
        for path in files.values():
            path.mkdir(parents=True, exist_ok=True)
        number = f"{place.instant:04d}"
        write_jpeg(files["rgb"] / f"{number}.jpg", shown.sample.image)
        if shown.extras.depth_m is not None:
            _write_depth(files["depth"] / f"{number}.png", shown.extras.depth_m)
        (files["meta"] / f"{number}.pkl").write_bytes(_pickled(self._labels(shown.sample)))
        self._list.write(f"{sequence}/{number}\n")
        self._keys.add(key=sample.key)
        return True

    def close(self) -> None:
        """End the lists."""
        self._list.close()
        self._keys.close()
        if self._published is not None:
            self._published.close()
            if not self._meshes:
                (self._folder / f"{self._part}_verts.json").unlink()

    def _labels(self, sample: Sample) -> dict[str, object]:
        joints_gl = reorder(sample.joints_m, "openpose21", ORDER) * OPENGL_M
        labels: dict[str, object] = {"camMat": sample.camera.K, **self._object(sample)}
        if self._published is None:
            return labels | {"handJoints3D": joints_gl, **_params(sample)}
        self._meshes &= sample.vertices_m is not None
        vertices_m = np.empty((0, 3)) if sample.vertices_m is None else sample.vertices_m
        self._published.add(xyz=joints_gl, verts=vertices_m * OPENGL_M)
        box = crops.box_of(cameras.project(sample.camera, sample.joints_m))
        return labels | {"handJoints3D": joints_gl[0], "handBoundingBox": np.rint(box).astype(int).tolist()}

    def _object(self, sample: Sample) -> dict[str, object]:
        if not sample.objects:
            return {"objName": "", "objRot": None, "objTrans": None}
        shown = sample.objects[nearest(sample.objects, sample.joints_m)]
        name = object_name(shown)
        write_model(self._folder, name, shown)
        surface = surface_of(shown)
        corners = {} if surface is None else {"objCorners3DRest": corners_of(surface)}
        return {
            "objName": name,
            "objRot": log_so3(_FLIP @ shown.T_cam_obj[:3, :3])[:, None],
            "objTrans": shown.T_cam_obj[:3, 3] * OPENGL_M,
            **corners,
        }


def object_name(shown: ObjectPose) -> str:
    """The name of an object as a folder may have it."""
    return re.sub(r"[^\w-]+", "_", shown.name) or "object"


def sequence_name(split: str, place: Place) -> str:
    """Letters for the recording, 1, and the number of the camera: HO-3D's own way to name what several cameras saw."""
    letters, n = "", place.recording
    while True:
        letters = chr(ord("A") + n % 26) + letters
        n = n // 26 - 1
        if n < 0:
            return f"{_PREFIX[split]}{letters}1{place.camera}"


def _has_params(sample: Sample) -> bool:
    """Whether the pose is absolute, as HO-3D's is, and the hand's place known."""
    params = sample.params
    return params is not None and params.flat_hand_mean and bool(np.isfinite(params.trans_m).all())


def _params(sample: Sample) -> dict[str, object]:
    """Parameters in OpenGL's axes: the hand turns about its wrist, which lies at itself plus the shift."""
    params = sample.params
    assert params is not None  # noqa: S101 -- what has none is left out
    rest_wrist = sample.joints_m[0] - params.trans_m
    return {
        "handPose": np.concatenate([log_so3(_FLIP @ exp_so3(params.orient)), params.pose]),
        "handTrans": sample.joints_m[0] * OPENGL_M - rest_wrist,
        "handBeta": params.betas,
    }


def _pickled(labels: dict[str, object]) -> bytes:
    """Read by the Pythons and numpys that the dataset's own tools were written for, too."""
    return pickle.dumps(labels, protocol=2).replace(b"cnumpy._core.", b"cnumpy.core.")


def _write_depth(path: Path, depth_m: F32) -> None:
    units: F64 = np.rint(np.nan_to_num(depth_m).astype(np.float64) / DEPTH_UNIT_M)
    whole = np.where(units < 2**16, units, 0).astype(np.uint16)
    # OpenCV writes blue first: the low byte lies in red.
    packed = np.stack([np.zeros_like(whole), whole >> 8, whole & 255], axis=-1).astype(np.uint8)
    path.write_bytes(cv2.imencode(".png", packed)[1].tobytes())


def open(folder: Path, split: str) -> Ho3d:  # noqa: A001 -- the name of the contract
    """Start a split: `train`, or `test`, which goes to evaluation.

    Raises:
        DatasetError: another split, for which HO-3D has no place.
    """
    if split not in FOLDERS:
        raise DatasetError(f"HO-3D has no split {split!r}, only train and test.", "Convert these.")
    return Ho3d(Path(folder), split)
