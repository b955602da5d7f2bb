# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds any action by a few letters of its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gui.actions import Action, shown_key
from gui.qt import Qt, QtCore, QtGui, QtWidgets


def match(query: str, text: str) -> float | None:
    """How well the letters of a query, in their order, are found in a text; None where they are not.

    Letters at the beginning of words and beside each other count more.

    Example:
        >>> match("intkf", "Interpolate between keyframes") is not None
        True
    """
    query, text = query.lower().replace(" ", ""), text.lower()
    total, at, previous = 0.0, -1, -2
    for letter in query:
        at = text.find(letter, at + 1)
        if at < 0:
            return None
        total += 1.0
        total += 2.0 if at == 0 or not text[at - 1].isalnum() else 0.0
        total += 1.5 if at == previous + 1 else 0.0
        previous = at
    return total - 0.01 * len(text)


class Palette(QtWidgets.QDialog):
    """A line to type in over a list of actions; Enter does the first."""

    def __init__(
        self, window: QtWidgets.QMainWindow, table: Sequence[Action], actions: Mapping[str, QtWidgets.QAction]
    ) -> None:
        super().__init__(window, Qt.Popup | Qt.FramelessWindowHint)
        self.setAttribute(Qt.WA_DeleteOnClose)
        self._table, self._actions = table, actions
        self.line = QtWidgets.QLineEdit(placeholderText="What do you want to do?")
        self.list = QtWidgets.QListWidget()
        self.list.setFocusPolicy(Qt.NoFocus)
        self.list.itemClicked.connect(self._run)
        card = QtWidgets.QFrame(objectName="card")
        inside = QtWidgets.QVBoxLayout(card)
        inside.setContentsMargins(10, 10, 10, 10)
        inside.addWidget(self.line)
        inside.addWidget(self.list)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(card)
        self.line.textChanged.connect(self.search)
        self.line.installEventFilter(self)
        self.resize(min(620, window.width() - 40), min(430, window.height() - 120))
        self.move(window.mapToGlobal(QtCore.QPoint((window.width() - self.width()) // 2, 84)))
        self.search("")
        self.line.setFocus()

    def search(self, query: str) -> None:
        """List what matches, the best first."""
        found = []
        for action in self._table:
            text = f"{action.menu}  ›  {action.text}".replace("&", "").replace(" …", "")
            value = match(query, f"{text} {action.tip}")
            if value is not None and self._actions[action.id].isEnabled():
                # A hit in the name is worth more than one in the explanation.
                named = match(query, action.text.replace("&", ""))
                found.append(((named or 0.0) * 2 + value, text, action))
        if query:
            found.sort(key=lambda entry: -entry[0])
        self.list.clear()
        for _, text, action in found:
            item = QtWidgets.QListWidgetItem(f"{text}\t{shown_key(action)}")
            item.setToolTip(action.tip)
            item.setData(Qt.UserRole, action.id)
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def eventFilter(self, _watched: QtCore.QObject | None, event: QtCore.QEvent | None) -> bool:
        """Up and down move through the list, Enter runs."""
        if not isinstance(event, QtGui.QKeyEvent) or event.type() != QtCore.QEvent.KeyPress:
            return False
        if event.key() in (Qt.Key_Up, Qt.Key_Down):
            step = 1 if event.key() == Qt.Key_Down else -1
            self.list.setCurrentRow(min(max(self.list.currentRow() + step, 0), self.list.count() - 1))
            return True
        if event.key() in (Qt.Key_Return, Qt.Key_Enter):
            self._run(self.list.currentItem())
            return True
        return False

    def _run(self, item: QtWidgets.QListWidgetItem | None) -> None:
        if item is None:
            return
        action = self._actions[str(item.data(Qt.UserRole))]
        self.close()
        # After the list is gone, so that what the action opens gets the focus.
        QtCore.QTimer.singleShot(0, action.trigger)
