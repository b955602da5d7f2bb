"""Run an exported 2D keypoint network: an image and a box in, joints in the image out. Needs no torch."""

from __future__ import annotations

from typing import Any, ClassVar, cast, get_args

import numpy as np

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core.conventions import N_JOINTS, Side
from hoi_core.errors import AssetError
from hoi_core.heatmaps import Maps, locate, to_input_px
from hoi_core.runtime import ExportedModel, Sidecar
from hoi_core.types import F64, U8, Camera


class KeypointModel(ExportedModel):
    """Joints in the image.

    Example:
        >>> model = load_as(KeypointModel, Path("keypoints.onnx"))  # doctest: +SKIP
        >>> joints_px = model.find(rgb, camera, box=(200, 120, 420, 330), side="right")[:, :2]  # doctest: +SKIP
    """

    TASK = "keypoints"
    OUTPUTS = ("heatmaps",)
    MEANINGS: ClassVar[dict[str, str]] = {
        "heatmaps": "(B, 22, S / 4, S / 4) a map for each joint, then one of the background. The option `maps` says of "
        "what: `softmax`, logits of where the joint is (of a sigmoid for the background); `squared`, bumps of height 1",
    }

    def __init__(self, session: Any, sidecar: Sidecar) -> None:
        super().__init__(session, sidecar)
        told = sidecar.training.get("options", {}).get("maps", "softmax")
        if told not in get_args(Maps):
            raise AssetError(
                f"expected a network whose maps are {' or '.join(get_args(Maps))}, got {told!r}.",
                "Export it again with `hoi-export`.",
            )
        self.maps = cast(Maps, told)

    def find(self, rgb: U8, camera: Camera | None, box: crops.Box | None, side: Side) -> F64:
        """Joints of one hand.

        Args:
            rgb: `(H, W, 3)`.
            camera: of `rgb`; None where it is not known, then a guess, which decides how the crop
                is bent and no more.
            box: x0, y0, x1, y1 px around the hand's joints, or None for the whole image.
            side: which hand it is.

        Returns:
            `(21, 3)` px of the image, and confidence in [0, 1].
        """
        seen_by = camera or cameras.guessed(rgb.shape[1], rgb.shape[0])
        image, crop = self.cut(rgb, seen_by, box, side)
        found = self.in_crop(self.run(image)[0][0])
        rays = crops.from_crop(crop, cameras.rays(crop.camera, found[:, :2]))
        return np.concatenate([cameras.project(seen_by, rays), found[:, 2:]], axis=-1)

    def in_crop(self, maps: F64) -> F64:
        """Joints in pixels of the crop and their confidence. `(22, h, w) -> (21, 3)`."""
        return to_input_px(locate(maps[:N_JOINTS], self.maps), self.sidecar.size / maps.shape[-1])
