# SPDX-License-Identifier: GPL-3.0-or-later
"""A long job on a thread of its own: progress, cancel, result or error, all delivered on the window's thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from hoi_core.errors import HoiError

from .qt import QtCore, Signal

log = logging.getLogger(__name__)
Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]


class Job(QtCore.QThread):
    """Runs `work(progress, cancelled)`; keep a reference until `ended`.

    Signals:
        progressed(share in [0, 1], what is being done)
        succeeded(the result), failed(a HoiError), cancelled(): exactly one of them.
        ended(): after that one.
    """

    progressed = Signal(float, str)
    succeeded = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    ended = Signal()

    def __init__(self, work: Callable[[Progress, Cancelled], Any], parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._work = work
        self._cancel = threading.Event()
        self._outcome: tuple[str, Any] = ("failed", HoiError("the job did not run."))
        self.finished.connect(self._deliver)

    def cancel(self) -> None:
        """Ask the job to stop; it ends at its next check."""
        self._cancel.set()

    def run(self) -> None:
        """The thread's body; called by Qt."""
        try:
            result = self._work(self.progressed.emit, self._cancel.is_set)
        except HoiError as error:
            self._outcome = ("failed", error)
        except Exception as error:
            # A bug in a job must reach the person, not end the program.
            log.exception("background job failed")
            message = f"unexpected {type(error).__name__}: {error}."
            self._outcome = ("failed", HoiError(message, "Copy the details and report them."))
        else:
            self._outcome = ("succeeded", result)

    def _deliver(self) -> None:
        kind, value = self._outcome
        if self._cancel.is_set():
            self.cancelled.emit()
        elif kind == "succeeded":
            self.succeeded.emit(value)
        else:
            self.failed.emit(value)
        self.ended.emit()
