# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol as a matrix: a row for each participant, a block of columns for each scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capture.protocol import Cell
from gui.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from gui.theme import Theme, colour

STATUSES = ("recorded", "incomplete", "rejected", "planned", "withdrawn")
# Beyond this many objects a column each would be too narrow to read, and mostly empty.
_MOST_COLUMNS = 24
_HEAD_PX, _HEADERS_PX, _NAME_PX, _GAP_PX = 30, 18, 56, 14
_LEAST_PX, _WIDEST_PX = 34, 170
_LEAST_ROW_PX, _HIGHEST_ROW_PX = 29, 46
# A cell of this size has room for the object's name above its identifier.
_TWO_LINES_PX = (104, 40)


@dataclass(frozen=True)
class Placed:
    """A cell and where it stands, in columns and rows."""

    cell: Cell
    """What it is."""
    row: int
    """Participant."""
    column: int
    """Counted over all blocks."""


@dataclass(frozen=True)
class Block:
    """The columns of one scenario."""

    scenario: str
    """Its name."""
    first: int
    """Its first column."""
    headers: tuple[str, ...]
    """One for each column; empty texts where a column holds several objects."""


@dataclass(frozen=True)
class Layout:
    """Where everything stands."""

    participants: tuple[str, ...]
    """A row each."""
    blocks: tuple[Block, ...]
    """From left to right."""
    placed: tuple[Placed, ...]
    """Every cell."""

    @property
    def columns(self) -> int:
        """Number of columns of all blocks."""
        return sum(len(block.headers) for block in self.blocks)


def arrange(cells: Sequence[Cell]) -> Layout:
    """Place cells: an own column for each object where there are few, else each row filled from the left."""
    participants = tuple(sorted({cell.participant for cell in cells}))
    scenarios = tuple(dict.fromkeys(cell.scenario for cell in sorted(cells, key=lambda cell: cell.scenario)))
    own = len({(cell.scenario, cell.objects, cell.action) for cell in cells}) <= _MOST_COLUMNS
    blocks, placed, first = [], [], 0
    for scenario in scenarios:
        inside = [cell for cell in cells if cell.scenario == scenario]
        keys = sorted({(cell.objects, cell.action) for cell in inside})
        filled = dict.fromkeys(participants, 0)
        for cell in sorted(inside, key=lambda cell: (cell.objects, cell.action)):
            column = keys.index((cell.objects, cell.action)) if own else filled[cell.participant]
            filled[cell.participant] += 1
            placed.append(Placed(cell, participants.index(cell.participant), first + column))
        headers = tuple(" ".join(objects) for objects, _ in keys) if own else ("",) * max(filled.values())
        blocks.append(Block(scenario, first, headers))
        first += len(headers)
    return Layout(participants, tuple(blocks), tuple(placed))


class CoverageMatrix(QtWidgets.QWidget):
    """Paints the matrix; the keys of the arrows move the choice.

    Signals:
        chosen(cell): a person clicked it or moved to it.
        activated(cell): a person double clicked it or pressed Return on it.
    """

    chosen = Signal(object)
    activated = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._layout = arrange(())
        self.selected: Cell | None = None
        self.next_take: Cell | None = None
        self._names: Mapping[str, str] = {}
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.StrongFocus)
        self.setAccessibleName("Coverage")

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme
        self.update()

    def show_cells(self, cells: Sequence[Cell], next_take: Cell | None, names: Mapping[str, str]) -> None:
        """Show a protocol and outline the take that is next; `names` says objects in words."""
        self._layout, self.next_take, self._names = arrange(cells), next_take, names
        old = self.selected
        self.selected = next((cell for cell in cells if old is not None and _same(cell, old)), None)
        width = _NAME_PX + self._layout.columns * _LEAST_PX + _GAP_PX * len(self._layout.blocks)
        self.setMinimumSize(width, self._head_px + _LEAST_ROW_PX * len(self._layout.participants) + 4)
        self.update()

    def box(self, placed: Placed) -> QtCore.QRectF:
        """Where a cell is painted, px."""
        block = next(b for b in reversed(self._layout.blocks) if placed.column >= b.first)
        gaps = self._layout.blocks.index(block) * _GAP_PX
        left = _NAME_PX + gaps + placed.column * self._column_px
        top = self._head_px + placed.row * self._row_px
        return QtCore.QRectF(left + 1.5, top + 2, self._column_px - 3, self._row_px - 4)

    def cell_at(self, at: QtCore.QPointF) -> Cell | None:
        """The cell under a point of the widget."""
        return next((placed.cell for placed in self._layout.placed if self.box(placed).contains(at)), None)

    @property
    def _column_px(self) -> float:
        room = self.width() - _NAME_PX - _GAP_PX * len(self._layout.blocks)
        return min(max(room / max(self._layout.columns, 1), _LEAST_PX), _WIDEST_PX)

    @property
    def _head_px(self) -> int:
        return _HEAD_PX + (_HEADERS_PX if any(any(block.headers) for block in self._layout.blocks) else 0)

    @property
    def _row_px(self) -> float:
        room = self.height() - self._head_px - 4
        return min(max(room / max(len(self._layout.participants), 1), _LEAST_ROW_PX), _HIGHEST_ROW_PX)

    def paintEvent(self, _event: QtGui.QPaintEvent | None) -> None:
        """Paint headers, names and cells; a hundred take a millisecond."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        small = painter.font()
        small.setPointSizeF(8.0)
        painter.setFont(small)
        self._paint_headers(painter)
        for row, name in enumerate(self._layout.participants):
            painter.setPen(QtGui.QColor(self._theme.text))
            box = QtCore.QRectF(0, self._head_px + row * self._row_px, _NAME_PX - 10, self._row_px)
            painter.drawText(box, int(Qt.AlignVCenter | Qt.AlignLeft), name)
        for placed in self._layout.placed:
            self._paint_cell(painter, placed)
        painter.end()

    def _paint_headers(self, painter: QtGui.QPainter) -> None:
        for n, block in enumerate(self._layout.blocks):
            left = _NAME_PX + n * _GAP_PX + block.first * self._column_px
            width = len(block.headers) * self._column_px
            painter.setPen(QtGui.QColor(self._theme.text))
            bold = painter.font()
            bold.setBold(True)
            painter.setFont(bold)
            name = painter.fontMetrics().elidedText(block.scenario, Qt.ElideRight, int(width) - 4)
            painter.drawText(QtCore.QRectF(left + 2, 2, width, 20), int(Qt.AlignVCenter | Qt.AlignLeft), name)
            bold.setBold(False)
            painter.setFont(bold)
            painter.fillRect(QtCore.QRectF(left + 1.5, 23, width - 3, 2), QtGui.QColor(self._theme.border))
            painter.setPen(QtGui.QColor(self._theme.muted))
            for column, header in enumerate(block.headers):
                box = QtCore.QRectF(left + column * self._column_px, 26, self._column_px, 18)
                text = painter.fontMetrics().elidedText(header, Qt.ElideRight, int(self._column_px) - 4)
                painter.drawText(box, int(Qt.AlignCenter), text)

    def _paint_cell(self, painter: QtGui.QPainter, placed: Placed) -> None:
        cell, box, theme = placed.cell, self.box(placed), self._theme
        fill, text = status_colours(cell.status, theme)
        painter.setBrush(fill)
        is_next = self.next_take is not None and _same(cell, self.next_take)
        is_selected = self.selected is not None and _same(cell, self.selected)
        edge = theme.accent if is_next else theme.text if is_selected else theme.border
        painter.setPen(QtGui.QPen(QtGui.QColor(edge), 2.0 if is_next or is_selected else 1.0))
        painter.drawRoundedRect(box, 5, 5)
        painter.setPen(text)
        mark = {"recorded": "✓ ", "incomplete": "! ", "rejected": "× ", "withdrawn": "– "}.get(cell.status, "")
        lines = [mark + " ".join(cell.objects)]
        name = ", ".join(self._names.get(item, "") for item in cell.objects).strip(", ")
        if name and box.width() >= _TWO_LINES_PX[0] and box.height() >= _TWO_LINES_PX[1]:
            lines = [mark + name, " ".join(cell.objects)]
        room, metrics = int(box.width()) - 6, painter.fontMetrics()
        said = "\n".join(metrics.elidedText(line, Qt.ElideRight, room) for line in lines)
        painter.drawText(box, int(Qt.AlignCenter), said)

    def mousePressEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Choose the cell under the pointer."""
        if event is not None and event.button() == Qt.LeftButton:
            self._choose(self.cell_at(event.localPos()))

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Make the cell under the pointer the next take."""
        cell = self.cell_at(event.localPos()) if event is not None else None
        if cell is not None:
            self.activated.emit(cell)

    def mouseMoveEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Say what is under the pointer."""
        cell = self.cell_at(event.localPos()) if event is not None else None
        self.setCursor(Qt.PointingHandCursor if cell is not None else Qt.ArrowCursor)
        if cell is None:
            self.setToolTip("")
            return
        things = ", ".join(f"{item} {self._names.get(item, '')}".strip() for item in cell.objects)
        self.setToolTip(f"{cell.participant}  ·  {things}\n{cell.scenario}: {cell.action}\n{cell.status}")

    def keyPressEvent(self, event: QtGui.QKeyEvent | None) -> None:
        """Move the choice, or take it up."""
        steps = {Qt.Key_Left: (0, -1), Qt.Key_Right: (0, 1), Qt.Key_Up: (-1, 0), Qt.Key_Down: (1, 0)}
        if event is not None and event.key() in steps:
            self._move(*steps[event.key()])
        elif event is not None and event.key() in (Qt.Key_Return, Qt.Key_Enter) and self.selected is not None:
            self.activated.emit(self.selected)
        else:
            super().keyPressEvent(event)

    def _move(self, rows: int, columns: int) -> None:
        placed = self._layout.placed
        now = next((p for p in placed if self.selected is not None and _same(p.cell, self.selected)), None)
        if now is None:
            self._choose(placed[0].cell if placed else None)
            return
        ahead = [
            p
            for p in placed
            if (p.row - now.row) * rows > 0 or (p.row == now.row and (p.column - now.column) * columns > 0)
        ]
        if ahead:
            near = min(ahead, key=lambda p: abs(p.row - now.row) * 1000 + abs(p.column - now.column))
            self._choose(near.cell)

    def _choose(self, cell: Cell | None) -> None:
        self.selected = cell
        self.update()
        if cell is not None:
            self.chosen.emit(cell)


def status_colours(status: str, theme: Theme) -> tuple[QtGui.QColor, QtGui.QColor]:
    """Fill and text of a status."""
    strong = {"recorded": theme.good, "incomplete": theme.warn, "rejected": theme.bad}.get(status)
    if strong is None:
        return colour(theme.raised, 255 if status == "planned" else 90), QtGui.QColor(theme.muted)
    return colour(strong, 55), QtGui.QColor(theme.text)


def _same(a: Cell, b: Cell) -> bool:
    return (a.participant, a.objects, a.scenario, a.action) == (b.participant, b.objects, b.scenario, b.action)
