"""Find the board's corners in an image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from capture.calibrate.board import Board
from hoi_core.types import F64, I64, U8

FEWEST_CORNERS = 8
"""With fewer corners a board's pose is too uncertain to be of use."""
COARSE_PX = 256
"""Images narrower than this are of coarse sensors: a marker's bits are a pixel wide, so nobody looks for corners."""


@dataclass(frozen=True)
class Detection:
    """Corners of the board in one image."""

    ids: I64
    """(N,) index into `Board.corners_m`."""
    corners_px: F64
    """(N, 2) px, pixel centres at integers."""
    size: tuple[int, int]
    """Width and height of the image, px."""


def to_gray(image: U8) -> U8:
    """`(H, W, 3)` RGB or `(H, W)` to `(H, W)`."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image, dtype=np.uint8)


def make_detector(board: Board) -> cv2.aruco.CharucoDetector:
    """OpenCV's detector with subpixel corners; keep it where many images are searched."""
    markers = cv2.aruco.DetectorParameters()
    markers.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    charuco = cv2.aruco.CharucoParameters()
    charuco.tryRefineMarkers = True
    return cv2.aruco.CharucoDetector(board.opencv(), charuco, markers)


def detect(board: Board, image: U8, detector: cv2.aruco.CharucoDetector | None = None) -> Detection | None:
    """Find the board.

    Args:
        board: what to look for.
        image: `(H, W, 3)` RGB or `(H, W)`, uint8.
        detector: from `make_detector`, to save its making.

    Returns:
        The corners, or None with fewer than `FEWEST_CORNERS` of them, or all of them on one line.
    """
    gray = to_gray(image)
    corners, ids, _, _ = (detector or make_detector(board)).detectBoard(gray)
    if ids is None or len(ids) < FEWEST_CORNERS:
        return None
    index = np.asarray(ids, dtype=np.int64).reshape(-1)
    found = Detection(index, np.asarray(corners, dtype=np.float64).reshape(-1, 2), (gray.shape[1], gray.shape[0]))
    on_board = board.corners_m[index, :2] / board.square_m
    spread = np.linalg.svd(on_board - on_board.mean(0), compute_uv=False)[1]
    return found if spread > 1.0 else None
