# SPDX-License-Identifier: GPL-3.0-or-later
"""What is recorded next, and the button that does it."""

from __future__ import annotations

from typing import Literal

from gui.health import Level
from gui.qt import Qt, QtWidgets, Signal
from gui.sessions import RecordRequest
from gui.theme import Theme

State = Literal["opening", "ready", "countdown", "recording", "saving", "failed", "closing"]

_STATES: dict[State, tuple[Level, str, str]] = {
    "opening": ("warn", "Opening the cameras", "Record"),
    "ready": ("good", "Ready", "●  Record"),
    "countdown": ("warn", "Starting", "Cancel"),
    "recording": ("bad", "Recording", "■  Stop"),
    "saving": ("warn", "Writing to disk", "Writing …"),
    "failed": ("bad", "No cameras", "Try again"),
    "closing": ("warn", "Closing", "Closing …"),
}

_SHOWN_TAKES = 4


def clock(seconds: float) -> str:
    """Minutes, seconds and tenths."""
    tenths = int(seconds * 10 + 1e-6)
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


class RecordPanel(QtWidgets.QFrame):
    """Fields that describe the take, the timer, the button.

    Signals:
        pressed(): the big button; what it means depends on the state.
    """

    pressed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("card")
        self._theme = theme
        self.state: State = "opening"
        self.sequence = _line("seq_001", "Name of the recording; the next free one is filled in.")
        self.participant = _line("p01", "Pseudonym of the participant; never a real name.")
        self.objects = _line("o01", "Objects in the scene, separated by commas.")
        self.scenario = _line("s1", "Scenario of the protocol.")
        self.action = _line("pick up and turn", "What the participant does.")
        self.seconds = _spin("until stopped", "Stop by itself after this many seconds.", 3600)
        self.countdown = _spin("no countdown", "Count down this many seconds before recording.", 10)
        self.dot = QtWidgets.QLabel()
        self.timer = QtWidgets.QLabel(clock(0.0))
        self.timer.setObjectName("timer")
        self.timer.setAlignment(Qt.AlignCenter)
        self.sub = QtWidgets.QLabel()
        self.sub.setObjectName("muted")
        self.sub.setAlignment(Qt.AlignCenter)
        self.button = QtWidgets.QPushButton()
        self.button.setObjectName("record")
        self.button.setFocusPolicy(Qt.NoFocus)
        self.button.clicked.connect(self.pressed)
        self.takes_title = QtWidgets.QLabel("RECORDED")
        self.takes_title.setObjectName("section")
        self.takes_title.hide()
        self.takes = QtWidgets.QLabel()
        self.takes.setTextInteractionFlags(Qt.TextSelectableByMouse)
        self._takes: list[str] = []
        self._lay_out()
        self.set_state("opening")

    def _lay_out(self) -> None:
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 18)
        column.setSpacing(6)
        top = QtWidgets.QHBoxLayout()
        title = QtWidgets.QLabel("Take")
        title.setObjectName("title")
        top.addWidget(title, 1)
        top.addWidget(self.dot)
        column.addLayout(top)
        column.addSpacing(6)
        form = QtWidgets.QGridLayout()
        form.setHorizontalSpacing(12)
        form.setVerticalSpacing(9)
        form.setColumnStretch(1, 1)
        rows = (
            ("Sequence", self.sequence),
            ("Participant", self.participant),
            ("Objects", self.objects),
            ("Scenario", self.scenario),
            ("Action", self.action),
            ("Length", self.seconds),
            ("Countdown", self.countdown),
        )
        for row, (name, field) in enumerate(rows):
            label = QtWidgets.QLabel(name)
            label.setObjectName("field")
            label.setBuddy(field)
            form.addWidget(label, row, 0)
            form.addWidget(field, row, 1)
        column.addLayout(form)
        column.addSpacing(12)
        column.addWidget(self.takes_title)
        column.addWidget(self.takes)
        column.addStretch(1)
        column.addWidget(self.timer)
        column.addWidget(self.sub)
        column.addSpacing(10)
        column.addWidget(self.button)

    @property
    def fields(self) -> tuple[QtWidgets.QWidget, ...]:
        """Everything that can be edited."""
        lines = (self.sequence, self.participant, self.objects, self.scenario, self.action)
        return (*lines, self.seconds, self.countdown)

    def request(self) -> RecordRequest:
        """What the fields ask for."""
        return RecordRequest(
            sequence=self.sequence.text().strip(),
            participant=self.participant.text().strip(),
            objects=tuple(name.strip() for name in self.objects.text().split(",") if name.strip()),
            scenario=self.scenario.text().strip(),
            action=self.action.text().strip(),
            seconds=float(self.seconds.value()) or None,
        )

    def set_state(self, state: State) -> None:
        """Show what is going on and what the button does now."""
        self.state = state
        level, words, button = _STATES[state]
        self.dot.setText(f"● {words}")
        self.dot.setStyleSheet(f"color: {self._theme.level(level)}; font-weight: 600;")
        self.button.setText(button)
        self.button.setEnabled(state in ("ready", "countdown", "recording", "failed"))
        self.button.setProperty("recording", "true" if state in ("recording", "countdown") else "false")
        self.button.style().unpolish(self.button)
        self.button.style().polish(self.button)
        for field in self.fields:
            field.setEnabled(state in ("opening", "ready", "failed"))
        self.timer.setStyleSheet(f"color: {self._theme.bad};" if state == "recording" else "")

    def add_take(self, sequence: str, seconds: float, dropped: int) -> None:
        """List a finished recording; the newest is on top and a few remain."""
        lost = "complete" if not dropped else f"{dropped} dropped"
        self._takes.insert(0, f"{sequence}   {seconds:.1f} s   {lost}")
        self.takes.setText("\n".join(self._takes[:_SHOWN_TAKES]))
        self.takes_title.show()

    def show_time(self, seconds: float, note: str) -> None:
        """Show the timer and the line below it."""
        self.timer.setText(clock(seconds))
        self.sub.setText(note)


def _line(placeholder: str, tip: str) -> QtWidgets.QLineEdit:
    line = QtWidgets.QLineEdit()
    line.setPlaceholderText(placeholder)
    line.setToolTip(tip)
    return line


def _spin(zero: str, tip: str, most: int) -> QtWidgets.QSpinBox:
    spin = QtWidgets.QSpinBox()
    spin.setRange(0, most)
    spin.setSpecialValueText(zero)
    spin.setSuffix(" s")
    spin.setToolTip(tip)
    return spin
