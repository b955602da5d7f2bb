"""STB, the stereo hand pose tracking benchmark (also SHP): 12 sequences of 1,500 frames of one left hand.

The colour pictures of its Real Sense F200 (SK) are read, with labels moved from the depth camera's frame to the colour
camera's. The Bumblebee pair (BB) is not read.

STB labels the centre of the palm and not the wrist. `read` leaves the wrist unknown; asked for `guess_wrist`, it puts
it where Ge et al. do: as far behind the palm's centre as the ring finger's base lies before it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from dataset_tools.readers import ReaderInfo, _image_files, check_split, need
from dataset_tools.readers._native import check_hand
from hoi_core.conventions import JOINT_NAMES, JOINT_ORDERS
from hoi_core.errors import DatasetError
from hoi_core.types import F64, Camera, Sample

FRAMES = 1500
"""Labels in a sequence."""
TEST = ("B1Counting", "B1Random")
"""Sequences of the test; the other ten are for training."""
SEQUENCES = (*TEST, *(f"B{n}{kind}" for n in range(2, 7) for kind in ("Counting", "Random")))
CAMERA = Camera(640, 480, 607.92271, 607.88192, 314.78337, 236.42484)
"""The colour camera."""
ROTATION_DEPTH_COLOR = (0.00531, -0.01196, 0.00301)
"""rad, axis-angle; with the translation it takes points of the colour camera to the depth camera."""
TRANSLATION_DEPTH_COLOR_MM = (-24.0381, -0.4563, -1.2326)
ORDER = "stb21"

_NEAREST_MM, _FARTHEST_MM = 100.0, 3000.0
_KEY = re.compile(rf"({'|'.join(SEQUENCES)})/(\d{{4}})")
_TREE = """  images/B1Counting/SK_color_0.png ... SK_color_1499.png   (B1Counting, B1Random ... B6Random)
  labels/B1Counting_SK.mat ... B6Random_SK.mat"""

INFO = ReaderInfo(
    name="stb",
    url="https://github.com/zhjwustc/icip17_stereo_hand_pose_dataset",
    licence="MIT (its repository; nothing else is said of the images)",
    citation="Zhang et al., A hand pose tracking benchmark from stereo matching, ICIP 2017",
    splits=("train", "test", "all"),
    joint_order=ORDER,
    unit="mm",
    tree=_TREE,
    sources=(
        "https://github.com/zhjwustc/icip17_stereo_hand_pose_dataset (README: cameras, file names, handPara, joints; "
        "positionCalc.m: which way rotation and translation go)",
        "https://github.com/3d-hand-shape/hand-graph-cnn (STB: a left hand, labels of SK in the depth camera's frame, "
        "wrist from palm)",
        "Zimmermann and Brox, Learning to Estimate 3D Hand Pose from Single RGB Images, ICCV 2017 (B1 is the test)",
    ),
    unchecked=(
        "Nothing here was compared with the real files.",
        "That the picture n belongs to the label n, both counted from 0, for all 1,500 (as public readers have it).",
        "Lens distortion: none is documented.",
        "Whether pixel centres lie at integers.",
        "Where the wrist is: public readers guess it at 2.0, 2.2 or 2.25 times the way from a knuckle to the palm's "
        "centre; here it is unknown unless guess_wrist is asked for.",
    ),
    key_parts=("sequence", "moment"),
)


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `B1Counting/0012`.

    Raises:
        DatasetError: files are missing or damaged.
        ConfigError: an unknown split.
    """
    check_split(INFO, split)
    chosen = [name for name in SEQUENCES if split == "all" or (name in TEST) == (split == "test")]
    need(INFO, Path(root), *(f"labels/{name}_SK.mat" for name in chosen), *(f"images/{name}" for name in chosen))
    return [key for name in chosen for key in _keys(Path(root), name)]


def read(root: Path, key: str, *, guess_wrist: bool = False) -> Sample:
    """One colour picture with its hand.

    Args:
        root: folder of the dataset.
        key: from `index`.
        guess_wrist: put the wrist where Ge et al. guess it from palm and ring finger, instead of leaving it unknown.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    found = _KEY.fullmatch(key)
    if not found:
        raise DatasetError(f"expected a key like B1Counting/0012, got {key!r}.", "Take it from index().")
    name, frame = found[1], int(found[2])
    labels_mm = _labels(Path(root), name)
    if frame >= len(labels_mm):
        raise DatasetError(f"{key} has no label: {len(labels_mm)} are there.", "Take keys from index().")
    image = _image_files.read_rgb(Path(root) / "images" / name / f"SK_color_{frame}.png", CAMERA.width, CAMERA.height)
    joints_m = _named(_in_color_camera(labels_mm[frame]) / 1000, guess_wrist)
    valid = np.asarray(np.isfinite(joints_m).all(-1), dtype=np.bool_)
    check_hand(joints_m, valid, Path(root) / "labels" / f"{name}_SK.mat")
    return Sample(
        image=image,
        camera=CAMERA,
        side="left",
        joints_m=joints_m,
        joints_valid=valid,
        vertices_m=None,
        dataset=INFO.name,
        key=key,
    )


def group(key: str) -> str:
    """The sequence."""
    return key.partition("/")[0]


def tiny(folder: Path) -> Path:
    """Write all twelve sequences, with two pictures and labels each instead of 1,500; return the root."""
    from dataset_tools.readers._tiny_stb import write

    return write(folder)


def _keys(root: Path, name: str) -> list[str]:
    count = len(_labels(root, name))
    folder = root / "images" / name
    pictures = sum(1 for _ in folder.glob("SK_color_*.png"))
    if pictures != count:
        raise DatasetError(
            f"expected {count} pictures SK_color_*.png in {folder}, as many as labels; found {pictures}.",
            "Unpack the dataset again.",
        )
    return [f"{name}/{frame:04d}" for frame in range(count)]


def _labels(root: Path, name: str) -> F64:
    """(N, 21, 3) mm, native order, depth camera."""
    need(INFO, root, f"labels/{name}_SK.mat")
    path = root / "labels" / f"{name}_SK.mat"
    return _read_labels(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=len(SEQUENCES))
def _read_labels(path: Path, time_ns: int) -> F64:
    try:
        found = loadmat(str(path), variable_names=["handPara"])["handPara"]
        labels_mm = np.asarray(found, dtype=np.float64)
    except Exception as error:  # scipy raises whatever its parser stumbles over in a damaged file
        raise DatasetError(f"cannot read handPara in {path}: {error!r}.", "Unpack the dataset again.") from error
    if labels_mm.ndim != 3 or labels_mm.shape[:2] != (3, len(JOINT_ORDERS[ORDER])) or not labels_mm.shape[2]:
        raise DatasetError(
            f"expected handPara of shape (3, 21, {FRAMES}) in {path}, got {labels_mm.shape}.",
            "Unpack the dataset again.",
        )
    depth_mm = labels_mm[2]
    # NaN fails this comparison too.
    if not ((depth_mm > _NEAREST_MM) & (depth_mm < _FARTHEST_MM)).all() or not np.isfinite(labels_mm).all():
        raise DatasetError(
            f"{path} holds a joint that is no number or not {_NEAREST_MM:.0f} to {_FARTHEST_MM:.0f} mm before the "
            "camera.",
            "Unpack the dataset again.",
        )
    return labels_mm.transpose(2, 1, 0)


def _in_color_camera(points: F64) -> F64:
    """`(21, 3) mm` of the depth camera in the colour camera's frame."""
    from cv2 import Rodrigues

    rotation = Rodrigues(np.array(ROTATION_DEPTH_COLOR))[0]
    # x_depth = R x_color + t, so x_color = R^T (x_depth - t); for rows that is a product with R from the right.
    return np.asarray((points - np.array(TRANSLATION_DEPTH_COLOR_MM)) @ rotation)


def _named(native: F64, guess_wrist: bool) -> F64:
    """`(21, 3)` in native order to openpose21, the wrist NaN or guessed."""
    by_name = dict(zip(JOINT_ORDERS[ORDER], native, strict=True))
    ring, palm = by_name["ring1"], by_name["palm"]
    by_name["wrist"] = ring + 2 * (palm - ring) if guess_wrist else np.full(3, np.nan)
    return np.array([by_name[joint] for joint in JOINT_NAMES])
