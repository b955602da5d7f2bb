# SPDX-License-Identifier: GPL-3.0-or-later
"""The window that plays a recording: all streams in time, with what is missing and why."""

from __future__ import annotations

from pathlib import Path

from . import theme as themes
from .qt import QtWidgets


class ViewWindow(QtWidgets.QMainWindow):
    """Plays one recording.

    Args:
        folder: of the sequence, or its `capture.h5`.
        theme: the colours.
    """

    def __init__(self, folder: Path, theme: themes.Theme) -> None:
        super().__init__()
        self.folder, self._theme = folder, theme
