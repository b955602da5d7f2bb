"""Hands in a whole image: which side, and the box around the joints. Runs an exported detector; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from hoi_core.boxes import overlap
from hoi_core.conventions import Side
from hoi_core.crop import Box
from hoi_core.network_input import network_input, pixels_of
from hoi_core.runtime import ExportedModel
from hoi_core.types import F64, U8

STRIDE = 8
"""Pixels of the input for one cell of the output."""
GRAY = 114
"""What lies beside an image that is not square."""
_SAME_HAND = 0.55
"""Boxes that overlap by this are one hand."""


@dataclass(frozen=True)
class Detection:
    """A hand that was found."""

    side: Side
    """Which hand it seems to be."""
    box: Box
    """x0, y0, x1, y1 px around its joints, as far as they lie in the image."""
    score: float
    """How sure the detector is, 0 to 1."""


@dataclass(frozen=True)
class Letterbox:
    """How an image is fitted into the square that the network sees."""

    scale: float
    """Pixels of the square for one pixel of the image."""
    left: int
    """Columns of the square before the image."""
    top: int
    """Rows of the square above the image."""

    @classmethod
    def of(cls, width: int, height: int, size: int) -> Letterbox:
        """Fit an image of `width` x `height` px into a square of `size` px."""
        scale = size / max(width, height)
        inner = max(round(width * scale), 1), max(round(height * scale), 1)
        return cls(scale, (size - inner[0]) // 2, (size - inner[1]) // 2)

    def to_image(self, boxes: F64) -> F64:
        """Boxes of the square in pixels of the image. `(N, 4) -> (N, 4)`."""
        shift = np.array([self.left, self.top, self.left, self.top])
        return (boxes - shift + 0.5) / self.scale - 0.5


def letterboxed(rgb: U8, size: int) -> tuple[U8, Letterbox]:
    """An image in the middle of a gray square. `(H, W, 3) -> (size, size, 3)`."""
    height, width = rgb.shape[:2]
    place = Letterbox.of(width, height, size)
    inner = max(round(width * place.scale), 1), max(round(height * place.scale), 1)
    way = cv2.INTER_AREA if place.scale < 1 else cv2.INTER_LINEAR
    out = np.full((size, size, 3), GRAY, np.uint8)
    out[place.top : place.top + inner[1], place.left : place.left + inner[0]] = cv2.resize(
        rgb, inner, interpolation=way
    )
    return out, place


def boxes_of_cells(boxes: F64) -> F64:
    """What the network says of boxes, in pixels of its input.

    Args:
        boxes: `(B, 4, H, W)`: how far the box's centre lies right of and below the cell's, in cells; logarithms of its
            width and height in cells.

    Returns:
        `(B, H, W, 4)` x0, y0, x1, y1 px.
    """
    h, w = boxes.shape[2:]
    v, u = np.mgrid[0:h, 0:w]
    centre = np.stack([u + boxes[:, 0], v + boxes[:, 1]], -1) * STRIDE + (STRIDE - 1) / 2
    half = np.exp(np.clip(boxes[:, 2:].transpose(0, 2, 3, 1), -4.0, 6.0)) * (STRIDE / 2)
    return np.concatenate([centre - half, centre + half], -1)


def decoded(centres: F64, boxes: F64, sides: F64, least_score: float) -> list[tuple[Side, F64, float]]:
    """Hands of one output of the network: peaks of the centres, one for each hand.

    Args:
        centres: `(1, H, W)` logits of a hand's centre.
        boxes: `(4, H, W)`, see `boxes_of_cells`.
        sides: `(1, H, W)` logits of its being a right hand.
        least_score: of a hand.

    Returns:
        Side, box `(4,)` px of the network's input, score; the surest first.
    """
    scores = 1.0 / (1.0 + np.exp(-centres[0]))
    corners = boxes_of_cells(boxes[None])[0]
    v, u = np.nonzero((scores >= cv2.dilate(scores, np.ones((3, 3), np.uint8))) & (scores >= least_score))
    kept: list[tuple[Side, F64, float]] = []
    for k in np.argsort(-scores[v, u], kind="stable"):
        box = corners[v[k], u[k]]
        if kept and overlap(box[None], np.stack([one[1] for one in kept])).max() > _SAME_HAND:
            continue
        side: Side = "right" if sides[0, v[k], u[k]] >= 0 else "left"
        kept.append((side, box, float(scores[v[k], u[k]])))
    return kept


class DetectorModel(ExportedModel):
    """An exported detector and its sidecar.

    Example:
        >>> hands = load_as(DetectorModel, shipped.path("hand_detector")).detect(rgb)  # doctest: +SKIP
    """

    TASK = "detect"
    OUTPUTS = ("centres", "boxes", "sides")
    MEANINGS: ClassVar[dict[str, str]] = {
        "centres": f"(B, 1, S / {STRIDE}, S / {STRIDE}) logit of a hand's centre lying in the cell of {STRIDE} px",
        "boxes": f"(B, 4, S / {STRIDE}, S / {STRIDE}) box around the hand's joints: how far its centre lies right of "
        "and below the cell's, unit cells; natural logarithms of its width and height in cells",
        "sides": f"(B, 1, S / {STRIDE}, S / {STRIDE}) logit of its being a right hand",
    }
    PLACED = (
        f"The image is scaled to fit into the middle of a square of {{size}} x {{size}} px, gray ({GRAY}) elsewhere."
    )

    def detect(self, rgb: U8, least_score: float = 0.4) -> list[Detection]:
        """Find hands.

        Args:
            rgb: `(H, W, 3)`, of any size.
            least_score: of a hand.

        Returns:
            Hands, the surest first, boxes cut at the image's border.
        """
        height, width = rgb.shape[:2]
        square, place = letterboxed(rgb, self.sidecar.size)
        pixels = pixels_of(square, self.sidecar.input, self.sidecar.edges)
        centres, boxes, sides = self.run(network_input(pixels[None], self.sidecar.input))
        found = []
        for side, corners, score in decoded(centres[0], boxes[0], sides[0], least_score):
            x0, y0, x1, y1 = place.to_image(corners[None])[0].clip(-0.5, np.array([width, height] * 2) - 0.5).tolist()
            if x1 - x0 >= 1.0 and y1 - y0 >= 1.0:
                found.append(Detection(side, (x0, y0, x1, y1), score))
        return found
