# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens what shows a finished take beside the recording window: its report, and the window that plays it."""

from __future__ import annotations

from pathlib import Path

from hoi_core.errors import HoiError

from .jobs import Jobs
from .qt import Qt, QtCore, QtWidgets, Signal
from .report_dialog import ReportDialog
from .theme import Theme
from .view_window import ViewWindow


class TakeReviews(QtCore.QObject):
    """Windows over takes beside the recording window.

    Signals:
        failed(HoiError): a take cannot be read.
    """

    failed = Signal(object)

    def __init__(self, root: Path, jobs: Jobs, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._root = root
        self.report = ReportDialog(jobs, self)
        self.report.failed.connect(self.failed)
        self.views: list[ViewWindow] = []

    def show_report(self, parent: QtWidgets.QWidget, sequence: str, theme: Theme) -> None:
        """Read a take on a thread, then show its report."""
        self.report.show_take(parent, self._folder(sequence), theme)

    def replay(self, sequence: str, theme: Theme) -> None:
        """Play a take in a window of its own."""
        try:
            window = ViewWindow(self._folder(sequence), theme)
        except HoiError as error:
            self.failed.emit(error)
            return
        window.setAttribute(Qt.WA_DeleteOnClose)
        window.destroyed.connect(lambda: self.views.remove(window) if window in self.views else None)
        self.views.append(window)
        window.show()

    def close(self) -> None:
        """Close all of them."""
        self.report.close()
        for window in list(self.views):
            window.close()

    def _folder(self, sequence: str) -> Path:
        return self._root / "sequences" / sequence
