# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about the frame that is shown, and a line to write about it."""

from __future__ import annotations

from gui.frame_facts import GOOD_MM, GOOD_PX, FrameFacts
from gui.health import UNKNOWN, figure, level_below
from gui.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from gui.theme import Theme, set_level

_ROWS = ("Reprojection", "Depth", "Joint sigma", "Joints from", "2D evidence", "Objects", "Work", "Revision")


class Line(QtWidgets.QLineEdit):
    """A line whose Enter ends the writing, and is not taken for a key of the window; so does Escape, without a change.

    Signals:
        given_up(): Escape.
    """

    given_up = Signal()

    def event(self, event: QtCore.QEvent | None) -> bool:
        """Keep Enter and Escape from the window's actions."""
        if isinstance(event, QtGui.QKeyEvent) and event.key() in (Qt.Key_Return, Qt.Key_Enter, Qt.Key_Escape):
            if event.type() == QtCore.QEvent.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QtCore.QEvent.KeyPress and event.key() == Qt.Key_Escape:
                self.given_up.emit()
                return True
        return bool(super().event(event))


class FrameInfo(QtWidgets.QWidget):
    """Frame, time and status on top; figures below; the comment at the bottom.

    Signals:
        commented(frame, text): a person wrote about a frame.
    """

    commented = Signal(int, str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.frame = QtWidgets.QLabel(objectName="title")
        self.status = QtWidgets.QLabel()
        self.problem = QtWidgets.QLabel()
        self.problem.setWordWrap(True)
        self.comment = Line(placeholderText="Comment on this frame")
        self.comment.setFocusPolicy(Qt.ClickFocus)
        self.comment.editingFinished.connect(self._commented)
        self.comment.given_up.connect(self._give_up)
        self._frame, self._written = 0, ""
        self._facts: FrameFacts | None = None
        self.values: dict[str, QtWidgets.QLabel] = {}
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(16, 10, 16, 10)
        grid.setHorizontalSpacing(14)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.frame, 0, 0, 1, 2)
        grid.addWidget(self.status, 0, 1, Qt.AlignRight)
        grid.addWidget(self.problem, 1, 0, 1, 2)
        for row, name in enumerate(_ROWS, start=2):
            label = QtWidgets.QLabel(name, objectName="field")
            self.values[name] = QtWidgets.QLabel()
            grid.addWidget(label, row, 0)
            grid.addWidget(self.values[name], row, 1)
        grid.setRowStretch(len(_ROWS) + 2, 1)
        grid.addWidget(self.comment, len(_ROWS) + 3, 0, 1, 2)

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme
        if self._facts is not None:
            self._colour(self._facts)

    def show_facts(self, facts: FrameFacts, n_frames: int, revision: str) -> None:
        """Show a frame."""
        self.frame.setText(f"Frame {facts.frame} of {n_frames}  ·  {facts.seconds:.2f} s")
        self.status.setText(f"● {facts.status}")
        self.problem.setText(f"No label: {facts.problem}")
        set_level(self.problem, "warn")
        self.problem.setVisible(bool(facts.problem))
        texts = {
            "Reprojection": figure(facts.reprojection_px, "px"),
            "Depth": figure(facts.depth_mm, "mm"),
            "Joint sigma": figure(facts.sigma_mm, "mm"),
            "Joints from": ", ".join(f"{source} {count}" for source, count in facts.sources) or UNKNOWN,
            "2D evidence": ", ".join(f"{view} {count}" for view, count in facts.evidence if count) or UNKNOWN,
            "Objects": ", ".join(f"{name} {status}" for name, status in facts.objects) or UNKNOWN,
            "Work": f"{facts.work_s:.0f} s" if facts.work_s >= 1.0 else UNKNOWN,
            "Revision": revision,
        }
        for name, text in texts.items():
            self.values[name].setText(text)
        self._facts = facts
        self._colour(facts)
        if facts.frame != self._frame or not self.comment.hasFocus():
            # What was being written belongs to the frame that was shown.
            said = (self._frame, self.comment.text().strip()) if self._unheard() else None
            self._frame, self._written = facts.frame, facts.comment
            self.comment.setText(facts.comment)
            if said is not None:
                self.commented.emit(*said)

    def _colour(self, facts: FrameFacts) -> None:
        self.status.setStyleSheet(f"color: {self._theme.status(facts.status)}; font-weight: 600;")
        self._tint("Reprojection", self._theme.level(level_below(facts.reprojection_px, GOOD_PX, 2 * GOOD_PX)))
        self._tint("Depth", self._theme.level(level_below(facts.depth_mm, GOOD_MM, 2 * GOOD_MM)))

    def _tint(self, name: str, colour: str) -> None:
        self.values[name].setStyleSheet(f"color: {colour}; font-weight: 600;")

    def _give_up(self) -> None:
        self.comment.setText(self._written)
        self.comment.clearFocus()

    def _unheard(self) -> bool:
        return self.comment.text().strip() != self._written and self.comment.hasFocus()

    def _commented(self) -> None:
        text = self.comment.text().strip()
        self.comment.clearFocus()
        if text != self._written:
            self._written = text
            self.commented.emit(self._frame, text)
