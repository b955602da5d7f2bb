# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds the calibration page, which is made when it is first shown and uses the rig that is open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gui.qt import Qt, QtWidgets
from gui.sessions import CaptureSession
from gui.theme import Theme
from hoi_core.errors import DeviceError

if TYPE_CHECKING:
    from gui.calibrate_page import CalibratePage


class CalibrateHost(QtWidgets.QWidget):
    """A page that waits for a rig, then shows the calibration.

    Args:
        theme: the colours.
        root: the dataset.
    """

    def __init__(self, theme: Theme, root: Path) -> None:
        super().__init__()
        self._theme, self._root = theme, root
        self._session: CaptureSession | None = None
        self._shown = False
        self.page: CalibratePage | None = None
        self.empty = QtWidgets.QLabel("No rig is open.\nOpen one on the Rig page (Ctrl+1).")
        self.empty.setObjectName("muted")
        self.empty.setAlignment(Qt.AlignCenter)
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.empty)

    def set_session(self, session: CaptureSession | None) -> None:
        """Use this session; None while no rig is open."""
        if session is not self._session:
            self._session = session
            self._update()

    def set_shown(self, shown: bool) -> None:
        """Tell whether somebody looks at the page."""
        self._shown = shown
        self._update()

    def _update(self) -> None:
        running = self._shown and self._session is not None
        if running and self.page is None:
            from gui.calibrate_page import CalibratePage

            self.page = CalibratePage(self._theme, self._borrowed, self._root)
            self._column.addWidget(self.page)
        self.empty.setVisible(self._session is None)
        if self.page is not None:
            self.page.setVisible(self._session is not None)
            if running:
                self.page.start()
            else:
                self.page.stop()

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme

    def _borrowed(self) -> CaptureSession:
        if self._session is None:
            raise DeviceError("no rig is open.", "Open one on the Rig page.")
        return self._session
