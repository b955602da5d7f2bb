# SPDX-License-Identifier: GPL-3.0-or-later
"""The joints of the hand: which have evidence, and everything about the chosen one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gui.health import UNKNOWN
from gui.panels.segments import Segments
from gui.qt import Qt, QtWidgets
from gui.sessions import AnnotationSession
from gui.theme import Theme
from hoi_core.conventions import N_JOINTS, joint_words
from hoi_core.types import JOINT_SOURCES, MARKS

from .buttons import button_row
from .hand_map import HandMap, JointStates
from .selection import Selection


class JointPanel(QtWidgets.QWidget):
    """A drawing of the hand above the facts of the chosen joint."""

    def __init__(
        self, session: AnnotationSession, selection: Selection, buttons: Sequence[QtWidgets.QAction], theme: Theme
    ) -> None:
        super().__init__()
        self._session, self._selection = session, selection
        self.map = HandMap(theme)
        self.map.chosen.connect(selection.choose_joint)
        self.sides = Segments([("right", "Right hand"), ("left", "Left hand")], stretch=True)
        self.sides.chosen.connect(selection.choose_side)
        self.title = QtWidgets.QLabel(objectName="strong")
        self.facts = QtWidgets.QLabel(objectName="muted")
        self.facts.setWordWrap(True)
        self.facts.setAlignment(Qt.AlignTop)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(14, 8, 14, 10)
        column.setSpacing(6)
        column.addWidget(self.sides)
        column.addWidget(self.map, 1)
        column.addWidget(self.title)
        column.addWidget(self.facts)
        column.addLayout(button_row(buttons))

    def refresh(self) -> None:
        """Show the chosen frame, hand and joint."""
        chosen = self._selection
        self.sides.choose(chosen.side)
        states = self._states()
        self.map.show_states(states, chosen.side, chosen.joint)
        if chosen.joint is None:
            self.title.setText("No joint chosen")
            self.facts.setText("Keys 1 to 5 choose a finger, 0 the wrist, Tab the next joint. Left half: left view.")
            return
        self.title.setText(f"{chosen.side} {joint_words(chosen.joint)}".capitalize())
        self.facts.setText("\n".join(self._lines(states, chosen.joint)))

    def _states(self) -> JointStates:
        revision, side, frame = self._session.revision, self._selection.side, self._selection.frame
        views = self._session.views
        confidence = np.full((len(views), N_JOINTS), np.nan)
        marks = np.zeros((len(views), N_JOINTS), np.uint8)
        held = revision.keypoints.get(side)
        for n, view in enumerate(views):
            if held is not None and view in held.by_view and self._session.n_frames:
                points = held.by_view[view][frame]
                confidence[n] = np.where(np.isfinite(points[:, 0]), np.nan_to_num(points[:, 2], nan=1.0), np.nan)
            if held is not None and view in held.marks and self._session.n_frames:
                marks[n] = held.marks[view][frame]
        locked = revision.locked.get(side)
        return JointStates(
            confidence,
            (marks & MARKS["clicked"]) > 0,
            (marks & MARKS["occluded"]) > 0,
            locked[frame] if locked is not None and self._session.n_frames else np.zeros(N_JOINTS, bool),
        )

    def _lines(self, states: JointStates, joint: int) -> list[str]:
        lines = []
        for n, view in enumerate(self._session.views):
            confidence = states.confidence[n, joint]
            said = UNKNOWN
            if np.isfinite(confidence):
                said = "clicked" if states.clicked[n, joint] else f"detected, confidence {confidence:.2f}"
            lines.append(f"{view}: {said}{', occluded' if states.occluded[n, joint] else ''}")
        lines.append(self._label_line(joint) + (", locked" if states.locked[joint] else ""))
        return lines

    def _label_line(self, joint: int) -> str:
        side, frame = self._selection.side, self._selection.frame
        track = self._session.revision.hands.get(side)
        if track is None or not track.valid[frame]:
            return "no label at this frame"
        words = [JOINT_SOURCES[track.joint_source[frame, joint]]]
        covariance_m2 = track.joint_cov_m2[frame, joint]
        if np.isfinite(covariance_m2).all():
            widest_m2 = max(float(np.linalg.eigvalsh(covariance_m2)[-1]), 0.0)
            words.append(f"± {1e3 * np.sqrt(widest_m2):.1f} mm where widest")
        away_m = np.linalg.norm(self._session.triangulated(side, frame)[joint] - track.joints_m[frame, joint])
        if np.isfinite(away_m):
            words.append(f"{1e3 * away_m:.1f} mm from its rays")
        return "label: " + ", ".join(words)
