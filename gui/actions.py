# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions as data: menus, the toolbar, the keys and the shortcut sheet are made from one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from . import icons
from .qt import Qt, QtGui, QtWidgets
from .theme import Theme


@dataclass(frozen=True)
class Action:
    """One thing that a person can do."""

    id: str
    """Unique, `area.verb`."""
    text: str
    """Menu text."""
    keys: tuple[str, ...]
    """Keys in Qt's notation; the first is shown."""
    tip: str
    """One sentence: what it does."""
    menu: str
    """Menu that holds it."""
    icon: str = ""
    """Name in `icons`; with one, it also stands in the toolbar."""
    checkable: bool = False
    """On or off, rather than done once."""
    repeat: bool = False
    """Holding the key repeats it."""
    toolbar_text: str = ""
    """Text beside the icon; empty for the icon alone."""


Run = Mapping[str, Callable[[], object]]


def install(window: QtWidgets.QMainWindow, table: Sequence[Action], run: Run) -> dict[str, QtWidgets.QAction]:
    """Make the actions of a window and fill its menu bar.

    Raises:
        ValueError: an id appears twice, or an action has nothing to run.
    """
    ids = [action.id for action in table]
    if len(set(ids)) != len(ids) or set(ids) != set(run):
        raise ValueError(f"every action needs one id and one function; these do not match: {set(ids) ^ set(run)}")
    made: dict[str, QtWidgets.QAction] = {}
    menus: dict[str, QtWidgets.QMenu] = {}
    for action in table:
        q = QtWidgets.QAction(action.text, window)
        q.setObjectName(action.id)
        q.setShortcuts([QtGui.QKeySequence(key) for key in action.keys])
        q.setAutoRepeat(action.repeat)
        q.setCheckable(action.checkable)
        q.setToolTip(f"{action.tip}  ({shown_key(action)})" if action.keys else action.tip)
        q.setStatusTip(action.tip)
        # A checkable action passes its state; the functions read it from the action itself.
        q.triggered.connect(lambda _checked=False, function=run[action.id]: function())
        if action.menu not in menus:
            menus[action.menu] = window.menuBar().addMenu(action.menu)
        menus[action.menu].addAction(q)
        made[action.id] = q
    return made


def toolbar(
    window: QtWidgets.QMainWindow, table: Sequence[Action], made: Mapping[str, QtWidgets.QAction], theme: Theme
) -> QtWidgets.QToolBar:
    """A toolbar of the actions that have an icon, with a separator between menus."""
    bar = QtWidgets.QToolBar("Tools", window)
    bar.setObjectName("tools")
    bar.setMovable(False)
    bar.setToolButtonStyle(Qt.ToolButtonTextBesideIcon)
    previous = ""
    for action in (a for a in table if a.icon):
        if previous and action.menu != previous:
            bar.addSeparator()
        previous = action.menu
        made[action.id].setIcon(icons.icon(action.icon, theme))
        made[action.id].setIconText(f" {action.toolbar_text}" if action.toolbar_text else "")
        bar.addAction(made[action.id])
        button = bar.widgetForAction(made[action.id])
        if isinstance(button, QtWidgets.QToolButton) and not action.toolbar_text:
            button.setToolButtonStyle(Qt.ToolButtonIconOnly)
    window.addToolBar(bar)
    return bar


def shown_key(action: Action) -> str:
    """The first key as people write it."""
    return QtGui.QKeySequence(action.keys[0]).toString(QtGui.QKeySequence.NativeText) if action.keys else ""


def sheet_html(table: Iterable[Action], theme: Theme) -> str:
    """All keys of a window as a table, by menu."""
    groups: dict[str, list[Action]] = {}
    for action in table:
        if action.keys:
            groups.setdefault(action.menu, []).append(action)
    rows = []
    for menu, actions in groups.items():
        name = escape(menu.replace("&", ""))
        rows.append(f"<tr><td colspan=2 style='padding-top:12px;color:{theme.muted}'><b>{name}</b></td></tr>")
        for action in actions:
            key = escape(shown_key(action))
            rows.append(
                f"<tr><td style='padding:3px 18px 3px 0;color:{theme.accent}'><b>{key}</b></td>"
                f"<td style='padding:3px 0'>{escape(action.tip)}</td></tr>"
            )
    return f"<table>{''.join(rows)}</table>"


def show_sheet(window: QtWidgets.QWidget, table: Iterable[Action], theme: Theme) -> QtWidgets.QDialog:
    """Open the sheet of keys beside the window, without blocking it."""
    dialog = QtWidgets.QDialog(window)
    dialog.setAttribute(Qt.WA_DeleteOnClose)
    dialog.setWindowTitle("Keyboard shortcuts")
    dialog.resize(600, 700)
    text = QtWidgets.QTextBrowser()
    text.setHtml(sheet_html(table, theme))
    layout = QtWidgets.QVBoxLayout(dialog)
    layout.setContentsMargins(18, 10, 18, 14)
    layout.addWidget(text)
    dialog.show()
    return dialog
