# SPDX-License-Identifier: GPL-3.0-or-later
"""The strip of lights that says whether what is being recorded can be annotated."""

from __future__ import annotations

from collections.abc import Sequence

from gui.health import Light
from gui.qt import Qt, QtWidgets
from gui.theme import set_level


class _Cell(QtWidgets.QWidget):
    """One light: name, figure, and the judgement as a dot and a word."""

    def __init__(self) -> None:
        super().__init__()
        self.name = QtWidgets.QLabel()
        self.name.setObjectName("section")
        self.value = QtWidgets.QLabel()
        self.value.setObjectName("big")
        self.word = QtWidgets.QLabel()
        layout = QtWidgets.QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(8)
        layout.setVerticalSpacing(0)
        layout.addWidget(self.name, 0, 0, 1, 2)
        layout.addWidget(self.value, 1, 0)
        layout.addWidget(self.word, 1, 1, Qt.AlignLeft | Qt.AlignVCenter)
        layout.setColumnStretch(1, 1)

    def show_light(self, light: Light) -> None:
        self.name.setText(light.name.upper())
        self.value.setText(light.value)
        self.word.setText(f"● {light.word}")
        set_level(self.word, light.level)
        self.setToolTip(light.tip)


class HealthBar(QtWidgets.QFrame):
    """A row of lights."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setMinimumHeight(56)
        self._row = QtWidgets.QHBoxLayout(self)
        self._row.setContentsMargins(18, 9, 18, 10)
        self._row.setSpacing(14)
        self.cells: list[_Cell] = []

    def show_lights(self, lights: Sequence[Light]) -> None:
        """Show these lights; makes the cells the first time."""
        while len(self.cells) < len(lights):
            self.cells.append(_Cell())
            self._row.addWidget(self.cells[-1], 1)
        for cell, light in zip(self.cells, lights, strict=True):
            cell.show_light(light)

    def clear(self) -> None:
        """Show that nothing is known."""
        for cell in self.cells:
            cell.value.setText("–")
            cell.word.setText("● no data")
            set_level(cell.word, "idle")
