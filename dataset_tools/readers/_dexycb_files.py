"""Files of DexYCB: names, sequences, cameras and labels."""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dataset_tools.readers import _kept_arrays
from dataset_tools.readers._native import REMEDY, pinhole
from hoi_core import camera as cameras
from hoi_core.conventions import N_BETAS, SIDES, Side
from hoi_core.errors import DatasetError
from hoi_core.types import F64, Camera

WIDTH, HEIGHT = 640, 480
SEQUENCES = 100
"""Sequences of each person; the splits count them in the order of their names."""
SUBJECTS = (
    "20200709-subject-01",
    "20200813-subject-02",
    "20200820-subject-03",
    "20200903-subject-04",
    "20200908-subject-05",
    "20200918-subject-06",
    "20200928-subject-07",
    "20201002-subject-08",
    "20201015-subject-09",
    "20201022-subject-10",
)
SERIALS = (
    "836212060125",
    "839512060362",
    "840412060917",
    "841412060263",
    "932122060857",
    "932122060861",
    "932122061900",
    "932122062010",
)
"""Cameras, in the order in which the splits count them."""
CLASSES = dict(
    enumerate(
        (
            "002_master_chef_can",
            "003_cracker_box",
            "004_sugar_box",
            "005_tomato_soup_can",
            "006_mustard_bottle",
            "007_tuna_fish_can",
            "008_pudding_box",
            "009_gelatin_box",
            "010_potted_meat_can",
            "011_banana",
            "019_pitcher_base",
            "021_bleach_cleanser",
            "024_bowl",
            "025_mug",
            "035_power_drill",
            "036_wood_block",
            "037_scissors",
            "040_large_marker",
            "051_large_clamp",
            "052_extra_large_clamp",
            "061_foam_brick",
        ),
        start=1,
    )
)
"""Names of the objects by their numbers in labels."""
_SEQUENCE = re.compile(r"\d{8}_\d{6}")
_MOST_FRAMES = 1000  # three seconds at 30 a second


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain data, and Python's tuples, with which the extrinsics were written."""


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", lambda loader, node: loader.construct_sequence(node))


@dataclass(frozen=True)
class Meta:
    """What meta.yml says of a sequence."""

    num_frames: int
    """Frames of each camera."""
    ycb_ids: tuple[int, ...]
    """Numbers of the objects, in the order of their poses."""
    grasped: int
    """Number of the object that is taken."""
    side: Side
    """Which hand is seen."""
    extrinsics: str
    """Name of the calibration."""
    mano: str
    """Name of the shape of its hand."""


def sequences_of(root: Path, subject: str) -> tuple[str, ...]:
    """Names of a person's sequences, in order.

    Raises:
        DatasetError: there are not a hundred, so that the splits would be others.
    """
    names = sorted(path.name for path in (root / subject).iterdir() if _SEQUENCE.fullmatch(path.name))
    if len(names) != SEQUENCES:
        raise DatasetError(f"expected {SEQUENCES} sequences in {root / subject}, found {len(names)}.", REMEDY)
    return tuple(names)


def meta_of(root: Path, subject: str, sequence: str) -> Meta:
    """What meta.yml says of a sequence.

    Raises:
        DatasetError: it is missing or damaged.
    """
    path = root / subject / sequence / "meta.yml"
    return _read_meta(path, _kept_arrays.tag_of([path]))


@lru_cache(maxsize=2000)
def _read_meta(path: Path, tag: str) -> Meta:
    content = _yaml(path)
    try:
        sides, ids = content["mano_sides"], tuple(int(n) for n in content["ycb_ids"])
        frames, extrinsics = content["num_frames"], str(content["extrinsics"])
        serials = tuple(str(serial) for serial in content["serials"])
        (mano,) = (str(name) for name in content["mano_calib"])
        grasped = dict(enumerate(ids))[int(content["ycb_grasp_ind"])]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"expected frames, cameras, objects and hands in {path}, got: {error}.", REMEDY) from error
    sane = isinstance(frames, int) and 0 <= frames <= _MOST_FRAMES and re.fullmatch(r"\w+", extrinsics)
    sane = sane and re.fullmatch(r"[\w-]+", mano)
    known = set(serials) == set(SERIALS) and set(ids) <= set(CLASSES) and sides in [[side] for side in SIDES]
    if not sane or not known:
        raise DatasetError(f"{path} has another number of hands, cameras or objects than DexYCB.", REMEDY)
    return Meta(frames, ids, grasped, "left" if sides == ["left"] else "right", extrinsics, mano)


def betas_of(root: Path, name: str) -> F64:
    """The shape of a hand, (10,).

    Raises:
        DatasetError: its calibration is missing or damaged.
    """
    path = root / "calibration" / f"mano_{name}" / "mano.yml"
    return _read_betas(path, _kept_arrays.tag_of([path]))


@lru_cache(maxsize=64)
def _read_betas(path: Path, tag: str) -> F64:
    try:
        betas = np.array(_yaml(path)["betas"], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"expected 'betas' in {path}, got: {error!r}.", REMEDY) from error
    if betas.shape != (N_BETAS,) or not np.isfinite(betas).all():
        raise DatasetError(f"expected {N_BETAS} numbers as 'betas' in {path}, got {betas.shape}.", REMEDY)
    return betas


def camera_of(root: Path, serial: str, extrinsics: str) -> Camera:
    """A camera with its pose in the frame of the master camera.

    Raises:
        DatasetError: its calibration is missing or damaged.
    """
    path = root / "calibration" / "intrinsics" / f"{serial}_{WIDTH}x{HEIGHT}.yml"
    where = root / "calibration" / f"extrinsics_{extrinsics}" / "extrinsics.yml"
    return _read_camera(path, where, serial, _kept_arrays.tag_of([path, where]))


@lru_cache(maxsize=256)
def _read_camera(path: Path, where: Path, serial: str, tag: str) -> Camera:
    """`tag` tells files from those written later."""
    content, poses = _yaml(path), _yaml(where)
    try:
        fx, fy, cx, cy = (float(content["color"][name]) for name in ("fx", "fy", "ppx", "ppy"))
        pose = np.array(poses["extrinsics"][serial], np.float64).reshape(3, 4)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"expected a calibration in {path} and {where}, got: {error!r}.", REMEDY) from error
    R = pose[:, :3]
    if not np.isfinite(pose).all() or not np.allclose(R @ R.T, np.eye(3), atol=1e-3) or np.linalg.det(R) < 0:
        raise DatasetError(f"the pose of camera {serial} in {where} is none.", REMEDY)
    U, _, V = np.linalg.svd(R)
    camera = pinhole(np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]), WIDTH, HEIGHT, path)
    return Camera(
        WIDTH, HEIGHT, camera.fx, camera.fy, camera.cx, camera.cy, T_world_cam=cameras.rigid(U @ V, pose[:, 3])
    )


def read_labels(path: Path, names: tuple[str, ...]) -> dict[str, F64]:
    """Entries of a label file, of their own numeric types.

    Raises:
        DatasetError: the file is missing or damaged, or an entry is.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            found = {name: content[name] for name in names}
    except KeyError as error:
        raise DatasetError(f"expected {', '.join(names)} in {path}: {error}.", REMEDY) from error
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        raise DatasetError(f"expected labels in {path}, got {type(error).__name__}: {error}.", REMEDY) from error
    for name, values in found.items():
        if values.dtype.kind not in "fiu":
            raise DatasetError(f"expected numbers as {name!r} in {path}, got {values.dtype}.", REMEDY)
    return found


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_bytes(), Loader=_Loader)
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise DatasetError(f"expected a calibration or description in {path}, got: {error}.", REMEDY) from error
    if not isinstance(content, dict):
        raise DatasetError(f"expected a mapping in {path}, got a {type(content).__name__}.", REMEDY)
    return content
