# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the sequence as fast as it happened."""

from __future__ import annotations

import time

import numpy as np

from gui.qt import QtCore, Signal
from gui.sessions import AnnotationSession

from .selection import Selection

_TICK_MS = 15


class Player(QtCore.QObject):
    """Steps through the frames by their times; frames for which there is no time are skipped.

    Signals:
        ticked(): another frame is chosen; to be drawn at once.
        switched(): it began or stopped.
    """

    ticked = Signal()
    switched = Signal()

    def __init__(self, session: AnnotationSession, selection: Selection, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._selection = session, selection
        self._from = (0.0, 0)
        self._timer = QtCore.QTimer(self, interval=_TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def playing(self) -> bool:
        """Whether it plays."""
        return bool(self._timer.isActive())

    def toggle(self) -> None:
        """Play, or stop; at the end, from the beginning."""
        if self.playing:
            self.stop()
        elif self._session.n_frames:
            if self._selection.frame >= self._session.n_frames - 1:
                self._selection.go_to(0)
            self.restart()
            self._timer.start()
            self.switched.emit()

    def stop(self) -> None:
        """Stay at the frame."""
        if self.playing:
            self._timer.stop()
            self.switched.emit()

    def restart(self) -> None:
        """Go on from the chosen frame."""
        self._from = (time.monotonic(), self._selection.frame)

    def _tick(self) -> None:
        t_ns = self._session.revision.t_ns
        start_s, first = self._from
        now_ns = t_ns[first] + int((time.monotonic() - start_s) * 1e9)
        frame = int(np.searchsorted(t_ns, now_ns, side="right")) - 1
        if frame != self._selection.frame:
            self._selection.frame = frame
            self.ticked.emit()
        if frame >= self._session.n_frames - 1:
            self.stop()
