"""Writes a CMU HandDB of a few hands of each part, in its own layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dataset_tools.readers import cmu
from dataset_tools.readers._tiny_hands import TinyHand, hand, picture
from hoi_core import camera as cameras
from hoi_core.types import F64, U8, Camera

CAMERA = cameras.guessed(320, 240)
NAMES = {
    "manual_train": ("005880453_01_l", "005880453_01_r", "ex2_2.flv_000040_r"),
    "manual_test": ("010000000_02_l", "ex9_1.flv_000001_r"),
    **{f"synth{n}": ("0001", "0002") for n in range(1, 5)},
    cmu.PANOPTIC: ("00000000", "00000001"),
}
UNSEEN = (3, 8)
"""Joints that the first hand of each part does not label."""


def write(folder: Path) -> Path:
    """Write it and return its root."""
    root = Path(folder)
    for part, place in cmu.FOLDERS.items():
        (root / place).mkdir(parents=True)
        for name in NAMES[part]:
            label: dict[str, Any] = {"hand_pts": points_of(part, name).tolist()}
            label["is_left"] = float(hand_of(part, name).side == "left")
            (root / place / f"{name}.json").write_text(json.dumps(label), encoding="utf8")
            _save(root / place / f"{name}.jpg", CAMERA, hand_of(part, name))
    # A file of synth1 as public readers met them: without 21 points.
    (root / cmu.FOLDERS["synth1"] / "0003.json").write_text('{"hand_pts": [[1, 2, 1]], "is_left": 0}')
    _write_panoptic(root / cmu.PANOPTIC_FOLDER)
    return root


def hand_of(part: str, name: str) -> TinyHand:
    """The hand of a picture."""
    seed = 10 * list(NAMES).index(part) + NAMES[part].index(name)
    left = part != cmu.PANOPTIC and (name.endswith("_l") or (part.startswith("synth") and seed % 2 == 1))
    return hand("left" if left else "right", seed)


def points_of(part: str, name: str) -> F64:
    """(21, 3) px, px, flag."""
    points = np.ones((21, 3))
    points[:, :2] = cameras.project(CAMERA, hand_of(part, name).joints_m)
    if name == NAMES[part][0]:
        points[list(UNSEEN)] = 0
    return points


def _write_panoptic(folder: Path) -> None:
    (folder / "imgs").mkdir(parents=True)
    labels = []
    for name in NAMES[cmu.PANOPTIC]:
        _save(folder / "imgs" / f"{name}.jpg", CAMERA, hand_of(cmu.PANOPTIC, name))
        labels.append(
            {
                "dataset": "hands_v143",
                "img_paths": f"imgs/{name}.jpg",
                "img_width": CAMERA.width,
                "img_height": CAMERA.height,
                "joint_self": points_of(cmu.PANOPTIC, name).tolist(),
            }
        )
    (folder / cmu.PANOPTIC_FILE).write_text(json.dumps({"root": labels}), encoding="utf8")


def _save(path: Path, camera: Camera, shown: TinyHand) -> None:
    drawn: U8 = picture(camera, [shown])
    cv2.imwrite(str(path), drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
