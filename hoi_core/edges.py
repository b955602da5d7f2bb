"""Edge images: what the sensor sends and what the network eats.

RGB -> gray -> two thresholded edge maps (A Sobel's strength, B Canny's edges) -> the sandwich [A, B, A] -> x / 255.
Of an edge image alone, as the sensor sends it, both maps are that image: one network eats both.
A site is a pixel where any channel is not zero; an unthresholded Sobel is non-zero nearly everywhere on real images.
Every parameter is in `EdgeParams`, which is stored with recordings and models.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hoi_core.config import from_dict
from hoi_core.errors import ConfigError
from hoi_core.types import F32, U8, Bool

I16 = NDArray[np.int16]
Fusion = Literal["sandwich", "edge_gray", "single"]


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
    fusion: Fusion = "sandwich"
    """What lies between twice the Sobel strength: `sandwich`, Canny's edges; `edge_gray`, the gray values of the
    strength's own pixels; `single`, the strength once more."""

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

    def to_dict(self) -> dict[str, float | int | str]:
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
    params = params or EdgeParams()
    return _sobel(*_gradient(image, params), params)


def canny_edges(image: U8, params: EdgeParams | None = None) -> U8:
    """Canny's thin edges, 255 on them, else 0. `(H, W) -> (H, W)`."""
    params = params or EdgeParams()
    return _canny(*_gradient(image, params), params)


def fuse(edge_a: U8, edge_b: U8) -> U8:
    """The sandwich [A, B, A]. `(H, W), (H, W) -> (H, W, 3)`."""
    return np.stack([edge_a, edge_b, edge_a], axis=-1)


def sites(fused: U8) -> Bool:
    """Pixels that the sparse network computes on. `(H, W, 3) -> (H, W)`."""
    return np.asarray((fused > 0).any(axis=-1))


def fused_input(rgb_crop: U8, params: EdgeParams | None = None) -> F32:
    """The network's input for a colour crop. `(H, W, 3) -> (3, H, W)` in 0..1, zero off the sites."""
    maps = edge_maps(rgb_crop, params)
    return np.divide(maps[[0, 1, 0]], np.float32(255.0), dtype=np.float32)


def edge_maps(rgb: U8, params: EdgeParams | None = None) -> U8:
    """The two maps of a colour image that are fused: Sobel strength, and what `params.fusion` says.

    `(H, W, 3) -> (2, H, W)`.
    """
    params = params or EdgeParams()
    luma = gray(rgb)
    dx, dy = _gradient(luma, params)
    strength = _sobel(dx, dy, params)
    if params.fusion == "sandwich":
        return np.stack([strength, _canny(dx, dy, params)])
    return np.stack([strength, strength if params.fusion == "single" else np.where(strength > 0, luma, np.uint8(0))])


def maps_of_edges(edge: U8, params: EdgeParams | None = None) -> U8:
    """The two maps where only an edge image is known: twice that image, thresholded. `(H, W) -> (2, H, W)`.

    Cutting and scaling an edge image leaves faint rims, which would be sites: hence the threshold.
    """
    params = params or EdgeParams()
    strong = np.where(edge < params.threshold_sobel, np.uint8(0), edge)
    return np.stack([strong, strong])


def _gradient(image: U8, params: EdgeParams) -> tuple[I16, I16]:
    """Sobel's derivatives of the blurred image along x and y, `(H, W)` each."""
    import cv2

    if params.blur_px:
        image = cv2.GaussianBlur(image, (0, 0), params.blur_px, borderType=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    dx, dy = cv2.spatialGradient(np.ascontiguousarray(image), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(dx, np.int16), np.asarray(dy, np.int16)


def _sobel(dx: I16, dy: I16, params: EdgeParams) -> U8:
    from hoi_core._strength import strength

    out = np.empty(dx.shape, np.uint8)  # numba's own arrays do not own their memory, as frames must
    strength(dx, dy, params.threshold_sobel, out)
    return out


def _canny(dx: I16, dy: I16, params: EdgeParams) -> U8:
    import cv2

    return np.asarray(cv2.Canny(dx, dy, params.threshold_canny_low, params.threshold_canny_high, L2gradient=True))
