# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in an image the corners lie off their prediction, and which way: a good calibration shows no pattern."""

from __future__ import annotations

import numpy as np

from gui.qt import Qt, QtCore, QtGui, QtWidgets
from gui.theme import Theme, colour
from hoi_core.types import F64

_HEAD_PX, _PAD_PX = 24, 8
# Corners drawn at most; more would be a carpet.
_MOST = 1500
_GOOD_PX, _WARN_PX = 0.5, 1.0


class ResidualPlot(QtWidgets.QWidget):
    """A line from every corner along its residual, much enlarged, in the colour of its length.

    Args:
        theme: the colours.
        title: name of the view.
        size: width and height of its image, px.
        corners_px: `(N, 2)` where they were found.
        error_px: `(N, 2)` found minus predicted.
    """

    def __init__(self, theme: Theme, title: str, size: tuple[int, int], corners_px: F64, error_px: F64) -> None:
        super().__init__()
        self._theme, self._title, self._size = theme, title, size
        every = max(len(corners_px) // _MOST, 1)
        self._corners_px, self._error_px = corners_px[::every], error_px[::every]
        lengths = np.linalg.norm(error_px, axis=-1)
        self._typical_px = float(np.median(lengths)) if len(lengths) else float("nan")
        self._worst_px = float(lengths.max()) if len(lengths) else float("nan")
        self.setMinimumSize(170, 150)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Expanding)
        self.setToolTip(
            "Each line starts at a corner and points along its residual, much enlarged.\n"
            "All lines of a region in one direction: the lens model is wrong there, or the board is bent."
        )

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme
        self.update()

    def paintEvent(self, _event: QtGui.QPaintEvent | None) -> None:
        """Paint the frame of the image, then the residuals."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        room_w, room_h = self.width() - 2 * _PAD_PX, self.height() - _HEAD_PX - _PAD_PX
        scale = max(min(room_w / self._size[0], room_h / self._size[1]), 1e-6)
        width, height = self._size[0] * scale, self._size[1] * scale
        left, top = (self.width() - width) / 2, float(_HEAD_PX)
        painter.setPen(QtGui.QColor(self._theme.text))
        head = QtCore.QRectF(left, top - _HEAD_PX, width, _HEAD_PX)
        painter.drawText(head, int(Qt.AlignLeft | Qt.AlignVCenter), self._title)
        painter.setPen(QtGui.QColor(self._theme.muted))
        text = f"median {self._typical_px:.2f} px, most {self._worst_px:.2f} px"
        painter.drawText(head, int(Qt.AlignRight | Qt.AlignVCenter), text if len(self._corners_px) else "no corners")
        painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.border), 1))
        painter.setBrush(colour(self._theme.window, 120))
        painter.drawRect(QtCore.QRectF(left, top, width, height))
        painter.setClipRect(QtCore.QRectF(left, top, width, height))
        # A residual of half a pixel is a twentieth of the picture's width.
        gain = width / 20 / _GOOD_PX
        for (x, y), (dx, dy) in zip(self._corners_px.tolist(), self._error_px.tolist(), strict=True):
            length = (dx * dx + dy * dy) ** 0.5
            shade = (
                self._theme.good if length <= _GOOD_PX else self._theme.warn if length <= _WARN_PX else self._theme.bad
            )
            at = QtCore.QPointF(left + (x + 0.5) * scale, top + (y + 0.5) * scale)
            painter.setPen(QtGui.QPen(colour(shade, 190), 1.1))
            painter.drawLine(at, at + QtCore.QPointF(dx * gain, dy * gain))
        painter.end()
