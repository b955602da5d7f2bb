"""DexYCB's folders: eight cameras, a hundred sequences of each of ten persons, labels in .npz, calibration in YAML.

Its tools count persons, sequences and cameras, and divide them by their numbers: whatever is not there is filled with
sequences without frames and frames without a hand.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml

from dataset_tools.readers._dexycb_files import CLASSES, HEIGHT, SEQUENCES, SERIALS, SUBJECTS, WIDTH
from dataset_tools.writers import PLAIN, Extras, WriterInfo, write_jpeg
from dataset_tools.writers._dexycb_take import KINDS, Take, write_arrays, write_depth, write_empty, write_shape
from dataset_tools.writers._object_files import nearest, write_model
from dataset_tools.writers._pinhole import Shown, as_pinhole, pinhole_for
from dataset_tools.writers._places import Place, Places
from hoi_core import camera as cameras
from hoi_core.conventions import N_POSE, Side
from hoi_core.errors import DatasetError
from hoi_core.mano import ManoLayer
from hoi_core.mano.layer import ENVIRONMENT
from hoi_core.types import F64, U8, Camera, HandParams, Sample

INFO = WriterInfo(
    name="dexycb",
    url="https://github.com/NVlabs/dex-ycb-toolkit",
    keeps="picture (whole, 640x480, without distortion), depth in millimetres, joints, objects with their meshes, "
    "poses of up to eight cameras, segmentation where one object is labelled; parameters where your MANO files are in "
    "use. The mesh is not written. train, val and test are those of s0; s1 to s3 mean nothing. Hands of which a joint "
    "is unknown are left out, and what comes after 800, 40 or 160 sequences.",
    maps=True,
)
_FRAMES = 1000
_HAND = 255
_NAMES = "names.json"


class DexYcb:
    """One split."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder = folder
        self._places, self._free = Places(), _free_places(split)
        self._takes: dict[tuple[int, Side, int], Take] = {}
        self._groups: dict[str, str] = {}
        self._names = _read_names(folder)

    def add(self, sample: Sample, extras: Extras = PLAIN) -> bool:
        """Write a hand of which all joints are known."""
        whole = sample.joints_valid.all() and (sample.joints_m[:, 2] > 0).all()
        place = self._places.of(sample, extras) if whole else None
        if place is None or place.camera >= len(SERIALS):
            return False
        take = self._take(place, sample, extras)
        if take is None:
            return False
        camera, frame = place.camera, place.instant % _FRAMES
        shown = as_pinhole(sample, extras, self._camera(camera, sample.camera))
        color, depth, labels = (take.path(camera, frame, kind) for kind in KINDS)
        color.parent.mkdir(parents=True, exist_ok=True)
        write_jpeg(color, shown.sample.image)
        write_depth(depth, shown.extras.depth_m)
        take.poses.setdefault(camera, sample.camera.T_world_cam)
        write_arrays(labels, self._labels(take, shown))
        take.written[camera, frame] = len(take.objects)
        return True

    def close(self) -> None:
        """Write what holds for whole sequences, and fill the places that stay empty."""
        for take in self._takes.values():
            take.close()
        if not self._takes:
            return
        for subject in SUBJECTS:
            for s in range(SEQUENCES):
                if not (self._folder / subject / _sequence(subject, s)).exists():
                    write_empty(self._folder, subject, _sequence(subject, s))
        write_shape(self._folder)
        self._write_intrinsics()
        self._names["takes"].update(self._groups)
        (self._folder / _NAMES).write_text(json.dumps(self._names, indent=1), encoding="utf8")

    def _take(self, place: Place, sample: Sample, extras: Extras) -> Take | None:
        """The sequence that a sample belongs to; None where all places are taken."""
        key = (place.recording, sample.side, place.instant // _FRAMES)
        if key not in self._takes:
            free = next(self._free, None)
            if free is None:
                return None
            subject = SUBJECTS[free[0]]
            take = Take(self._folder, subject, _sequence(subject, free[1]), sample.side)
            self._takes[key] = take
            self._groups[f"{take.subject}/{take.name}"] = extras.group
            if sample.params is not None:
                take.betas = sample.params.betas
            if sample.objects:
                take.grasped = nearest(sample.objects, sample.joints_m)
        return self._takes[key]

    def _camera(self, number: int, camera: Camera) -> Camera:
        """The pinhole of a camera's place: that of the first that came, as there is one for the whole dataset."""
        intrinsics = self._names["intrinsics"]
        if SERIALS[number] not in intrinsics:
            fitting = pinhole_for(camera, WIDTH, HEIGHT)
            intrinsics[SERIALS[number]] = [fitting.fx, fitting.fy, fitting.cx, fitting.cy]
        fx, fy, cx, cy = intrinsics[SERIALS[number]]
        return Camera(WIDTH, HEIGHT, fx, fy, cx, cy, distortion_model="none")

    def _labels(self, take: Take, shown: Shown) -> dict[str, np.ndarray]:
        sample = shown.sample
        poses: dict[int, F64] = {}
        for seen in sample.objects:
            number = self._number(seen.name)
            if number is None:
                continue
            if number not in take.objects:
                take.objects.append(number)
            poses[number] = seen.T_cam_obj[:3]
            write_model(self._folder, CLASSES[number], seen)
        labels = {
            "pose_y": np.array([poses.get(number, np.zeros((3, 4))) for number in take.objects]).reshape(-1, 3, 4),
            "pose_m": _mano_pose(take, sample.params)[None],
            "joint_3d": sample.joints_m[None],
            "joint_2d": cameras.project(sample.camera, sample.joints_m)[None],
        }
        found = {name: values.astype(np.float32) for name, values in labels.items()}
        segmentation = _classes(shown.extras.segmentation, list(poses))
        return found if segmentation is None else found | {"seg": segmentation}

    def _number(self, name: str) -> int | None:
        """The number of an object: its own if it is one of DexYCB's, else the first that is free."""
        known = self._names["objects"]
        if name not in known:
            own = next((number for number, title in CLASSES.items() if title == name), None)
            free = (n for n in CLASSES if n not in known.values())
            number = own if own is not None and own not in known.values() else next(free, None)
            if number is None:
                return None
            known[name] = number
        return int(known[name])

    def _write_intrinsics(self) -> None:
        folder = self._folder / "calibration" / "intrinsics"
        folder.mkdir(parents=True, exist_ok=True)
        first = next(iter(self._names["intrinsics"].values()))
        for serial in SERIALS:
            values = dict(zip(("fx", "fy", "ppx", "ppy"), self._names["intrinsics"].get(serial, first), strict=True))
            # Depth is written as the colour camera sees it.
            text = yaml.safe_dump({"color": values, "depth": dict(values)})
            (folder / f"{serial}_{WIDTH}x{HEIGHT}.yml").write_text(text, encoding="utf8")


def _mano_pose(take: Take, params: HandParams | None) -> F64:
    """(51,) turn, coefficients of MANO's own basis, shift; zeros, as for a missing hand, where these are not known."""
    nothing = np.zeros(6 + N_POSE)
    folder = os.environ.get(ENVIRONMENT, "")
    if params is None or not folder or not np.isfinite(params.trans_m).all():
        return nothing
    if take.betas is None or not np.array_equal(take.betas, params.betas):
        return nothing  # a sequence has one shape
    layer = _layer(folder, take.side)
    pose = params.pose if params.flat_hand_mean else params.pose + layer.model.hands_mean
    return np.concatenate([params.orient, layer.pose_to_pca(pose[None])[0], params.trans_m])


@lru_cache(maxsize=4)
def _layer(folder: str, side: Side) -> ManoLayer:
    return ManoLayer.from_env(side)


def _classes(segmentation: U8 | None, objects: list[int]) -> U8 | None:
    """Segmentation with the object's number; None where nobody says which of several objects a pixel shows."""
    if segmentation is None or len(objects) > 1 or (not objects and (segmentation == 2).any()):
        return None
    number = objects[0] if objects else 0
    return np.select([segmentation == 1, segmentation == 2], [_HAND, number], 0).astype(np.uint8)


def _free_places(split: str) -> Iterator[tuple[int, int]]:
    """Numbers of person and sequence that s0 gives to a part."""
    # Every fifth sequence is held out, those of the first two persons to validate.
    held_out = split != "train"
    subjects = {"train": range(len(SUBJECTS)), "val": range(2), "test": range(2, len(SUBJECTS))}[split]
    return ((subject, s) for subject in subjects for s in range(SEQUENCES) if (s % 5 == 4) == held_out)


def _sequence(subject: str, s: int) -> str:
    return f"{subject[:8]}_{s:06d}"


def _read_names(folder: Path) -> dict[str, dict]:
    """What earlier splits have decided: numbers of objects, intrinsics of cameras, and which sequence is which."""
    path = folder / _NAMES
    if path.exists():
        return dict(json.loads(path.read_text(encoding="utf8")))
    return {"objects": {}, "intrinsics": {}, "takes": {}}


def open(folder: Path, split: str) -> DexYcb:  # noqa: A001 -- the name of the contract
    """Start a split: `train`, `val` or `test`, the parts of s0.

    Raises:
        DatasetError: another split, for which DexYCB has no place.
    """
    if split not in ("train", "val", "test"):
        raise DatasetError(f"DexYCB has no split {split!r}, only train, val and test.", "Convert these.")
    return DexYcb(Path(folder), split)
