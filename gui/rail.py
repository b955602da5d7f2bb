# SPDX-License-Identifier: GPL-3.0-or-later
"""The rail on the left of a window with pages: a large button for each page, small ones below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import icons
from .actions import Action
from .qt import Qt, QtCore, QtWidgets
from .theme import Theme

_WIDTH_PX = 88
_ICON_PX = 24


class Rail(QtWidgets.QToolBar):
    """Buttons of those actions of a table that have an icon: pages on top, everything else at the bottom.

    Args:
        table: the window's actions.
        made: action id -> Qt action.
        theme: the colours.
    """

    def __init__(self, table: Sequence[Action], made: Mapping[str, QtWidgets.QAction], theme: Theme) -> None:
        super().__init__("Pages")
        self.setObjectName("rail")
        self.setMovable(False)
        self.setFixedWidth(_WIDTH_PX)
        self.setIconSize(QtCore.QSize(_ICON_PX, _ICON_PX))
        self.setToolButtonStyle(Qt.ToolButtonTextUnderIcon)
        self.setContextMenuPolicy(Qt.PreventContextMenu)
        self._shown = [(action, made[action.id]) for action in table if action.icon]
        for action, q in self._shown:
            if action.toolbar_text:
                q.setIconText(action.toolbar_text)
                self._add(q, Qt.ToolButtonTextUnderIcon)
        space = QtWidgets.QWidget()
        space.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Expanding)
        self.addWidget(space)
        for action, q in self._shown:
            if not action.toolbar_text:
                self._add(q, Qt.ToolButtonIconOnly)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Draw the icons in these colours."""
        for action, q in self._shown:
            q.setIcon(icons.icon(action.icon, theme))

    def _add(self, action: QtWidgets.QAction, style: int) -> None:
        self.addAction(action)
        button = self.widgetForAction(action)
        if isinstance(button, QtWidgets.QToolButton):
            button.setToolButtonStyle(style)
            button.setFocusPolicy(Qt.NoFocus)
            button.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
