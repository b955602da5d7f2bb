"""The board in its true size: a PDF of rectangles, or a PNG with its resolution."""

from __future__ import annotations

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
_POINTS_PER_MM = 72.0 / 25.4
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
        CalibrationError: another kind of file.
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
    image = board.image(_SQUARE_PX)
    mm_per_px = 1e3 * board.square_m / _SQUARE_PX
    left = (page_mm[0] - image.shape[1] * mm_per_px) / 2
    top = (page_mm[1] + image.shape[0] * mm_per_px) / 2
    k = _POINTS_PER_MM
    draw = ["0 g"]
    for x, y, w, h in _black_rectangles(image):
        corner = (left + x * mm_per_px) * k, (top - (y + h) * mm_per_px) * k
        draw.append(f"{corner[0]:.4f} {corner[1]:.4f} {w * mm_per_px * k:.4f} {h * mm_per_px * k:.4f} re")
    text = (
        f"ChArUco {board.squares_x}x{board.squares_y}, squares {1e3 * board.square_m:g} mm, "
        f"markers {1e3 * board.marker_m:g} mm, {board.dictionary}. Print at 100 %, then measure."
    )
    draw += ["f", f"BT /F1 7 Tf {left * k:.2f} {_MARGIN_MM / 2 * k:.2f} Td ({text}) Tj ET"]
    stream = zlib.compress("\n".join(draw).encode("ascii"))
    size = f"0 0 {page_mm[0] * k:.4f} {page_mm[1] * k:.4f}"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{size}] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>".encode("ascii"),
        f"<< /Length {len(stream)} /Filter /FlateDecode >>\nstream\n".encode("ascii") + stream + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    starts = []
    for number, body in enumerate(objects, 1):
        starts.append(len(out))
        out += f"{number} 0 obj\n".encode("ascii") + body + b"\nendobj\n"
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode("ascii")
    out += "".join(f"{start:010d} 00000 n \n" for start in starts).encode("ascii")
    out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode("ascii")
    return bytes(out)


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
