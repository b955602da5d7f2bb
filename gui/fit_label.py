# SPDX-License-Identifier: GPL-3.0-or-later
"""A line of large type that shrinks to the room it has, then ends in dots: never clipped, never widening a window."""

from __future__ import annotations

from .qt import Qt, QtGui, QtWidgets

_LEAST_SHARE = 0.6


class FitLabel(QtWidgets.QLabel):
    """A label of one line."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Fixed)

    def paintEvent(self, _event: QtGui.QPaintEvent | None) -> None:
        """Paint the text as large as it fits."""
        painter = QtGui.QPainter(self)
        font, room = QtGui.QFont(self.font()), self.contentsRect().width()
        full = font.pixelSize() if font.pixelSize() > 0 else self.fontInfo().pixelSize()
        width = max(self.fontMetrics().horizontalAdvance(self.text()), 1)
        font.setPixelSize(max(int(full * min(room / width, 1.0)), round(full * _LEAST_SHARE)))
        painter.setFont(font)
        painter.setPen(self.palette().color(QtGui.QPalette.WindowText))
        text = painter.fontMetrics().elidedText(self.text(), Qt.ElideRight, room)
        painter.drawText(self.contentsRect(), int(Qt.AlignVCenter | Qt.AlignLeft), text)
