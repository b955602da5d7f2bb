# SPDX-License-Identifier: GPL-3.0-or-later
"""The course of a take: ready, counting down, recording, saving, and again. Owns no widget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from hoi_core.errors import HoiError

from .lab import Lab
from .qt import QtCore, Signal
from .sessions import CaptureSession, RecordReport, RecordRequest
from .worker import Job

FlowState = Literal["idle", "ready", "countdown", "starting", "recording", "saving"]
_TICK_MS = 100
BUSY: tuple[FlowState, ...] = ("starting", "recording", "saving")
"""States in which a take is not finished."""


@dataclass(frozen=True)
class Plan:
    """What to record, and how to begin."""

    request: RecordRequest
    """What to record; an empty sequence takes the next free name."""
    countdown_s: float = 0.0
    """Seconds before it starts."""
    rejects: str = ""
    """The take that this one replaces: marked as rejected once this one runs."""


class TakeFlow(QtCore.QObject):
    """Starts and stops takes on worker threads.

    Args:
        lab: for consent, and to mark takes as rejected.

    Signals:
        changed(): the state is another one.
        ticked(): ten times a second while something counts.
        saved(report, request): a take is on disk.
        failed(HoiError): it did not start, was not saved, or could not be rejected.
        rejected(sequence): an earlier take is marked as rejected.
    """

    changed = Signal()
    ticked = Signal()
    saved = Signal(object, object)
    failed = Signal(object)
    rejected = Signal(str)

    def __init__(self, lab: Lab, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._lab = lab
        self._session: CaptureSession | None = None
        self._job: Job | None = None
        self._starts_at = 0.0
        self._plan: Plan | None = None
        self._again: Plan | None = None
        self.state: FlowState = "idle"
        self.marks = 0
        self.last: RecordRequest | None = None
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self._tick)

    @property
    def busy(self) -> bool:
        """Whether a worker is starting or saving."""
        return self._job is not None

    @property
    def request(self) -> RecordRequest | None:
        """What is being recorded, with the name it got; None between takes."""
        return self._plan.request if self._plan is not None and self.state != "ready" else None

    @property
    def seconds(self) -> float:
        """Seconds recorded so far, or seconds left of the countdown."""
        if self.state == "countdown":
            return max(self._starts_at - time.monotonic(), 0.0)
        return self._session.recorded_s if self._session is not None and self.state == "recording" else 0.0

    def set_session(self, session: CaptureSession | None) -> None:
        """Record from this session from now on; None while no rig is open."""
        self._session = session
        self._timer.stop()
        self._set("idle" if session is None else "ready")

    def start(self, plan: Plan) -> None:
        """Begin a take, after its countdown."""
        if self.state != "ready":
            return
        self._plan, self.marks = plan, 0
        self._starts_at = time.monotonic() + plan.countdown_s
        self._set("countdown")
        self._timer.start(_TICK_MS)
        if plan.countdown_s <= 0:
            self._record()

    def cancel(self) -> None:
        """End the countdown without a take."""
        if self.state == "countdown":
            self._timer.stop()
            self._set("ready")

    def stop(self, again: Plan | None = None) -> None:
        """Save the take; `again` begins another one right after, which rejects this one."""
        session = self._session
        if self.state == "recording" and session is not None:
            self._again = again
            self._timer.stop()
            self._set("saving")
            self._run(lambda _p, _c: session.stop_recording(), self._has_saved)

    def mark(self) -> None:
        """Mark this moment of the recording."""
        session = self._session
        if self.state == "recording" and session is not None:
            try:
                session.mark("")
            except HoiError as error:
                self.failed.emit(error)
            else:
                self.marks += 1
                self.ticked.emit()

    def _record(self) -> None:
        session, plan = self._session, self._plan
        if session is None or plan is None:
            return

        def work(_progress: object, _cancelled: object) -> tuple[Plan, HoiError | None]:
            refusal = self._lab.consent(plan.request.participant).error
            if refusal is not None:
                raise refusal
            request = replace(plan.request, sequence=plan.request.sequence or session.next_sequence())
            session.start_recording(request, request.seconds)
            return replace(plan, request=request), self._reject(plan.rejects)

        self._set("starting")
        self._run(work, self._has_started)

    def _reject(self, sequence: str) -> HoiError | None:
        """Reject a replaced take. The new one runs already: a table that cannot be written must not end it."""
        if not sequence:
            return None
        try:
            self._lab.reject(sequence, "redone")
        except HoiError as error:
            return error
        return None

    def _has_started(self, outcome: tuple[Plan, HoiError | None]) -> None:
        self._plan, error = outcome
        self.last = self._plan.request
        self._set("recording")
        self._timer.start(_TICK_MS)
        if error is not None:
            self.failed.emit(error)
        elif self._plan.rejects:
            self.rejected.emit(self._plan.rejects)

    def _has_saved(self, report: RecordReport) -> None:
        request, again, self._again = self.last, self._again, None
        self._set("idle" if self._session is None else "ready")
        self.saved.emit(report, request)
        if again is not None:
            self.start(again)

    def _has_failed(self, error: HoiError) -> None:
        self._timer.stop()
        self._again = None
        self._set("idle" if self._session is None else "ready")
        self.failed.emit(error)

    def _tick(self) -> None:
        if self.state == "countdown" and time.monotonic() >= self._starts_at:
            self._record()
        elif self.state == "recording" and self._session is not None and not self._session.recording:
            # It ended by itself: the time asked for is over, or the disk is full.
            self.stop()
        self.ticked.emit()

    def _set(self, state: FlowState) -> None:
        self.state = state
        self.changed.emit()

    def _run(self, work: Callable[[Any, Any], Any], succeeded: Callable[[Any], None]) -> None:
        job = Job(work, self)
        self._job = job
        job.succeeded.connect(lambda value: self._deliver(succeeded, value))
        job.failed.connect(lambda error: self._deliver(self._has_failed, error))
        job.ended.connect(job.deleteLater)
        job.start()

    def _deliver(self, function: Callable[[Any], None], value: object) -> None:
        # Free first: what is delivered may begin the next job.
        self._job = None
        function(value)
        self.changed.emit()
