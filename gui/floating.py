# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a widget floating at the bottom of another one, so that showing it moves nothing."""

from __future__ import annotations

from .qt import QtCore, QtWidgets

_MARGIN_PX = 12


class Floating(QtCore.QObject):
    """Places `child` inside `parent` whenever either changes.

    Args:
        parent: what it floats over.
        child: shown and hidden by its owner.
    """

    def __init__(self, parent: QtWidgets.QWidget, child: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self._parent, self._child = parent, child
        child.setParent(parent)
        child.hide()
        for widget in (parent, child):
            widget.installEventFilter(self)

    def eventFilter(self, _watched: QtCore.QObject | None, event: QtCore.QEvent | None) -> bool:
        """Place the child when either is shown, resized or laid out anew."""
        if event is not None and event.type() in (
            QtCore.QEvent.Resize,
            QtCore.QEvent.Show,
            QtCore.QEvent.LayoutRequest,
        ):
            self.place()
        return False

    def place(self) -> None:
        """Put the child where it belongs."""
        room = self._parent.rect()
        width = room.width() - 2 * _MARGIN_PX
        height = self._child.heightForWidth(width)
        if height <= 0:
            height = self._child.sizeHint().height()
        box = QtCore.QRect((room.width() - width) // 2, room.height() - height - _MARGIN_PX, width, height)
        if self._child.geometry() != box:
            self._child.setGeometry(box)
        self._child.raise_()
