"""ObMan: about 150,000 rendered right hands that grasp objects of ShapeNet."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset_tools.readers import ReaderInfo, check_split, need
from dataset_tools.readers._image_files import read_rgb
from dataset_tools.readers._native import (
    OPENGL_M,
    REMEDY,
    check_hand,
    check_pixels,
    numbers,
    read_mapping,
    read_raw,
    text,
)
from hoi_core.conventions import N_JOINTS, N_VERTICES, SIDES, Side
from hoi_core.errors import DatasetError
from hoi_core.types import U8, Camera, ObjectPose, Sample

SIZE = 256
CAMERA = Camera(SIZE, SIZE, 480.0, 480.0, 128.0, 128.0)
PARTS = ("train", "val", "test")
HAND_LABELS: dict[Side, tuple[int, int]] = {"right": (22, 24), "left": (21, 23)}
"""Numbers of the hand's pixels."""
OBJECT_LABEL = 100
_KEY = re.compile(rf"({'|'.join(PARTS)})/(\d{{8}})")
_MOST_APART_PX = 3.0
_MESH = "models/model_normalized.obj"
_BLUE = 2  # the picture of all that is seen; green has the hand alone, red the object alone

INFO = ReaderInfo(
    name="obman",
    url="https://www.di.ens.fr/willow/research/obman/data/",
    licence="research only, not commercial; objects under the licence of ShapeNet",
    citation="Hasson et al., Learning joint reconstruction of hands and manipulated objects, CVPR 2019",
    splits=(*PARTS, "all"),
    joint_order="openpose21",
    unit="m",
    axes="OpenGL",
    tree="""  train/rgb/00000000.jpg  train/segm/00000000.png  train/meta/00000000.pkl
  val/rgb/ segm/ meta/   test/rgb/ segm/ meta/
  ShapeNetCore.v2/<class>/<sample>/models/model_normalized.obj     if you have them (a link will do)""",
    sources=(
        "https://github.com/hassony2/obman (README: files; obman/obman.py: entries of the labels, intrinsics, axes, "
        "numbers and channel of the segmentation, pose of the object)",
        "https://github.com/hassony2/obman_render (obman_render/coordutils.py: joint order, fingertips, projection; "
        "blender_grasps.py: entries of the labels, channels of the segmentation, scale of the object)",
    ),
    unchecked=(
        "Nothing here was compared with the real files, which may not be redistributed.",
        "Depth is not read: the script that wrote it and the reader of its authors disagree on whether its largest "
        "number is the nearest or the farthest.",
        "MANO parameters are not read: no document says in which frame and about which mean the pose is given.",
        "That affine_transform is a rotation, a shift and one scale, and holds the scale: if it is sheared, reading "
        "stops.",
        "Whether pixel centres lie at integers; labels in the image may lie up to 3 px beside those in space.",
    ),
    key_parts=("part", "moment"),
)


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `train/00000012`.

    Raises:
        DatasetError: files are missing.
        ConfigError: an unknown split.
    """
    check_split(INFO, split)
    return [f"{part}/{number}" for part in (PARTS if split == "all" else [split]) for number in _listed(root, part)]


def read(root: Path, key: str) -> Sample:
    """One image with its hand and its object.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    root, (part, number) = Path(root), _split_key(key)
    path = root / part / "meta" / f"{number}.pkl"
    meta = read_mapping(path)
    joints_m = numbers(meta, "coords_3d", (N_JOINTS, 3), path) * OPENGL_M
    joints_px = numbers(meta, "coords_2d", (N_JOINTS, 2), path)
    valid = np.ones(N_JOINTS, np.bool_)
    check_hand(joints_m, valid, path)
    check_pixels(CAMERA, joints_m, joints_px, path, _MOST_APART_PX)
    return Sample(
        image=read_rgb(root / part / "rgb" / f"{number}.jpg", SIZE, SIZE),
        camera=CAMERA,
        side=_side(meta, path),
        joints_m=joints_m,
        joints_valid=valid,
        vertices_m=numbers(meta, "verts_3d", (N_VERTICES, 3), path) * OPENGL_M,
        dataset=INFO.name,
        key=key,
        joints_px=joints_px,
        objects=(_object(root, meta, path),),
    )


def group(key: str) -> str:
    """The image itself: each shows an instant of its own."""
    return key


def segmentation(root: Path, key: str) -> U8:
    """What each pixel shows. `(H, W)`: 0 background and body, 1 hand, 2 object.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    root, (part, number) = Path(root), _split_key(key)
    path = root / part / "meta" / f"{number}.pkl"
    shown = read_raw(root / part / "segm" / f"{number}.png", (SIZE, SIZE, 3), np.uint8)[..., _BLUE]
    found = np.zeros((SIZE, SIZE), np.uint8)
    found[np.isin(shown, HAND_LABELS[_side(read_mapping(path), path)])] = 1
    found[shown == OBJECT_LABEL] = 2
    return found


def objects(root: Path) -> dict[str, Path | None]:
    """Names of the objects, `<class>/<sample>`, and their meshes, as far as these are there."""
    found = sorted(Path(root).glob(f"ShapeNetCore.v2/*/*/{_MESH}"))
    return {f"{path.parts[-4]}/{path.parts[-3]}": path for path in found}


def tiny(folder: Path) -> Path:
    """Write two images to train on and one each to validate and to test; return the root."""
    from dataset_tools.readers._tiny_obman import write

    return write(folder)


def _split_key(key: str) -> tuple[str, str]:
    found = _KEY.fullmatch(key)
    if not found:
        raise DatasetError(f"expected a key like train/00000012, got {key!r}.", "Take it from index().")
    return found[1], found[2]


def _listed(root: Path, part: str) -> tuple[str, ...]:
    folders = [Path(root) / part / kind for kind in ("meta", "rgb")]
    need(INFO, Path(root), f"{part}/meta", f"{part}/rgb")
    return _list(*folders, tuple(folder.stat().st_mtime_ns for folder in folders))


@lru_cache(maxsize=8)
def _list(meta: Path, rgb: Path, times_ns: tuple[int, ...]) -> tuple[str, ...]:
    """Numbers of the images; `times_ns` tells a folder from what it holds later."""
    labels, pictures = _names(meta, ".pkl"), _names(rgb, ".jpg")
    odd = sorted(labels ^ pictures)
    if odd or not labels:
        first = f" The first is {odd[0]}." if odd else ""
        raise DatasetError(
            f"expected a label for each picture: {len(labels)} are in {meta}, {len(pictures)} pictures in {rgb}.",
            f"{REMEDY}{first}",
        )
    return tuple(sorted(labels))


def _names(folder: Path, suffix: str) -> set[str]:
    return {name.removesuffix(suffix) for name in os.listdir(folder) if name.endswith(suffix)}


def _side(meta: dict[object, object], path: Path) -> Side:
    side = text(meta, "side", path)
    if side not in SIDES:
        raise DatasetError(f"expected right or left as 'side' in {path}, got {side!r}.", REMEDY)
    return "left" if side == "left" else "right"


def _object(root: Path, meta: dict[object, object], path: Path) -> ObjectPose:
    affine = np.diag([*OPENGL_M, 1.0]) @ numbers(meta, "affine_transform", (4, 4), path)
    scale = float(np.cbrt(np.linalg.det(affine[:3, :3])))
    T = affine.copy()
    T[:3, :3] /= scale if scale > 0 else 1.0
    rigid = scale > 0 and np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=2e-3)
    if not rigid or not np.allclose(affine[3], [0, 0, 0, 1]) or T[2, 3] <= 0:
        raise DatasetError(f"affine_transform of {path} is no pose and scale before the camera.", REMEDY)
    U, _, V = np.linalg.svd(T[:3, :3])
    T[:3, :3] = U @ V  # 32-bit numbers are a rotation only nearly
    names = text(meta, "class_id", path), text(meta, "sample_id", path)
    mesh = root.joinpath("ShapeNetCore.v2", *names, _MESH)
    ratio = numbers(meta, "obj_visibility_ratio", (), path) if "obj_visibility_ratio" in meta else np.nan
    visible = float(np.clip(ratio, 0.0, 1.0))
    return ObjectPose("/".join(names), T, mesh if mesh.is_file() else None, scale, visible)
