"""The board in its true size: a PDF of rectangles, or a PNG with its resolution."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from capture.calibrate.board import Board
from hoi_core.errors import CalibrationError, StorageError
from hoi_core.types import U8

_A4_MM = (210.0, 297.0)
_MARGIN_MM = 8.0
# Whole pixels for every bit of a marker of 4 to 7 bits and its border in most boards.
_SQUARE_PX = 240


def print_board(board: Board, path: Path) -> tuple[float, float]:
    """Write a board to print at 100 %.

    Args:
        board: what to draw.
        path: ends in `.pdf` or `.png`.

    Returns:
        Width and height of the page, mm: A4 where the board fits.

    Raises:
        CalibrationError: another kind of file, or a PDF without reportlab.
        StorageError: the file cannot be written.
    """
    if path.suffix.lower() not in (".pdf", ".png"):
        raise CalibrationError(f"cannot write a board to {path.name}.", "Name a .pdf or a .png file.")
    width, height = (1e3 * side for side in board.size_m)
    page = max(width + 2 * _MARGIN_MM, _A4_MM[0]), max(height + 2 * _MARGIN_MM, _A4_MM[1])
    content = _pdf(board, page) if path.suffix.lower() == ".pdf" else _png(board)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}.", "Name another file.") from error
    return page


def _pdf(board: Board, page_mm: tuple[float, float]) -> bytes:
    try:
        from reportlab.lib.units import mm
        from reportlab.pdfgen.canvas import Canvas
    except ImportError as error:
        raise CalibrationError(
            "a board as PDF needs reportlab.", "pip install 'hoi-toolkit[capture]', or name a .png file."
        ) from error

    image = board.image(_SQUARE_PX)
    mm_per_px = 1e3 * board.square_m / _SQUARE_PX
    left = (page_mm[0] - image.shape[1] * mm_per_px) / 2
    top = (page_mm[1] + image.shape[0] * mm_per_px) / 2
    out = io.BytesIO()
    # Invariant: the same board gives the same bytes, without a date.
    canvas = Canvas(out, pagesize=(page_mm[0] * mm, page_mm[1] * mm), pageCompression=1, invariant=1)
    canvas.setTitle(f"ChArUco board {board.squares_x}x{board.squares_y}")
    for x, y, w, h in _black_rectangles(image):
        corner = left + x * mm_per_px, top - (y + h) * mm_per_px
        size = w * mm_per_px, h * mm_per_px
        canvas.rect(corner[0] * mm, corner[1] * mm, size[0] * mm, size[1] * mm, stroke=0, fill=1)
    canvas.setFont("Helvetica", 7)
    text = (
        f"ChArUco {board.squares_x}x{board.squares_y}, squares {1e3 * board.square_m:g} mm, "
        f"markers {1e3 * board.marker_m:g} mm, {board.dictionary}. Print at 100 %, then measure."
    )
    canvas.drawString(left * mm, _MARGIN_MM / 2 * mm, text)
    canvas.save()
    return out.getvalue()


def _black_rectangles(image: U8) -> list[tuple[int, int, int, int]]:
    """Cut the black of an image into rectangles `(x, y, width, height)` px: equal rows in one, run by run."""
    black = image < 128
    changes = np.nonzero(np.any(black[1:] != black[:-1], axis=1))[0] + 1
    rows = [0, *changes.tolist(), image.shape[0]]
    out = []
    for y, end in pairwise(rows):
        edges = np.diff(np.concatenate([[0], black[y].astype(np.int8), [0]]))
        starts, stops = np.nonzero(edges == 1)[0], np.nonzero(edges == -1)[0]
        out += [(int(a), y, int(b - a), end - y) for a, b in zip(starts, stops, strict=True)]
    return out


def _png(board: Board) -> bytes:
    """A PNG whose pHYs chunk makes squares their true length."""
    ok, data = cv2.imencode(".png", board.image(_SQUARE_PX, _SQUARE_PX // 3))
    if not ok:
        raise CalibrationError("the board cannot be drawn as PNG.", "Print the PDF.")
    per_m = round(_SQUARE_PX / board.square_m)
    body = b"pHYs" + struct.pack(">IIB", per_m, per_m, 1)
    chunk = struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body))
    after_header = 8 + 25
    raw = data.tobytes()
    return raw[:after_header] + chunk + raw[after_header:]
