"""Samples of datasets that label pixels and know neither depth nor camera."""

from __future__ import annotations

import numpy as np

from dataset_tools.readers import ReaderInfo
from hoi_core import camera as cameras
from hoi_core.conventions import N_JOINTS, Side
from hoi_core.errors import DatasetError
from hoi_core.types import F64, U8, Sample


def sample(info: ReaderInfo, key: str, side: Side, image: U8, joints_px: F64) -> Sample:
    """A sample without depth.

    Args:
        info: of the dataset.
        key: of the sample.
        side: which hand.
        image: `(H, W, 3)` RGB.
        joints_px: `(21, 2)` px, openpose21, NaN where not labelled. What lies off the picture becomes NaN too.

    Raises:
        DatasetError: no labelled joint lies on the picture.
    """
    height, width = image.shape[:2]
    size = np.array([width, height])
    inside = np.asarray(((joints_px >= -0.5) & (joints_px <= size - 0.5)).all(-1), dtype=np.bool_)
    if not inside.any():
        raise DatasetError(
            f"expected the labels of {key} on its picture of {width}x{height} px; none is.", "Unpack the dataset again."
        )
    return Sample(
        image=image,
        camera=cameras.guessed(width, height),
        side=side,
        joints_m=np.full((N_JOINTS, 3), np.nan),
        joints_valid=np.zeros(N_JOINTS, np.bool_),
        vertices_m=None,
        dataset=info.name,
        key=key,
        joints_px=np.where(inside[:, None], joints_px, np.nan),
    )
