"""CMU Panoptic HandDB: hands labelled by people, synthetic hands, and hands labelled by many cameras. Pixels only.

The three parts lie side by side as they are unpacked. The hands of the Panoptic Studio do not say their side: public
readers take them as right hands, and so does this one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.readers import ReaderInfo, _image_files, _json_objects, _kept_tables, _pixels_only, need
from hoi_core.conventions import N_JOINTS
from hoi_core.errors import DatasetError
from hoi_core.plugins import unknown_name
from hoi_core.types import F64, Sample

FOLDERS = {
    "manual_train": "hand_labels/manual_train",
    "manual_test": "hand_labels/manual_test",
    **{f"synth{n}": f"hand_labels_synth/synth{n}" for n in range(1, 5)},
}
"""Parts with a label file for each picture, and their folders."""
PANOPTIC = "panoptic"
PANOPTIC_FOLDER, PANOPTIC_FILE = "hand143_panopticdb", "hands_v143_14817.json"
VALID = 1
"""The third number of a point that is labelled."""

_SYNTHETIC = tuple(part for part in FOLDERS if part.startswith("synth"))
_PARTS = {
    "train": ("manual_train", *_SYNTHETIC, PANOPTIC),
    "test": ("manual_test",),
    "all": (*FOLDERS, PANOPTIC),
    "manual_train": ("manual_train",),
    "synth": _SYNTHETIC,
    PANOPTIC: (PANOPTIC,),
}
# Public readers met files there that do not hold 21 points.
_MAY_LACK_POINTS = "synth1"
_KEY = re.compile(rf"({'|'.join((*FOLDERS, PANOPTIC))})/([\w.+-]+)")
_REMEDY = "Unpack the dataset again."
_TREE = """  hand_labels/manual_train/*.jpg, *.json   hand_labels/manual_test/*.jpg, *.json
  hand_labels_synth/synth1/*.jpg, *.json ... synth4
  hand143_panopticdb/imgs/00000000.jpg ...   hand143_panopticdb/hands_v143_14817.json"""

INFO = ReaderInfo(
    name="cmu",
    url="https://domedb.perception.cs.cmu.edu/handdb.html",
    licence="research only, not commercial",
    citation="Simon et al., Hand Keypoint Detection in Single Images using Multiview Bootstrapping, CVPR 2017",
    splits=tuple(_PARTS),
    joint_order="openpose21",
    unit="px",
    tree=_TREE,
    sources=(
        "https://domedb.perception.cs.cmu.edu/handdb.html (parts and counts; example script: hand_pts of 21x3 in "
        "OpenPose's order, the third number is 1 if valid; is_left, and left hands in the same order; root, img_paths "
        "and joint_self of the panoptic part), as quoted in public repositories",
        "https://github.com/Idein/chainer-hand-pose (handdb_dataset.py: folders, is_left of synthetic hands, synth1)",
        "https://github.com/open-mmlab/mmpose (tests/data/panoptic: a few labels in another layout; names of files)",
        "https://github.com/zju3dv/EasyMocap (panoptic hands taken as right hands)",
    ),
    unchecked=(
        "Nothing here was compared with the real files.",
        "The side of the panoptic hands: nothing in the file says it; they are taken as right hands.",
        "Whether coordinates count pixels from 0 or from 1.",
        "synth1: a public reader says that its files do not hold 21 points; such files are left out, in synth1 alone.",
        "Which panoptic and synthetic pictures show the same instant: each part is one group.",
        "The head size (for PCKh) is not read.",
        "The licence: quoted from memory.",
    ),
    camera_known=False,
    key_parts=("part", "hand"),
)


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `manual_test/005880453_01_l`, `synth2/0001` and `panoptic/00000012`.

    Raises:
        DatasetError: files are missing or damaged.
        ConfigError: an unknown split.
    """
    if split not in _PARTS:
        raise unknown_name("split", split, list(_PARTS))
    _at_hand.cache_clear()
    keys = [f"{part}/{name}" for part in _PARTS[split] for name in _table(Path(root), part)["name"].tolist()]
    if not keys:
        raise DatasetError(f"expected labels of {split} in {root}, found none.", _REMEDY)
    return keys


def read(root: Path, key: str) -> Sample:
    """One picture with one hand.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    found = _KEY.fullmatch(key)
    if not found:
        raise DatasetError(f"expected a key like manual_test/005880453_01_l, got {key!r}.", "Take it from index().")
    part, name = found[1], found[2]
    table = _at_hand(Path(root), part)
    row = int(np.searchsorted(table["name"], name))
    if row >= len(table["name"]) or table["name"][row] != name:
        raise DatasetError(f"{part} has no label named {name!r}.", "Take keys from index().")
    points = table["points"][row].astype(np.float64)
    joints_px = np.where(points[:, 2:] == VALID, points[:, :2], np.nan)
    image = _image_files.read_rgb(_picture(Path(root), part, name))
    return _pixels_only.sample(INFO, key, "left" if table["left"][row] else "right", image, joints_px)


def group(key: str) -> str:
    """The photograph or film that hands of the manual part come from; each of the other parts as a whole."""
    part, _, name = key.partition("/")
    if not part.startswith("manual"):
        return part
    # 005880453_01_l is the left hand of the first person in a picture, ex2_2.flv_000040_r a frame of a film.
    return re.sub(r"(_\d+)?_[lr]$", "", name)


def tiny(folder: Path) -> Path:
    """Write a few hands of each part; return the root."""
    from dataset_tools.readers._tiny_cmu import write

    return write(folder)


def _picture(root: Path, part: str, name: str) -> Path:
    folder = f"{PANOPTIC_FOLDER}/imgs" if part == PANOPTIC else FOLDERS[part]
    return root / folder / f"{name}.jpg"


def _table(root: Path, part: str) -> _kept_tables.Columns:
    """`name`, sorted; `points` (N, 21, 3) px, px, flag; `left`."""
    if part == PANOPTIC:
        at = root / PANOPTIC_FOLDER / PANOPTIC_FILE
        need(INFO, root, f"{PANOPTIC_FOLDER}/imgs", f"{PANOPTIC_FOLDER}/{PANOPTIC_FILE}")
        return _load(root, part, at, _kept_tables.version_of([at]))
    need(INFO, root, FOLDERS[part])
    at = root / FOLDERS[part]
    # The folder's time changes when a file comes or goes, but not when one is written over.
    return _load(root, part, at, _kept_tables.version_of([at, *sorted(at.glob("*.json"))]))


@lru_cache(maxsize=2 * len(_PARTS["all"]))
def _at_hand(root: Path, part: str) -> _kept_tables.Columns:
    """As `_table`, without asking thousands of label files for their times on every read."""
    return _table(root, part)


@lru_cache(maxsize=2 * len(_PARTS["all"]))
def _load(root: Path, part: str, at: Path, version: str) -> _kept_tables.Columns:
    return _kept_tables.load(at, version, lambda: _build(root, part))


def _build(root: Path, part: str) -> _kept_tables.Columns:
    labels = sorted(_panoptic(root) if part == PANOPTIC else _label_files(root, part), key=lambda row: row[0])
    names = [name for name, _, _ in labels]
    if len(set(names)) < len(names):
        raise DatasetError(f"{part} of {root} labels a picture twice.", _REMEDY)
    missing = next((name for name in names if not _picture(root, part, name).is_file()), None)
    if missing is not None:
        raise DatasetError(f"expected the picture {_picture(root, part, missing)}, which is labelled.", _REMEDY)
    return {
        "name": np.array(names, dtype=np.str_),
        "points": np.array([points for _, points, _ in labels], dtype=np.float32).reshape(-1, N_JOINTS, 3),
        "left": np.array([left for _, _, left in labels], dtype=np.bool_),
    }


def _label_files(root: Path, part: str) -> Iterator[tuple[str, F64, bool]]:
    for path in (root / FOLDERS[part]).glob("*.json"):
        try:
            label = json.loads(path.read_text(encoding="utf8"))
            listed, left = label["hand_pts"], label["is_left"]
            if left not in (0, 1):
                raise ValueError(f"is_left is {left!r}, neither 0 nor 1")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"expected hand_pts and is_left in {path}, got: {error}.", _REMEDY) from error
        if part == _MAY_LACK_POINTS and isinstance(listed, list) and len(listed) != N_JOINTS:
            continue
        points = _points(listed, str(path))
        if (points[:, 2] == VALID).any():
            yield path.stem, points, bool(left)


def _panoptic(root: Path) -> Iterator[tuple[str, F64, bool]]:
    path = root / PANOPTIC_FOLDER / PANOPTIC_FILE
    for place, label in _json_objects.entries(path, ("root",)):
        if place != "root":
            continue
        try:
            picture, listed = str(label["img_paths"]), label["joint_self"]
        except (KeyError, TypeError) as error:
            raise DatasetError(f"expected img_paths and joint_self in {path}, got: {error!r}.", _REMEDY) from error
        named = re.fullmatch(r"imgs/([\w-]+)\.jpg", picture)
        if not named:
            raise DatasetError(f"expected a picture like imgs/00000000.jpg in {path}, got {picture!r}.", _REMEDY)
        points = _points(listed, f"{picture} in {path}")
        if (points[:, 2] == VALID).any():
            yield named[1], points, False


def _points(listed: Any, where: str) -> F64:
    """`(21, 3)` px, px, flag."""
    try:
        points = np.array(listed, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise DatasetError(f"expected 21 points of three numbers for {where}, got: {error}.", _REMEDY) from error
    if points.shape != (N_JOINTS, 3):
        raise DatasetError(f"expected 21 points of three numbers for {where}, got {points.shape}.", _REMEDY)
    if not np.isfinite(points[points[:, 2] == VALID]).all() or not np.isfinite(points[:, 2]).all():
        raise DatasetError(f"a labelled point of {where} is no number.", _REMEDY)
    return points
