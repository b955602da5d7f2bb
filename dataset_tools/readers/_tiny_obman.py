"""Writes an ObMan of four images in its own layout and axes."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np

from dataset_tools.readers import obman
from dataset_tools.readers._tiny_hands import TinyHand, hand, labels, picture
from hoi_core import camera as cameras
from hoi_core.rotation import exp_so3

_NUMBERS = {"train": (0, 107), "val": (3,), "test": (12,)}
_FLIP = np.diag([1.0, -1.0, -1.0])
_OBJECT_M = (0.08, -0.06, 0.62)
_SCALE = 0.12


def write(folder: Path) -> Path:
    """Write it and return its root."""
    root = Path(folder)
    for part, numbers in _NUMBERS.items():
        for kind in ("rgb", "segm", "meta"):
            (root / part / kind).mkdir(parents=True)
        for number in numbers:
            shown = hand("right", number, (-0.02, 0.01, 0.65))
            name = f"{number:08d}"
            drawn = picture(obman.CAMERA, [shown])
            cv2.imwrite(str(root / part / "rgb" / f"{name}.jpg"), drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            cv2.imwrite(str(root / part / "segm" / f"{name}.png"), _segmentation(shown))
            (root / part / "meta" / f"{name}.pkl").write_bytes(pickle.dumps(_meta(shown), protocol=3))
    return root


def _segmentation(shown: TinyHand) -> np.ndarray:
    """As cv2 writes it: what is seen, the hand alone, the object alone."""
    both = labels(obman.CAMERA, [shown], _OBJECT_M)
    alone = labels(obman.CAMERA, [shown])
    seen = np.select([both == 1, both == 2], [24, obman.OBJECT_LABEL], 0)
    seen[-20:, :20] = 7  # of the body
    return np.stack([seen, 22 * alone, np.where(both == 2, obman.OBJECT_LABEL, 0)], axis=-1).astype(np.uint8)


def _meta(shown: TinyHand) -> dict[str, object]:
    affine = np.eye(4)
    affine[:3, :3] = _SCALE * exp_so3(np.array([0.2, 1.1, -0.4]))
    affine[:3, 3] = _FLIP @ np.array(_OBJECT_M)
    return {
        "side": shown.side,
        "coords_2d": cameras.project(obman.CAMERA, shown.joints_m).astype(np.float32),
        "coords_3d": (shown.joints_m @ _FLIP).astype(np.float32),
        "verts_3d": (shown.vertices_m @ _FLIP).astype(np.float32),
        "affine_transform": affine.astype(np.float32),
        "obj_scale": _SCALE,
        "class_id": "02876657",
        "sample_id": "1a7ba1f4c892e2da30711cdbdbc73924",
        "obj_path": "/data/ShapeNetCore.v2/02876657/1a7ba1f4c892e2da30711cdbdbc73924/models/model_normalized.obj",
        "obj_visibility_ratio": 0.75,
        "hand_pose": np.zeros(45, np.float32),
        "depth_min": np.float32(0.5),
    }
