"""Writes a Dexter+Object of six short sequences, in its own layout."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dataset_tools.readers import dexter_object
from dataset_tools.readers._tiny_hands import TinyHand, hand, picture
from hoi_core import camera as cameras
from hoi_core.conventions import FINGERS, JOINT_NAMES
from hoi_core.types import F64

FRAMES = 3
UNSEEN = (1, 2)
"""Frame and finger (the middle one) that are not labelled."""


def write(folder: Path, signs: tuple[float, float] = (-1.0, -1.0)) -> Path:
    """Write it, with x and y multiplied by some signs, and return its root."""
    root = Path(folder)
    for name in dexter_object.SEQUENCES:
        place = root / "data" / name
        (place / "color").mkdir(parents=True)
        (place / "annotations").mkdir()
        rows: dict[str, list[str]] = {"2D": [], "3D": []}
        for frame in range(FRAMES):
            drawn = picture(dexter_object.CAMERA, [hand_of(name, frame)])[..., ::-1]
            path = place / "color" / f"image_{frame:05d}_color.png"
            cv2.imwrite(str(path), drawn, [cv2.IMWRITE_PNG_COMPRESSION, 0])
            tips_mm = _depth_tips_mm(name, frame)
            pixels = cameras.project(dexter_object.DEPTH_CAMERA, tips_mm)
            native_mm = tips_mm * [*signs, 1.0]
            if frame == UNSEEN[0]:
                native_mm[UNSEEN[1]] = dexter_object.INVALID_MM
                pixels[UNSEEN[1]] = 0.0
            rows["2D"].append("".join(f"{round(u)}, {round(v)}; " for u, v in pixels))
            rows["3D"].append("".join(f"{x:.4f}, {y:.4f}, {z:.4f}; " for x, y, z in native_mm))
        for kind, lines in rows.items():
            (place / "annotations" / f"{name}{kind}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
    return root


def hand_of(name: str, frame: int) -> TinyHand:
    """The hand of a frame, in the colour camera's frame."""
    return hand("left", 60 + 10 * dexter_object.SEQUENCES.index(name) + frame, (0.03, -0.02, 0.5))


def _depth_tips_mm(name: str, frame: int) -> F64:
    """(5, 3) in the depth camera's frame."""
    at = [JOINT_NAMES.index(f"{finger}tip") for finger in FINGERS]
    pose = np.array(dexter_object.COLOR_FROM_DEPTH_MM)
    # The printed rotation is one to four digits only: its inverse is not its transpose.
    return np.asarray(np.linalg.solve(pose[:, :3], (1000 * hand_of(name, frame).joints_m[at] - pose[:, 3]).T).T)
