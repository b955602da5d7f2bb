"""Writes a FreiHAND v2 of two training labels and one to evaluate on, in its own layout."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from dataset_tools.readers import freihand
from dataset_tools.readers._tiny_hands import TinyHand, hand, picture
from hoi_core.mano import ManoLayer
from hoi_core.types import Camera


def write(folder: Path) -> Path:
    """Write it and return its root."""
    root = Path(folder)
    _write_part(root, "training", [hand("right", 0), hand("right", 1, (0.02, -0.01, 0.6))], len(freihand.BACKGROUNDS))
    _write_part(root, "evaluation", [hand("right", 2)], 1)
    return root


def _write_part(root: Path, part: str, hands: list[TinyHand], copies: int) -> None:
    pictures = root / part / "rgb"
    pictures.mkdir(parents=True)
    shots = [_camera(n) for n in range(len(hands))]
    for number in range(copies * len(hands)):
        n = number % len(hands)
        drawn = picture(shots[n], [hands[n]])
        cv2.imwrite(str(pictures / f"{number:08d}.jpg"), drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    labels = {
        "K": [camera.K.tolist() for camera in shots],
        "xyz": [shown.joints_m.tolist() for shown in hands],
        "verts": [shown.vertices_m.tolist() for shown in hands],
        # The joints at the root of the middle finger and half way along it.
        "scale": [float(np.linalg.norm(shown.joints_m[9] - shown.joints_m[10])) for shown in hands],
    }
    if part == "training":
        labels["mano"] = [_mano(shown, camera) for shown, camera in zip(hands, shots, strict=True)]
    for kind, values in labels.items():
        (root / f"{part}_{kind}.json").write_text(json.dumps(values), encoding="utf8")


def _camera(n: int) -> Camera:
    return Camera(freihand.SIZE, freihand.SIZE, 480.0 + n, 480.0 + n, 112.0, 111.5)


def _mano(shown: TinyHand, camera: Camera) -> list[list[float]]:
    """One row of 61: pose relative to the mean, shape, pixel of the root, its depth over the focal length."""
    mean = ManoLayer.stand_in(shown.side).model.hands_mean
    x, y, z = shown.joints_m[9]
    pixel = [camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy]
    pose = [*shown.params.orient, *(shown.params.pose - mean), *shown.params.betas]
    return [[float(value) for value in (*pose, *pixel, z / camera.fx)]]
