"""SynthHands: 63,530 synthetic pictures of one hand seen from the eyes, with and without objects.

The pictures of the colour camera are read; labels are native to the depth camera and are moved. No document at hand
says which hand it is: it is measured, once, from the labels. Fingers bend towards the palm.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset_tools.readers import ReaderInfo, _image_files, _kept_tables, check_split, need
from dataset_tools.readers._native import check_hand
from hoi_core.conventions import N_JOINTS, Side
from hoi_core.errors import DatasetError
from hoi_core.types import F64, Camera, Sample

ACTORS = ("female_noobject", "female_object", "male_noobject", "male_object")
TEST = "seq07"
"""The motion of our test; the dataset itself has no parts."""
CAMERA = Camera(640, 480, 617.173, 617.173, 315.453, 242.259)
"""The colour camera."""
SHIFT_MM = (24.7, -0.0471401, 3.72045)
"""Added to a point of the depth camera's frame it is one of the colour camera's; their axes are parallel."""

_VOTES = 200
_LEAST_AGREED = 0.6
_NAME = rf"(?:{'|'.join(ACTORS)})/seq\d\d/cam\d\d/\d\d/\d{{8}}"
_REMEDY = "Unpack the dataset again."
_TREE = """  female_noobject/seq01/cam01/01/00000000_color.png, 00000000_joint_pos.txt ...
  female_object/...   male_noobject/...   male_object/..."""

INFO = ReaderInfo(
    name="synthhands",
    url="https://handtracker.mpi-inf.mpg.de/projects/OccludedHands/SynthHands.htm",
    licence="research only, not commercial",
    citation="Mueller et al., Real-time Hand Tracking under Occlusion from an Egocentric RGB-D Sensor, ICCV 2017",
    splits=("train", "test", "all"),
    joint_order="openpose21",
    unit="mm",
    tree=_TREE,
    sources=(
        "https://github.com/Idein/chainer-hand-pose (synth_dataset.py: folders, file names, joints W T0 ... L3, both "
        "cameras and the shift between them, a left hand)",
        "https://github.com/pauloabelha/muellerICCV2017 (camera.py: the same numbers)",
    ),
    unchecked=(
        "Nothing here was compared with the real files, nor with the authors' README.txt, which was not at hand.",
        "Which hand it is: a public reader says the left one; here it is measured from the labels.",
        "That joints 0 to 3 of a finger run from its base to its tip.",
        "Parts: ours, by motion; whether different motions are of different people is not documented.",
        "Whether pixel centres lie at integers.",
        "The licence: quoted from memory.",
    ),
    key_parts=("scene", "sequence", "camera", "piece", "moment"),
)


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `female_object/seq03/cam01/02/00000062`.

    Raises:
        DatasetError: files are missing or damaged.
        ConfigError: an unknown split.
    """
    check_split(INFO, split)
    keys = [k for k in _table(Path(root))["name"].tolist() if split == "all" or (group(k) == TEST) == (split == "test")]
    if not keys:
        raise DatasetError(f"expected labels of {split} in {root}, found none.", _REMEDY)
    return keys


def read(root: Path, key: str) -> Sample:
    """One colour picture with its hand.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    if not re.fullmatch(_NAME, key):
        raise DatasetError(f"expected a key like male_object/seq03/cam01/02/00000062, got {key!r}.", "Use index().")
    side = _side(_table(Path(root)), Path(root))
    joints_m = (_joints_mm(Path(root), key) + np.array(SHIFT_MM)) / 1000
    valid = np.ones(N_JOINTS, np.bool_)
    check_hand(joints_m, valid, _label_file(Path(root), key))
    return Sample(
        image=_image_files.read_rgb(Path(root) / f"{key}_color.png", CAMERA.width, CAMERA.height),
        camera=CAMERA,
        side=side,
        joints_m=joints_m,
        joints_valid=valid,
        vertices_m=None,
        dataset=INFO.name,
        key=key,
    )


def group(key: str) -> str:
    """The motion: both actors show it to all cameras."""
    return key.split("/")[1]


def right_hand_share(joints_m: F64) -> float:
    """How many of some hands look like right ones: fingers bend towards the palm. `(N, 21, 3)`, openpose21."""
    wrist = joints_m[:, :1]
    back = np.cross(joints_m[:, 17] - wrist[:, 0], joints_m[:, 5] - wrist[:, 0])
    bent = joints_m[:, [8, 12, 16, 20]] - joints_m[:, [5, 9, 13, 17]]
    return float((np.einsum("nfd,nd->n", bent, back) < 0).mean())


def tiny(folder: Path) -> Path:
    """Write six pictures of two motions; return the root."""
    from dataset_tools.readers._tiny_synthhands import write

    return write(folder)


def _table(root: Path) -> _kept_tables.Columns:
    """`name` of every sample, sorted; `right_share`, (1,), of the hands that were looked at."""
    folders = _folders(root)
    if not folders:
        need(INFO, root, f"{ACTORS[0]}/seq01/cam01/01")
    # A folder's time changes when a file in it comes or goes.
    version = _kept_tables.version_of(root / folder for folder in folders)
    return _load(root, tuple(folders), version)


def _folders(root: Path) -> list[str]:
    found = [path for actor in ACTORS for path in (root / actor).glob("seq[0-9][0-9]/cam[0-9][0-9]/[0-9][0-9]")]
    return sorted(path.relative_to(root).as_posix() for path in found if path.is_dir())


@lru_cache(maxsize=4)
def _load(root: Path, folders: tuple[str, ...], version: str) -> _kept_tables.Columns:
    return _kept_tables.load(root / "labels", version, lambda: _build(root, folders))


def _build(root: Path, folders: Iterable[str]) -> _kept_tables.Columns:
    names: list[str] = []
    for folder in folders:
        labels, pictures = (
            {path.name.removesuffix(ending) for path in (root / folder).glob(f"*{ending}")}
            for ending in ("_joint_pos.txt", "_color.png")
        )
        if labels != pictures:
            lone = min(labels ^ pictures)
            raise DatasetError(f"expected both a colour picture and joints of {folder}/{lone} in {root}.", _REMEDY)
        names += [f"{folder}/{name}" for name in sorted(labels)]
    wrong = next((name for name in names if not re.fullmatch(_NAME, name)), None)
    if wrong is not None:
        raise DatasetError(f"expected names like 00000062_color.png in {root}, got {wrong}.", _REMEDY)
    looked_at = names[:: max(1, len(names) // _VOTES)]
    hands = np.array([_joints_mm(root, name) for name in looked_at]).reshape(-1, N_JOINTS, 3)
    return {"name": np.array(names, dtype=np.str_), "right_share": np.array([right_hand_share(hands)])}


def _side(table: _kept_tables.Columns, root: Path) -> Side:
    share = float(table["right_share"][0])
    if not max(share, 1 - share) >= _LEAST_AGREED:
        raise DatasetError(
            f"expected hands of one side in {root}; {100 * share:.0f} of 100 look like right ones.", _REMEDY
        )
    return "right" if share > 0.5 else "left"


def _label_file(root: Path, key: str) -> Path:
    return root / f"{key}_joint_pos.txt"


def _joints_mm(root: Path, key: str) -> F64:
    """`(21, 3)` of the depth camera."""
    path = _label_file(root, key)
    try:
        values = np.array([float(piece) for piece in path.read_text(encoding="ascii").strip().rstrip(",").split(",")])
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}.", _REMEDY) from error
    except ValueError as error:
        raise DatasetError(f"expected numbers with commas in {path}, got: {error}.", _REMEDY) from error
    if values.shape != (3 * N_JOINTS,) or not np.isfinite(values).all():
        raise DatasetError(f"expected {3 * N_JOINTS} finite numbers in {path}, got {values.shape}.", _REMEDY)
    return values.reshape(N_JOINTS, 3)
