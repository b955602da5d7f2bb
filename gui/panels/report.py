# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a take: what was recorded, how well, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gui.qt import QtWidgets
from gui.theme import Theme

if TYPE_CHECKING:
    from capture.report import TakeReport


class TakeReportView(QtWidgets.QWidget):
    """Shows one report."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.report: TakeReport | None = None

    def show_report(self, report: TakeReport | None) -> None:
        """Show a report; None clears."""
        self.report = report
