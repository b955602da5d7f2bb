# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a calibration board in its true size, as a PDF or a PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from hoi_core.errors import StorageError

from .qt import QtCore, QtGui

if TYPE_CHECKING:
    from capture.calibrate import Board

_DPI = 600
_MM_PER_INCH = 25.4
_A4_MM = (210.0, 297.0)
_MARGIN_MM = 8.0
# Whole pixels for every bit of a marker: 4 to 7 bits and their border divide this.
_SQUARE_PX = 240


def write_board(board: Board, path: Path) -> None:
    """Write a board in its true size; print it without scaling ("100 %").

    Args:
        board: what to draw.
        path: ends in `.pdf` or `.png`.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".pdf":
            _write_pdf(board, path)
        else:
            _write_png(board, path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}.", "Choose another folder.") from error


def page_mm(board: Board) -> tuple[float, float]:
    """Width and height of the page, mm: A4 where the board fits on it, else a page of its own size."""
    width, height = (1e3 * side for side in board.size_m)
    wide, high = max(width + 2 * _MARGIN_MM, _A4_MM[0]), max(height + 2 * _MARGIN_MM, _A4_MM[1])
    return (wide, high) if (wide, high) != _A4_MM else _A4_MM


def caption(board: Board) -> str:
    """What stands below the board: whoever measures a square sees whether it was printed true."""
    return (
        f"ChArUco {board.squares_x} x {board.squares_y}, squares {1e3 * board.square_m:g} mm, markers "
        f"{1e3 * board.marker_m:g} mm, {board.dictionary}.  Print at 100 %, then measure a square."
    )


def _write_pdf(board: Board, path: Path) -> None:
    width_mm, height_mm = page_mm(board)
    with path.open("wb"):
        # Qt reports no error of a file that cannot be opened.
        pass
    writer = QtGui.QPdfWriter(str(path))
    writer.setResolution(_DPI)
    writer.setPageSize(QtGui.QPageSize(QtCore.QSizeF(width_mm, height_mm), QtGui.QPageSize.Millimeter))
    writer.setPageMargins(QtCore.QMarginsF(0, 0, 0, 0))
    writer.setTitle(caption(board))
    pixels = np.ascontiguousarray(board.image(_SQUARE_PX))
    image = QtGui.QImage(
        pixels.data, pixels.shape[1], pixels.shape[0], pixels.strides[0], QtGui.QImage.Format_Grayscale8
    )
    per_mm = _DPI / _MM_PER_INCH
    board_w, board_h = (1e3 * side for side in board.size_m)
    where = QtCore.QRectF(
        (width_mm - board_w) / 2 * per_mm, (height_mm - board_h) / 2 * per_mm, board_w * per_mm, board_h * per_mm
    )
    painter = QtGui.QPainter(writer)
    painter.drawImage(where, image)
    font = QtGui.QFont()
    font.setPointSizeF(8.0)
    painter.setFont(font)
    below = QtCore.QRectF(where.left(), where.bottom() + 2 * per_mm, where.width(), 6 * per_mm)
    painter.drawText(below, int(QtCore.Qt.AlignCenter), caption(board))
    painter.end()


def _write_png(board: Board, path: Path) -> None:
    """The board with a white margin; its resolution is in the caption's millimetres, not in the file."""
    margin = round(_SQUARE_PX / 2)
    done, data = cv2.imencode(".png", board.image(_SQUARE_PX, margin))
    if not done:
        raise OSError("the picture cannot be encoded")
    path.write_bytes(data.tobytes())
