"""Why a board is not found: another grid, another dictionary, other lengths, or no board at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from capture.calibrate.board import Board
from capture.calibrate.detect import detect, make_detector, to_gray
from hoi_core.errors import CalibrationError
from hoi_core.types import U8

_DICTIONARIES = ("4X4_1000", "5X5_1000", "6X6_1000", "7X7_1000", "ARUCO_ORIGINAL")
_ENOUGH_MARKERS = 6
# Blur and rounded corners take up to a pixel off a marker.
_RATIO_ERROR = 0.1


def diagnose(board: Board, images: Sequence[U8]) -> CalibrationError | None:
    """What is wrong with a board that is hardly found.

    Args:
        board: what was expected.
        images: a few images, gray or RGB.

    Returns:
        The refusal; None where the board is simply not in the images.
    """
    for other, words in _candidates(board):
        if sum(detect(other, image) is not None for image in images) > len(images) / 2:
            return CalibrationError(
                f"the images do not show the board of the file: {words}.", "Correct the board file."
            )
    for dictionary in _DICTIONARIES:
        if dictionary.split("_")[0] == board.dictionary.split("_")[0]:
            continue
        if np.median([_markers(dictionary, image) for image in images]) >= _ENOUGH_MARKERS:
            return CalibrationError(
                f"the images do not show the board of the file: its markers are {dictionary}, not {board.dictionary}.",
                "Correct marker_bits and dict_size in the board file.",
            )
    if np.median([_markers(board.dictionary, image) for image in images]) >= _ENOUGH_MARKERS:
        return CalibrationError(
            f"markers are found, but not in the order of a board of {board.squares_x}x{board.squares_y} squares.",
            "Count the squares and correct board_x and board_y in the board file.",
        )
    return None


def marker_share(board: Board, image: U8) -> float:
    """Side of the markers divided by that of the squares as an image shows it; NaN where it cannot be measured."""
    corners, ids, marker_corners, marker_ids = make_detector(board).detectBoard(to_gray(image))
    if ids is None or marker_ids is None or len(ids) < _ENOUGH_MARKERS:
        return float("nan")
    index = np.asarray(ids).reshape(-1)
    H, _ = cv2.findHomography(np.asarray(corners).reshape(-1, 2), board.corners_m[index, :2] / board.square_m)
    if H is None:
        return float("nan")
    sides = []
    for quad in marker_corners:
        on_board = cv2.perspectiveTransform(np.asarray(quad, np.float64).reshape(1, 4, 2), H)[0]
        sides.append(np.linalg.norm(on_board - np.roll(on_board, 1, axis=0), axis=1).mean())
    return float(np.median(sides))


def wrong_marker_size(board: Board, images: Sequence[U8]) -> None:
    """Refuse a board file whose markers are of another share of the squares than in the images.

    Raises:
        CalibrationError: with both shares.
    """
    expected = board.marker_m / board.square_m
    shares = np.array([marker_share(board, image) for image in images])
    if not np.isfinite(shares).any():
        return
    met = float(np.nanmedian(shares))
    if abs(met - expected) > _RATIO_ERROR:
        raise CalibrationError(
            f"expected markers of {expected:.2f} of a square's side, the images show {met:.2f}.",
            "Measure squares and markers and correct square_length and marker_length.",
        )


def _candidates(board: Board) -> list[tuple[Board, str]]:
    swapped = replace(board, squares_x=board.squares_y, squares_y=board.squares_x)
    return [
        (swapped, f"it has {swapped.squares_x}x{swapped.squares_y} squares, board_x and board_y are swapped"),
        (
            replace(board, legacy_pattern=not board.legacy_pattern),
            f"its pattern begins the other way, legacy_pattern is {str(not board.legacy_pattern).lower()}",
        ),
    ]


def _markers(dictionary: str, image: U8) -> int:
    found = cv2.aruco.ArucoDetector(
        cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{dictionary}")), cv2.aruco.DetectorParameters()
    ).detectMarkers(to_gray(image))[1]
    return 0 if found is None else len(found)
