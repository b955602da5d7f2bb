# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoable steps of annotation; each is one reversible call of the session."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hoi_core.types import Revision, Status

from .qt import QtWidgets
from .sessions import AnnotationSession


class SetStatus(QtWidgets.QUndoCommand):
    """Accept or reject frames."""

    def __init__(
        self, session: AnnotationSession, frames: Sequence[int], status: Status, changed: Callable[[], None]
    ) -> None:
        where = f"frame {frames[0]}" if len(frames) == 1 else f"{len(frames)} frames"
        super().__init__(f"{status} {where}")
        self._session, self._frames, self._status, self._changed = session, tuple(frames), status, changed
        self._before: tuple[Status, ...] = ()

    def redo(self) -> None:
        """Set the status; called by the stack when pushed, too."""
        self._before = self._session.set_status(self._frames, self._status)
        self._changed()

    def undo(self) -> None:
        """Put the old one back."""
        self._session.restore_status(self._frames, self._before)
        self._changed()


class AdoptFit(QtWidgets.QUndoCommand):
    """Replace the labels by those of a new fit."""

    def __init__(self, session: AnnotationSession, fitted: Revision, changed: Callable[[], None]) -> None:
        super().__init__("automatic fit")
        self._session, self._after, self._before, self._changed = session, fitted, session.revision, changed

    def redo(self) -> None:
        """Take the fit."""
        self._session.adopt(self._after)
        self._changed()

    def undo(self) -> None:
        """Go back to the labels before it."""
        self._session.adopt(self._before)
        self._changed()
