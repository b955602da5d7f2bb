# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds any action by a few letters of its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gui.actions import Action, shown_key
from gui.qt import Qt, QtCore, QtGui, QtWidgets

_ID, _MENU, _KEY = Qt.UserRole, Qt.UserRole + 1, Qt.UserRole + 2
_ROW_PX, _PAD_PX, _RADIUS_PX, _QUIET = 28, 10, 8, 165
# Letters strewn over a text say nothing: on average they must begin words or stand beside each other this often.
_LEAST_IN_NAME, _LEAST_IN_TIP = 1.5, 2.2


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


def rank(query: str, action: Action) -> float | None:
    """How well an action answers a query; a hit in its name is worth more than one in its menu or explanation."""
    query = query.strip().lower()
    letters = len(query.replace(" ", ""))
    if not letters:
        return 0.0
    name = match(query, plain(action.text))
    if query in plain(action.text).lower():
        return 200.0 + (name or 0.0)
    if name is not None and name >= _LEAST_IN_NAME * letters:
        return 100.0 + name
    told = match(query, f"{plain(action.menu)} {plain(action.text)} {action.tip}")
    return told if told is not None and told >= _LEAST_IN_TIP * letters else None


def plain(text: str) -> str:
    """A menu's text without its marks."""
    return text.replace("&", "").replace(" …", "")


class _Rows(QtWidgets.QStyledItemDelegate):
    """A row: the name, and on the right its menu and its key, each in a column of its own."""

    key_px = 110

    def sizeHint(self, _option: QtWidgets.QStyleOptionViewItem, _index: QtCore.QModelIndex) -> QtCore.QSize:
        """All rows are of one height."""
        return QtCore.QSize(0, _ROW_PX)

    def paint(
        self, painter: QtGui.QPainter | None, option: QtWidgets.QStyleOptionViewItem, index: QtCore.QModelIndex
    ) -> None:
        """Paint a row."""
        if painter is None:
            return
        colours, room = option.palette, option.rect.adjusted(_PAD_PX, 0, -_PAD_PX, 0)
        painter.save()
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        chosen = bool(option.state & QtWidgets.QStyle.State_Selected)
        if chosen:
            painter.setPen(Qt.NoPen)
            painter.setBrush(colours.highlight())
            painter.drawRoundedRect(QtCore.QRectF(option.rect).adjusted(0, 1, 0, -1), 5, 5)
        text = colours.highlightedText().color() if chosen else colours.text().color()
        quiet = QtGui.QColor(text)
        quiet.setAlpha(255 if chosen else _QUIET)
        keys = QtCore.QRect(room.right() - self.key_px, room.top(), self.key_px, room.height())
        menu = QtCore.QRect(keys.left() - 80, room.top(), 70, room.height())
        for where, role, colour, side in (
            (room, Qt.DisplayRole, text, Qt.AlignLeft),
            (menu, _MENU, quiet, Qt.AlignLeft),
            (keys, _KEY, text, Qt.AlignRight),
        ):
            painter.setPen(colour)
            painter.drawText(where, int(Qt.AlignVCenter | side), str(index.data(role)))
        painter.restore()


class Palette(QtWidgets.QDialog):
    """A line to type in over a list of actions; Enter does the chosen one, and what it does stands below."""

    def __init__(
        self, window: QtWidgets.QMainWindow, table: Sequence[Action], actions: Mapping[str, QtWidgets.QAction]
    ) -> None:
        super().__init__(window, Qt.Popup | Qt.FramelessWindowHint)
        self.setAttribute(Qt.WA_DeleteOnClose)
        self._table, self._actions = table, actions
        self.line = QtWidgets.QLineEdit(placeholderText="What do you want to do?")
        self.list = QtWidgets.QListWidget()
        self.list.setFocusPolicy(Qt.NoFocus)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self.list.setItemDelegate(_Rows(self.list))
        self.list.itemClicked.connect(self._run)
        self.list.currentItemChanged.connect(self._explain)
        self.tip = QtWidgets.QLabel(objectName="muted")
        self.tip.setContentsMargins(_PAD_PX, 0, _PAD_PX, 0)
        card = QtWidgets.QFrame(objectName="card")
        inside = QtWidgets.QVBoxLayout(card)
        inside.setContentsMargins(10, 10, 10, 10)
        inside.setSpacing(8)
        for part in (self.line, self.list, self.tip):
            inside.addWidget(part)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(card)
        self.line.textChanged.connect(self.search)
        self.line.installEventFilter(self)
        self.resize(min(620, window.width() - 40), min(440, window.height() - 120))
        self.move(window.mapToGlobal(QtCore.QPoint((window.width() - self.width()) // 2, 84)))
        self.search("")
        self.line.setFocus()

    def resizeEvent(self, event: QtGui.QResizeEvent | None) -> None:
        """Cut the corners, which the card leaves open."""
        super().resizeEvent(event)
        shape = QtGui.QPainterPath()
        shape.addRoundedRect(QtCore.QRectF(self.rect()), _RADIUS_PX, _RADIUS_PX)
        self.setMask(QtGui.QRegion(shape.toFillPolygon().toPolygon()))

    def search(self, query: str) -> None:
        """List what matches, the best first."""
        ranked = [(rank(query, action), action) for action in self._table if self._actions[action.id].isEnabled()]
        found = [(value, action) for value, action in ranked if value is not None]
        # Actions that match alike stay in the order of the menus.
        found.sort(key=lambda entry: -entry[0])
        self.list.clear()
        for _, action in found:
            item = QtWidgets.QListWidgetItem(plain(action.text))
            for role, said in ((_ID, action.id), (_MENU, plain(action.menu)), (_KEY, shown_key(action))):
                item.setData(role, said)
            item.setToolTip(action.tip)
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        if not found:
            self.tip.setText("No action that can be done now has these letters.")

    def _explain(self, item: QtWidgets.QListWidgetItem | None) -> None:
        self.tip.setText("" if item is None else item.toolTip())

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
        action = self._actions[str(item.data(_ID))]
        self.close()
        # After the list is gone, so that what the action opens gets the focus.
        QtCore.QTimer.singleShot(0, action.trigger)
