"""DexYCB: 582,000 images of ten persons and eight cameras; one hand, left or right, and several objects of the YCB set.

Splits are those of the dataset: s0 by sequence, s1 by person, s2 by camera, s3 by grasped object. `train`, `val` and
`test` are those of s0. Images without a hand label are no samples.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset_tools.readers import ReaderInfo, _kept_arrays, check_split, need
from dataset_tools.readers import _dexycb_files as files
from dataset_tools.readers._dexycb_files import CLASSES, HEIGHT, SEQUENCES, SERIALS, SUBJECTS, WIDTH
from dataset_tools.readers._dexycb_mano import hand_of
from dataset_tools.readers._image_files import read_rgb
from dataset_tools.readers._native import REMEDY, check_hand, check_pixels, read_raw
from hoi_core.conventions import N_JOINTS
from hoi_core.errors import DatasetError
from hoi_core.types import F32, F64, I64, U8, Bool, ObjectPose, Sample

SETUPS = ("s0", "s1", "s2", "s3")
_PARTS = ("train", "val", "test")
_ALL = range(SEQUENCES)
_KEY = re.compile(r"(\d{8}-subject-\d{2})/(\d{8}_\d{6})/(\d{12})/(\d{6})")
_HAND_LABEL = 255
_MOST_APART_PX = 5.0
_NO_LABEL = -1.0

INFO = ReaderInfo(
    name="dexycb",
    url="https://dex-ycb.github.io",
    licence="CC BY-NC 4.0",
    citation="Chao et al., DexYCB: A Benchmark for Capturing Hand Grasping of Objects, CVPR 2021",
    splits=(*_PARTS, "all", *(f"{setup}_{part}" for setup in SETUPS for part in _PARTS)),
    joint_order="openpose21",
    unit="m",
    tree="""  20200709-subject-01/20200709_141754/meta.yml     ten persons, a hundred sequences each
  20200709-subject-01/20200709_141754/836212060125/color_000000.jpg  aligned_depth_to_color_000000.png
                                                   labels_000000.npz
  calibration/intrinsics/836212060125_640x480.yml  calibration/extrinsics_<id>/extrinsics.yml
  models/002_master_chef_can/textured_simple.obj""",
    sources=(
        "https://github.com/NVlabs/dex-ycb-toolkit (README: entries of the labels, what stands for missing; "
        "dex_ycb_toolkit/dex_ycb.py: files, classes, joint order, the four splits; sequence_loader.py: unit of depth, "
        "extrinsics; examples/visualize_pose.py: axes and object poses)",
        "https://github.com/NVlabs/dex-ycb-toolkit/issues/1 (extrinsics.yml, written with Python's tuples)",
        "https://github.com/NVlabs/handover-sim (names of the ten persons as they were published)",
    ),
    unchecked=(
        "Nothing here was compared with the real files, which may not be redistributed.",
        "Lens distortion: the authors' tools use none, so joint_2d may lie up to 5 px beside joint_3d.",
        "MANO parameters and meshes, read with your MANO files in $HOI_MANO: that labels turn the hand about its wrist "
        "and count from the mean pose. They are taken only where they give the labelled joints within 5 mm.",
        "The licence as the project page states it (recalled, not read again).",
        "Labels of left hands were made with MANO's left hand as it was published, whose shape space has a known flaw.",
    ),
    key_parts=("participant", "sequence", "view", "moment"),
)

logger = logging.getLogger(__name__)


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `20200709-subject-01/20200709_141754/836212060125/000012`.

    The first call reads every label once, a quarter of an hour of work, and keeps what it found.

    Raises:
        DatasetError: files are missing or damaged.
        ConfigError: an unknown split.
    """
    root = Path(root)
    check_split(INFO, split)
    need(INFO, root, *SUBJECTS, "calibration/intrinsics")
    setup, _, part = split.rpartition("_")
    keys = []
    for person, subject in enumerate(SUBJECTS):
        names = files.sequences_of(root, subject)
        rows = _labelled(root, subject, names)
        chosen = rows if split == "all" else rows[_in_split(rows, person, setup or "s0", part)]
        keys += [f"{subject}/{names[s]}/{SERIALS[c]}/{frame:06d}" for s, c, frame in chosen.tolist()]
    return keys


def read(root: Path, key: str) -> Sample:
    """One image of one camera with its hand and its objects.

    Raises:
        DatasetError: no such key, no hand label, or a damaged file.
    """
    root, (subject, sequence, serial, frame) = Path(root), _split_key(key)
    folder = root / subject / sequence / serial
    path = folder / f"labels_{frame}.npz"
    meta = files.meta_of(root, subject, sequence)
    labels = files.read_labels(path, ("joint_3d", "joint_2d", "pose_y", "pose_m"))
    joints_m, joints_px = (_joints(labels, name, n, path) for name, n in (("joint_3d", 3), ("joint_2d", 2)))
    if (joints_m == _NO_LABEL).all():
        raise DatasetError(f"{path} has no hand.", "Take keys from index(), which leaves such images out.")
    camera = files.camera_of(root, serial, meta.extrinsics)
    valid = np.ones(N_JOINTS, np.bool_)
    check_hand(joints_m, valid, path)
    check_pixels(camera, joints_m, joints_px, path, _MOST_APART_PX)
    params, vertices_m = hand_of(root, meta.mano, meta.side, labels["pose_m"], joints_m) or (None, None)
    return Sample(
        image=read_rgb(folder / f"color_{frame}.jpg", WIDTH, HEIGHT),
        camera=camera,
        side=meta.side,
        joints_m=joints_m,
        joints_valid=valid,
        vertices_m=vertices_m,
        dataset=INFO.name,
        key=key,
        joints_px=joints_px,
        params=params,
        objects=_objects(root, meta.ycb_ids, labels["pose_y"].astype(np.float64), path),
    )


def objects(root: Path) -> dict[str, Path | None]:
    """Names of the objects and their meshes, as far as these are there."""
    meshes = {name: _mesh_of(Path(root), name) for name in CLASSES.values()}
    return {name: path for name, path in meshes.items() if path is not None}


def grasped(root: Path, key: str) -> str:
    """The object that the hand takes, of those that lie on the table.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    subject, sequence, _, _ = _split_key(key)
    return CLASSES[files.meta_of(Path(root), subject, sequence).grasped]


def image_ids(root: Path, split: str) -> list[int]:
    """What the dataset's own evaluation calls the images of `index(root, split)`: their place among all of a split.

    Images without a hand are counted there, and left out here.

    Raises:
        DatasetError: files are missing or damaged.
        ConfigError: an unknown split.
    """
    root = Path(root)
    found: list[int] = []
    before = 0
    for person, subject in enumerate(SUBJECTS):
        names = files.sequences_of(root, subject)
        frames = [files.meta_of(root, subject, name).num_frames for name in names]
        every = np.array([(s, c, n) for s in _ALL for c in range(len(SERIALS)) for n in range(frames[s])], np.int64)
        every = every.reshape(-1, 3)
        setup, _, part = split.rpartition("_")
        if split != "all":
            every = every[_in_split(every, person, setup or "s0", part)]
        ids = {place: before + n for n, place in enumerate(map(tuple, every.tolist()))}
        before += len(every)
        rows = _labelled(root, subject, names)
        chosen = rows if split == "all" else rows[_in_split(rows, person, setup or "s0", part)]
        found += [ids[s, c, n] for s, c, n in chosen.tolist()]
    return found


def labelled_joints_m(root: Path, key: str) -> F64:
    """The joints of an image alone. `(21, 3)` m.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    subject, sequence, serial, frame = _split_key(key)
    path = Path(root) / subject / sequence / serial / f"labels_{frame}.npz"
    return _joints(files.read_labels(path, ("joint_3d",)), "joint_3d", 3, path)


def group(key: str) -> str:
    """The recording: eight cameras see the same instants."""
    return "/".join(key.split("/")[:2])


def depth_m(root: Path, key: str) -> F32:
    """Depth registered to the image. `(H, W)` m; NaN where the camera saw none.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    subject, sequence, serial, frame = _split_key(key)
    path = Path(root) / subject / sequence / serial / f"aligned_depth_to_color_{frame}.png"
    millimetres = read_raw(path, (HEIGHT, WIDTH), np.uint16).astype(np.float32)
    return np.where(millimetres > 0, millimetres / np.float32(1000), np.float32(np.nan))


def segmentation(root: Path, key: str) -> U8:
    """What each pixel shows. `(H, W)`: 0 background, 1 hand, 2 any object.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    subject, sequence, serial, frame = _split_key(key)
    path = Path(root) / subject / sequence / serial / f"labels_{frame}.npz"
    shown = files.read_labels(path, ("seg",))["seg"]
    if shown.shape != (HEIGHT, WIDTH) or not np.isin(shown, [0, *CLASSES, _HAND_LABEL]).all():
        raise DatasetError(f"expected {HEIGHT}x{WIDTH} numbers of classes as 'seg' in {path}.", REMEDY)
    return np.select([shown == _HAND_LABEL, shown > 0], [1, 2], 0).astype(np.uint8)


def tiny(folder: Path) -> Path:
    """Write four short sequences among a thousand empty ones; return the root."""
    from dataset_tools.readers._tiny_dexycb import write

    return write(folder)


def _split_key(key: str) -> tuple[str, str, str, str]:
    found = _KEY.fullmatch(key)
    if not found or found[1] not in SUBJECTS or found[3] not in SERIALS:
        raise DatasetError(
            f"expected a key like {SUBJECTS[0]}/20200709_141754/{SERIALS[0]}/000012, got {key!r}.",
            "Take it from index().",
        )
    return found[1], found[2], found[3], found[4]


def _in_split(rows: I64, person: int, setup: str, part: str) -> Bool:
    """(N,) whether images are of a part of one of the dataset's own splits.

    Args:
        rows: (N, 3) number of the sequence among the person's hundred, of the camera, and of the frame.
        person: number of the person.
        setup: s0 to s3.
        part: train, val or test.
    """
    everyone, cameras, sequences = range(len(SUBJECTS)), range(len(SERIALS)), set(_ALL)
    held_out = {s for s in _ALL if s % 5 == 4}
    # Five sequences in a row grasp the same object.
    objects = {"val": {3, 19}, "test": {7, 11, 15}}
    persons: dict[str, dict[str, set[int]]] = {
        "s0": {"train": set(everyone), "val": {0, 1}, "test": set(everyone) - {0, 1}},
        "s1": {"train": {0, 1, 2, 3, 4, 5, 9}, "val": {6}, "test": {7, 8}},
    }
    if setup == "s0":
        sequences = sequences - held_out if part == "train" else held_out
    elif setup == "s2":
        cameras = {"train": range(6), "val": range(6, 7), "test": range(7, 8)}[part]
    elif setup == "s3":
        kept_out = objects["val"] | objects["test"]
        sequences = {s for s in _ALL if (s // 5 in objects[part] if part in objects else s // 5 not in kept_out)}
    if person not in persons.get(setup, {}).get(part, set(everyone)):
        return np.zeros(len(rows), np.bool_)
    return np.isin(rows[:, 0], list(sequences)) & np.isin(rows[:, 1], list(cameras))


def _labelled(root: Path, subject: str, names: tuple[str, ...]) -> I64:
    """(N, 3) sequence, camera and frame of a person's images that have a hand label."""
    folder = root / subject
    parts = [folder / name / part for name in names for part in ("meta.yml", *SERIALS)]
    return _kept_rows(root, subject, names, _kept_arrays.tag_of(parts))


@lru_cache(maxsize=32)
def _kept_rows(root: Path, subject: str, names: tuple[str, ...], tag: str) -> I64:
    rows = _kept_arrays.load(root / subject, tag, lambda: _scan(root, subject, names))
    if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype != np.int64:
        raise DatasetError(f"what is kept of {root / subject} is damaged.", f"Remove {root / '.hoi-index'}.")
    return rows.view(np.int64)


def _scan(root: Path, subject: str, names: tuple[str, ...]) -> I64:
    logger.info("Reading the labels of %s once; what is found is kept in %s.", subject, root / ".hoi-index")
    rows = []
    for s, name in enumerate(names):
        frames = files.meta_of(root, subject, name).num_frames
        for c, serial in enumerate(SERIALS if frames else ()):
            folder = root / subject / name / serial
            there = {path.name for path in folder.glob("*")}
            for kind in ("labels_{:06d}.npz", "color_{:06d}.jpg"):
                missing = [kind.format(n) for n in range(frames) if kind.format(n) not in there]
                if missing:
                    raise DatasetError(f"expected {frames} frames in {folder}, found no {missing[0]}.", REMEDY)
            for n in range(frames):
                path = folder / f"labels_{n:06d}.npz"
                joints = _joints(files.read_labels(path, ("joint_3d",)), "joint_3d", 3, path)
                if not (joints == _NO_LABEL).all():
                    rows.append((s, c, n))
    return np.array(rows, np.int64).reshape(-1, 3)


def _joints(labels: dict[str, F64], name: str, n: int, path: Path) -> F64:
    joints = labels[name]
    if joints.shape != (1, N_JOINTS, n) or not np.isfinite(joints).all():
        raise DatasetError(f"expected (1, {N_JOINTS}, {n}) numbers as {name!r} in {path}, got {joints.shape}.", REMEDY)
    return joints[0].astype(np.float64)


def _mesh_of(root: Path, name: str) -> Path | None:
    path = root / "models" / name / "textured_simple.obj"
    return path if path.is_file() else None


def _objects(root: Path, ycb_ids: tuple[int, ...], poses: F64, path: Path) -> tuple[ObjectPose, ...]:
    if poses.shape != (len(ycb_ids), 3, 4) or not np.isfinite(poses).all():
        raise DatasetError(f"expected {len(ycb_ids)} poses of objects in {path}, got {poses.shape}.", REMEDY)
    found = []
    for ycb_id, pose in zip(ycb_ids, poses, strict=True):
        if not pose.any():
            continue  # not labelled
        T = np.vstack([pose, [0.0, 0.0, 0.0, 1.0]])
        rigid = np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-3) and np.linalg.det(T[:3, :3]) > 0
        if not rigid or T[2, 3] <= 0:
            raise DatasetError(f"the pose of object {ycb_id} in {path} is none before the camera.", REMEDY)
        U, _, V = np.linalg.svd(T[:3, :3])
        T[:3, :3] = U @ V  # 32-bit numbers are a rotation only nearly
        found.append(ObjectPose(CLASSES[ycb_id], T, _mesh_of(root, CLASSES[ycb_id])))
    return tuple(found)
