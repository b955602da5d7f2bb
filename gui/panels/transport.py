# SPDX-License-Identifier: GPL-3.0-or-later
"""Below a timeline: where the playhead stands, what is missing there, and how fast it plays."""

from __future__ import annotations

from gui.health import Level
from gui.panels.segments import Segments
from gui.qt import Qt, QtWidgets
from gui.theme import set_property

_SPEEDS = (("half", "½ ×"), ("true", "1 ×"), ("double", "2 ×"))


class Transport(QtWidgets.QWidget):
    """The time in large figures, the moment's number, a line about it, and the speeds."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = QtWidgets.QLabel("–")
        self.clock.setObjectName("big")
        self.moment = QtWidgets.QLabel("")
        self.moment.setObjectName("muted")
        self.note = QtWidgets.QLabel("")
        self.note.setTextInteractionFlags(Qt.TextSelectableByMouse)
        self.note.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Preferred)
        self.rate = QtWidgets.QLabel("")
        self.rate.setObjectName("muted")
        self.speeds = Segments(_SPEEDS)
        self.speeds.choose("true")
        self.speeds.setToolTip("How fast it plays: [ half, \\ true, ] double.")
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(14)
        for label in (self.clock, self.moment):
            row.addWidget(label)
        row.addWidget(self.note, 1)
        row.addWidget(self.rate)
        row.addWidget(self.speeds)

    def show_moment(self, moment: int, count: int, seconds: float, length_s: float) -> None:
        """Show where the playhead stands."""
        self.clock.setText(f"{_clock(seconds)} / {_clock(length_s)}")
        self.moment.setText(f"moment {moment} of {count}")

    def show_note(self, level: Level, text: str) -> None:
        """Say what there is to know about the moment."""
        set_property(self.note, "level", "" if level == "idle" else level)
        self.note.setText(text)
        self.note.setToolTip(text)

    def show_rate(self, text: str) -> None:
        """Say how fast it really plays."""
        self.rate.setText(text)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(seconds, 0.0), 60.0)
    return f"{int(minutes)}:{rest:06.3f}"
