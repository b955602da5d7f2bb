"""Rendered Handpose Dataset 1.1: 41,258 pictures of animated persons, 2,728 to evaluate on; both hands are labelled.

A sample is one hand of one picture: those of which at least eleven joints are visible.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset_tools.readers import ReaderInfo, _kept_arrays, check_split, need
from dataset_tools.readers._image_files import read_rgb
from dataset_tools.readers._native import (
    BONE_M,
    PALM_M,
    REMEDY,
    check_hand,
    check_pixels,
    numbers,
    pinhole,
    read_mapping,
    read_raw,
)
from hoi_core.conventions import N_JOINTS, SIDES, Side, reorder
from hoi_core.errors import DatasetError
from hoi_core.types import F32, F64, U8, Bool, Sample

SIZE = 320
FOLDERS = {"train": "training", "test": "evaluation"}
"""Folder of each split."""
FAR_M = 5.0
"""Depth of the largest packed number."""
_SIDES: tuple[Side, Side] = ("left", "right")  # of 42 joints the first 21 are of the left hand
_KEY = re.compile(rf"({'|'.join(FOLDERS.values())})/(\d{{5}})/({'|'.join(SIDES)})")
_MOST_BYTES = 2**30
_LEAST_VISIBLE = 11
_MOST_APART_PX = 3.0
_HAND_PARTS = (2, 33)

INFO = ReaderInfo(
    name="rhd",
    url="https://lmb.informatik.uni-freiburg.de/resources/datasets/RenderedHandposeDataset.en.html",
    licence="research only, not commercial",
    citation="Zimmermann and Brox, Learning to Estimate 3D Hand Pose from Single RGB Images, ICCV 2017",
    splits=(*FOLDERS, "all"),
    joint_order="rhd21",
    unit="m",
    tree="""  training/color/00000.png ... 41257.png    training/depth/  training/mask/
  training/anno_training.pickle
  evaluation/color/00000.png ... 02727.png  evaluation/depth/  evaluation/mask/
  evaluation/anno_evaluation.pickle""",
    sources=(
        "https://github.com/lmb-freiburg/hand3d (create_binary_db.py: files, entries of the labels, units; "
        "data/BinaryDbReader.py: left hand first, numbers of the mask)",
        "https://github.com/open-mmlab/mmpose (configs/_base_/datasets/rhd2d.py: every finger from tip to base)",
        "view_samples.py of the dataset, as public copies show it (projection by K; depth: high byte red, low byte "
        "green, 5 m at most)",
    ),
    unchecked=(
        "Nothing here was compared with the real files, which may not be redistributed.",
        "Depth of the background: numbers 0 and 65535 are taken as unknown.",
        "Whether pixel centres lie at integers; labels in the image may lie up to 3 px beside those in space.",
        "How large the hands of the animated persons are: those of no human size are left out, and counted in the log.",
    ),
    key_parts=("part", "moment", "side"),
)

logger = logging.getLogger(__name__)


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `training/00012/left`.

    Raises:
        DatasetError: files are missing or damaged.
        ConfigError: an unknown split.
    """
    root = Path(root)
    check_split(INFO, split)
    keys = []
    for folder in FOLDERS.values() if split == "all" else [FOLDERS[split]]:
        arrays = _labels(root, folder)
        pictures = sum(1 for _ in (root / folder / "color").glob("*.png"))
        if pictures != len(arrays):
            raise DatasetError(f"expected {len(arrays)} pictures in {root / folder}/color, found {pictures}.", REMEDY)
        keys += [f"{folder}/{n:05d}/{_SIDES[hand]}" for n, hand in np.argwhere(_usable(arrays))]
    return keys


def read(root: Path, key: str) -> Sample:
    """One hand of one picture.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    root, (folder, number, side) = Path(root), _split_key(key)
    arrays = _labels(root, folder)
    hand = _SIDES.index(side)
    if int(number) >= len(arrays) or not _usable(arrays[int(number)][None])[0, hand]:
        raise DatasetError(f"{key} names a picture that is not there or a hand that is not seen.", "Use index().")
    path = _pickle(root, folder)
    row = arrays[int(number)].astype(np.float64)
    joints_m, joints_px = (
        np.asarray(reorder(values[hand], INFO.joint_order, "openpose21"), np.float64)
        for values in (_xyz(row), _uv(row))
    )
    camera = pinhole(row[-9:].reshape(3, 3), SIZE, SIZE, path)
    valid = np.ones(N_JOINTS, np.bool_)
    check_hand(joints_m, valid, path)
    check_pixels(camera, joints_m, joints_px, path, _MOST_APART_PX)
    return Sample(
        image=read_rgb(root / folder / "color" / f"{number}.png", SIZE, SIZE),
        camera=camera,
        side=side,
        joints_m=joints_m,
        joints_valid=valid,
        vertices_m=None,
        dataset=INFO.name,
        key=key,
        joints_px=joints_px,
    )


def group(key: str) -> str:
    """The picture: both hands of it stay together."""
    return key.rpartition("/")[0]


def depth_m(root: Path, key: str) -> F32:
    """Rendered depth. `(H, W)` m; NaN for the background.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    folder, number, _ = _split_key(key)
    packed = read_raw(Path(root) / folder / "depth" / f"{number}.png", (SIZE, SIZE, 3), np.uint8).astype(np.float32)
    units = packed[..., 0] * np.float32(256) + packed[..., 1]
    known = (units > 0) & (units < 65535)
    return np.where(known, units * np.float32(FAR_M / 65535), np.float32(np.nan))


def segmentation(root: Path, key: str) -> U8:
    """What each pixel shows. `(H, W)`: 1 either hand of the person, 0 anything else.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    folder, number, _ = _split_key(key)
    parts = read_raw(Path(root) / folder / "mask" / f"{number}.png", (SIZE, SIZE), np.uint8).astype(np.uint8)
    return np.asarray((parts >= _HAND_PARTS[0]) & (parts <= _HAND_PARTS[1]), np.uint8)


def tiny(folder: Path) -> Path:
    """Write two pictures to train on and one to evaluate on; return the root."""
    from dataset_tools.readers._tiny_rhd import write

    return write(folder)


def _split_key(key: str) -> tuple[str, str, Side]:
    found = _KEY.fullmatch(key)
    if not found:
        raise DatasetError(f"expected a key like training/00012/left, got {key!r}.", "Take it from index().")
    return found[1], found[2], "left" if found[3] == "left" else "right"


def _pickle(root: Path, folder: str) -> Path:
    return root / folder / f"anno_{folder}.pickle"


def _labels(root: Path, folder: str) -> F32:
    """(N, 261): of each picture 42 x (u px, v px, visible), 42 x 3 m, K; native order."""
    path = _pickle(root, folder)
    need(INFO, root, f"{folder}/color", f"{folder}/{path.name}")
    return _kept_labels(path, _kept_arrays.tag_of([path]))


@lru_cache(maxsize=4)
def _kept_labels(path: Path, tag: str) -> F32:
    arrays = _kept_arrays.load(path, tag, lambda: _read_labels(path))
    if arrays.ndim != 2 or arrays.shape[1] != 261 or arrays.dtype != np.float32:
        raise DatasetError(f"what is kept of {path} is damaged.", f"Remove {path.parent / '.hoi-index'}.")
    return arrays.astype(np.float32, copy=False)


def _read_labels(path: Path) -> F32:
    content = read_mapping(path, _MOST_BYTES)
    if not content or set(content) != set(range(len(content))):
        raise DatasetError(f"expected pictures 0, 1, ... in {path}, got {len(content)} others.", REMEDY)
    rows = []
    for n in range(len(content)):
        labels = content[n]
        if not isinstance(labels, dict):
            raise DatasetError(f"expected a mapping for picture {n} in {path}.", REMEDY)
        parts = [numbers(labels, name, (42, 3), path).ravel() for name in ("uv_vis", "xyz")]
        rows.append(np.concatenate([*parts, numbers(labels, "K", (3, 3), path).ravel()]).astype(np.float32))
    arrays = np.stack(rows)
    odd = ~_human(arrays)
    if odd.mean() > 0.1:
        raise DatasetError(f"{100 * odd.mean():.0f} % of the hands in {path} have no human size in metres.", REMEDY)
    if odd.any():
        logger.warning("%d of %d hands in %s have no human size and are left out.", odd.sum(), odd.size, path)
    return arrays


def _xyz(rows: F64 | F32) -> F64 | F32:
    """(..., 2, 21, 3) m, left hand first."""
    return rows[..., 126:252].reshape(*rows.shape[:-1], 2, N_JOINTS, 3)


def _uv(rows: F64 | F32) -> F64 | F32:
    """(..., 2, 21, 2) px, left hand first."""
    return rows[..., :126].reshape(*rows.shape[:-1], 2, N_JOINTS, 3)[..., :2]


def _usable(rows: F32) -> Bool:
    """(N, 2) hands that enough is seen of."""
    visible = rows[:, :126].reshape(-1, 2, N_JOINTS, 3)[..., 2] == 1
    return (visible.sum(-1) >= _LEAST_VISIBLE) & _human(rows)


def _human(rows: F32) -> Bool:
    """(N, 2) hands before the camera and of human size, as `check_hand` wants them."""
    joints = reorder(_xyz(rows), INFO.joint_order, "openpose21")
    palms = np.linalg.norm(joints[..., 9, :] - joints[..., 0, :], axis=-1)
    bones = np.linalg.norm(np.diff(joints[..., 1:, :].reshape(-1, 2, 5, 4, 3), axis=-2), axis=-1)
    sized = (palms > PALM_M[0]) & (palms < PALM_M[1]) & (bones < BONE_M).all((-1, -2))
    return np.asarray(sized & (joints[..., 2] > 0).all(-1), np.bool_)
