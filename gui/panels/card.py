# SPDX-License-Identifier: GPL-3.0-or-later
"""A titled surface that holds other widgets."""

from __future__ import annotations

from gui.qt import QtWidgets


class Card(QtWidgets.QFrame):
    """A surface with a title, a line of explanation, and a column for the rest."""

    def __init__(self, title: str, note: str = "") -> None:
        super().__init__()
        self.setObjectName("card")
        self.column = QtWidgets.QVBoxLayout(self)
        self.column.setContentsMargins(18, 14, 18, 16)
        self.column.setSpacing(8)
        self.head = QtWidgets.QHBoxLayout()
        heading = QtWidgets.QLabel(title)
        heading.setObjectName("title")
        self.head.addWidget(heading, 1)
        self.column.addLayout(self.head)
        if note:
            text = QtWidgets.QLabel(note)
            text.setObjectName("muted")
            text.setWordWrap(True)
            self.column.addWidget(text)
