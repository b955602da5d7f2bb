# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the protocol: what is recorded, what is not, and which cell comes next."""

from __future__ import annotations

from collections import Counter

from capture.protocol import Cell
from gui.lab import Consent, Desk
from gui.notice import sentence
from gui.panels.card import Card
from gui.panels.coverage_matrix import STATUSES, CoverageMatrix, status_colours
from gui.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from gui.theme import Theme, set_level

_SIDE_PX = 296
_EMPTY = (
    "There is no protocol yet.\n\n"
    "The default protocol has 20 participants with 5 objects each: 100 object categories in 4 scenarios,\n"
    "in a seeded random order. It consists of three tables (participants.csv, objects.csv, protocol.csv)\n"
    "that you can edit in any spreadsheet."
)


class CoveragePage(QtWidgets.QWidget):
    """The matrix, and beside it the chosen cell.

    Signals:
        taken(cell): a person wants it recorded next.
        planned(catalogue): a person wants a protocol written: `household`, or `simulated`.
        chosen(cell): a person looks at it.
        reported(sequence): a person wants to see the report of its take.
    """

    taken = Signal(object)
    planned = Signal(str)
    chosen = Signal(object)
    reported = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.matrix = CoverageMatrix(theme)
        self.legend = _Legend(theme)
        self.empty = QtWidgets.QLabel(_EMPTY)
        self.empty.setObjectName("muted")
        self.empty.setAlignment(Qt.AlignCenter)
        self.plan_button = QtWidgets.QPushButton("Write the default protocol")
        self.plan_button.setObjectName("primary")
        self.try_button = QtWidgets.QPushButton("Write a small one for the simulated rig")
        self.try_button.setToolTip("4 participants with 4 of the objects that the simulated rig knows.")
        self.progress = QtWidgets.QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(220)
        self.count = QtWidgets.QLabel()
        self.count.setObjectName("title")
        self.values = {name: QtWidgets.QLabel("–") for name in ("Participant", "Objects", "Scenario", "Action")}
        self.values |= {name: QtWidgets.QLabel("–") for name in ("Status", "Takes", "Sequence", "Consent")}
        self.take_button = QtWidgets.QPushButton("Record this next")
        self.take_button.setObjectName("primary")
        self.report_button = QtWidgets.QPushButton("Report of its take")
        self._names: dict[str, str] = {}
        self.stack = QtWidgets.QStackedWidget()
        self._lay_out()
        self._wire()
        self.show_cell(None)

    def _wire(self) -> None:
        self.plan_button.clicked.connect(lambda: self.planned.emit("household"))
        self.try_button.clicked.connect(lambda: self.planned.emit("simulated"))
        self.matrix.chosen.connect(self.show_cell)
        self.matrix.chosen.connect(self.chosen)
        self.matrix.activated.connect(self.taken)
        self.take_button.clicked.connect(self._take)
        self.report_button.clicked.connect(self._report)

    def _lay_out(self) -> None:
        board = Card("Coverage")
        board.head.addWidget(self.count)
        board.head.addWidget(self.progress)
        scroll = QtWidgets.QScrollArea()
        scroll.setWidgetResizable(True)
        holder = QtWidgets.QWidget()
        holder.setObjectName("plain")
        inner = QtWidgets.QVBoxLayout(holder)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.matrix)
        scroll.setWidget(holder)
        nothing = QtWidgets.QWidget()
        middle = QtWidgets.QVBoxLayout(nothing)
        middle.addStretch(1)
        middle.addWidget(self.empty)
        middle.addSpacing(14)
        middle.addWidget(self.plan_button, 0, Qt.AlignHCenter)
        middle.addSpacing(4)
        middle.addWidget(self.try_button, 0, Qt.AlignHCenter)
        middle.addStretch(1)
        self.stack.addWidget(nothing)
        self.stack.addWidget(scroll)
        board.column.addWidget(self.stack, 1)
        board.column.addWidget(self.legend)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(board, 1)
        self.side = self._side()
        row.addWidget(self.side)

    def _side(self) -> QtWidgets.QWidget:
        side = Card("Cell", "Click a cell to see it here, double-click it to record it next.")
        side.setFixedWidth(_SIDE_PX)
        grid = QtWidgets.QGridLayout()
        grid.setHorizontalSpacing(14)
        grid.setVerticalSpacing(7)
        grid.setColumnStretch(1, 1)
        for row, (name, value) in enumerate(self.values.items()):
            label = QtWidgets.QLabel(name)
            label.setObjectName("field")
            value.setWordWrap(True)
            grid.addWidget(label, row, 0, Qt.AlignTop)
            grid.addWidget(value, row, 1)
        side.column.addLayout(grid)
        side.column.addSpacing(8)
        side.column.addWidget(self.take_button)
        side.column.addWidget(self.report_button)
        side.column.addStretch(1)
        note = QtWidgets.QLabel(
            "When a participant withdraws, run hoi-data withdraw in a terminal: it lists and deletes everything of "
            "theirs. There is no button for it, so that it never happens by accident."
        )
        note.setObjectName("muted")
        note.setWordWrap(True)
        side.column.addWidget(note)
        return side

    def show_desk(self, desk: Desk) -> None:
        """Show the protocol as it is now."""
        cells = desk.coverage.cells
        self._names = dict(desk.names)
        self.stack.setCurrentIndex(1 if cells else 0)
        self.legend.setVisible(bool(cells))
        self.side.setVisible(bool(cells))
        self.progress.setVisible(bool(cells))
        self.progress.setRange(0, max(len(cells), 1))
        self.progress.setValue(desk.coverage.done)
        self.count.setText(f"{desk.coverage.done} of {len(cells)} recorded" if cells else "")
        self.legend.show_counts(Counter(cell.status for cell in cells))
        self.matrix.show_cells(cells, desk.next_take, desk.names)
        self.show_cell(self.matrix.selected)

    def show_cell(self, cell: Cell | None) -> None:
        """Show what is known of a cell."""
        self.take_button.setEnabled(cell is not None)
        self.report_button.setEnabled(cell is not None and bool(cell.sequence))
        texts = dict.fromkeys(self.values, "–")
        if cell is not None:
            objects = ", ".join(f"{name} {self._names.get(name, '')}".strip() for name in cell.objects)
            texts |= {"Participant": cell.participant, "Objects": objects, "Scenario": cell.scenario}
            texts |= {"Action": cell.action, "Status": cell.status, "Takes": str(cell.takes)}
            texts |= {"Sequence": cell.sequence or "–"}
        for name, text in texts.items():
            self.values[name].setText(text)
        set_level(self.values["Consent"], "idle")

    def show_consent(self, consent: Consent) -> None:
        """Show whether the participant of the chosen cell may be recorded."""
        chosen = self.matrix.selected
        if chosen is not None and chosen.participant == consent.participant:
            self.values["Consent"].setText(sentence(consent.words))
            set_level(self.values["Consent"], consent.level)

    def _take(self) -> None:
        if self.matrix.selected is not None:
            self.taken.emit(self.matrix.selected)

    def _report(self) -> None:
        if self.matrix.selected is not None and self.matrix.selected.sequence:
            self.reported.emit(self.matrix.selected.sequence)


class _Legend(QtWidgets.QWidget):
    """What the colours mean, with a count each."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._counts: Counter[str] = Counter()
        self.setFixedHeight(22)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def show_counts(self, counts: Counter[str]) -> None:
        self._counts = counts
        self.update()

    def paintEvent(self, _event: QtGui.QPaintEvent | None) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        left = 2.0
        for status in (*STATUSES, "next"):
            if status not in (*self._counts, "next", "recorded", "planned"):
                continue
            fill = status_colours(status, self._theme)[0]
            edge = self._theme.accent if status == "next" else self._theme.border
            painter.setBrush(Qt.NoBrush if status == "next" else fill)
            painter.setPen(QtGui.QPen(QtGui.QColor(edge), 2.0 if status == "next" else 1.0))
            painter.drawRoundedRect(QtCore.QRectF(left, 4, 14, 14), 4, 4)
            text = status if status == "next" else f"{status} {self._counts[status]}"
            painter.setPen(QtGui.QColor(self._theme.muted))
            width = painter.fontMetrics().horizontalAdvance(text)
            painter.drawText(QtCore.QRectF(left + 21, 0, width + 2, 22), int(Qt.AlignVCenter), text)
            left += 21 + width + 20
        painter.end()
