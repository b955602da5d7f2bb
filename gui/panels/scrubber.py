# SPDX-License-Identifier: GPL-3.0-or-later
"""What timelines share: places along a width, a playhead, and going there with the pointer."""

from __future__ import annotations

from gui.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from gui.theme import Theme


class Scrubber(QtWidgets.QWidget):
    """`count` equal cells between two margins; paints nothing but the playhead.

    Signals:
        chosen(cell): a person clicked or dragged to it.
    """

    chosen = Signal(int)

    def __init__(self, theme: Theme, left_px: int, right_px: int) -> None:
        super().__init__()
        self._theme = theme
        self._left, self._right = left_px, right_px
        self.count = 0
        self.frame = 0
        self.setCursor(Qt.PointingHandCursor)

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme
        self.update()

    def set_frame(self, frame: int) -> None:
        """Move the playhead."""
        if frame != self.frame:
            self.frame = frame
            self.update()

    def frame_at(self, x: float) -> int:
        """The cell under a horizontal position of the widget, px."""
        share = (x - self._left) / max(self.width() - self._left - self._right, 1)
        return min(max(int(share * self.count), 0), max(self.count - 1, 0))

    def x_of(self, frame: float) -> float:
        """Where a cell begins, px."""
        return self._left + (self.width() - self._left - self._right) * frame / max(self.count, 1)

    def paint_playhead(self, painter: QtGui.QPainter, top: float, bottom: float) -> None:
        """A line through the middle of the cell, with a head that points at it."""
        if not self.count:
            return
        x = (self.x_of(self.frame) + self.x_of(self.frame + 1)) / 2
        painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.text), 1.6))
        painter.drawLine(QtCore.QPointF(x, top - 4), QtCore.QPointF(x, bottom))
        painter.setBrush(QtGui.QColor(self._theme.text))
        painter.setPen(Qt.NoPen)
        head = [QtCore.QPointF(x - 6, top - 10), QtCore.QPointF(x + 6, top - 10), QtCore.QPointF(x, top - 1)]
        painter.drawPolygon(QtGui.QPolygonF(head))

    def mousePressEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Go to the cell under the pointer."""
        if event is not None and event.buttons() & Qt.LeftButton and self.count:
            self.chosen.emit(self.frame_at(event.localPos().x()))

    def mouseMoveEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Drag the playhead."""
        self.mousePressEvent(event)
