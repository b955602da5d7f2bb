# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes so far, newest first, with a line of report each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gui.health import Level
from gui.lab import Take
from gui.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from gui.theme import Theme

_ROW_PX = 46
_LEVELS: dict[str, Level] = {"recorded": "good", "incomplete": "warn", "rejected": "bad"}
_MOST = 200


def report_line(take: Take) -> str:
    """What became of a take, in a few words."""
    length = "" if math.isnan(take.seconds) else f"{take.seconds:.1f} s"
    lost = "no drops" if take.drops == 0 else f"{take.drops} dropped"
    status = "" if take.status == "recorded" else take.status
    return " · ".join(text for text in (length, lost, status) if text)


def level(take: Take) -> Level:
    """Judgement of a take, from what the table says."""
    found = _LEVELS.get(take.status, "idle")
    return "warn" if found == "good" and take.drops else found


class TakeList(QtWidgets.QListWidget):
    """A list to choose a take from.

    Signals:
        opened(sequence): a person clicked or pressed Return on it.
        asked(what, Take): `report`, `replay` or `redo` was chosen in its menu.
        shown(): there are other takes.
    """

    opened = Signal(str)
    asked = Signal(str, object)
    shown = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._takes: tuple[Take, ...] = ()
        self.setVerticalScrollMode(QtWidgets.QAbstractItemView.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self.setItemDelegate(_Delegate(self, theme))
        self.itemActivated.connect(lambda item: self.opened.emit(item.data(Qt.UserRole).sequence))
        self.itemClicked.connect(lambda item: self.opened.emit(item.data(Qt.UserRole).sequence))
        self.setAccessibleName("Takes")
        # With the focus of the Tab key, Qt would choose the first row unasked.
        self.setFocusPolicy(Qt.ClickFocus)

    @property
    def chosen(self) -> Take | None:
        """The take that is chosen, else the newest that counts."""
        item = self.currentItem()
        if item is not None:
            return item.data(Qt.UserRole)
        return next((take for take in self._takes if take.status != "rejected"), None)

    def show_takes(self, takes: Sequence[Take]) -> None:
        """Show these, newest first; keeps what is chosen."""
        shown = tuple(takes[:_MOST])
        if shown == self._takes:
            return
        item = self.currentItem()
        chosen = item.data(Qt.UserRole).sequence if item is not None else ""
        self._takes = shown
        self.clear()
        for take in self._takes:
            row = QtWidgets.QListWidgetItem()
            row.setData(Qt.UserRole, take)
            row.setData(Qt.AccessibleTextRole, f"{take.sequence}, {report_line(take)}")
            row.setToolTip(f"{take.scenario}: {take.action}\nClick: report. Right click: replay, redo.")
            row.setSizeHint(QtCore.QSize(0, _ROW_PX))
            self.addItem(row)
            if take.sequence == chosen:
                self.setCurrentItem(row)
        self.shown.emit()

    def contextMenuEvent(self, event: QtGui.QContextMenuEvent | None) -> None:
        """Offer what can be done with the take under the pointer."""
        item = self.itemAt(event.pos()) if event is not None else None
        if event is None or item is None:
            return
        take: Take = item.data(Qt.UserRole)
        menu = QtWidgets.QMenu(self)
        menu.setAttribute(Qt.WA_DeleteOnClose)
        for what, text in (("report", "Report"), ("replay", "Replay"), ("redo", f"Redo {take.sequence}")):
            entry = menu.addAction(text)
            entry.triggered.connect(lambda _checked=False, what=what: self.asked.emit(what, take))
        menu.popup(event.globalPos())

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self.itemDelegate().theme = theme
        self.viewport().update()

    def paintEvent(self, event: QtGui.QPaintEvent | None) -> None:
        """Paint the rows, or why there are none."""
        super().paintEvent(event)
        if self.count() == 0:
            painter = QtGui.QPainter(self.viewport())
            painter.setPen(QtGui.QColor(self.itemDelegate().theme.muted))
            box = self.viewport().rect().adjusted(12, 12, -12, -12)
            painter.drawText(box, int(Qt.AlignCenter | Qt.TextWordWrap), "No takes yet.\nPress Space to record.")


class _Delegate(QtWidgets.QStyledItemDelegate):
    """Paints a take in two lines with a light."""

    def __init__(self, parent: QtWidgets.QWidget, theme: Theme) -> None:
        super().__init__(parent)
        self.theme = theme

    def paint(
        self,
        painter: QtGui.QPainter,
        option: QtWidgets.QStyleOptionViewItem,
        index: QtCore.QModelIndex,
    ) -> None:
        """Paint one row."""
        take: Take = index.data(Qt.UserRole)
        theme, box = self.theme, QtCore.QRectF(option.rect).adjusted(0, 1, 0, -1)
        painter.save()
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        if option.state & (QtWidgets.QStyle.State_Selected | QtWidgets.QStyle.State_MouseOver):
            painter.setPen(Qt.NoPen)
            painter.setBrush(QtGui.QColor(theme.raised))
            painter.drawRoundedRect(box, 6, 6)
        painter.setPen(Qt.NoPen)
        painter.setBrush(QtGui.QColor(theme.level(level(take))))
        painter.drawEllipse(QtCore.QPointF(box.left() + 12, box.top() + 14), 4, 4)
        faded = take.status == "rejected"
        text = box.adjusted(26, 4, -8, -4)
        font = painter.font()
        font.setBold(True)
        font.setStrikeOut(faded)
        painter.setFont(font)
        painter.setPen(QtGui.QColor(theme.muted if faded else theme.text))
        painter.drawText(text, int(Qt.AlignTop | Qt.AlignLeft), take.sequence)
        font.setBold(False)
        font.setStrikeOut(False)
        painter.setFont(font)
        painter.setPen(QtGui.QColor(theme.muted))
        who = f"{take.participant}  {', '.join(take.objects)}"
        painter.drawText(text, int(Qt.AlignTop | Qt.AlignRight), who)
        line = painter.fontMetrics().elidedText(report_line(take), Qt.ElideRight, int(text.width()))
        painter.drawText(text, int(Qt.AlignBottom | Qt.AlignLeft), line)
        painter.restore()
