# SPDX-License-Identifier: GPL-3.0-or-later
"""A live picture with the board's corners, and how much of the image the board has covered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gui.health import Level
from gui.image_view import ImageView
from gui.qt import Qt, QtCore, QtGui
from gui.theme import DARK, Theme, colour
from hoi_core.types import F64, I64, U8

if TYPE_CHECKING:
    from capture.calibrate import ViewGuidance

# Accepted corners in a cell of the coverage from which on it counts as covered.
_FULL = 24
_COARSE_PX = 128


class BoardView(ImageView):
    """One view of the rig while it is calibrated."""

    def __init__(self, theme: Theme, title: str, *, smooth: bool = True) -> None:
        super().__init__(theme, title, smooth=smooth)
        self._corners_px: F64 = np.zeros((0, 2))
        self._coverage: I64 = np.zeros((0, 0), np.int64)
        self._size = (1, 1)
        self.flash = False

    def show_seen(self, image: U8, guidance: ViewGuidance, *, accepted: bool) -> None:
        """Show an image with what was found in it."""
        self._corners_px, self._coverage = guidance.corners_px, guidance.coverage
        self._size = (image.shape[1], image.shape[0])
        self.flash = accepted
        self.set_image(image)
        level: Level = "good" if guidance.corners >= 6 else "idle"
        found = f"{guidance.corners} corners" if guidance.corners else "no board"
        if max(image.shape[:2]) <= _COARSE_PX:
            # No corners can be found in it; the calibration compares its whole images.
            self.set_state("good" if guidance.count else "idle", f"in {guidance.count} shots")
            return
        self.set_state(level, f"{found}  ·  in {guidance.count} shots" if guidance.count else found)

    def paintEvent(self, event: QtGui.QPaintEvent | None) -> None:
        """Paint coverage and corners over the image."""
        super().paintEvent(event)
        if not self.has_image:
            return
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        painter.setClipRect(self.area())
        self._paint_coverage(painter)
        self._paint_corners(painter)
        if self.flash:
            painter.setPen(QtGui.QPen(QtGui.QColor(DARK.good), 5))
            painter.setBrush(Qt.NoBrush)
            painter.drawRect(self.target().adjusted(2, 2, -2, -2))
        painter.end()

    def _paint_coverage(self, painter: QtGui.QPainter) -> None:
        """A grid whose cells turn green as the board was seen in them."""
        rows, columns = self._coverage.shape
        if not rows or not columns:
            return
        where = self.target()
        width, height = where.width() / columns, where.height() / rows
        for (row, column), count in np.ndenumerate(self._coverage):
            cell = QtCore.QRectF(where.left() + column * width, where.top() + row * height, width, height)
            share = min(int(count) / _FULL, 1.0)
            painter.setPen(QtGui.QPen(colour("#ffffff", 46), 1))
            painter.setBrush(colour(DARK.good, int(14 + 46 * share)) if count else Qt.NoBrush)
            painter.drawRect(cell)

    def _paint_corners(self, painter: QtGui.QPainter) -> None:
        where = self.target()
        scale_x, scale_y = where.width() / self._size[0], where.height() / self._size[1]
        painter.setBrush(Qt.NoBrush)
        for x, y in self._corners_px.tolist():
            # Pixel centres lie at integers.
            at = QtCore.QPointF(where.left() + (x + 0.5) * scale_x, where.top() + (y + 0.5) * scale_y)
            painter.setPen(QtGui.QPen(colour("#000000", 130), 2.4))
            painter.drawEllipse(at, 2.4, 2.4)
            painter.setPen(QtGui.QPen(QtGui.QColor(DARK.warn), 1.3))
            painter.drawEllipse(at, 2.4, 2.4)
