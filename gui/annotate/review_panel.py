# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that wait for a person, the most doubtful first; rejected ones; those that are written about."""

from __future__ import annotations

import numpy as np

from gui.frame_facts import judge, problem, score, statuses
from gui.panels.segments import Segments
from gui.qt import Qt, QtGui, QtWidgets
from gui.sessions import AnnotationSession
from gui.theme import Theme

from .selection import Selection

_KINDS = (("open", "Open"), ("invalid", "No label"), ("rejected", "Rejected"), ("comments", "Comments"))
# More lines than this nobody reads; the count says how many there are.
_MOST = 200


class ReviewPanel(QtWidgets.QWidget):
    """A list of frames; one click or Enter goes there."""

    def __init__(self, session: AnnotationSession, selection: Selection, theme: Theme) -> None:
        super().__init__()
        self._session, self._selection, self._theme = session, selection, theme
        self._kind = "open"
        self.kinds = Segments(_KINDS, stretch=True)
        self.kinds.chosen.connect(self.show_kind)
        self.count = QtWidgets.QLabel(objectName="muted")
        self.list = QtWidgets.QListWidget()
        self.list.itemClicked.connect(self._go)
        self.list.itemActivated.connect(self._go)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(14, 8, 14, 10)
        column.setSpacing(6)
        column.addWidget(self.kinds)
        column.addWidget(self.count)
        column.addWidget(self.list, 1)

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme
        self.refresh()

    def show_kind(self, kind: str) -> None:
        """Show open frames, those without label, rejected ones, or comments."""
        self._kind = kind
        self.kinds.choose(kind)
        self.refresh()

    def refresh(self) -> None:
        """List the frames as the labels are now."""
        lines = self._lines()
        self.count.setText(f"{len(lines)} of {self._session.n_frames} frames" if lines else "None.")
        self.list.clear()
        for frame, text, tint in lines[:_MOST]:
            item = QtWidgets.QListWidgetItem(f"{frame}   {text}")
            item.setData(Qt.UserRole, frame)
            item.setForeground(QtGui.QColor(tint))
            self.list.addItem(item)
            if frame == self._selection.frame:
                self.list.setCurrentItem(item)

    def _lines(self) -> list[tuple[int, str, str]]:
        revision, side, theme = self._session.revision, self._selection.side, self._theme
        if self._kind == "comments":
            return [(frame, text, theme.text) for frame, text in sorted(revision.comments.items())]
        states = statuses(revision, side)
        if self._kind == "rejected":
            return [(n, "rejected", theme.bad) for n, status in enumerate(states) if status == "rejected"]
        if self._kind == "invalid":
            why = ((n, problem(revision, side, n) or "not fitted yet") for n, s in enumerate(states) if s == "none")
            return [(n, text, theme.text) for n, text in why]
        values = score(revision)
        waiting = [n for n, status in enumerate(states) if status == "auto"]
        waiting.sort(key=lambda n: -np.nan_to_num(values[n], nan=np.inf))
        return [
            (
                n,
                f"{values[n]:.1f} × the limit" if np.isfinite(values[n]) else "nothing to compare with",
                theme.level(judge(float(values[n]))),
            )
            for n in waiting
        ]

    def _go(self, item: QtWidgets.QListWidgetItem) -> None:
        self._selection.go_to(int(item.data(Qt.UserRole)))
