# SPDX-License-Identifier: GPL-3.0-or-later
"""The first step of calibrating: which board, and whether to calibrate anew or to check for the day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gui.panels.card import Card
from gui.qt import Qt, QtCore, QtGui, QtWidgets, Signal

if TYPE_CHECKING:
    from capture.calibrate import Board

_STEPS = (
    "Hold the board where all cameras see it, first near, then far.",
    "Tilt it both ways and take it into every corner of the pictures.",
    "Hold it still now and then: each time, a shot is taken automatically.",
)
_BUTTON_PX = 260


class _Picture(QtWidgets.QWidget):
    """An image as large as it fits, its shape kept."""

    def __init__(self) -> None:
        super().__init__()
        self._image = QtGui.QImage()
        self.setMinimumSize(180, 180)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Expanding)

    def show_image(self, image: QtGui.QImage) -> None:
        """Show another one."""
        self._image = image
        self.update()

    def paintEvent(self, _event: QtGui.QPaintEvent | None) -> None:
        """Paint it at the top left."""
        size = self._image.size().scaled(self.size(), Qt.KeepAspectRatio)
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.SmoothPixmapTransform)
        painter.drawImage(QtCore.QRect(QtCore.QPoint(0, 0), size), self._image)
        painter.end()


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
        self.picture = _Picture()
        self.choose = QtWidgets.QPushButton("Choose a board file …")
        self.choose.setToolTip("A TOML file: board_x, board_y, square_length, marker_length, marker_bits, dict_size.")
        self.default = QtWidgets.QPushButton("Default board")
        self.print = QtWidgets.QPushButton("Save the board to print …")
        self.print.setToolTip("A PDF or a PNG in true size. Print it at 100 % and glue it to something flat and stiff.")
        self.begin = QtWidgets.QPushButton("Start calibrating")
        self.begin.setObjectName("primary")
        self.known = QtWidgets.QComboBox()
        self.check = QtWidgets.QPushButton("Check the cameras")
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
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(12)
        grid.addWidget(self._board_card(), 0, 0, 2, 1)
        grid.addWidget(self._new_card(), 0, 1)
        grid.addWidget(self._daily_card(), 1, 1)
        for n in range(2):
            grid.setColumnStretch(n, 1)
            grid.setRowStretch(n, 1)

    def _board_card(self) -> Card:
        card = Card("Board", "Flat, stiff and printed to scale: measure a square before you trust it.")
        words = QtWidgets.QVBoxLayout()
        words.setSpacing(8)
        words.addWidget(self.board_words)
        words.addSpacing(10)
        for button in (self.print, self.choose, self.default):
            words.addWidget(button)
        words.addStretch(1)
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(18)
        row.addWidget(self.picture, 3)
        row.addLayout(words, 2)
        card.column.addSpacing(6)
        card.column.addLayout(row, 1)
        return card

    def _new_card(self) -> Card:
        card = Card("New calibration", "Takes two to three minutes.")
        for n, text in enumerate(_STEPS, 1):
            step = QtWidgets.QLabel(f"{n}.  {text}")
            step.setWordWrap(True)
            card.column.addWidget(step)
        card.column.addWidget(self.views)
        _end_with(card, self.begin)
        return card

    def _daily_card(self) -> Card:
        card = Card(
            "Daily check",
            "One look at the board tells whether the cameras still stand where they did. Do it before the first take.",
        )
        card.column.addWidget(self.known)
        _end_with(card, self.check)
        return card

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
        # The image only borrows the pixels.
        self.picture.show_image(image.copy())

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


def _end_with(card: Card, button: QtWidgets.QPushButton) -> None:
    """A button below the words of a card, and the rest of its room left free."""
    button.setMinimumWidth(_BUTTON_PX)
    card.column.addSpacing(8)
    card.column.addWidget(button, 0, Qt.AlignLeft)
    card.column.addStretch(1)
