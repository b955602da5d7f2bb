# SPDX-License-Identifier: GPL-3.0-or-later
"""The first step of calibrating: which board, and whether to calibrate anew or to check for the day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gui.panels.card import Card
from gui.qt import Qt, QtGui, QtWidgets, Signal

if TYPE_CHECKING:
    from capture.calibrate import Board

_PREVIEW_PX = 300


class CalibrateStart(QtWidgets.QWidget):
    """Three cards: the board, a new calibration, the check of the day.

    Signals:
        board_wanted(): choose a board file.
        default_wanted(): go back to the default board.
        print_wanted(): save the board to print it.
        begun(): start to calibrate.
        check_wanted(identifier): compare a calibration with the board.
    """

    board_wanted = Signal()
    default_wanted = Signal()
    print_wanted = Signal()
    begun = Signal()
    check_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.board_words = QtWidgets.QLabel()
        self.board_words.setWordWrap(True)
        self.picture = QtWidgets.QLabel()
        self.picture.setAlignment(Qt.AlignCenter)
        self.choose = QtWidgets.QPushButton("Choose a board file …")
        self.choose.setToolTip("A TOML file: board_x, board_y, square_length, marker_length, marker_bits, dict_size.")
        self.default = QtWidgets.QPushButton("Default board")
        self.print = QtWidgets.QPushButton("Save the board to print …")
        self.print.setToolTip("A PDF in true size, or a PNG. Print at 100 %, glue it to something flat and stiff.")
        self.begin = QtWidgets.QPushButton("Begin to calibrate")
        self.begin.setObjectName("primary")
        self.known = QtWidgets.QComboBox()
        self.check = QtWidgets.QPushButton("Check for today")
        self.check.setObjectName("large")
        self.views = QtWidgets.QLabel()
        self.views.setObjectName("muted")
        self.views.setWordWrap(True)
        self._lay_out()
        self.choose.clicked.connect(self.board_wanted)
        self.default.clicked.connect(self.default_wanted)
        self.print.clicked.connect(self.print_wanted)
        self.begin.clicked.connect(self.begun)
        self.check.clicked.connect(lambda: self.check_wanted.emit(self.known.currentText()))
        self.show_known(())

    def _lay_out(self) -> None:
        board = Card("The board", "Flat, stiff, printed true: measure a square before you trust it.")
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(18)
        words = QtWidgets.QVBoxLayout()
        words.addWidget(self.board_words)
        words.addStretch(1)
        for button in (self.print, self.choose, self.default):
            words.addWidget(button)
        row.addWidget(self.picture, 0, Qt.AlignTop)
        row.addLayout(words, 1)
        board.column.addLayout(row, 1)
        fresh = Card(
            "A new calibration",
            "Move the board slowly through all views: near and far, tilted both ways, into every corner. Where it is "
            "held still for a moment, a shot is taken by itself. It takes two to three minutes.",
        )
        fresh.column.addWidget(self.views)
        fresh.column.addStretch(1)
        fresh.column.addWidget(self.begin)
        daily = Card(
            "The check of the day",
            "One look at the board tells whether the cameras still stand where they did. Do it before the first take.",
        )
        daily.column.addWidget(self.known)
        daily.column.addStretch(1)
        daily.column.addWidget(self.check)
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(12)
        grid.addWidget(board, 0, 0, 2, 1)
        grid.addWidget(fresh, 0, 1)
        grid.addWidget(daily, 1, 1)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        grid.setRowStretch(0, 1)
        grid.setRowStretch(1, 1)

    def show_board(self, board: Board, source: str) -> None:
        """Show which board is used, and where its measures come from."""
        self.board_words.setText(
            f"<b>{source}</b><br>{board.squares_x} × {board.squares_y} squares of {1e3 * board.square_m:g} mm<br>"
            f"markers of {1e3 * board.marker_m:g} mm, {board.dictionary}"
        )
        pixels = board.image(24, 12)
        image = QtGui.QImage(
            pixels.data, pixels.shape[1], pixels.shape[0], pixels.strides[0], QtGui.QImage.Format_Grayscale8
        )
        ratio = self.devicePixelRatioF()
        room = int(_PREVIEW_PX * ratio)
        scaled = QtGui.QPixmap.fromImage(image).scaled(room, room, Qt.KeepAspectRatio, Qt.SmoothTransformation)
        scaled.setDevicePixelRatio(ratio)
        self.picture.setPixmap(scaled)

    def show_views(self, views: Sequence[str]) -> None:
        """Name the views that will be calibrated."""
        self.views.setText(f"Cameras: {', '.join(views)}." if views else "No camera is open.")
        self.begin.setEnabled(len(views) > 0)

    def show_known(self, identifiers: Sequence[str]) -> None:
        """List the calibrations of the dataset, the newest first."""
        self.known.clear()
        self.known.addItems(list(reversed(identifiers)))
        self.known.setEnabled(bool(identifiers))
        self.check.setEnabled(bool(identifiers))
        if not identifiers:
            self.known.addItem("no calibration yet")
