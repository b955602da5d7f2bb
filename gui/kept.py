# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of a widget that is painted once and put back as it is until what it shows has changed."""

from __future__ import annotations

from collections.abc import Callable

from .qt import Qt, QtCore, QtGui


class Kept:
    """One transparent layer of a widget, as sharp as its screen."""

    def __init__(self) -> None:
        self._key: object = None
        self._pixmap = QtGui.QPixmap()

    def paint(
        self, painter: QtGui.QPainter, room: QtCore.QRect, key: object, draw: Callable[[QtGui.QPainter], None]
    ) -> None:
        """Paint the layer.

        Args:
            painter: of the widget.
            room: which part of the widget the layer covers, px.
            key: everything that the layer depends on beside the room, to be compared with the last one's.
            draw: paints it anew, in coordinates of the widget.
        """
        device = painter.device()
        ratio = device.devicePixelRatioF() if device is not None else 1.0
        whole = (key, room.getRect(), ratio)
        if whole != self._key:
            self._key = whole
            self._pixmap = QtGui.QPixmap(room.size() * ratio)
            self._pixmap.setDevicePixelRatio(ratio)
            self._pixmap.fill(Qt.transparent)
            inner = QtGui.QPainter(self._pixmap)
            inner.setRenderHints(painter.renderHints())
            inner.setFont(painter.font())
            inner.translate(-room.topLeft())
            draw(inner)
            inner.end()
        painter.drawPixmap(room.topLeft(), self._pixmap)
