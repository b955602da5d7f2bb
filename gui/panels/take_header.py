# SPDX-License-Identifier: GPL-3.0-or-later
"""The next take in type that is read from across the room, with the progress of the protocol."""

from __future__ import annotations

from capture.protocol import Coverage
from gui.fit_label import FitLabel
from gui.lab import Consent
from gui.qt import Qt, QtWidgets
from gui.sessions import RecordRequest
from gui.theme import set_level


class Fact(QtWidgets.QWidget):
    """A name, a value in large type, and a line of small print."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = QtWidgets.QLabel(name.upper())
        self.name.setObjectName("section")
        self.value = FitLabel("–")
        self.value.setObjectName("huge")
        # A blank keeps the line's height, so that all values stand on one line.
        self.note = QtWidgets.QLabel(" ")
        self.note.setObjectName("muted")
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for label in (self.name, self.value, self.note):
            # A long word is cut at the right rather than widening the window.
            label.setMinimumWidth(1)
            column.addWidget(label)

    def show_fact(self, value: str, note: str = "") -> None:
        """Show a value; the whole text is in the tip, in case it does not fit."""
        self.value.setText(value or "–")
        self.note.setText(note or " ")
        self.setToolTip("\n".join(text for text in (value, note) if text))


class TakeHeader(QtWidgets.QFrame):
    """Participant, object, scenario, action; consent; how much of the protocol is done."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.participant, self.object = Fact("Participant"), Fact("Object")
        self.scenario, self.action = Fact("Scenario"), Fact("Action")
        self.progress_text = QtWidgets.QLabel()
        self.progress_text.setObjectName("big")
        self.progress = QtWidgets.QProgressBar()
        self.progress.setTextVisible(False)
        self.progress_note = QtWidgets.QLabel()
        self.progress_note.setObjectName("muted")
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(18, 9, 18, 9)
        row.setSpacing(20)
        for fact, share in ((self.participant, 10), (self.object, 11), (self.scenario, 14), (self.action, 18)):
            row.addWidget(fact, share)
        protocol = QtWidgets.QVBoxLayout()
        protocol.setSpacing(4)
        title = QtWidgets.QLabel("PROTOCOL")
        title.setObjectName("section")
        line = QtWidgets.QHBoxLayout()
        line.addWidget(title)
        line.addStretch(1)
        line.addWidget(self.progress_text)
        protocol.addLayout(line)
        protocol.addWidget(self.progress)
        protocol.addWidget(self.progress_note)
        holder = QtWidgets.QWidget()
        holder.setLayout(protocol)
        protocol.setContentsMargins(0, 0, 0, 0)
        holder.setFixedWidth(210)
        row.addWidget(holder, 0, Qt.AlignVCenter)

    def show_request(self, request: RecordRequest, names: dict[str, str]) -> None:
        """Show what is recorded next, or now; `names` says objects in words."""
        self.participant.show_fact(request.participant, self.participant.note.text())
        said = ", ".join(names.get(name, "") for name in request.objects).strip(", ")
        codes = ", ".join(request.objects)
        self.object.show_fact(said or codes, codes if said else "")
        self.scenario.show_fact(request.scenario)
        self.action.show_fact(request.action)

    def show_consent(self, consent: Consent) -> None:
        """Show whether the participant may be recorded."""
        self.participant.note.setText("no valid consent" if consent.level == "bad" else consent.words)
        self.participant.note.setToolTip(consent.words)
        set_level(self.participant.note, consent.level)

    def show_progress(self, coverage: Coverage) -> None:
        """Show how many cells of the protocol are done."""
        total, done = len(coverage.cells), coverage.done
        self.progress.setRange(0, max(total, 1))
        self.progress.setValue(done)
        self.progress_text.setText(f"{done} of {total}" if total else "none")
        left = total - done
        note = "no protocol yet" if not total else "everything is recorded" if not left else f"{left} to record"
        self.progress_note.setText(note)
