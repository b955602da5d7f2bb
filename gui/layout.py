# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembers where a window was and how large, from one run to the next."""

from __future__ import annotations

from .qt import QtCore, QtWidgets


def recall(window: QtWidgets.QMainWindow, name: str, width: int = 1400, height: int = 850) -> None:
    """Give a window its last place and size, or the given size the first time."""
    window.resize(width, height)
    geometry = QtCore.QSettings().value(f"{name}/geometry")
    if isinstance(geometry, QtCore.QByteArray):
        window.restoreGeometry(geometry)


def remember(window: QtWidgets.QMainWindow, name: str) -> None:
    """Store a window's place and size."""
    QtCore.QSettings().setValue(f"{name}/geometry", window.saveGeometry())
