"""One sequence of DexYCB as it is written: eight cameras with the same number of frames, and what meta.yml says."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from dataset_tools.readers._dexycb_files import HEIGHT, SERIALS, WIDTH
from dataset_tools.writers import write_jpeg
from hoi_core.camera import inverse_rigid
from hoi_core.conventions import N_BETAS, N_JOINTS, N_POSE, Side
from hoi_core.types import F32, F64

NO_LABEL = -1.0
"""Stands in the place of joints where no hand is labelled."""
_EMPTY = "nobody"
KINDS = ("color_{:06d}.jpg", "aligned_depth_to_color_{:06d}.png", "labels_{:06d}.npz")
"""Files of a frame."""


@dataclass
class Take:
    """A sequence that grows."""

    root: Path
    """Of the dataset."""
    subject: str
    """Folder that it lies in."""
    name: str
    """Its folder."""
    side: Side
    """Which hand it shows."""
    betas: F64 | None = None
    """(10,) shape of the hand; None where unknown."""
    objects: list[int] = field(default_factory=list)
    """Numbers of the objects, in the order of their poses."""
    grasped: int = 0
    """Which of them is held: the nearest in the first frame."""
    poses: dict[int, F64] = field(default_factory=dict)
    """camera -> (4, 4) m, camera to world."""
    written: dict[tuple[int, int], int] = field(default_factory=dict)
    """camera and frame -> how many objects its labels have a place for."""

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.root / self.subject / self.name

    @property
    def shape(self) -> str:
        """Name of the hand's shape."""
        return f"{self.name}_{self.side}"

    def close(self) -> None:
        """Fill what is missing, and write what holds for all frames."""
        frames = 1 + max((frame for _, frame in self.written), default=-1)
        for (camera, frame), count in self.written.items():
            if count < len(self.objects):
                self._make_room(self.path(camera, frame, KINDS[2]))
        self._fill(frames)
        meta = meta_text(frames, self.name, self.objects, self.grasped, (self.side, self.shape))
        (self.folder / "meta.yml").write_text(meta, encoding="utf8")
        write_shape(self.root, self.shape, self.betas)
        self._write_extrinsics()

    def path(self, camera: int, frame: int, kind: str) -> Path:
        """A file of a frame."""
        return self.folder / SERIALS[camera] / kind.format(frame)

    def _make_room(self, path: Path) -> None:
        """Objects came later than this frame: it does not label them."""
        with np.load(path, allow_pickle=False) as content:
            labels = dict(content)
        pose_y = np.zeros((len(self.objects), 3, 4), np.float32)
        pose_y[: len(labels["pose_y"])] = labels["pose_y"]
        write_arrays(path, labels | {"pose_y": pose_y})

    def _fill(self, frames: int) -> None:
        """A black picture without a hand wherever nothing was written, one for all as far as the disk can do that."""
        first: tuple[int, int] | None = None
        for camera in range(len(SERIALS)):
            (self.folder / SERIALS[camera]).mkdir(parents=True, exist_ok=True)
            for frame in range(frames):
                if (camera, frame) in self.written:
                    continue
                if first is None:
                    first = (camera, frame)
                    self._write_nothing(camera, frame)
                    continue
                for kind in KINDS:
                    _same(self.path(*first, kind), self.path(camera, frame, kind))

    def _write_nothing(self, camera: int, frame: int) -> None:
        write_jpeg(self.path(camera, frame, KINDS[0]), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        write_depth(self.path(camera, frame, KINDS[1]), None)
        labels: dict[str, NDArray[np.generic]] = {
            "seg": np.zeros((HEIGHT, WIDTH), np.uint8),
            "pose_y": np.zeros((len(self.objects), 3, 4), np.float32),
            "pose_m": np.zeros((1, 6 + N_POSE), np.float32),
            "joint_3d": np.full((1, N_JOINTS, 3), NO_LABEL, np.float32),
            "joint_2d": np.full((1, N_JOINTS, 2), NO_LABEL, np.float32),
        }
        write_arrays(self.path(camera, frame, KINDS[2]), labels)

    def _write_extrinsics(self) -> None:
        """Poses in the frame of the first camera; of cameras that were not there, that of the first."""
        master = min(self.poses)
        to_master = inverse_rigid(self.poses[master])
        poses = {serial: to_master @ self.poses.get(c, self.poses[master]) for c, serial in enumerate(SERIALS)}
        poses["apriltag"] = to_master  # the world, where DexYCB has the tag on its table
        content = {
            "extrinsics": {name: tuple(float(v) for v in T[:3].ravel()) for name, T in poses.items()},
            "master": SERIALS[master],
        }
        folder = self.root / "calibration" / f"extrinsics_{self.name}"
        folder.mkdir(parents=True, exist_ok=True)
        # With Python's tuples, as the original has them.
        (folder / "extrinsics.yml").write_text(yaml.dump(content), encoding="utf8")


def write_empty(root: Path, subject: str, name: str) -> None:
    """A sequence without a frame: the splits count a hundred of each person."""
    folder = root / subject / name
    folder.mkdir(parents=True)
    (folder / "meta.yml").write_text(_empty_meta(), encoding="utf8")


@cache
def _empty_meta() -> str:
    return meta_text(0, _EMPTY, [1], 0, ("right", _EMPTY))


def meta_text(frames: int, name: str, objects: list[int], grasped: int, hand: tuple[Side, str]) -> str:
    """What meta.yml says.

    Args:
        frames: of each camera.
        name: of the calibration.
        objects: their numbers.
        grasped: which of them is held.
        hand: its side, and the name of its shape.
    """
    content = {
        "serials": list(SERIALS),
        "num_frames": frames,
        "extrinsics": name,
        "ycb_ids": objects,
        "ycb_grasp_ind": grasped,
        "mano_sides": [hand[0]],
        "mano_calib": [hand[1]],
    }
    return yaml.safe_dump(content, sort_keys=False)


def write_shape(root: Path, name: str = _EMPTY, betas: F64 | None = None) -> None:
    """The shape of a hand; the mean one where it is not known."""
    folder = root / "calibration" / f"mano_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    values = np.zeros(N_BETAS) if betas is None else betas
    (folder / "mano.yml").write_text(yaml.safe_dump({"betas": values.tolist()}), encoding="utf8")


def write_depth(path: Path, depth_m: F32 | None) -> None:
    """Depth in whole millimetres; 0 where nothing was measured."""
    millimetres = np.zeros((HEIGHT, WIDTH))
    if depth_m is not None:
        millimetres = np.rint(np.nan_to_num(1000 * depth_m.astype(np.float64)))
    kept = np.where(millimetres < 2**16, millimetres, 0).astype(np.uint16)
    path.write_bytes(cv2.imencode(".png", kept)[1].tobytes())


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """A compressed .npz without times in it: the same labels give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, content.getvalue())


def _same(source: Path, target: Path) -> None:
    """Another name for a file; a copy where the disk knows no such thing, or has given too many."""
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)
