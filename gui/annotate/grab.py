# SPDX-License-Identifier: GPL-3.0-or-later
"""A joint in the hand of a person: fits on a thread of its own while the pointer moves; the newest place wins."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from gui.qt import QtCore, Signal
from gui.sessions import AnnotationSession, Drag, DragView
from hoi_core.conventions import Side
from hoi_core.errors import HoiError

log = logging.getLogger(__name__)
# Keys move in steps; this long after the last one the joint is let go.
_KEYS_REST_MS = 700


@dataclass(frozen=True)
class Hold:
    """What is held."""

    side: Side
    joint: int
    view: str
    frame: int


class Grab(QtCore.QObject):
    """Moves one joint at a time, by pointer or keys; one undoable step for each time it is held.

    A hand with a label follows through the session's drag; without one, the 2D point alone is placed.

    Signals:
        followed(DragView): the hand where the joint was moved to; as often as the fit allows.
        moved(): the joint was moved; the hand follows.
        settled(): the joint was let go; the labels have changed.
        failed(HoiError): it cannot be moved; nothing has changed.
    """

    followed = Signal(object)
    moved = Signal()
    settled = Signal()
    failed = Signal(object)
    _answered = Signal(int)

    def __init__(self, session: AnnotationSession, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._worker: _Worker | None = None
        self._count = 0
        self.hold: Hold | None = None
        self.at_px = (0.0, 0.0)
        self.latencies_s: list[float] = []
        self._moved = False
        self._rest = QtCore.QTimer(self, singleShot=True, interval=_KEYS_REST_MS)
        self._rest.timeout.connect(self.release)
        self._answered.connect(self._show)

    @property
    def held(self) -> bool:
        """Whether a joint is held."""
        return self.hold is not None

    def grip(self, hold: Hold, at_px: tuple[float, float]) -> None:
        """Take hold of a joint that lies at a pixel of a view."""
        self.release()
        self.hold, self.at_px, self._moved = hold, at_px, False
        track = self._session.revision.hands.get(hold.side)
        if track is not None and bool(track.valid[hold.frame]):
            self._count += 1
            count = self._count
            self._worker = _Worker(
                lambda: self._session.begin_drag(hold.side, hold.frame),
                lambda: self._answered.emit(count),
            )

    def move(self, u: float, v: float, *, keys: bool = False) -> None:
        """Move the joint to a pixel; with keys it is let go after a rest."""
        if self.hold is None:
            return
        self.at_px, self._moved = (u, v), True
        if self._worker is not None:
            self._worker.move(self.hold.view, self.hold.joint, self.at_px)
        if keys:
            self._rest.start()
        self.moved.emit()

    def release(self) -> None:
        """Let go: the labels take over where the joint is."""
        hold, worker, moved = self._end()
        if hold is None:
            return
        if not moved:
            if worker is not None:
                worker.end(keep=False)
            return
        try:
            if worker is None or not worker.end(keep=True):
                self._session.set_keypoint(hold.side, hold.frame, hold.view, hold.joint, self.at_px)
        except HoiError as error:
            self.failed.emit(error)
        self.settled.emit()

    def cancel(self) -> None:
        """Let go: the labels stay as they were."""
        hold, worker, _ = self._end()
        if worker is not None:
            worker.end(keep=False)
        if hold is not None:
            self.settled.emit()

    def _end(self) -> tuple[Hold | None, _Worker | None, bool]:
        out = self.hold, self._worker, self._moved
        self._rest.stop()
        self.hold, self._worker, self._moved = None, None, False
        return out

    def _show(self, count: int) -> None:
        # Of fits that came faster than they can be drawn, only the newest is.
        answer = self._worker.take() if self._worker is not None and count == self._count else None
        if answer is None or self._worker is None:
            return
        if isinstance(answer, HoiError):
            self._worker.end(keep=False)
            self._end()
            self.failed.emit(answer)
            self.settled.emit()
            return
        asked_s, view = answer
        self.followed.emit(view)
        self.latencies_s.append(time.monotonic() - asked_s)


class _Worker(threading.Thread):
    """Fits the newest place that it was told, again and again."""

    def __init__(self, begin: Callable[[], Drag], told: Callable[[], None]) -> None:
        super().__init__(name="drag", daemon=True)
        self._begin, self._told = begin, told
        self._newest: tuple[float, DragView] | HoiError | None = None
        self._drag: Drag | None = None
        self._wanted: tuple[float, str, int, tuple[float, float]] | None = None
        self._news = threading.Condition()
        self._ended = False
        self._failed: HoiError | None = None
        self.start()

    def move(self, view: str, joint: int, px: tuple[float, float]) -> None:
        """Fit with the joint there, unless it is moved again before that begins."""
        with self._news:
            self._wanted = (time.monotonic(), view, joint, px)
            self._news.notify()

    def take(self) -> tuple[float, DragView] | HoiError | None:
        """The newest fit or error, once."""
        with self._news:
            answer, self._newest = self._newest, None
        return answer

    def _answer(self, answer: tuple[float, DragView] | HoiError) -> None:
        with self._news:
            self._newest = answer
        self._told()

    def end(self, *, keep: bool) -> bool:
        """Stop, and take over the last move or not; waits for the fit that runs.

        Returns:
            Whether the move was taken over; False where no drag could begin.

        Raises:
            HoiError: the fit failed.
        """
        with self._news:
            wanted, self._wanted = self._wanted, None
            self._ended = True
            self._news.notify()
        self.join()
        if self._drag is None:
            return False
        if not keep or self._failed is not None:
            self._drag.cancel()
            if keep and self._failed is not None:
                raise self._failed
            return False
        if wanted is not None:
            self._drag.move(*wanted[1:])
        self._drag.finish()
        return True

    def run(self) -> None:
        """The thread's body."""
        try:
            self._drag = self._begin()
            while self._fit_newest():
                pass
        except HoiError as error:
            self._fail(error)
        except Exception as error:
            # A bug in the fit must reach the person, not end the drag without a word.
            log.exception("drag failed")
            self._fail(HoiError(f"unexpected {type(error).__name__}: {error}.", "Copy the details and report them."))

    def _fail(self, error: HoiError) -> None:
        self._failed = error
        self._answer(error)

    def _fit_newest(self) -> bool:
        with self._news:
            while self._wanted is None and not self._ended:
                self._news.wait()
            if self._ended or self._wanted is None:
                return False
            (asked_s, view, joint, px), self._wanted = self._wanted, None
        if self._drag is not None:
            self._answer((asked_s, self._drag.move(view, joint, px)))
        return True
