"""Exported networks whose points have places in the crop and depths: a hand once the lens is known."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from hoi_core import crop as crops
from hoi_core.conventions import N_JOINTS
from hoi_core.runtime import HandModel
from hoi_core.types import F64

_PLACE = f"x right, y down, -1 and 1 at the crop's outer edges; depth less the wrist's, unit {crops.LENGTH_UNIT_M} m"


class LixelModel(HandModel):
    """Joints and mesh in space, from places in the crop and depths."""

    TASK = "lixels"
    OUTPUTS = ("joints", "mesh", "root", "confidence", "first_joints")
    MEANINGS: ClassVar[dict[str, str]] = {
        "joints": f"(B, 21, 3) joints of the mesh: {_PLACE}",
        "mesh": "(B, 778, 3) vertices, in the same",
        "root": "(B, 1) the wrist's depth times the crop's size over its focal length (both px), unit "
        f"{crops.ROOT_UNIT_M} m",
        "confidence": HandModel.MEANINGS["confidence"],
        "first_joints": "(B, 21, 3) joints as the first stage found them, in the same as `joints`",
    }

    def _placed(self, found: tuple[F64, ...], focal_px: F64) -> tuple[F64, F64, F64]:
        focal = np.asarray(focal_px, dtype=np.float64)
        return super()._placed(seen_through(found, focal, self.sidecar.size), focal)


def seen_through(raw: tuple[Any, ...], focal_px: Any, size: int) -> tuple[Any, Any, Any, Any]:
    """What a `HandModel` would say in place of a `LixelModel`. One equation for numpy and torch.

    Args:
        raw: `LixelModel.OUTPUTS`.
        focal_px: `(B,)` px, of the crops.
        size: side of the crops, px.

    Returns:
        `HandModel.OUTPUTS`.
    """
    joints, mesh, root, confidence = raw[:4]
    concatenate = crops.concatenate
    points = concatenate([joints, mesh], 1)
    depths = concatenate([points[..., 2], root], 1)
    placed = crops.camera_space(points[..., :2], depths, focal_px, size)
    vertices = (placed[:, N_JOINTS:] - placed[:, :1]) / crops.LENGTH_UNIT_M
    return joints[..., :2], concatenate([joints[..., 2], root], 1), vertices, confidence
