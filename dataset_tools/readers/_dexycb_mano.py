"""Hands of DexYCB as parameters of MANO: labels hold coefficients of a basis that only the licensed files have."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset_tools.readers._dexycb_files import betas_of
from dataset_tools.readers._native import REMEDY
from hoi_core.conventions import N_POSE, Side
from hoi_core.errors import DatasetError
from hoi_core.mano import ManoLayer
from hoi_core.mano.layer import ENVIRONMENT
from hoi_core.types import F64, HandParams

_BONE_JOINTS = [j for j in range(21) if j == 0 or j % 4]  # tips are vertices, which the authors chose differently
_MOST_APART_M = 0.005  # left hands were labelled with a flaw of MANO's shape space, which our layer corrects


def hand_of(root: Path, calibration: str, side: Side, pose_m: F64, joints_m: F64) -> tuple[HandParams, F64] | None:
    """Parameters and mesh `(778, 3)` m in the camera's frame, where the user's MANO files give the labelled joints.

    Args:
        root: of the dataset.
        calibration: name of the hand's shape.
        side: which hand.
        pose_m: `(1, 51)` rad and m: turn of the wrist, 45 coefficients about the mean pose, shift.
        joints_m: `(21, 3)` m, openpose21, as labelled.

    Returns:
        None without MANO files, or if these are not the files with which the labels were made.

    Raises:
        DatasetError: the shape is missing or damaged, or `pose_m` is no pose.
    """
    folder = os.environ.get(ENVIRONMENT, "")
    if not folder:
        return None
    if pose_m.shape != (1, 6 + N_POSE) or not np.isfinite(pose_m).all():
        raise DatasetError(f"expected (1, {6 + N_POSE}) numbers as 'pose_m', got {pose_m.shape}.", REMEDY)
    layer = _layer(folder, side)
    orient, coefficients, shift_m = np.split(pose_m.astype(np.float64), [3, 3 + N_POSE], axis=1)
    betas = betas_of(root, calibration)
    pose = layer.pca_to_pose(coefficients)
    posed = layer(orient, pose, betas, shift_m)
    apart_m = np.linalg.norm(posed.joints_m[0] - joints_m, axis=-1)[_BONE_JOINTS].max()
    if apart_m > _MOST_APART_M:
        return None
    return HandParams(orient[0], pose[0], betas, shift_m[0], flat_hand_mean=True), posed.vertices_m[0]


@lru_cache(maxsize=4)
def _layer(folder: str, side: Side) -> ManoLayer:
    return ManoLayer.from_env(side)
