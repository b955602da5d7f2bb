# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that takes seconds: fitting, refitting, saving; one at a time, with progress, in the window's status bar."""

from __future__ import annotations

from collections.abc import Callable

from gui.qt import QtWidgets, Signal
from gui.worker import Job
from hoi_core.errors import HoiError


class LongWork(QtWidgets.QWidget):
    """What runs, how far it is, and a button to stop it; hidden while nothing runs.

    Signals:
        changed(): something begins or has ended.
        failed(HoiError): it went wrong.
        cancelled(name): it was stopped.
    """

    changed = Signal()
    failed = Signal(object)
    cancelled = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._job: Job | None = None
        self.name, self.changes_labels = "", False
        self.message = QtWidgets.QLabel(objectName="muted")
        self.progress = QtWidgets.QProgressBar()
        self.progress.setFixedWidth(200)
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.button = QtWidgets.QPushButton("Cancel", objectName="flat")
        self.button.clicked.connect(self.cancel)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 8, 0)
        for widget in (self.message, self.progress, self.button):
            row.addWidget(widget)
        self.hide()

    @property
    def running(self) -> bool:
        """Whether something runs."""
        return self._job is not None

    def cancel(self) -> None:
        """Ask what runs to stop."""
        if self._job is not None and self.button.isVisibleTo(self):
            self._job.cancel()

    def run(
        self,
        name: str,
        work: Callable[..., object],
        succeeded: Callable[..., None],
        *,
        changes_labels: bool,
        can_stop: bool = True,
    ) -> bool:
        """Begin, unless something runs already.

        Args:
            name: what is done, as people say it: `Fitting`.
            work: called with (progress, cancelled) on a thread.
            succeeded: called with its result here.
            changes_labels: labels must not be changed meanwhile.
            can_stop: it looks at `cancelled`.

        Returns:
            Whether it began.
        """
        if self._job is not None:
            return False
        job = Job(work, self)
        self._job, self.name, self.changes_labels = job, name, changes_labels
        job.progressed.connect(self._show)
        job.succeeded.connect(succeeded)
        job.failed.connect(self._failed)
        job.cancelled.connect(lambda: self.cancelled.emit(name))
        job.ended.connect(self._ended)
        self.button.setVisible(can_stop)
        self._show(0.0, "")
        self.show()
        self.changed.emit()
        job.start()
        return True

    def _show(self, share: float, text: str) -> None:
        self.progress.setValue(round(1000 * share))
        self.message.setText(f"{self.name} …  {text}" if text else f"{self.name} …")

    def _failed(self, error: HoiError) -> None:
        self.failed.emit(error)

    def _ended(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.deleteLater()
        self.name, self.changes_labels = "", False
        self.hide()
        self.changed.emit()
