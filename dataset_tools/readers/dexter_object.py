"""Dexter+Object: a hand that handles a cuboid, six sequences with the five fingertips labelled by people.

Labels are native to the depth camera. The axes of the 3D labels are not documented: of the four ways in which x and y
may point, the one is taken that agrees with the 2D labels of the depth image; a sequence where none does is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset_tools.readers import ReaderInfo, _image_files, check_split, need
from dataset_tools.readers._native import check_hand
from hoi_core.conventions import FINGERS, JOINT_NAMES, N_JOINTS
from hoi_core.errors import DatasetError
from hoi_core.types import F64, Bool, Camera, Sample

SEQUENCES = ("Grasp1", "Grasp2", "Occlusion", "Rigid", "Pinch", "Rotate")
TEST = "Rotate"
"""Sequence of our test, as a public reader has it; papers evaluate on all."""
INVALID_MM = 32001.0
"""Depth of a fingertip that is not labelled."""
CAMERA = Camera(640, 480, 587.45209, 600.67456, 325.0, 249.0)
"""The colour camera."""
DEPTH_CAMERA = Camera(320, 240, 224.502, 230.494, 160.0, 120.0)
COLOR_FROM_DEPTH_MM = (
    (0.9999, 0.0034, 0.0161, 19.0473),
    (-0.0033, 1.0000, -0.0079, -1.8514),
    (-0.0162, 0.0079, 0.9998, -4.7501),
)
"""Rotation and shift from the depth camera's frame to the colour camera's."""

_SIGNS = ((-1.0, -1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0))
_AGREES_PX = 8.0
_NEAREST_MM, _FARTHEST_MM = 100.0, 3000.0
_KEY = re.compile(rf"({'|'.join(SEQUENCES)})/(\d{{5}})")
_REMEDY = "Unpack the dataset again."
_TREE = """  data/Grasp1/color/*.png
  data/Grasp1/annotations/Grasp12D.txt   data/Grasp1/annotations/Grasp13D.txt
  data/Grasp2/...   data/Occlusion/...   data/Rigid/...   data/Pinch/...   data/Rotate/..."""

INFO = ReaderInfo(
    name="dexter_object",
    url="https://handtracker.mpi-inf.mpg.de/projects/RealtimeHO/dexter+object.htm",
    licence="research only, not commercial",
    citation="Sridhar et al., Real-time Joint Tracking of a Hand Manipulating an Object from RGB-D Input, ECCV 2016",
    splits=("train", "test", "all"),
    joint_order="tips5",
    unit="mm",
    axes="OpenCV",
    tree=_TREE,
    sources=(
        "https://github.com/MengHao666/Minimal-Hand-pytorch (sequences, files, both cameras, 32001, order of fingers, "
        "left hands, x and y turned about)",
        "https://github.com/OlgaChernytska/2D-Hand-Pose-Estimation-RGB (the same files and cameras, Rotate apart)",
    ),
    unchecked=(
        "Nothing here was compared with the real files.",
        "The colour picture: its calibration to the depth camera is known to be poor, and public readers of the same "
        "files differ by up to 26 px in where a label lies on it. Distances in space are not touched by this.",
        "Native axes: public readers turn x and y about; here the 2D labels of the same files decide.",
        "That all hands are left ones (as a public reader has it).",
        "That the sorted colour pictures and the rows of both label files are the same moments.",
        "Lens distortion: none is documented with the dataset.",
        "The licence: quoted from memory.",
    ),
    key_parts=("sequence", "moment"),
)


@dataclass(frozen=True)
class _Labels:
    """Of one sequence. N rows."""

    tips_mm: F64
    """(N, 5, 3), depth camera, OpenCV axes, thumb to little finger."""
    valid: Bool
    """(N, 5)."""
    pictures: tuple[str, ...]
    """N file names."""


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `Grasp1/00012`: the frames with a labelled fingertip.

    Raises:
        DatasetError: files are missing or damaged, or of different length.
        ConfigError: an unknown split.
    """
    check_split(INFO, split)
    chosen = [name for name in SEQUENCES if split == "all" or (name == TEST) == (split == "test")]
    rows = {name: np.flatnonzero(_labels(Path(root), name).valid.any(1)).tolist() for name in chosen}
    return [f"{name}/{row:05d}" for name in chosen for row in rows[name]]


def read(root: Path, key: str) -> Sample:
    """One colour picture with fingertips.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    found = _KEY.fullmatch(key)
    if not found:
        raise DatasetError(f"expected a key like Grasp1/00012, got {key!r}.", "Take it from index().")
    name, row = found[1], int(found[2])
    labels = _labels(Path(root), name)
    if row >= len(labels.valid) or not labels.valid[row].any():
        raise DatasetError(f"no fingertip is labelled in {key}.", "Take keys from index().")
    pose = np.array(COLOR_FROM_DEPTH_MM)
    tips_m = (labels.tips_mm[row] @ pose[:, :3].T + pose[:, 3]) / 1000
    joints_m, valid = np.full((N_JOINTS, 3), np.nan), np.zeros(N_JOINTS, np.bool_)
    at = [JOINT_NAMES.index(f"{finger}tip") for finger in FINGERS]
    joints_m[at] = np.where(labels.valid[row][:, None], tips_m, np.nan)
    valid[at] = labels.valid[row]
    check_hand(joints_m, valid, _folder(Path(root), name) / f"{name}3D.txt")
    path = Path(root) / "data" / name / "color" / labels.pictures[row]
    return Sample(
        image=_image_files.read_rgb(path, CAMERA.width, CAMERA.height),
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
    """Write all six sequences with a few frames each; return the root."""
    from dataset_tools.readers._tiny_dexter_object import write

    return write(folder)


def _folder(root: Path, name: str) -> Path:
    return root / "data" / name / "annotations"


def _labels(root: Path, name: str) -> _Labels:
    paths = tuple(f"data/{name}/annotations/{name}{kind}.txt" for kind in ("2D", "3D"))
    need(INFO, root, f"data/{name}/color", *paths)
    times = (*((root / path).stat().st_mtime_ns for path in paths), (root / f"data/{name}/color").stat().st_mtime_ns)
    return _load(root, name, times)


@lru_cache(maxsize=2 * len(SEQUENCES))
def _load(root: Path, name: str, times_ns: tuple[int, ...]) -> _Labels:
    folder = _folder(root, name)
    pixels, native_mm = _rows(folder / f"{name}2D.txt", 2), _rows(folder / f"{name}3D.txt", 3)
    pictures = sorted(p.name for p in (root / "data" / name / "color").iterdir() if p.suffix in (".png", ".jpg"))
    if not len(pixels) == len(native_mm) == len(pictures):
        raise DatasetError(
            f"{name} of {root} has {len(pictures)} colour pictures, {len(pixels)} rows of 2D and {len(native_mm)} of "
            "3D labels.",
            _REMEDY,
        )
    valid = native_mm[..., 2] != INVALID_MM
    tips_mm = native_mm.copy()
    tips_mm[..., :2] *= _signs(native_mm, pixels, valid, folder)
    tips_mm[~valid] = np.nan
    return _Labels(tips_mm, np.asarray(valid, dtype=np.bool_), tuple(pictures))


def _signs(native_mm: F64, pixels: F64, valid: Bool, folder: Path) -> tuple[float, float]:
    """What x and y are to be multiplied with to lie under their pixels in the depth image."""
    size = (DEPTH_CAMERA.width, DEPTH_CAMERA.height)
    usable = valid & ((pixels > 0) & (pixels < size)).all(-1)
    if not usable.any():
        raise DatasetError(f"no fingertip in {folder} is labelled both in 2D and in 3D.", _REMEDY)
    x, y, z = native_mm[usable].T
    if not ((z > _NEAREST_MM) & (z < _FARTHEST_MM)).all():
        raise DatasetError(
            f"a fingertip in {folder} is not {_NEAREST_MM:.0f} to {_FARTHEST_MM:.0f} mm before the camera.", _REMEDY
        )
    rays = np.stack([DEPTH_CAMERA.fx * x / z, DEPTH_CAMERA.fy * y / z], axis=-1)
    centre = np.array([DEPTH_CAMERA.cx, DEPTH_CAMERA.cy])
    apart = [np.median(np.linalg.norm(rays * signs + centre - pixels[usable], axis=-1)) for signs in _SIGNS]
    best, second = np.argsort(apart)[:2]
    if not apart[best] < _AGREES_PX or apart[second] < 2 * apart[best]:
        raise DatasetError(
            f"the 3D labels in {folder} lie {apart[best]:.0f} px beside the 2D labels, whichever way their axes point.",
            _REMEDY,
        )
    return _SIGNS[best]


def _rows(path: Path, length: int) -> F64:
    """`(N, 5, length)` from lines of five points with semicolons, numbers with commas."""
    try:
        lines = [line for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
        points = [[piece.split(",") for piece in line.split(";") if piece.strip()] for line in lines]
        values = np.array(points, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise DatasetError(f"expected five points in each line of {path}, got: {error}.", _REMEDY) from error
    if values.ndim != 3 or values.shape[1:] != (len(FINGERS), length) or not np.isfinite(values).all():
        raise DatasetError(
            f"expected five points of {length} finite numbers in each line of {path}, got {values.shape}.", _REMEDY
        )
    return values
