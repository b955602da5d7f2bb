"""Writes a Tzionas (HIC) of two sequences, in its own layout."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np

from dataset_tools.readers import tzionas
from dataset_tools.readers._tiny_hands import TinyHand, hand, picture
from hoi_core import camera as cameras
from hoi_core.conventions import JOINT_NAMES, Side, reorder
from hoi_core.types import F64

FRAMES = {"01": (0, 5), "15": (0, 3)}
"""Sequence -> its frames; the first frame of each has labels by people."""


def write(folder: Path) -> Path:
    """Write it and return its root."""
    root = Path(folder)
    for name, frames in FRAMES.items():
        place = root / name / "1"
        (place / "rgb").mkdir(parents=True)
        (place / "joints_2D_GT").mkdir()
        for frame in frames:
            shown = hands_of(name, frame)
            drawn = picture(tzionas.CAMERA, list(shown.values()))[..., ::-1]
            cv2.imwrite(str(place / "rgb" / f"{frame:03d}.png"), drawn, [cv2.IMWRITE_PNG_COMPRESSION, 0])
            for side, one in shown.items():
                _write_fit(root, name, frame, side, one)
        (place / "joints_2D_GT" / "000.txt").write_text(_labels(hands_of(name, 0)), encoding="ascii")
    return root


def hands_of(name: str, frame: int) -> dict[Side, TinyHand]:
    """Both hands in 01, the right one with an object in 15."""
    seed = 10 * int(name) + frame
    shown: dict[Side, TinyHand] = {"right": hand("right", seed, (-0.11, 0.0, 0.6))}
    if name == "01":
        shown["left"] = hand("left", seed, (0.11, 0.02, 0.6))
    return shown


def _write_fit(root: Path, name: str, frame: int, side: Side, shown: TinyHand) -> None:
    letter = tzionas.LETTERS[side]
    folder = root / tzionas.FITS / f"IJCV16___fakeGT___IJCV___{name}___Model_Hand_{letter}___ncomps45"
    folder.mkdir(parents=True, exist_ok=True)
    fit = {
        "J_transformed": reorder(shown.joints_m, "openpose21", "mano16"),
        "v": shown.vertices_m,
        "pose": np.zeros(48),
        "betas": np.zeros(10),
        "trans": np.zeros(3),
        "ncomps": 45,
        "model_name": "MANO",
    }
    (folder / f"{frame:03d}.pkl").write_bytes(pickle.dumps(fit, protocol=2))


def _labels(shown: dict[Side, TinyHand]) -> str:
    """28 lines: three joints of each finger of the right hand, two of its thumb, then the left one's; 0 is missing."""
    order = [f"{finger}{n}" for finger in ("little", "ring", "middle", "index") for n in "123"] + ["thumb2", "thumb3"]
    at = [JOINT_NAMES.index(joint) for joint in order]
    points: list[F64] = []
    sides: tuple[Side, Side] = ("right", "left")
    for side in sides:
        known = cameras.project(tzionas.CAMERA, shown[side].joints_m)[at] if side in shown else np.zeros((len(at), 2))
        points.append(np.rint(known))
    return "".join(f"{n}\t{int(x)}\t{int(y)}\n" for n, (x, y) in enumerate(np.concatenate(points)))
