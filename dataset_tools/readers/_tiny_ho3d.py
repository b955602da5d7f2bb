"""Writes an HO-3D of three training images and two to evaluate on, in its own layout, axes and order."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np

from dataset_tools.readers import _ho3d
from dataset_tools.readers._tiny_hands import TinyHand, depth, hand, picture
from hoi_core.conventions import reorder
from hoi_core.rotation import exp_so3, log_so3
from hoi_core.types import F64, Camera

_SHOTS = {"train": ("ABF10/0000", "ABF11/0000", "MC2/0107"), "evaluation": ("AP14/0004", "SM1/0000")}
_CAMERA = Camera(_ho3d.WIDTH, _ho3d.HEIGHT, 614.627, 614.101, 320.262, 238.469)
_FLIP = np.diag([1.0, -1.0, -1.0])


def write(folder: Path, suffix: str, *, published: bool) -> Path:
    """Write it and return its root.

    Args:
        folder: the root.
        suffix: of the images, with the dot.
        published: whether the labels of the evaluation set are there.
    """
    root = Path(folder)
    for part, lines in _SHOTS.items():
        hands = [hand("right", 10 * len(part) + n, (0.02 * n, 0.01, -0.1 + 0.6)) for n in range(len(lines))]
        for line, shown in zip(lines, hands, strict=True):
            _write_shot(root / part, line, shown, suffix)
        (root / f"{part}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        if part == "evaluation" and published:
            for kind, values in (
                ("xyz", [_native(h) for h in hands]),
                ("verts", [h.vertices_m @ _FLIP for h in hands]),
            ):
                (root / f"{part}_{kind}.json").write_text(json.dumps(np.array(values).tolist()), encoding="utf8")
    return root


def _write_shot(folder: Path, line: str, shown: TinyHand, suffix: str) -> None:
    sequence, number = line.split("/")
    places = {kind: folder / sequence / kind for kind in ("rgb", "depth", "meta")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(places["rgb"] / f"{number}{suffix}"), picture(_CAMERA, [shown])[..., ::-1])
    units = np.rint(np.nan_to_num(depth(_CAMERA, [shown])) / _ho3d.DEPTH_UNIT_M).astype(np.uint16)
    blue = np.zeros_like(units)
    # cv2 writes blue first: the low byte lies in red.
    packed = np.stack([blue, units >> 8, units & 255], axis=-1).astype(np.uint8)
    cv2.imwrite(str(places["depth"] / f"{number}.png"), packed)
    meta = _object(shown) | {"camMat": _CAMERA.K}
    meta |= _training(shown) if folder.name == "train" else _evaluation(shown)
    (places["meta"] / f"{number}.pkl").write_bytes(pickle.dumps(meta, protocol=2))


def _native(shown: TinyHand) -> F64:
    return np.asarray(reorder(shown.joints_m, "openpose21", "mano21") @ _FLIP, np.float64)


def _training(shown: TinyHand) -> dict[str, object]:
    rest_wrist = shown.joints_m[0] - shown.params.trans_m
    orient = log_so3(_FLIP @ exp_so3(shown.params.orient))
    return {
        "handPose": np.concatenate([orient, shown.params.pose]),
        "handTrans": _FLIP @ shown.joints_m[0] - rest_wrist,
        "handBeta": shown.params.betas,
        "handJoints3D": _native(shown),
        "handVertContact": np.zeros(778),
    }


def _evaluation(shown: TinyHand) -> dict[str, object]:
    return {"handJoints3D": _native(shown)[0], "handBoundingBox": [200, 120, 440, 360]}


def _object(shown: TinyHand) -> dict[str, object]:
    at_m = shown.joints_m[9] + [0.0, 0.06, 0.08]
    corners = np.array([[x, y, z] for x in (-0.05, 0.05) for y in (-0.1, 0.1) for z in (-0.03, 0.03)])
    return {
        "objName": "021_bleach_cleanser",
        "objLabel": 12,
        "objRot": np.array([[0.3], [-1.2], [0.5]]),
        "objTrans": at_m @ _FLIP,
        "objCorners3DRest": corners,
    }
