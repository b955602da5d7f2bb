"""InterHand2.6M v1.0: one and two hands, seen by 80 and more calibrated cameras.

A sample is one hand in one picture; a picture of both hands gives two. A hand counts where its wrist is labelled, as in
the authors' own evaluation. Views of a recording are one group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.readers import ReaderInfo, _image_files, _json_objects, _kept_tables, check_split, need
from dataset_tools.readers._json_objects import whole
from dataset_tools.readers._native import check_hand
from hoi_core.conventions import JOINT_ORDERS, N_JOINTS, SIDES, permutation
from hoi_core.errors import DatasetError
from hoi_core.types import F64, Bool, Camera, Sample

PARTS = ("train", "val", "test")
ORDER = "interhand21"
SIDE_OFFSET = {"right": 0, "left": N_JOINTS}
"""Where the joints of a hand begin among the 42."""

_MOST = 2**31  # captures, frames and pixels
_NEAREST_M, _FARTHEST_M = 0.1, 3.0
_NAME = r"[\w-][\w.+-]*"
_KEY = re.compile(rf"({'|'.join(PARTS)})/(Capture\d+)/({_NAME})/(\d{{1,18}})/({'|'.join(SIDES)})")
_FILE = re.compile(rf"(Capture\d+)/({_NAME})/({_NAME})/{_NAME}\.jpg")
_WRIST = JOINT_ORDERS[ORDER].index("wrist")
_REMEDY = "Unpack the dataset again."
_TREE = """  images/train/Capture0/<sequence>/cam<camera>/image<frame>.jpg ...   images/val   images/test
  annotations/train/InterHand2.6M_train_data.json   _camera.json   _joint_3d.json
  annotations/val/...   annotations/test/..."""

INFO = ReaderInfo(
    name="interhand26m",
    url="https://mks0601.github.io/InterHand2.6M/",
    licence="CC BY-NC 4.0",
    citation="Moon et al., InterHand2.6M: A Dataset and Baseline for 3D Interacting Hand Pose Estimation from a Single "
    "RGB Image, ECCV 2020",
    splits=(*PARTS, "all"),
    joint_order=ORDER,
    unit="mm",
    tree=_TREE,
    sources=(
        "https://github.com/facebookresearch/InterHand2.6M (DATASET.md: fields of the three files; "
        "data/InterHand2.6M/dataset.py: world_coord, R (x - campos), right hand first, wrist last and decisive)",
        "https://mks0601.github.io/InterHand2.6M/ (folders of v1.0)",
        "https://github.com/open-mmlab/mmpose (tests/data/interhand2.6m: four labelled pictures)",
    ),
    unchecked=(
        "Nothing here was compared with the real files but for the four labelled pictures of mmpose's tests.",
        "That annotations of v1.0 lie in a folder for each part (earlier releases had all, human_annot, "
        "machine_annot).",
        "Lens distortion: none is documented.",
        "Whether pixel centres lie at integers.",
        "The MANO fits (InterHand2.6M_<part>_MANO_NeuralAnnot.json) are not read.",
    ),
    key_parts=("part", "capture", "sequence", "picture", "side"),
)


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, `<part>/<capture>/<sequence>/<annotation>/<side>`.

    Raises:
        DatasetError: files are missing or damaged.
        ConfigError: an unknown split.
    """
    check_split(INFO, split)
    keys = [key for part in PARTS if split in (part, "all") for key in _keys(Path(root), part)]
    if not keys:
        raise DatasetError(f"{split} of {root} holds no hand whose wrist is labelled.", _REMEDY)
    return keys


def read(root: Path, key: str) -> Sample:
    """One hand in one picture.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    found = _KEY.fullmatch(key)
    if not found:
        raise DatasetError(
            f"expected a key like test/Capture3/0390_dh_touchROM/326750/left, got {key!r}.", "Take it from index()."
        )
    part, capture, sequence, number, side = found[1], found[2], found[3], int(found[4]), SIDES[SIDES.index(found[5])]
    table = _pictures(Path(root), part)
    row = int(np.searchsorted(table["id"], number))
    known = row < len(table["id"]) and table["id"][row] == number
    if not known or not str(table["file"][row]).startswith(f"{capture}/{sequence}/"):
        raise DatasetError(f"no picture is labelled as {key}.", "Take keys from index().")
    mine = slice(SIDE_OFFSET[side], SIDE_OFFSET[side] + N_JOINTS)
    valid = table["valid"][row, mine]
    if not valid[_WRIST]:
        raise DatasetError(f"{key} names a hand whose wrist is not labelled.", "Take keys from index().")
    size = int(table["width"][row]), int(table["height"][row])
    camera = _camera(Path(root), part, int(table["capture"][row]), str(table["camera"][row]), size)
    world_m = _world_m(Path(root), part, int(table["capture"][row]), int(table["frame"][row]))[mine]
    order = permutation(ORDER, "openpose21")
    joints_m, valid = _in_camera(camera, world_m, valid, key)[order], np.asarray(valid[order], dtype=np.bool_)
    check_hand(joints_m, valid, _path(Path(root), part, "joint_3d"))
    path = Path(root) / "images" / part / str(table["file"][row])
    return Sample(
        image=_image_files.read_rgb(path, *size),
        camera=camera,
        side=side,
        joints_m=joints_m,
        joints_valid=valid,
        vertices_m=None,
        dataset=INFO.name,
        key=key,
    )


def group(key: str) -> str:
    """The recording, which many cameras saw."""
    return "/".join(key.split("/")[:3])


def tiny(folder: Path) -> Path:
    """Write one recording for each part, seen by two cameras; return the root."""
    from dataset_tools.readers._tiny_interhand26m import write

    return write(folder)


def _keys(root: Path, part: str) -> Iterator[str]:
    table = _pictures(root, part)
    wrists = table["valid"][:, [offset + _WRIST for offset in SIDE_OFFSET.values()]].tolist()
    for number, file, known in zip(table["id"].tolist(), table["file"].tolist(), wrists, strict=True):
        place = "/".join(file.split("/")[:2])
        for side, labelled in zip(SIDE_OFFSET, known, strict=True):
            if labelled:
                yield f"{part}/{place}/{number}/{side}"


def _in_camera(camera: Camera, world_m: F64, valid: Bool, key: str) -> F64:
    """`(21, 3)` m in the camera's frame, NaN where not valid."""
    pose = camera.T_cam_world
    joints_m = world_m @ pose[:3, :3].T + pose[:3, 3]
    joints_m[~valid] = np.nan
    depth_m = joints_m[valid, 2]
    # NaN fails this comparison too.
    if not ((depth_m > _NEAREST_M) & (depth_m < _FARTHEST_M)).all():
        raise DatasetError(
            f"a joint of {key} is no number or not {_NEAREST_M} to {_FARTHEST_M} m before its camera.", _REMEDY
        )
    return np.asarray(joints_m)


def _path(root: Path, part: str, kind: str) -> Path:
    name = f"annotations/{part}/InterHand2.6M_{part}_{kind}.json"
    need(INFO, root, name)
    return root / name


def _pictures(root: Path, part: str) -> _kept_tables.Columns:
    """Annotations by `id`, sorted: `file`, `width`, `height`, `capture`, `camera`, `frame`, `valid` (N, 42)."""
    need(INFO, root, f"images/{part}")
    path = _path(root, part, "data")
    return _load_pictures(path, _kept_tables.version_of([path]))


@lru_cache(maxsize=8)
def _load_pictures(path: Path, version: str) -> _kept_tables.Columns:
    return _kept_tables.load(path, version, lambda: _build_pictures(path))


def _build_pictures(path: Path) -> _kept_tables.Columns:
    pictures: dict[int, tuple[Any, ...]] = {}
    labels: dict[int, tuple[int, Bool]] = {}
    for place, entry in _json_objects.entries(path, ("images", "annotations")):
        if place not in ("images", "annotations"):
            continue
        try:
            number = whole(entry["id"])
            if number in (pictures if place == "images" else labels):
                raise ValueError(f"two entries have the number {number}")
            if place == "images":
                pictures[number] = _picture(entry)
            else:
                labels[number] = whole(entry["image_id"]), _valid(entry["joint_valid"])
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"an entry of {place} in {path} is damaged: {error!r}.", _REMEDY) from error
    unknown = {picture for picture, _ in labels.values()} - pictures.keys()
    if unknown:
        raise DatasetError(f"an annotation of {path} is of picture {min(unknown)}, which is not listed.", _REMEDY)
    order = sorted(labels)
    rows = [pictures[labels[number][0]] for number in order]
    names = ("file", "width", "height", "capture", "camera", "frame")
    columns = {name: np.array([row[n] for row in rows]) for n, name in enumerate(names)}
    valid = np.array([labels[number][1] for number in order], dtype=np.bool_).reshape(-1, 2 * N_JOINTS)
    return columns | {"id": np.array(order, dtype=np.int64), "valid": valid}


def _picture(entry: dict[str, Any]) -> tuple[Any, ...]:
    found = _FILE.fullmatch(entry["file_name"])
    capture = whole(entry["capture"], _MOST)
    if not found or found[1] != f"Capture{capture}":
        raise ValueError(f"a picture of capture {capture} is named {entry['file_name']!r}")
    width, height = whole(entry["width"], _MOST), whole(entry["height"], _MOST)
    return entry["file_name"], width, height, capture, str(entry["camera"]), whole(entry["frame_idx"], _MOST)


def _valid(listed: Any) -> Bool:
    """(42,), from 42 numbers or lists of one."""
    flags = [flag[0] if isinstance(flag, list) and len(flag) == 1 else flag for flag in listed]
    # Plain Python: a million small arrays would take minutes.
    if len(flags) != 2 * N_JOINTS or not set(flags) <= {0, 1}:
        raise ValueError(f"joint_valid is not {2 * N_JOINTS} of 0 and 1")
    return np.array(flags, dtype=np.bool_)


def _world_m(root: Path, part: str, capture: int, frame: int) -> F64:
    """`(42, 3)` m in the world of a capture."""
    path = _path(root, part, "joint_3d")
    table = _load_joints(path, _kept_tables.version_of([path]))
    moment = np.int64(capture) << 32 | frame
    row = int(np.searchsorted(table["moment"], moment))
    if row >= len(table["moment"]) or table["moment"][row] != moment:
        raise DatasetError(f"{path} has no joints of frame {frame} of capture {capture}.", _REMEDY)
    return np.asarray(table["world_mm"][row].astype(np.float64) / 1000)


@lru_cache(maxsize=8)
def _load_joints(path: Path, version: str) -> _kept_tables.Columns:
    return _kept_tables.load(path, version, lambda: _build_joints(path))


def _build_joints(path: Path) -> _kept_tables.Columns:
    """`moment` (capture and frame in one number), sorted; `world_mm` (N, 42, 3)."""
    moments: list[int] = []
    joints: list[np.ndarray] = []
    for capture, frames in _json_objects.members(path):
        try:
            for frame, label in frames.items():
                world_mm = np.array(label["world_coord"], dtype=np.float32)
                if world_mm.shape != (2 * N_JOINTS, 3):
                    raise ValueError(f"expected {2 * N_JOINTS} points in frame {frame}, got {world_mm.shape}")
                moments.append(whole(capture, _MOST) << 32 | whole(frame, _MOST))
                joints.append(world_mm)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"capture {capture} in {path} is damaged: {error!r}.", _REMEDY) from error
    order = np.argsort(np.array(moments, dtype=np.int64))
    return {
        "moment": np.array(moments, dtype=np.int64)[order],
        "world_mm": np.array([joints[n] for n in order], dtype=np.float32).reshape(-1, 2 * N_JOINTS, 3),
    }


def _camera(root: Path, part: str, capture: int, name: str, size: tuple[int, int]) -> Camera:
    path = _path(root, part, "camera")
    captures = _load_cameras(path, path.stat().st_mtime_ns)
    try:
        of_capture = captures[str(capture)]
        focal, centre = _numbers(of_capture["focal"][name], 2), _numbers(of_capture["princpt"][name], 2)
        rotation = _numbers(of_capture["camrot"][name], 3, 3)
        position_mm = _numbers(of_capture["campos"][name], 3)
        if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0 or min(focal) <= 0:
            raise ValueError("camrot is no rotation, or the focal length not positive")
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"camera {name} of capture {capture} in {path} is damaged: {error!r}.", _REMEDY) from error
    pose = np.eye(4)
    # The rotation is the world's in the camera, the position the camera's in the world.
    pose[:3, :3], pose[:3, 3] = rotation.T, position_mm / 1000
    (fx, fy), (cx, cy) = focal.tolist(), centre.tolist()
    return Camera(*size, fx, fy, cx, cy, T_world_cam=pose)


@lru_cache(maxsize=4)
def _load_cameras(path: Path, time_ns: int) -> dict[str, Any]:
    return dict(_json_objects.members(path))


def _numbers(listed: Any, *shape: int) -> F64:
    values = np.array(listed, dtype=np.float64)
    if values.shape != shape or not np.isfinite(values).all():
        raise ValueError(f"expected finite numbers of shape {shape}, got {values.shape}")
    return values
