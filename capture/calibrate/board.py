"""The ChArUco board: its size, its file, its corners in space and its picture for printing."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hoi_core.errors import CalibrationError
from hoi_core.types import F64, U8

_KEYS = ("board_x", "board_y", "square_length", "marker_length", "marker_bits", "dict_size")


@dataclass(frozen=True)
class Board:
    """A chessboard with a marker in each white square. Corners lie in its plane z = 0, x right, y down, in m."""

    squares_x: int = 8
    """Squares along x (columns of the upright picture)."""
    squares_y: int = 11
    """Squares along y (rows)."""
    square_m: float = 0.024
    """Side of a square, m."""
    marker_m: float = 0.01875
    """Side of a marker, m."""
    dictionary: str = "4X4_1000"
    """Bits of a marker and size of its dictionary, as OpenCV names them."""
    legacy_pattern: bool = False
    """Boards with an even number of rows, printed by OpenCV before 4.6, begin with a marker."""

    def __post_init__(self) -> None:
        if min(self.squares_x, self.squares_y) < 3:
            raise CalibrationError(
                f"expected a board of at least 3x3 squares, got {self.squares_x}x{self.squares_y}.",
                "Correct board_x and board_y.",
            )
        if not 0 < self.marker_m < self.square_m:
            raise CalibrationError(
                f"expected markers smaller than the squares, got {1e3 * self.marker_m:g} mm in squares of "
                f"{1e3 * self.square_m:g} mm.",
                "Correct square_length and marker_length (both in mm).",
            )
        if not hasattr(cv2.aruco, f"DICT_{self.dictionary}"):
            raise CalibrationError(
                f"OpenCV knows no marker dictionary {self.dictionary}.",
                "Use marker_bits 4, 5, 6 or 7 with dict_size 50, 100, 250 or 1000.",
            )

    @classmethod
    def read(cls, path: Path) -> Board:
        """Read a board file: `board_x board_y square_length marker_length marker_bits dict_size`, lengths in mm.

        Raises:
            CalibrationError: missing, not TOML, or a key is missing or bad.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf8"))
        except OSError as error:
            raise CalibrationError(f"expected a board file {path}, found none.", "Check --board.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise CalibrationError(f"{path} is not TOML: {error}.", "Correct the file.") from error
        missing = [key for key in _KEYS if key not in values]
        unknown = sorted(set(values) - {*_KEYS, "legacy_pattern"})
        if missing or unknown:
            wrong = f"lacks {', '.join(missing)}" if missing else f"has unknown keys {', '.join(unknown)}"
            raise CalibrationError(f"{path} {wrong}.", f"It holds {', '.join(_KEYS)} and perhaps legacy_pattern.")
        try:
            bits = int(values["marker_bits"])
            return cls(
                int(values["board_x"]),
                int(values["board_y"]),
                float(values["square_length"]) * 1e-3,
                float(values["marker_length"]) * 1e-3,
                f"{bits}X{bits}_{int(values['dict_size'])}",
                bool(values.get("legacy_pattern", False)),
            )
        except (TypeError, ValueError) as error:
            raise CalibrationError(f"{path} holds a value that is no number: {error}.", "Correct the file.") from error

    @property
    def count(self) -> int:
        """Number of inner chessboard corners."""
        return (self.squares_x - 1) * (self.squares_y - 1)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the pattern, m."""
        return self.squares_x * self.square_m, self.squares_y * self.square_m

    @property
    def outline_m(self) -> F64:
        """(4, 3) m, the corners of the pattern, clockwise in the picture from the top left."""
        width, height = self.size_m
        return np.array([[0, 0, 0], [width, 0, 0], [width, height, 0], [0, height, 0]], dtype=np.float64)

    @property
    def corners_m(self) -> F64:
        """(N, 3) m, the inner corners by id: along x first."""
        ids = np.arange(self.count)
        column, row = ids % (self.squares_x - 1), ids // (self.squares_x - 1)
        return np.stack([(column + 1) * self.square_m, (row + 1) * self.square_m, np.zeros(self.count)], axis=-1)

    def opencv(self) -> cv2.aruco.CharucoBoard:
        """The same board for OpenCV."""
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{self.dictionary}"))
        board = cv2.aruco.CharucoBoard((self.squares_x, self.squares_y), self.square_m, self.marker_m, dictionary)
        board.setLegacyPattern(self.legacy_pattern)
        return board

    def image(self, square_px: int = 60, margin_px: int = 0) -> U8:
        """Draw the board. `-> (H, W)` with `square_px` pixels a square and a white margin."""
        size = (self.squares_x * square_px + 2 * margin_px, self.squares_y * square_px + 2 * margin_px)
        return np.asarray(self.opencv().generateImage(size, marginSize=margin_px), dtype=np.uint8)
