# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown and chosen in the annotation window; every pane shows it and any of them may change it."""

from __future__ import annotations

from typing import Literal

from gui.qt import QtCore, Signal
from gui.sessions import AnnotationSession
from hoi_core.conventions import N_JOINTS, SIDES, Side

Target = Literal["joint", "object"]
"""What keys move: the chosen joint, or the chosen object."""
JOINTS_PER_FINGER = 4


class Selection(QtCore.QObject):
    """Frame, hand, joint, view and object.

    Signals:
        moved(): another frame.
        chosen(): another hand, joint, view, object or target.
    """

    moved = Signal()
    chosen = Signal()

    def __init__(self, session: AnnotationSession, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.frame = 0
        self.side: Side = session.sides[0] if session.sides else "right"
        self.joint: int | None = None
        self.view = session.views[0] if session.views else ""
        names = session.object_names
        self.object_name = names[0] if names else ""
        self.point: int | None = None
        self.target: Target = "joint"
        self.placing = False

    def go_to(self, frame: int) -> None:
        """Show a frame; the nearest one that exists."""
        frame = min(max(frame, 0), max(self._session.n_frames - 1, 0))
        if frame != self.frame:
            self.frame = frame
            self.moved.emit()

    def choose_joint(self, joint: int | None) -> None:
        """Choose a joint in `openpose21`, or none."""
        self.joint, self.target = joint, "joint"
        self.chosen.emit()

    def choose_finger(self, finger: int) -> None:
        """Choose a finger's base, 0 is the thumb; again, the next joint towards its tip, and round."""
        first = 1 + JOINTS_PER_FINGER * finger
        inside = self.joint is not None and first <= self.joint < first + JOINTS_PER_FINGER
        along = (self.joint - first + 1) % JOINTS_PER_FINGER if inside and self.joint is not None else 0
        self.choose_joint(first + along)

    def step_joint(self, by: int) -> None:
        """Choose the next joint, or the one before."""
        now = self.joint if self.joint is not None else (-1 if by > 0 else 0)
        self.choose_joint((now + by) % N_JOINTS)

    def choose_side(self, side: Side) -> None:
        """Work on this hand."""
        self.side = side
        self.chosen.emit()

    def other_side(self) -> None:
        """Work on the other hand."""
        self.choose_side(SIDES[1 - SIDES.index(self.side)])

    def choose_view(self, view: str) -> None:
        """Let keys act in this view."""
        if view != self.view:
            self.view = view
            self.chosen.emit()

    def other_view(self) -> None:
        """Let keys act in the next view."""
        views = self._session.views
        if views:
            self.choose_view(views[(views.index(self.view) + 1) % len(views)])

    def choose_object(self, name: str) -> None:
        """Work on this object."""
        self.object_name, self.point = name, None
        self.chosen.emit()

    def next_object(self) -> None:
        """Work on the next object."""
        names = self._session.object_names
        if names:
            at = names.index(self.object_name) + 1 if self.object_name in names else 0
            self.choose_object(names[at % len(names)])

    def set_target(self, target: Target) -> None:
        """Let keys move the joint, or the object."""
        self.target = target
        self.chosen.emit()

    def set_placing(self, *, on: bool) -> None:
        """Whether a click puts the chosen joint or mesh point there."""
        self.placing = on
        self.chosen.emit()
