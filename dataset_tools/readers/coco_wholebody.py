"""COCO-WholeBody, hands: 21 points on each clear hand of a person in COCO 2017. Pixels only.

The test is COCO's validation set: its test set has no public labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.readers import ReaderInfo, _image_files, _json_objects, _kept_tables, _pixels_only, check_split, need
from dataset_tools.readers._json_objects import whole
from hoi_core.conventions import N_JOINTS, SIDES
from hoi_core.errors import DatasetError
from hoi_core.types import F64, I64, Sample

PARTS = {"train": "train", "test": "val"}
"""Our name of a part and COCO's."""
FLAGS = (0, 1, 2)
"""Of a point: not labelled, labelled and hidden, labelled and visible."""

FIRST_PIXEL = 0.5
"""px: where COCO has the middle of the first pixel, as it measures from the corner of the picture."""

_KEY = re.compile(rf"({'|'.join(PARTS)})/(\d{{12}})/(\d{{1,18}})/({'|'.join(SIDES)})")
_REMEDY = "Unpack the dataset again."
_TREE = """  annotations/coco_wholebody_train_v1.0.json   annotations/coco_wholebody_val_v1.0.json
  train2017/000000000009.jpg ...   val2017/000000000139.jpg ..."""

INFO = ReaderInfo(
    name="coco_wholebody",
    url="https://github.com/jin-s13/COCO-WholeBody",
    licence="labels: research only, not commercial; images: Flickr's terms of use",
    citation="Jin et al., Whole-Body Human Pose Estimation in the Wild, ECCV 2020",
    splits=(*PARTS, "all"),
    joint_order="openpose21",
    unit="px",
    tree=_TREE,
    sources=(
        "https://github.com/jin-s13/COCO-WholeBody (README: terms; data_format.md: lefthand_kpts, lefthand_valid and "
        "their right counterparts, flags, coordinates from 0)",
        "https://github.com/open-mmlab/mmpose (names of files; the order of the 21 points; "
        "tests/data/coco/test_coco_wholebody.json: four labelled pictures)",
        "https://cocodataset.org/#format-data (images, annotations)",
    ),
    unchecked=(
        "Nothing here was compared with the real files but for the four labelled pictures of mmpose's tests.",
        "Which point is which: the documents show it in a figure; the order is mmpose's.",
        "Half a pixel: coordinates are documented as measured from the corner of the picture, and are read so.",
    ),
    camera_known=False,
    key_parts=("part", "moment", "person", "side"),
)


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, `<part>/<image>/<annotation>/<side>`, such as `test/000000000785/442619/right`.

    Raises:
        DatasetError: files are missing or damaged.
        ConfigError: an unknown split.
    """
    check_split(INFO, split)
    keys = [key for part in PARTS if split in (part, "all") for key in _keys(part, _table(Path(root), part))]
    if not keys:
        raise DatasetError(f"{split} of {root} holds no hand that is valid.", _REMEDY)
    return keys


def read(root: Path, key: str) -> Sample:
    """One picture with one of its hands.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    found = _KEY.fullmatch(key)
    if not found:
        raise DatasetError(f"expected a key like test/000000000785/442619/right, got {key!r}.", "Take it from index().")
    part, picture, annotation, side = found[1], int(found[2]), int(found[3]), SIDES[SIDES.index(found[4])]
    table = _table(Path(root), part)
    hand = _hand_number(annotation, side)
    row = int(np.searchsorted(table["hand"], hand))
    if row >= len(table["hand"]) or table["hand"][row] != hand or table["image"][row] != picture:
        raise DatasetError(f"no valid hand is labelled as {key}.", "Take keys from index().")
    points = table["points"][row].astype(np.float64)
    joints_px = np.where(points[:, 2:] > 0, points[:, :2] - FIRST_PIXEL, np.nan)
    path = Path(root) / f"{PARTS[part]}2017" / f"{picture:012d}.jpg"
    image = _image_files.read_rgb(path, int(table["width"][row]), int(table["height"][row]))
    return _pixels_only.sample(INFO, key, side, image, joints_px)


def group(key: str) -> str:
    """The picture: it may show several hands."""
    return "/".join(key.split("/")[:2])


def tiny(folder: Path) -> Path:
    """Write two pictures to train on and one to test; return the root."""
    from dataset_tools.readers._tiny_coco_wholebody import write

    return write(folder)


def _keys(part: str, table: _kept_tables.Columns) -> list[str]:
    rows = zip(table["image"].tolist(), table["hand"].tolist(), strict=True)
    return [f"{part}/{picture:012d}/{hand // 2}/{SIDES[hand % 2]}" for picture, hand in rows]


def _hand_number(annotation: int, side: str) -> int:
    return 2 * annotation + SIDES.index(side)


def _table(root: Path, part: str) -> _kept_tables.Columns:
    """`hand` (see `_hand_number`), sorted; `image` number, its `width` and `height`; `points` (N, 21, 3)."""
    name = f"annotations/coco_wholebody_{PARTS[part]}_v1.0.json"
    need(INFO, root, name, f"{PARTS[part]}2017")
    return _load(root / name, _kept_tables.version_of([root / name]))


@lru_cache(maxsize=4)
def _load(path: Path, version: str) -> _kept_tables.Columns:
    return _kept_tables.load(path, version, lambda: _build(path))


def _build(path: Path) -> _kept_tables.Columns:
    pictures: dict[int, tuple[int, int]] = {}
    hands: list[tuple[int, int]] = []
    points: list[F64] = []
    for place, entry in _json_objects.entries(path, ("images", "annotations")):
        if place not in ("images", "annotations"):
            continue
        try:
            if place == "images":
                pictures[whole(entry["id"])] = _size(entry)
            else:
                for side, listed in _labelled(entry):
                    points.append(_points(listed))
                    hands.append((_hand_number(whole(entry["id"]), side), whole(entry["image_id"])))
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"an entry of {place} in {path} is damaged: {error!r}.", _REMEDY) from error
    return _columns(path, pictures, np.array(hands, dtype=np.int64).reshape(-1, 2), points)


def _columns(path: Path, pictures: dict[int, tuple[int, int]], hands: I64, points: list[F64]) -> _kept_tables.Columns:
    if len(np.unique(hands[:, 0])) < len(hands):
        raise DatasetError(f"two annotations of {path} have one number.", _REMEDY)
    unknown = set(hands[:, 1].tolist()) - pictures.keys()
    if unknown:
        raise DatasetError(f"an annotation of {path} is of picture {min(unknown)}, which is not listed.", _REMEDY)
    order = np.argsort(hands[:, 0])
    sizes = np.array([pictures[number] for number in hands[order, 1].tolist()], dtype=np.int64).reshape(-1, 2)
    return {
        "hand": hands[order, 0],
        "image": hands[order, 1],
        "width": sizes[:, 0],
        "height": sizes[:, 1],
        "points": np.array([points[n] for n in order], dtype=np.float32).reshape(-1, N_JOINTS, 3),
    }


def _size(entry: dict[str, Any]) -> tuple[int, int]:
    number, width, height = whole(entry["id"]), whole(entry["width"]), whole(entry["height"])
    if entry["file_name"] != f"{number:012d}.jpg" or min(width, height) < 1:
        raise ValueError(f"picture {number} is named {entry['file_name']!r} and of {width}x{height} px")
    return width, height


def _labelled(entry: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Sides and points of the hands that are valid and have a labelled point."""
    for side in SIDES:
        valid, listed = entry[f"{side}hand_valid"], entry[f"{side}hand_kpts"]
        if valid not in (0, 1):
            raise ValueError(f"{side}hand_valid is {valid!r}")
        if valid and any(flag > 0 for flag in listed[2::3]):
            yield side, listed


def _points(listed: Any) -> F64:
    """`(21, 3)` px, px, flag."""
    points = np.array(listed, dtype=np.float64)
    if points.shape != (3 * N_JOINTS,):
        raise ValueError(f"expected {3 * N_JOINTS} numbers for a hand, got {points.shape}")
    points = points.reshape(N_JOINTS, 3)
    if not np.isfinite(points).all() or not np.isin(points[:, 2], FLAGS).all():
        raise ValueError("a point is no number, or its flag none of 0, 1, 2")
    return points
