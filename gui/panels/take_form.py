# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields that describe the next take, for whoever does not follow the protocol's proposal."""

from __future__ import annotations

from capture.protocol import Cell
from gui.qt import QtWidgets, Signal
from gui.sessions import RecordRequest


class TakeForm(QtWidgets.QWidget):
    """Fields of a take.

    Signals:
        edited(): a person, or the protocol, changed a field.
    """

    edited = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.sequence = _line("next free name", "Name of the recording; empty takes the next free one.")
        self.participant = _line("p01", "Pseudonym of the participant; never a real name.")
        self.objects = _line("o01", "Objects in the scene, separated by commas.")
        self.scenario = _line("s1", "Scenario of the protocol.")
        self.action = _line("pick up and turn", "What the participant does.")
        self.seconds = _spin("until stopped", "Stop by itself after this many seconds.", 3600)
        self.countdown = _spin("no countdown", "Count down this many seconds before recording.", 10)
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 4, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        rows = (
            ("Participant", self.participant),
            ("Objects", self.objects),
            ("Scenario", self.scenario),
            ("Action", self.action),
            ("Length", self.seconds),
            ("Countdown", self.countdown),
            ("Sequence", self.sequence),
        )
        for row, (name, field) in enumerate(rows):
            label = QtWidgets.QLabel(name)
            label.setObjectName("field")
            label.setBuddy(field)
            field.setAccessibleName(name)
            grid.addWidget(label, row, 0)
            grid.addWidget(field, row, 1)
        grid.setRowStretch(len(rows), 1)
        for line in self.lines:
            line.textChanged.connect(lambda _text: self.edited.emit())

    @property
    def lines(self) -> tuple[QtWidgets.QLineEdit, ...]:
        """The fields that take text."""
        return (self.participant, self.objects, self.scenario, self.action, self.sequence)

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

    def fill(self, cell: Cell) -> None:
        """Fill in a cell of the protocol; the name becomes the next free one."""
        self._set(cell.participant, cell.objects, cell.scenario, cell.action)

    def fill_request(self, request: RecordRequest) -> None:
        """Fill in what was recorded before; the name becomes the next free one."""
        self._set(request.participant, request.objects, request.scenario, request.action)

    def _set(self, participant: str, objects: tuple[str, ...], scenario: str, action: str) -> None:
        texts = (participant, ", ".join(objects), scenario, action, "")
        for line, text in zip(self.lines, texts, strict=True):
            line.blockSignals(True)
            line.setText(text)
            line.blockSignals(False)
        self.edited.emit()


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
