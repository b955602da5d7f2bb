# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the report of a finished take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .jobs import Jobs
from .qt import QtCore, QtWidgets, Signal
from .theme import Theme

if TYPE_CHECKING:
    from capture.report import TakeReport

_SIZE = (920, 720)


class ReportDialog(QtCore.QObject):
    """One dialog at a time, over whichever take was asked for last.

    Signals:
        failed(HoiError): a take cannot be read.
    """

    failed = Signal(object)

    def __init__(self, jobs: Jobs, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs = jobs
        self.dialog: QtWidgets.QDialog | None = None

    def show_take(self, parent: QtWidgets.QWidget, folder: Path, theme: Theme) -> None:
        """Read the take in a folder on a thread, then show its report."""
        from capture.report import take_report

        from .panels.report import TakeReportView

        def show(report: TakeReport) -> None:
            self.close()
            dialog = QtWidgets.QDialog(parent)
            dialog.setWindowTitle(f"Report of {folder.name}")
            dialog.resize(*_SIZE)
            view = TakeReportView(theme)
            view.show_report(report)
            layout = QtWidgets.QVBoxLayout(dialog)
            layout.setContentsMargins(12, 12, 12, 12)
            layout.addWidget(view)
            self.dialog = dialog
            dialog.show()

        self._jobs.run("report", lambda: take_report(folder), show, self.failed.emit)

    def close(self) -> None:
        """Close the dialog, if one is open."""
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.close()
            dialog.deleteLater()
