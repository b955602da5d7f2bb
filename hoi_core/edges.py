"""Edge images: what the sensor sends and what the network eats.

RGB -> gray -> two thresholded edge maps (Sobel strength, Canny) -> the sandwich [A, B, A] -> x / 255.
A site is a pixel where any channel is not zero; an unthresholded Sobel is non-zero nearly everywhere on real images.
Every parameter is in `EdgeParams`, which is stored with recordings and models.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hoi_core.config import from_dict
from hoi_core.errors import ConfigError
from hoi_core.types import F32, U8, Bool


@dataclass(frozen=True)
class EdgeParams:
    """How edges are made from an image; two images compare only if these are equal."""

    blur_px: float = 0.8
    """Spread of the Gaussian before the gradient, px; 0 for none."""
    threshold_sobel: int = 22
    """Sobel strength (0..255) below which a pixel is no edge."""
    threshold_canny_low: int = 50
    """Lower hysteresis threshold of Canny, on the unscaled gradient."""
    threshold_canny_high: int = 120
    """Upper hysteresis threshold of Canny, on the unscaled gradient."""

    def __post_init__(self) -> None:
        if self.blur_px < 0 or not 0 < self.threshold_sobel <= 255:
            raise ConfigError(
                f"edge parameters need blur_px >= 0 and threshold_sobel in 1..255, "
                f"got {self.blur_px} and {self.threshold_sobel}.",
                "Correct them.",
            )
        if not 0 < self.threshold_canny_low <= self.threshold_canny_high:
            raise ConfigError(
                f"Canny needs 0 < low <= high, got {self.threshold_canny_low} and {self.threshold_canny_high}.",
                "Correct the thresholds.",
            )

    def to_dict(self) -> dict[str, float | int]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EdgeParams:
        """The inverse of `to_dict`.

        Raises:
            ConfigError: a key that this version does not know, or a value of the wrong kind.
        """
        return from_dict(cls, values, "edge parameters")


def gray(rgb: U8) -> U8:
    """Luma (BT.601). `(H, W, 3) -> (H, W)`."""
    import cv2

    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY), np.uint8)


def sobel_edges(image: U8, params: EdgeParams | None = None) -> U8:
    """Sobel strength, a quarter of the gradient's length, zero below the threshold. `(H, W) -> (H, W)`."""
    import cv2

    params = params or EdgeParams()
    smooth = _smooth(image, params)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    # Sums of squared whole numbers are exact here; cv2.magnitude rounds by where its arrays happen to lie in memory.
    strength = np.minimum(np.rint(np.sqrt(dx * dx + dy * dy) * 0.25), 255.0).astype(np.uint8)
    strength[strength < params.threshold_sobel] = 0
    return strength


def canny_edges(image: U8, params: EdgeParams | None = None) -> U8:
    """Canny's thin edges, 255 on them, else 0. `(H, W) -> (H, W)`."""
    import cv2

    params = params or EdgeParams()
    smooth = _smooth(image, params)
    return np.asarray(
        cv2.Canny(smooth, params.threshold_canny_low, params.threshold_canny_high, L2gradient=True), np.uint8
    )


def fuse(edge_a: U8, edge_b: U8) -> U8:
    """The sandwich [A, B, A]. `(H, W), (H, W) -> (H, W, 3)`."""
    return np.stack([edge_a, edge_b, edge_a], axis=-1)


def sites(fused: U8) -> Bool:
    """Pixels that the sparse network computes on. `(H, W, 3) -> (H, W)`."""
    return np.asarray((fused > 0).any(axis=-1))


def fused_input(rgb_crop: U8, params: EdgeParams | None = None) -> F32:
    """The network's input for a colour crop. `(H, W, 3) -> (3, H, W)` in 0..1, zero off the sites."""
    params = params or EdgeParams()
    image = gray(rgb_crop)
    fused = fuse(sobel_edges(image, params), canny_edges(image, params))
    return np.ascontiguousarray(fused.transpose(2, 0, 1), dtype=np.float32) / np.float32(255.0)


def _smooth(image: U8, params: EdgeParams) -> U8:
    import cv2

    if params.blur_px == 0:
        return np.ascontiguousarray(image)
    blurred = cv2.GaussianBlur(image, (0, 0), params.blur_px, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.uint8)
