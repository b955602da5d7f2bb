"""Writes an RHD of two training pictures and one to evaluate on, in its own layout."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np

from dataset_tools.readers import rhd
from dataset_tools.readers._tiny_hands import TinyHand, depth, hand, labels, picture
from hoi_core import camera as cameras
from hoi_core.conventions import Side, reorder
from hoi_core.types import F64, Camera

_CAMERA = Camera(rhd.SIZE, rhd.SIZE, 282.9, 282.9, 160.0, 160.0)
_SEEN: dict[str, list[tuple[Side, ...]]] = {"training": [("left", "right"), ("left",)], "evaluation": [("right",)]}
_AT_M = {"left": (0.11, 0.0, 0.55), "right": (-0.11, 0.02, 0.6)}


def write(folder: Path) -> Path:
    """Write it and return its root."""
    root = Path(folder)
    for part, seen in _SEEN.items():
        for kind in ("color", "depth", "mask"):
            (root / part / kind).mkdir(parents=True)
        content = {}
        for n, sides in enumerate(seen):
            hands = [hand(side, 7 * len(part) + n, _AT_M[side]) for side in sides]
            _write_images(root / part, n, hands)
            content[n] = _annotation(hands)
        (root / part / f"anno_{part}.pickle").write_bytes(pickle.dumps(content, protocol=2))
    return root


def _write_images(folder: Path, n: int, hands: list[TinyHand]) -> None:
    name = f"{n:05d}.png"
    cv2.imwrite(str(folder / "color" / name), picture(_CAMERA, hands)[..., ::-1])
    units = np.rint(np.nan_to_num(depth(_CAMERA, hands), nan=rhd.FAR_M) / rhd.FAR_M * 65535).astype(np.uint16)
    # cv2 writes blue first: the high byte lies in red, the low byte in green.
    cv2.imwrite(str(folder / "depth" / name), np.stack([0 * units, units & 255, units >> 8], -1).astype(np.uint8))
    parts = np.zeros((rhd.SIZE, rhd.SIZE), np.uint8)
    parts[250:, :40] = 1
    for shown in hands:
        parts[labels(_CAMERA, [shown]) == 1] = 5 if shown.side == "left" else 21
    cv2.imwrite(str(folder / "mask" / name), parts)


def _annotation(hands: list[TinyHand]) -> dict[str, F64]:
    """Both hands of the person; one that is not seen lies beside the picture."""
    both = {shown.side: shown for shown in hands}
    xyz, visible = [], []
    for side in ("left", "right"):
        shown = both.get(side) or hand(side, 0, (0.9, 0.1, 0.6))
        xyz.append(reorder(shown.joints_m, "openpose21", "rhd21"))
        visible += [float(side in both)] * 21
    points = np.concatenate(xyz)
    pixels = cameras.project(_CAMERA, points)
    return {"uv_vis": np.column_stack([pixels, visible]), "xyz": points, "K": _CAMERA.K}
