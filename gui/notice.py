# SPDX-License-Identifier: GPL-3.0-or-later
"""A line in a page that stays for as long as something holds: what it is, and what to know about it."""

from __future__ import annotations

from .health import Level
from .qt import QtWidgets
from .theme import set_property


def sentence(message: str) -> str:
    """A message as it stands by itself: with a capital first letter."""
    return message[:1].upper() + message[1:]


class Notice(QtWidgets.QFrame):
    """Hidden until there is something to say."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.setObjectName("notice")
        self.title = QtWidgets.QLabel()
        self.title.setObjectName("strong")
        self.hint = QtWidgets.QLabel()
        self.hint.setObjectName("muted")
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(14, 7, 12, 7)
        column.setSpacing(1)
        for label in (self.title, self.hint):
            label.setWordWrap(True)
            column.addWidget(label)
        self.set_level(level)
        self.hide()

    def set_level(self, level: Level) -> None:
        """How serious it is, shown as the colour of its edge."""
        set_property(self, "level", level)

    def show_text(self, title: str, hint: str = "") -> None:
        """Show, or change what is shown."""
        title = sentence(title)
        if self.title.text() != title:
            self.title.setText(title)
        if self.hint.text() != hint:
            self.hint.setText(hint)
        self.hint.setVisible(bool(hint))
        self.show()
