"""Any 2D hand network that a sidecar describes: a crop in, heatmaps or coordinates out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core.config import from_dict
from hoi_core.conventions import JOINT_ORDERS, N_JOINTS, Side, permutation
from hoi_core.crop import Box
from hoi_core.errors import AssetError, ConfigError
from hoi_core.onnx_session import onnx_session
from hoi_core.types import F32, F64, U8, Camera

FORMAT = "hoi-keypoints"
_LEAST = 1e-6


class Network(Protocol):
    """What finds a hand in a box."""

    def find(self, rgb: U8, camera: Camera, box: Box, side: Side) -> F64:
        """`(21, 3)` px of the image and confidence; NaN where a joint was not found."""


@dataclass(frozen=True)
class Sidecar:
    """What a network takes and gives."""

    output: Literal["heatmaps", "pixels", "unit"]
    """`(1, 21, h, w)` heatmaps with values to 1; or `(1, 21, 2 or 3)` coordinates in pixels of the input or from 0 to 1
    over it, the third column a confidence."""
    size: int
    """Side of its square input, px."""
    joint_order: str = "openpose21"
    """A key of `conventions.JOINT_ORDERS` with 21 joints."""
    side: Side = "right"
    """The hand it knows; the other is shown to it mirrored."""
    mean: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """Taken from red, green and blue in 0 to 1."""
    std: list[float] = field(default_factory=lambda: [1.0, 1.0, 1.0])
    """Divides what is left."""
    crop_scale: float = 1.3
    """Side of the crop over the longer side of the joints' box."""


def read_sidecar(told: object, where: str) -> Sidecar:
    """The sidecar in the values of a JSON file.

    Raises:
        AssetError: it does not describe a network.
    """
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise AssetError(
            f'{where} must hold an object with "format": "{FORMAT}".', "Write one, see docs/annotate_keypoints.md."
        )
    try:
        sidecar = from_dict(Sidecar, {key: value for key, value in told.items() if key != "format"}, where)
        permutation(sidecar.joint_order, "openpose21")
    except ConfigError as error:
        raise AssetError(error.message, error.hint) from error
    order = JOINT_ORDERS.get(sidecar.joint_order, ())
    if len(order) != N_JOINTS or sidecar.size <= 0 or not len(sidecar.mean) == len(sidecar.std) == 3:
        raise AssetError(
            f"{where} needs a joint order of {N_JOINTS} joints, a positive size, and mean and std of three channels.",
            f"Joint orders: {', '.join(name for name, joints in JOINT_ORDERS.items() if len(joints) == N_JOINTS)}.",
        )
    return sidecar


class HeatmapNetwork:
    """A network of `Sidecar`'s kind on ONNX Runtime."""

    def __init__(self, path: Path, sidecar: Sidecar) -> None:
        self.session = onnx_session(path, threads=1)
        self.path, self.sidecar = path, sidecar

    def find(self, rgb: U8, camera: Camera, box: Box, side: Side) -> F64:
        """`(21, 3)` px of the image and confidence."""
        told = self.sidecar
        place = crops.Placement(scale=told.crop_scale, mirror=side != told.side)
        crop = crops.around(camera, box, told.size, place)
        image = (crops.warp(rgb, camera, crop) / 255.0 - told.mean) / told.std
        own = self._points(np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32))
        points = own[permutation(told.joint_order, "openpose21")]
        rays = crops.from_crop(crop, cameras.rays(crop.camera, points[:, :2]))
        return np.concatenate([cameras.project(camera, rays), points[:, 2:]], axis=-1)

    def _points(self, image: F32) -> F64:
        """(21, 3) px of the crop and confidence, in the network's own order."""
        try:
            given: list[Any] = self.session.run(None, {self.session.get_inputs()[0].name: image})
        except Exception as error:  # as above
            raise AssetError(
                f"{self.path} does not take a crop of {image.shape}: {str(error).splitlines()[0]}",
                "Correct `size` in its sidecar.",
            ) from error
        values = np.asarray(given[0], dtype=np.float64)[0]
        heatmaps = self.sidecar.output == "heatmaps"
        if values.shape[0] != N_JOINTS or values.ndim != (3 if heatmaps else 2) or values.shape[-1] < 2:
            raise AssetError(
                f"{self.path} gives {values.shape} where its sidecar says {self.sidecar.output} of {N_JOINTS} joints.",
                "Correct `output` in its sidecar.",
            )
        if heatmaps:
            return peaks(values) * [self.sidecar.size / values.shape[2], self.sidecar.size / values.shape[1], 1.0] + [
                0.5 * self.sidecar.size / values.shape[2] - 0.5,
                0.5 * self.sidecar.size / values.shape[1] - 0.5,
                0.0,
            ]
        confidence = np.clip(values[:, 2:3], 0.0, 1.0) if values.shape[1] > 2 else np.ones((N_JOINTS, 1))
        unit = self.sidecar.output == "unit"
        pixels = values[:, :2] * self.sidecar.size - 0.5 if unit else values[:, :2]
        return np.concatenate([pixels, confidence], axis=-1)


def peaks(heatmaps: F64) -> F64:
    """Places and heights of the peaks: a parabola through the logarithm, which is exact for a Gaussian.

    Args:
        heatmaps: `(J, h, w)`.

    Returns:
        `(J, 3)` column, row, height clipped to 0..1.
    """
    joints, height, width = heatmaps.shape
    row, column = np.unravel_index(heatmaps.reshape(joints, -1).argmax(1), (height, width))
    level = np.log(np.maximum(heatmaps, _LEAST))
    which = np.arange(joints)

    def refined(at: F64, size: int, before: F64, after: F64) -> F64:
        middle = level[which, row, column]
        curve = before - 2.0 * middle + after
        inner = (at > 0) & (at < size - 1) & (curve < 0)
        shift = np.where(inner, 0.5 * (before - after) / np.where(inner, curve, 1.0), 0.0)
        return at + np.clip(shift, -0.5, 0.5)

    left, right = np.maximum(column - 1, 0), np.minimum(column + 1, width - 1)
    above, below = np.maximum(row - 1, 0), np.minimum(row + 1, height - 1)
    u = refined(column.astype(np.float64), width, level[which, row, left], level[which, row, right])
    v = refined(row.astype(np.float64), height, level[which, above, column], level[which, below, column])
    return np.stack([u, v, np.clip(heatmaps[which, row, column], 0.0, 1.0)], axis=-1)
