# SPDX-License-Identifier: GPL-3.0-or-later
"""Small jobs of a window: each on its own thread, the newest of a kind is the one that is heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hoi_core.errors import HoiError

from .qt import QtCore, Signal
from .worker import Job


class Jobs(QtCore.QObject):
    """Runs functions on threads and hands their results back on the window's.

    Signals:
        failed(HoiError): a job that nobody waits for otherwise went wrong.
        idle(): the last running job has ended.
    """

    failed = Signal(object)
    idle = Signal()

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._running: set[Job] = set()
        self._newest: dict[str, Job] = {}

    @property
    def busy(self) -> bool:
        """Whether any job runs."""
        return bool(self._running)

    def run(
        self,
        kind: str,
        work: Callable[[], Any],
        succeeded: Callable[[Any], None],
        failed: Callable[[HoiError], None] | None = None,
    ) -> None:
        """Run `work` on a thread, then `succeeded(result)` here; an older job of the kind is not heard any more."""
        job = Job(lambda _progress, _cancelled: work(), self)
        self._running.add(job)
        self._newest[kind] = job
        job.succeeded.connect(lambda value: succeeded(value) if self._newest.get(kind) is job else None)
        job.failed.connect(failed or self.failed.emit)
        job.ended.connect(lambda: self._ended(job))
        job.start()

    def _ended(self, job: Job) -> None:
        self._running.discard(job)
        job.deleteLater()
        if not self._running:
            self.idle.emit()
