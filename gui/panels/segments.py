# SPDX-License-Identifier: GPL-3.0-or-later
"""A row of buttons of which one is down."""

from __future__ import annotations

from collections.abc import Sequence

from gui.qt import Qt, QtWidgets, Signal


class Segments(QtWidgets.QWidget):
    """A choice between a few words.

    Args:
        choices: (key, text) pairs.

    Signals:
        chosen(key): a person pressed another one.
    """

    chosen = Signal(str)

    def __init__(self, choices: Sequence[tuple[str, str]], *, stretch: bool = False) -> None:
        super().__init__()
        self.buttons: dict[str, QtWidgets.QPushButton] = {}
        group = QtWidgets.QButtonGroup(self)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        for n, (key, text) in enumerate(choices):
            button = QtWidgets.QPushButton(text)
            button.setObjectName("segment")
            button.setProperty("edge", "first" if n == 0 else "last" if n == len(choices) - 1 else "")
            button.setCheckable(True)
            button.setFocusPolicy(Qt.NoFocus)
            button.clicked.connect(lambda _checked=False, key=key: self.chosen.emit(key))
            group.addButton(button)
            row.addWidget(button, 1 if stretch else 0)
            self.buttons[key] = button
        self.choose(choices[0][0])

    def choose(self, key: str) -> None:
        """Press a button without a signal; "" releases all."""
        group = self.findChild(QtWidgets.QButtonGroup)
        group.setExclusive(bool(key))
        for name, button in self.buttons.items():
            button.setChecked(name == key)
