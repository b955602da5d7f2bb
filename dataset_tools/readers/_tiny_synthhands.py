"""Writes a SynthHands of six pictures, in its own layout."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dataset_tools.readers import synthhands
from dataset_tools.readers._tiny_hands import TinyHand, hand, picture
from hoi_core.conventions import Side

KEYS = (
    "female_noobject/seq01/cam01/01/00000000",
    "female_noobject/seq01/cam01/01/00000001",
    "female_object/seq02/cam03/02/00000007",
    "male_noobject/seq01/cam05/03/00000000",
    "male_object/seq07/cam01/01/00000000",
    "male_object/seq07/cam02/01/00000062",
)


def write(folder: Path, side: Side = "left") -> Path:
    """Write it and return its root."""
    root = Path(folder)
    for key in KEYS:
        path = root / f"{key}_color.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = hand_of(key, side)
        drawn = picture(synthhands.CAMERA, [shown])[..., ::-1]
        cv2.imwrite(str(path), drawn, [cv2.IMWRITE_PNG_COMPRESSION, 0])
        depth_mm = 1000 * shown.joints_m - np.array(synthhands.SHIFT_MM)
        text = ",".join(f"{value:.6f}" for value in depth_mm.ravel())
        (root / f"{key}_joint_pos.txt").write_text(text + "\n", encoding="ascii")
    return root


def hand_of(key: str, side: Side = "left") -> TinyHand:
    """The hand of a picture, in the colour camera's frame."""
    return hand(side, 30 + KEYS.index(key), (0.02, 0.01, 0.45))
