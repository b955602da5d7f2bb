"""Writes an STB of twelve sequences of two frames, in its own layout."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from dataset_tools.readers import stb
from dataset_tools.readers._tiny_hands import TinyHand, hand, picture
from hoi_core.conventions import JOINT_NAMES, JOINT_ORDERS
from hoi_core.types import F64

FAST = (cv2.IMWRITE_PNG_COMPRESSION, 0)

FRAMES = 2


def write(folder: Path) -> Path:
    """Write it and return its root."""
    root = Path(folder)
    (root / "labels").mkdir(parents=True)
    for name in stb.SEQUENCES:
        pictures = root / "images" / name
        pictures.mkdir(parents=True)
        shown = [hand_of(name, frame) for frame in range(FRAMES)]
        for frame, one in enumerate(shown):
            cv2.imwrite(str(pictures / f"SK_color_{frame}.png"), picture(stb.CAMERA, [one])[..., ::-1], FAST)
        labels = np.stack([_native_mm(one) for one in shown], axis=-1)
        savemat(str(root / "labels" / f"{name}_SK.mat"), {"handPara": labels})
    return root


def hand_of(name: str, frame: int) -> TinyHand:
    """The hand of a frame, in the colour camera's frame."""
    return hand("left", 100 * stb.SEQUENCES.index(name) + frame, (0.01 * frame, 0.0, 0.55))


def _native_mm(shown: TinyHand) -> F64:
    """(3, 21) mm of the depth camera, native order; the palm's centre lies half way from wrist to ring finger."""
    by_name = dict(zip(JOINT_NAMES, shown.joints_m, strict=True))
    by_name["palm"] = (by_name["wrist"] + by_name["ring1"]) / 2
    color_mm = 1000 * np.array([by_name[joint] for joint in JOINT_ORDERS[stb.ORDER]])
    rotation = cv2.Rodrigues(np.array(stb.ROTATION_DEPTH_COLOR))[0]
    depth_mm = rotation @ color_mm.T + np.array(stb.TRANSLATION_DEPTH_COLOR_MM)[:, None]
    return np.asarray(depth_mm)
