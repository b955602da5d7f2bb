"""FreiHAND v2: 32,560 labelled right hands, each on four backgrounds, and 3,960 to evaluate on.

Image i of the training set shows label `i % 32560`: as it was taken on a green screen, then on a background in three
ways (harmonised, sampled colours, automatic colours). Pictures of one label stay together in any split.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from dataset_tools.readers import ReaderInfo, _json_arrays, check_split, need
from hoi_core.conventions import N_JOINTS, N_VERTICES
from hoi_core.errors import DatasetError
from hoi_core.types import F32, Camera, HandParams, Sample

BACKGROUNDS = ("gs", "hom", "sample", "auto")
"""How the background of the four copies was made, in the order of their numbers."""
SIZE = 224
_TRAINING, _EVALUATION = "training", "evaluation"
_KEY = re.compile(rf"(?:({_TRAINING})/(\d{{8}})/({'|'.join(BACKGROUNDS)})|{_EVALUATION}/(\d{{8}}))")
_FARTHEST_M = 3.0
_TREE = """  training/rgb/00000000.jpg ... 00130239.jpg
  training_K.json  training_xyz.json  training_verts.json  training_mano.json
  evaluation/rgb/00000000.jpg ... 00003959.jpg
  evaluation_K.json  evaluation_xyz.json  evaluation_verts.json"""

INFO = ReaderInfo(
    name="freihand",
    url="https://lmb.informatik.uni-freiburg.de/projects/freihand/",
    licence="research only, not commercial",
    citation="Zimmermann et al., FreiHAND: A Dataset for Markerless Capture of Hand Pose and Shape from Single RGB "
    "Images, ICCV 2019",
    splits=("train", "test", "all", *(f"train_{background}" for background in BACKGROUNDS)),
    joint_order="openpose21",
    unit="m",
    tree=_TREE,
    sources=(
        "https://github.com/lmb-freiburg/freihand (README: files, counts, order of the copies; eval.py: metrics)",
        "https://github.com/lmb-freiburg/freihand/issues/8 (the last three MANO numbers: root pixel and scale)",
        "https://github.com/mks0601/I2L-MeshNet_RELEASE/issues/114 (pose relative to the mean; frame of the rotation)",
    ),
    unchecked=(
        "Nothing here was compared with the real files, which may not be redistributed.",
        "Whether the global rotation of training_mano.json holds in the camera frame of xyz; it is passed on as it is.",
        "Whether pixel centres lie at integers; half a pixel of 224.",
    ),
    key_parts=("part", "moment", "background"),
)


@dataclass(frozen=True)
class _Part:
    """Labels of the training or the evaluation set. N of them."""

    K: F32
    """(N, 3, 3) px."""
    xyz_m: F32
    """(N, 21, 3)."""
    vertices_m: F32
    """(N, 778, 3)."""
    mano: F32 | None
    """(N, 61): 48 pose, 10 shape, 2 px of the root, scale."""


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `training/00000012/hom` (label and background) and `evaluation/00000012`.

    Raises:
        DatasetError: files are missing, damaged, or of different length.
        ConfigError: an unknown split.
    """
    root = Path(root)
    check_split(INFO, split)
    keys = []
    if split != "test":
        chosen = split.removeprefix("train_")
        keys += _keys(root, _TRAINING, (chosen,) if chosen in BACKGROUNDS else BACKGROUNDS)
    if split in ("test", "all"):
        keys += _keys(root, _EVALUATION, ("",))
    return keys


def read(root: Path, key: str) -> Sample:
    """One image with its hand.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    found = _KEY.fullmatch(key)
    if not found:
        raise DatasetError(f"expected a key like training/00000012/hom, got {key!r}.", "Take it from index().")
    folder, label = (found[1], int(found[2])) if found[1] else (_EVALUATION, int(found[4]))
    part = _labels(Path(root), folder)
    if label >= len(part.K):
        raise DatasetError(f"{key} has no label: {len(part.K)} are there.", "Take keys from index().")
    number = label + (BACKGROUNDS.index(found[3]) * len(part.K) if found[3] else 0)
    path = Path(root) / folder / "rgb" / f"{number:08d}.jpg"
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if image is None or image.shape != (SIZE, SIZE, 3):
        met = "nothing readable" if image is None else f"{image.shape[1]}x{image.shape[0]} px"
        raise DatasetError(f"expected a picture of {SIZE}x{SIZE} px in {path}, got {met}.", "Unpack the dataset again.")
    K = part.K[label].astype(np.float64)
    joints_m = part.xyz_m[label].astype(np.float64)
    return Sample(
        image=np.asarray(image, np.uint8),
        camera=Camera(SIZE, SIZE, float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2])),
        side="right",
        joints_m=joints_m,
        joints_valid=np.ones(N_JOINTS, np.bool_),
        vertices_m=part.vertices_m[label].astype(np.float64),
        dataset=INFO.name,
        key=key,
        params=None if part.mano is None else _params(part.mano[label]),
    )


def group(key: str) -> str:
    """The label that the key's picture shows, on whatever background."""
    return "/".join(key.split("/")[:2])


def tiny(folder: Path) -> Path:
    """Write two labels on four backgrounds and one to evaluate on; return the root."""
    from dataset_tools.readers._tiny_freihand import write

    return write(folder)


def _keys(root: Path, part: str, backgrounds: tuple[str, ...]) -> list[str]:
    count = len(_labels(root, part).K)
    pictures = sum(1 for _ in (root / part / "rgb").glob("*.jpg"))
    # Version 1, and what this toolkit exports, have one picture for each label.
    allowed = {count: BACKGROUNDS[:1], len(BACKGROUNDS) * count: BACKGROUNDS} if part == _TRAINING else {count: ("",)}
    if pictures not in allowed:
        raise DatasetError(
            f"expected {' or '.join(map(str, allowed))} pictures in {root / part / 'rgb'}, as {count} are labelled; "
            f"found {pictures}.",
            "Unpack the dataset again.",
        )
    there = [background for background in backgrounds if background in allowed[pictures]]
    return [f"{part}/{n:08d}{background and '/' + background}" for background in there for n in range(count)]


def _labels(root: Path, part: str) -> _Part:
    names = [f"{part}_{kind}.json" for kind in ("K", "xyz", "verts")]
    need(INFO, root, f"{part}/rgb", *names)
    # The evaluation set has none, nor has what this toolkit exports.
    names += [name for name in (f"{part}_mano.json",) if (root / name).exists()]
    return _read_labels(root, part, tuple((root / name).stat().st_mtime_ns for name in names))


@lru_cache(maxsize=4)
def _read_labels(root: Path, part: str, times_ns: tuple[int, ...]) -> _Part:
    def arrays(kind: str, *shape: int) -> F32:
        return _json_arrays.load(root / f"{part}_{kind}.json", shape)

    found = _Part(
        arrays("K", 3, 3),
        arrays("xyz", N_JOINTS, 3),
        arrays("verts", N_VERTICES, 3),
        arrays("mano", 61) if (root / f"{part}_mano.json").exists() else None,
    )
    counts = {len(values) for values in (found.K, found.xyz_m, found.vertices_m, found.mano) if values is not None}
    if len(counts) > 1:
        raise DatasetError(
            f"the label files of {part} in {root} hold different numbers of entries: {sorted(counts)}.",
            "Unpack the dataset again.",
        )
    if (found.xyz_m[:, :, 2] <= 0).any() or (np.abs(found.xyz_m) > _FARTHEST_M).any():
        raise DatasetError(
            f"a joint in {part}_xyz.json lies behind its camera or beyond {_FARTHEST_M} m: labels are in metres.",
            "Unpack the dataset again.",
        )
    return found


def _params(mano: F32) -> HandParams:
    values = mano.astype(np.float64)
    # Root pixel and scale say where the hand is in a camera of their own; xyz says it in this one.
    return HandParams(values[:3], values[3:48], values[48:58], np.full(3, np.nan), flat_hand_mean=False)
