# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens what shows a finished take: its report, and the window that plays it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hoi_core.errors import HoiError

from .jobs import Jobs
from .qt import Qt, QtCore, QtWidgets, Signal
from .theme import Theme

if TYPE_CHECKING:
    from capture.report import TakeReport

    from .view_window import ViewWindow

_REPORT_SIZE = (920, 720)


class TakeReviews(QtCore.QObject):
    """Windows over takes beside the recording window.

    Signals:
        failed(HoiError): a take cannot be read.
    """

    failed = Signal(object)

    def __init__(self, root: Path, jobs: Jobs, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._root, self._jobs = root, jobs
        self.report: QtWidgets.QDialog | None = None
        self.views: list[ViewWindow] = []

    def show_report(self, parent: QtWidgets.QWidget, sequence: str, theme: Theme) -> None:
        """Read a take on a thread, then show its report."""
        from capture.report import take_report

        from .panels.report import TakeReportView

        def show(report: TakeReport) -> None:
            self._close_report()
            dialog = QtWidgets.QDialog(parent)
            dialog.setWindowTitle(f"Report of {sequence}")
            dialog.resize(*_REPORT_SIZE)
            view = TakeReportView(theme)
            view.show_report(report)
            layout = QtWidgets.QVBoxLayout(dialog)
            layout.setContentsMargins(12, 12, 12, 12)
            layout.addWidget(view)
            self.report = dialog
            dialog.show()

        self._jobs.run("report", lambda: take_report(self._folder(sequence)), show, self.failed.emit)

    def replay(self, sequence: str, theme: Theme) -> None:
        """Play a take in a window of its own."""
        from .view_window import ViewWindow

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
        self._close_report()
        for window in list(self.views):
            window.close()

    def _close_report(self) -> None:
        report, self.report = self.report, None
        if report is not None:
            report.close()
            report.deleteLater()

    def _folder(self, sequence: str) -> Path:
        return self._root / "sequences" / sequence
