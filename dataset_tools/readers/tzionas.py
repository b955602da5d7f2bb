"""Tzionas et al., Hands in Action (HIC): two hands, and hands with objects, with the authors' fits of MANO.

The labels are the published fits: joints and mesh of each hand in the colour camera's frame. Where the picture has 2D
labels by people, which name their joints nowhere, a fit must lie on them. A sample is one hand in one frame.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset_tools.readers import ReaderInfo, _image_files, check_split, need
from dataset_tools.readers._native import check_hand, numbers, read_mapping
from hoi_core import camera as cameras
from hoi_core.conventions import JOINT_ORDERS, N_JOINTS, N_VERTICES, SIDES, Side, fingertips, reorder
from hoi_core.errors import DatasetError
from hoi_core.types import F64, Camera, Sample

SEQUENCES = tuple(f"{n:02d}" for n in (*range(1, 12), *range(15, 22)))
"""01 to 11 show hands, 15 to 21 a hand or two with an object; fits of 12 to 14 are not published."""
TEST = tuple(name for name in SEQUENCES if int(name) >= 15)
"""Our test: hands with objects. Papers evaluate on all."""
CAMERA = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)
FITS = "IJCV16___Results_MANO___parms_for___joints21"
LETTERS: dict[Side, str] = {"right": "R", "left": "L"}

_AGREES_PX = 20.0
_KEY = re.compile(rf"({'|'.join(SEQUENCES)})/(\d{{3}})/({'|'.join(SIDES)})")
_REMEDY = "Unpack the dataset again."
_TREE = f"""  01/1/rgb/000.png ...   01/1/joints_2D_GT/000.txt ...   (01 to 11, 15 to 21)
  {FITS}/IJCV16___fakeGT___IJCV___01___Model_Hand_R___ncomps45/000.pkl ..."""

INFO = ReaderInfo(
    name="tzionas",
    url="https://files.is.tue.mpg.de/dtzionas/Hand-Object-Capture/",
    licence="research only, not commercial",
    citation="Tzionas et al., Capturing Hands in Action using Discriminative Salient Points and Physics Simulation, "
    "IJCV 2016",
    splits=("train", "test", "all"),
    joint_order="mano16",
    unit="m",
    tree=_TREE,
    sources=(
        "https://github.com/adwardlee/RenderIH (tzionas_generation.py: folders, names of the fits, fields v and "
        "J_transformed, camera, lines of the 2D labels, 0 or less is missing)",
        "https://github.com/facebookresearch/InterWild (data/HIC: which sequences; meshes in metres in the camera's "
        "frame; focal length and centre)",
        "https://github.com/cvlabbonn/hand_2d_gt_viewer (folders of a sequence; the 14 labelled joints of a hand)",
    ),
    unchecked=(
        "Nothing here was compared with the real files; no document of the authors gives the format of the fits.",
        "That the fits hold plain arrays: a file that names classes is refused.",
        "That J_transformed are MANO's 16 joints in its own order, as in its published code.",
        "That 000.png and 000.pkl are the same moment.",
        "Fingertips are vertices of the mesh (those of smplx).",
        "MANO parameters in the fits are not read: their layout is not documented.",
        "The 2D labels are used as a check alone: public readers differ on the order of the left index finger.",
        "Parts: ours.",
        "The licence: quoted from memory.",
    ),
    key_parts=("sequence", "moment", "side"),
)


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `01/000/left`: the hands that are fitted in frames with a picture.

    Raises:
        DatasetError: files are missing.
        ConfigError: an unknown split.
    """
    check_split(INFO, split)
    need(INFO, Path(root), FITS)
    chosen = [name for name in SEQUENCES if split == "all" or (name in TEST) == (split == "test")]
    there = [name for name in chosen if (Path(root) / name).is_dir()]
    if not there:
        need(INFO, Path(root), f"{chosen[0]}/1/rgb")
    return [key for name in there for key in _keys(Path(root), name)]


def read(root: Path, key: str) -> Sample:
    """One hand of a frame.

    Raises:
        DatasetError: no such key, a damaged file, or a fit that does not lie on the people's labels.
    """
    found = _KEY.fullmatch(key)
    if not found:
        raise DatasetError(f"expected a key like 01/000/left, got {key!r}.", "Take it from index().")
    name, frame, side = found[1], found[2], SIDES[SIDES.index(found[3])]
    path = _fits(Path(root), name, side) / f"{frame}.pkl"
    if not path.is_file():
        raise DatasetError(f"{key} has no fit: expected {path}.", "Take keys from index().")
    labels = read_mapping(path)
    vertices_m = numbers(labels, "v", (N_VERTICES, 3), path)
    joints_m = _with_tips(numbers(labels, "J_transformed", (len(JOINT_ORDERS["mano16"]), 3), path), vertices_m)
    valid = np.ones(N_JOINTS, np.bool_)
    check_hand(joints_m, valid, path)
    _check_labels(Path(root) / name / "1" / "joints_2D_GT" / f"{frame}.txt", side, joints_m)
    return Sample(
        image=_image_files.read_rgb(Path(root) / name / "1" / "rgb" / f"{frame}.png", CAMERA.width, CAMERA.height),
        camera=CAMERA,
        side=side,
        joints_m=joints_m,
        joints_valid=valid,
        vertices_m=vertices_m,
        dataset=INFO.name,
        key=key,
    )


def group(key: str) -> str:
    """The sequence."""
    return key.partition("/")[0]


def tiny(folder: Path) -> Path:
    """Write two sequences of two frames; return the root."""
    from dataset_tools.readers._tiny_tzionas import write

    return write(folder)


def _fits(root: Path, name: str, side: Side) -> Path:
    return root / FITS / f"IJCV16___fakeGT___IJCV___{name}___Model_Hand_{LETTERS[side]}___ncomps45"


def _keys(root: Path, name: str) -> list[str]:
    need(INFO, root, f"{name}/1/rgb")
    pictures = {path.stem for path in (root / name / "1" / "rgb").glob("[0-9][0-9][0-9].png")}
    keys = []
    for side in SIDES:
        fitted = {path.stem for path in _fits(root, name, side).glob("[0-9][0-9][0-9].pkl")}
        if fitted - pictures:
            raise DatasetError(f"expected {name}/1/rgb/{min(fitted - pictures)}.png in {root}: it is fitted.", _REMEDY)
        keys += [f"{name}/{frame}/{side}" for frame in fitted]
    if not keys:
        raise DatasetError(f"expected fits of {name} in {root / FITS}, found none.", _REMEDY)
    return sorted(keys)


def _with_tips(native_m: F64, vertices_m: F64) -> F64:
    """`(16, 3)` of MANO with the tips of the mesh, as openpose21."""
    joints = np.concatenate([native_m, vertices_m[list(fingertips())]])
    return np.asarray(reorder(joints, "mano21", "openpose21"), dtype=np.float64)


def _check_labels(path: Path, side: Side, joints_m: F64) -> None:
    """A fit lies on the people's labels of its hand, if the frame has any: each is near to some joint."""
    if not path.is_file():
        return
    pixels = _pixels(path, path.stat().st_mtime_ns)
    mine = pixels[: N_LABELS // 2] if side == "right" else pixels[N_LABELS // 2 :]
    mine = mine[(mine > 0).all(-1)]
    if not len(mine):
        return
    fitted = cameras.project(CAMERA, joints_m)
    apart = float(np.median(np.linalg.norm(mine[:, None] - fitted, axis=-1).min(1)))
    if apart > _AGREES_PX:
        raise DatasetError(
            f"the {side} hand's fit lies {apart:.0f} px beside what people labelled in {path}: axes, units or side "
            "are not as expected.",
            _REMEDY,
        )


N_LABELS = 28
"""Points of a 2D label: 14 of the right hand, then 14 of the left."""


@lru_cache(maxsize=64)
def _pixels(path: Path, time_ns: int) -> F64:
    """`(28, 2)` px; 0 or less is missing."""
    try:
        rows = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
        values = np.array(rows, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise DatasetError(f"expected lines of number, x and y in {path}, got: {error}.", _REMEDY) from error
    # Recordings of one hand have its 14 points alone.
    if values.shape not in ((N_LABELS, 3), (N_LABELS // 2, 3)) or not np.isfinite(values).all():
        raise DatasetError(f"expected {N_LABELS} lines of number, x and y in {path}, got {values.shape}.", _REMEDY)
    return values[:, 1:]
