"""What versions 2 and 3 of HO-3D share: right hands with objects of the YCB set, in OpenGL's axes and MANO's order."""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset_tools.readers import ReaderInfo, _json_arrays, need
from dataset_tools.readers._image_files import read_rgb
from dataset_tools.readers._native import (
    OPENGL_M,
    REMEDY,
    check_hand,
    numbers,
    pinhole,
    read_mapping,
    read_raw,
    text,
)
from hoi_core import crop as crops
from hoi_core.conventions import JOINT_ORDERS, N_JOINTS, N_POSE, N_VERTICES, reorder
from hoi_core.errors import DatasetError
from hoi_core.plugins import unknown_name
from hoi_core.rotation import exp_so3, log_so3
from hoi_core.types import F32, F64, HandParams, ObjectPose, Sample

WIDTH, HEIGHT = 640, 480
DEPTH_UNIT_M = 0.00012498664727900177
FOLDERS = {"train": "train", "test": "evaluation"}
"""Folder and list of each split."""
ORDER = "mano21"
_LINE = re.compile(r"([A-Za-z]\w*)/(\d+)")
_KEY = re.compile(rf"({'|'.join(FOLDERS.values())})/([A-Za-z]\w*)/(\d+)")
_ONE_OF_MANY = re.compile(r"([A-Za-z]+\d)\d")
_WRIST = JOINT_ORDERS[ORDER].index("wrist")
_SAME_WRIST_M = 0.005
_MESH = "textured_simple.obj"

logger = logging.getLogger(__name__)


def info(version: int, train: int, test: int, suffix: str, url: str) -> ReaderInfo:
    """What a user should know of a version.

    Args:
        version: 2 or 3.
        train: images with labels.
        test: images to evaluate on.
        suffix: of the images.
        url: where it comes from.
    """
    return ReaderInfo(
        name=f"ho3d_v{version}",
        url=url,
        licence="academic research only, not commercial, no redistribution",
        citation="Hampali et al., HOnnotate: A method for 3D Annotation of Hand and Object Poses, CVPR 2020",
        splits=(*FOLDERS, "all"),
        joint_order=ORDER,
        key_parts=("part", "sequence", "moment"),
        unit="m",
        axes="OpenGL",
        tree=f"""  train.txt  evaluation.txt                     {train:,} and {test:,} lines such as ABF10/0000
  train/<sequence>/rgb/0000.{suffix}  depth/0000.png  meta/0000.pkl
  evaluation/<sequence>/rgb/0000.{suffix}  depth/0000.png  meta/0000.pkl
  evaluation_xyz.json  evaluation_verts.json     if you have them (published in November 2024)
  models/<object>/textured_simple.obj            if you have them (YCB-Video 3D models)""",
        sources=(
            "https://github.com/shreyashampali/ho3d (README: files, OpenGL axes; vis_HO3D.py: entries of the labels, "
            "joint order, absolute pose, object pose; utils/vis_utils.py: counts, projection, packing and unit of "
            "depth; setup_mano.py: fingertips; eval.py: evaluation_xyz.json; vis_pcl_all_cameras.py: names of cameras)",
            "https://github.com/shreyashampali/kypt_transformer (data/dataset_ho3d.py: the evaluation list, axes)",
        ),
        unchecked=(
            "Nothing here was compared with the real files, which may not be redistributed.",
            "That evaluation_xyz.json is in OpenGL's axes, MANO's order and the order of evaluation.txt, as the files "
            "that are handed in for evaluation; its wrist must agree with the labels to 5 mm, or reading stops.",
            "Whether the last digit of a sequence of two digits always is the camera; if so, SB10, SB12 and SB14 of "
            "the training set show the moments of SB11 and SB13 of the evaluation set.",
            "That handBoundingBox is left, top, right, bottom.",
            "Segmentation (a separate download for version 3) is not read: no document gives its colours and size.",
        ),
    )


def index(about: ReaderInfo, root: Path, split: str) -> list[str]:
    """Keys of a split, such as `train/ABF10/0012`.

    Raises:
        DatasetError: files are missing, or a list is damaged.
        ConfigError: an unknown split.
    """
    if split not in about.splits:
        raise unknown_name("split", split, list(about.splits))
    folders = FOLDERS.values() if split == "all" else [FOLDERS[split]]
    if FOLDERS["test"] in folders and not (root / f"{FOLDERS['test']}_xyz.json").exists():
        logger.warning(
            "%s has no evaluation_xyz.json: of its evaluation set the wrist alone is known, too little to crop a hand.",
            root,
        )
    return [f"{folder}/{line}" for folder in folders for line in _listed(about, root, folder)]


def read(about: ReaderInfo, root: Path, key: str) -> Sample:
    """One image with its hand and its object.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    folder, sequence, number = _split_key(key)
    path = root / folder / sequence / "meta" / f"{number}.pkl"
    meta = read_mapping(path)
    joints_gl = _joints(about, root, key, meta, path)
    joints_m = np.asarray(reorder(joints_gl * OPENGL_M, ORDER, "openpose21"), np.float64)
    valid = np.asarray(np.isfinite(joints_m).all(-1), np.bool_)
    check_hand(joints_m, valid, path)
    verts = _published(about, root, key, "verts", N_VERTICES)
    return Sample(
        image=read_rgb(root / folder / sequence / "rgb" / f"{number}{_suffix(about)}", WIDTH, HEIGHT),
        camera=pinhole(numbers(meta, "camMat", (3, 3), path), WIDTH, HEIGHT, path),
        side="right",
        joints_m=joints_m,
        joints_valid=valid,
        vertices_m=None if verts is None else verts * OPENGL_M,
        dataset=about.name,
        key=key,
        params=_params(meta, joints_gl[_WRIST], path) if folder == FOLDERS["train"] else None,
        objects=_objects(root, meta, path),
    )


def group(key: str) -> str:
    """The recording: several cameras saw those whose names end with two digits."""
    sequence = key.split("/")[1]
    several = _ONE_OF_MANY.fullmatch(sequence)
    return several[1] if several else sequence


def objects(root: Path) -> dict[str, Path | None]:
    """Names of the objects and their meshes, as far as these are there."""
    return {path.parent.name: path for path in sorted(root.glob(f"models/*/{_MESH}"))}


def depth_m(root: Path, key: str) -> F32:
    """Depth registered to the image. `(H, W)` m; NaN where the camera saw none.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    folder, sequence, number = _split_key(key)
    packed = read_raw(root / folder / sequence / "depth" / f"{number}.png", (HEIGHT, WIDTH, 3), np.uint8)
    units = packed[..., 0].astype(np.float32) + np.float32(256) * packed[..., 1].astype(np.float32)
    return np.where(units > 0, units * np.float32(DEPTH_UNIT_M), np.float32(np.nan))


def box_px(root: Path, key: str) -> crops.Box | None:
    """The box around the hand that the evaluation set gives: x0, y0, x1, y1 px; None where there is none.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    folder, sequence, number = _split_key(key)
    path = root / folder / sequence / "meta" / f"{number}.pkl"
    meta = read_mapping(path)
    if meta.get("handBoundingBox") is None:
        return None
    x0, y0, x1, y1 = numbers(meta, "handBoundingBox", (4,), path).tolist()
    if not (x0 < x1 and y0 < y1):
        raise DatasetError(f"expected left, top, right, bottom as 'handBoundingBox' in {path}.", REMEDY)
    return x0, y0, x1, y1


def _suffix(about: ReaderInfo) -> str:
    return ".png" if about.name == "ho3d_v2" else ".jpg"


def _split_key(key: str) -> tuple[str, str, str]:
    found = _KEY.fullmatch(key)
    if not found:
        raise DatasetError(f"expected a key like train/ABF10/0012, got {key!r}.", "Take it from index().")
    return found[1], found[2], found[3]


def _listed(about: ReaderInfo, root: Path, folder: str) -> tuple[str, ...]:
    need(about, root, folder, f"{folder}.txt")
    return _read_list(about, root, folder, (root / f"{folder}.txt").stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read_list(about: ReaderInfo, root: Path, folder: str, time_ns: int) -> tuple[str, ...]:
    """Lines of the list, each with its files; `time_ns` tells a list from one written later."""
    path = root / f"{folder}.txt"
    lines = path.read_text(encoding="ascii", errors="replace").split()
    by_sequence = defaultdict(set)
    for line in lines:
        found = _LINE.fullmatch(line)
        if not found:
            raise DatasetError(f"expected lines such as ABF10/0000 in {path}, got {line[:80]!r}.", REMEDY)
        by_sequence[found[1]].add(found[2])
    if not lines or sum(map(len, by_sequence.values())) != len(lines):
        raise DatasetError(f"{path} lists nothing, or an image twice.", REMEDY)
    for sequence, ids in by_sequence.items():
        for kind, suffix in (("rgb", _suffix(about)), ("meta", ".pkl")):
            place = root / folder / sequence / kind
            names = os.listdir(place) if place.is_dir() else []
            there = {name.removesuffix(suffix) for name in names if name.endswith(suffix)}
            if ids - there:
                missing = f"{folder}/{sequence}/{kind}/{min(ids - there)}{suffix}"
                raise DatasetError(
                    f"{path} lists {len(ids)} images of {sequence}; {len(ids - there)} are missing.",
                    f"{REMEDY} The first is {missing}.",
                )
    return tuple(lines)


def _joints(about: ReaderInfo, root: Path, key: str, meta: dict[object, object], path: Path) -> F64:
    """(21, 3) m in native axes and order; of the evaluation set the wrist alone, unless its labels are there."""
    if not key.startswith(FOLDERS["test"]):
        return numbers(meta, "handJoints3D", (N_JOINTS, 3), path)
    wrist = numbers(meta, "handJoints3D", (3,), path)
    published = _published(about, root, key, "xyz", N_JOINTS)
    if published is None:
        joints = np.full((N_JOINTS, 3), np.nan)
        joints[_WRIST] = wrist
        return joints
    apart_m = np.linalg.norm(published[_WRIST] - wrist)
    if apart_m > _SAME_WRIST_M:
        raise DatasetError(
            f"evaluation_xyz.json has the wrist of {key} {1e3 * apart_m:.0f} mm beside the one in {path}.",
            "Take the file of this version of HO-3D, or remove it.",
        )
    return published


def _published(about: ReaderInfo, root: Path, key: str, kind: str, points: int) -> F64 | None:
    """(points, 3) m of the evaluation set in native axes, where its labels are there."""
    folder, _, line = key.partition("/")
    path = root / f"{folder}_{kind}.json"
    if folder != FOLDERS["test"] or not path.exists():
        return None
    numbered = _numbered(_listed(about, root, folder))
    arrays = _json_arrays.load(path, (points, 3))
    if len(arrays) != len(numbered):
        raise DatasetError(f"expected {len(numbered)} entries in {path}, as listed; got {len(arrays)}.", REMEDY)
    if line not in numbered:
        raise DatasetError(f"{key} is not in {folder}.txt.", "Take keys from index().")
    return arrays[numbered[line]].astype(np.float64)


@lru_cache(maxsize=4)
def _numbered(lines: tuple[str, ...]) -> dict[str, int]:
    return {line: n for n, line in enumerate(lines)}


def _params(meta: dict[object, object], wrist_gl: F64, path: Path) -> HandParams:
    """Parameters in OpenCV's axes: the rotation is about the wrist, which lies at itself plus the shift."""
    pose = numbers(meta, "handPose", (3 + N_POSE,), path)
    rest_wrist = wrist_gl - numbers(meta, "handTrans", (3,), path)
    orient = log_so3(np.diag(OPENGL_M) @ exp_so3(pose[:3]))
    betas = numbers(meta, "handBeta", (10,), path)
    return HandParams(orient, pose[3:], betas, wrist_gl * OPENGL_M - rest_wrist, flat_hand_mean=True)


def _objects(root: Path, meta: dict[object, object], path: Path) -> tuple[ObjectPose, ...]:
    if meta.get("objRot") is None:
        return ()
    name = text(meta, "objName", path)
    T = np.eye(4)
    T[:3, :3] = np.diag(OPENGL_M) @ exp_so3(numbers(meta, "objRot", (3,), path))
    T[:3, 3] = numbers(meta, "objTrans", (3,), path) * OPENGL_M
    if T[2, 3] <= 0:
        raise DatasetError(f"the object of {path} lies behind the camera.", REMEDY)
    mesh = root / "models" / name / _MESH
    return (ObjectPose(name, T, mesh if mesh.is_file() else None),)
