"""Pictures of datasets: read as RGB, of the size that their labels speak of."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from hoi_core.errors import DatasetError
from hoi_core.types import U8


def read_rgb(path: Path, width: int | None = None, height: int | None = None) -> U8:
    """A picture as it is stored: whatever its EXIF says, it is not turned, as labels count the stored pixels.

    Args:
        path: of a PNG or JPEG file.
        width: px that it must have; None for any.
        height: likewise.

    Returns:
        `(H, W, 3)` RGB.

    Raises:
        DatasetError: no picture, or one of another size.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    expected = f"a picture of {width}x{height} px" if width and height else "a picture"
    if image is None:
        raise DatasetError(f"expected {expected} in {path}, got nothing readable.", "Unpack the dataset again.")
    if (width or image.shape[1], height or image.shape[0]) != (image.shape[1], image.shape[0]):
        met = f"{image.shape[1]}x{image.shape[0]} px"
        raise DatasetError(f"expected {expected} in {path}, got {met}.", "Unpack the dataset again.")
    return np.asarray(image, np.uint8)
