# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that calibrates the cameras of an open rig, step by step, and checks them for the day."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .qt import QtWidgets
from .sessions import CaptureSession
from .theme import Theme


class CalibratePage(QtWidgets.QWidget):
    """Calibration as a wizard.

    Args:
        theme: the colours.
        open_session: gives the running session of the rig that is open; it stays the caller's.
        root: the dataset.
    """

    def __init__(self, theme: Theme, open_session: Callable[[], CaptureSession], root: Path) -> None:
        super().__init__()
        self._theme, self._open_session, self._root = theme, open_session, root

    def start(self) -> None:
        """Begin to look at the cameras."""

    def stop(self) -> None:
        """Look no more; what was collected stays."""
