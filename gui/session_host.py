# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds the one open rig of a window: opens, changes and closes it on another thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from hoi_core.errors import HoiError

from .qt import QtCore, Signal
from .sessions import CaptureSession
from .worker import Job

HostState = Literal["closed", "opening", "open", "closing", "failed"]


class SessionHost(QtCore.QObject):
    """Opens rigs one after the other; what is asked for while it is busy is done afterwards, the last wish wins.

    Args:
        open_session: makes the session of a rig by name; called on a worker thread, as it may take seconds.

    Signals:
        changed(): the state is another one.
        opened(session), closed(), failed(HoiError).
    """

    changed = Signal()
    opened = Signal(object)
    closed = Signal()
    failed = Signal(object)

    def __init__(self, open_session: Callable[[str], CaptureSession], parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._open_session = open_session
        self.session: CaptureSession | None = None
        self.state: HostState = "closed"
        self.rig = ""
        self._job: Job | None = None
        self._wish: str | None = None

    @property
    def busy(self) -> bool:
        """Whether a rig is being opened or closed."""
        return self._job is not None or self.state in ("opening", "closing")

    def open(self, rig: str) -> None:
        """Open a rig; the one that is open is closed first."""
        if self.busy or self.session is not None:
            self._wish = rig
            if not self.busy:
                self._close()
            return
        self.rig = rig
        self._set("opening")
        self._run(lambda _progress, _cancelled: self._started(rig), self._has_opened)

    def close(self) -> None:
        """Close the rig; a running recording is completed first."""
        self._wish = "" if self.busy else None
        if not self.busy:
            self._close()

    def _close(self) -> None:
        session, self.session = self.session, None
        if session is None:
            self._has_closed()
            return
        self._set("closing")
        self._run(lambda _progress, _cancelled: session.stop(), lambda _: self._has_closed())

    def _started(self, rig: str) -> CaptureSession:
        session = self._open_session(rig)
        try:
            session.start()
        except BaseException:
            session.stop()
            raise
        return session

    def _has_opened(self, session: CaptureSession) -> None:
        self.session = session
        self.state = "open"
        if self._wish is None:
            # Otherwise it is closed again at once, and nobody needs to hear of it.
            self.changed.emit()
            self.opened.emit(session)

    def _has_closed(self) -> None:
        self._set("closed")
        self.closed.emit()

    def _has_failed(self, error: HoiError) -> None:
        # A session that fails to stop is given up: its file was flushed twice a second and can be recovered.
        self._set("failed")
        self.failed.emit(error)

    def _set(self, state: HostState) -> None:
        self.state = state
        self.changed.emit()

    def _run(self, work: Callable[[Any, Any], Any], succeeded: Callable[[Any], None]) -> None:
        job = Job(work, self)
        self._job = job
        job.succeeded.connect(succeeded)
        job.failed.connect(self._has_failed)
        job.ended.connect(lambda: self._ended(job))
        job.start()

    def _ended(self, job: Job) -> None:
        self._job = None
        job.deleteLater()
        wish, self._wish = self._wish, None
        if wish:
            self.open(wish)
        elif wish == "":
            self._close()
        else:
            self.changed.emit()
