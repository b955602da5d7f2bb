# SPDX-License-Identifier: GPL-3.0-or-later
"""The timer, the button that records, and below them the takes or the fields of the next one."""

from __future__ import annotations

from gui import icons
from gui.health import Level
from gui.lab import Take
from gui.panels.segments import Segments
from gui.panels.take_form import TakeForm
from gui.panels.take_list import TakeList
from gui.qt import Qt, QtCore, QtWidgets, Signal
from gui.take_flow import FlowState
from gui.theme import Theme, set_level, set_property

_STATES: dict[FlowState, tuple[Level, str, str]] = {
    "idle": ("idle", "No rig open", "●  Record"),
    "ready": ("good", "Ready", "●  Record"),
    "countdown": ("warn", "Starting", "Cancel"),
    "starting": ("warn", "Starting", "Starting …"),
    "recording": ("bad", "Recording", "■  Stop"),
    "saving": ("warn", "Writing to disk", "Writing …"),
}
_NEW_TAKE: tuple[FlowState, ...] = ("idle", "ready")


def clock(seconds: float) -> str:
    """Minutes, seconds and tenths."""
    tenths = int(seconds * 10 + 1e-6)
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


class RecordPanel(QtWidgets.QFrame):
    """Everything that is pressed while a participant sits in the chair.

    Signals:
        pressed(), marked(), redone(): the large button, and the two below it.
        reported(sequence), replayed(sequence): of a take in the list.
        redone_take(Take): reject this one, whichever it is, and record its cell again.
    """

    pressed = Signal()
    marked = Signal()
    redone = Signal()
    reported = Signal(str)
    replayed = Signal(str)
    redone_take = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("card")
        self.state: FlowState = "idle"
        self.form, self.takes = TakeForm(), TakeList(theme)
        self.name = QtWidgets.QLabel()
        self.name.setObjectName("title")
        self.dot = QtWidgets.QLabel()
        self.timer = QtWidgets.QLabel(clock(0.0))
        self.timer.setObjectName("timer")
        self.timer.setAlignment(Qt.AlignCenter)
        self.sub = QtWidgets.QLabel()
        self.sub.setObjectName("muted")
        self.sub.setAlignment(Qt.AlignCenter)
        self.button = _button("", "record", "Start recording, or stop and save  (Space)")
        self.button.setMinimumHeight(58)
        self.mark = _button("Mark", "large", "Mark this moment of the recording  (M)")
        self.redo = _button("Redo", "large", "Reject the last take and record the same cell again  (R)")
        self.report = _button("Report", "", "Show the report of the chosen take  (P)")
        self.replay = _button("Replay", "", "Play the chosen take, all streams in time  (V)")
        self.segments = Segments((("takes", "Takes"), ("form", "Next take")), stretch=True)
        self.stack = QtWidgets.QStackedWidget()
        self._wire()
        self._lay_out()
        self.set_theme(theme)
        self.set_state("idle")
        self._offer()

    def _wire(self) -> None:
        self.button.clicked.connect(self.pressed)
        self.mark.clicked.connect(self.marked)
        self.redo.clicked.connect(self.redone)
        self.report.clicked.connect(lambda: self._on_chosen(self.reported))
        self.replay.clicked.connect(lambda: self._on_chosen(self.replayed))
        self.takes.opened.connect(self.reported)
        self.takes.asked.connect(self._ask)
        self.segments.chosen.connect(self.show_part)
        self.takes.shown.connect(self._offer)

    def _lay_out(self) -> None:
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 14)
        column.setSpacing(6)
        top = QtWidgets.QHBoxLayout()
        top.addWidget(self.name, 1)
        top.addWidget(self.dot)
        column.addLayout(top)
        column.addWidget(self.timer)
        column.addWidget(self.sub)
        column.addSpacing(4)
        column.addWidget(self.button)
        column.addSpacing(2)
        pair = QtWidgets.QHBoxLayout()
        pair.setSpacing(8)
        pair.addWidget(self.mark, 1)
        pair.addWidget(self.redo, 1)
        column.addLayout(pair)
        column.addSpacing(8)
        column.addWidget(self.segments)
        column.addSpacing(2)
        takes = QtWidgets.QWidget()
        inner = QtWidgets.QVBoxLayout(takes)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(6)
        inner.addWidget(self.takes, 1)
        buttons = QtWidgets.QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.report, 1)
        buttons.addWidget(self.replay, 1)
        inner.addLayout(buttons)
        self.stack.addWidget(takes)
        # On a low screen the fields scroll rather than push the window beyond it.
        room = QtWidgets.QScrollArea()
        room.setWidgetResizable(True)
        room.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        room.setWidget(self.form)
        self.form.setObjectName("plain")
        self.stack.addWidget(room)
        column.addWidget(self.stack, 1)

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        marks = {self.mark: "mark", self.redo: "again", self.report: "report", self.replay: "view"}
        for button, name in marks.items():
            button.setIcon(icons.icon(name, theme))
            button.setIconSize(QtCore.QSize(18, 18))

    def show_part(self, part: str) -> None:
        """Show the `takes`, or the `form` of the next one."""
        self.segments.choose(part)
        self.stack.setCurrentIndex(0 if part == "takes" else 1)

    def set_state(self, state: FlowState) -> None:
        """Show what is going on and what the buttons do now."""
        self.state = state
        level, words, button = _STATES[state]
        self.dot.setText(f"● {words}")
        set_level(self.dot, level)
        set_level(self.timer, "bad" if state == "recording" else "idle" if state == "idle" else "good")
        self.button.setText(button)
        self.button.setEnabled(state in ("ready", "countdown", "recording"))
        set_property(self.button, "recording", "true" if state in ("recording", "countdown") else "false")
        self.mark.setEnabled(state == "recording")
        self.form.setEnabled(state in _NEW_TAKE)

    def show_time(self, seconds: float, note: str) -> None:
        """Show the timer and the line below it."""
        self.timer.setText(clock(seconds))
        self.sub.setText(note)

    def _ask(self, what: str, take: Take) -> None:
        if what == "redo":
            self.redone_take.emit(take)
        else:
            (self.reported if what == "report" else self.replayed).emit(take.sequence)

    def _offer(self) -> None:
        for button in (self.report, self.replay):
            button.setEnabled(self.takes.chosen is not None)

    def _on_chosen(self, signal: Signal) -> None:
        take = self.takes.chosen
        if take is not None:
            signal.emit(take.sequence)


def _button(text: str, name: str, tip: str) -> QtWidgets.QPushButton:
    button = QtWidgets.QPushButton(text)
    if name:
        button.setObjectName(name)
    button.setToolTip(tip)
    # Keys go to the window: a focused button would take Space for itself.
    button.setFocusPolicy(Qt.NoFocus)
    return button
