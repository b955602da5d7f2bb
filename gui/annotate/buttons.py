# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of the window as buttons in a panel."""

from __future__ import annotations

from collections.abc import Sequence

from gui.qt import Qt, QtWidgets


def button_row(actions: Sequence[QtWidgets.QAction]) -> QtWidgets.QHBoxLayout:
    """A row of buttons that never take the focus from the views, so that keys go on to act there."""
    row = QtWidgets.QHBoxLayout()
    row.setSpacing(4)
    for action in actions:
        button = QtWidgets.QToolButton(objectName="outlined")
        button.setDefaultAction(action)
        button.setToolButtonStyle(Qt.ToolButtonTextOnly)
        button.setFocusPolicy(Qt.NoFocus)
        row.addWidget(button)
    row.addStretch(1)
    return row
