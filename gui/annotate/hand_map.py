# SPDX-License-Identifier: GPL-3.0-or-later
"""A drawing of a hand in which every joint tells what is known about it, and can be chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gui.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from gui.theme import Theme
from hoi_core.conventions import BONES, N_JOINTS, Side, joint_words
from hoi_core.draw import joint_colour
from hoi_core.types import F64, Bool

# A right hand seen from its back, thumb on the left: shares of the width and height.
_PLACES = np.array(
    [
        (0.50, 0.94),
        *((0.33, 0.82), (0.21, 0.69), (0.13, 0.58), (0.06, 0.48)),
        *((0.35, 0.48), (0.32, 0.31), (0.30, 0.19), (0.285, 0.08)),
        *((0.50, 0.45), (0.50, 0.26), (0.50, 0.14), (0.50, 0.03)),
        *((0.64, 0.48), (0.67, 0.31), (0.69, 0.19), (0.705, 0.08)),
        *((0.77, 0.55), (0.83, 0.42), (0.87, 0.32), (0.905, 0.23)),
    ]
)
_MARGIN, _RADIUS = 12.0, 8.0


@dataclass(frozen=True)
class JointStates:
    """What is known about 21 joints in V views."""

    confidence: F64
    """(V, 21) of the 2D evidence in [0, 1]; NaN where there is none."""
    clicked: Bool
    """(V, 21)."""
    occluded: Bool
    """(V, 21)."""
    locked: Bool
    """(21,)."""


class HandMap(QtWidgets.QWidget):
    """One disc for each joint with a part for every view: full where clicked, faint where detected, empty where not.

    Signals:
        chosen(joint): a person clicked it.
    """

    chosen = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._states: JointStates | None = None
        self._side: Side = "right"
        self._joint: int | None = None
        self.setMinimumSize(180, 150)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Expanding)
        self.setMouseTracking(True)

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme
        self.update()

    def show_states(self, states: JointStates, side: Side, joint: int | None) -> None:
        """Show a frame, and which joint is chosen."""
        self._states, self._side, self._joint = states, side, joint
        self.update()

    def places(self) -> F64:
        """`(21, 2)` px where the joints are drawn."""
        share = _PLACES.copy()
        if self._side == "left":
            share[:, 0] = 1.0 - share[:, 0]
        room = np.array([self.width() - 2 * _MARGIN, self.height() - 2 * _MARGIN])
        # A hand is about as wide as high.
        size = np.minimum(room, room.min() * np.array([1.25, 1.0]))
        return np.asarray(_MARGIN + (room - size) / 2 + share * size)

    def joint_at(self, x: float, y: float) -> int | None:
        """The joint under a point of the widget."""
        away = np.linalg.norm(self.places() - [x, y], axis=1)
        joint = int(np.argmin(away))
        return joint if away[joint] <= _RADIUS + 4 else None

    def paintEvent(self, _event: QtGui.QPaintEvent | None) -> None:
        """Paint bones and discs."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        places = self.places()
        painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.border), 2))
        for parent, child in BONES:
            painter.drawLine(QtCore.QPointF(*places[parent]), QtCore.QPointF(*places[child]))
        for joint in range(N_JOINTS):
            self._paint_joint(painter, joint, QtCore.QPointF(*places[joint]))
        painter.end()

    def _paint_joint(self, painter: QtGui.QPainter, joint: int, centre: QtCore.QPointF) -> None:
        box = QtCore.QRectF(centre.x() - _RADIUS, centre.y() - _RADIUS, 2 * _RADIUS, 2 * _RADIUS)
        painter.setPen(Qt.NoPen)
        painter.setBrush(QtGui.QColor(self._theme.surface))
        painter.drawEllipse(box)
        states = self._states
        tint = QtGui.QColor(*joint_colour(joint))
        if joint == 0:
            tint = QtGui.QColor(self._theme.muted)
        if states is not None:
            part = 360 * 16 // max(len(states.confidence), 1)
            for view in range(len(states.confidence)):
                if not np.isfinite(states.confidence[view, joint]):
                    continue
                fill = QtGui.QColor(tint)
                fill.setAlpha(255 if states.clicked[view, joint] else 105)
                painter.setBrush(fill)
                # The first view is the left half.
                painter.drawPie(box, 90 * 16 + view * part, part)
        painter.setBrush(Qt.NoBrush)
        painter.setPen(QtGui.QPen(tint, 1.4))
        painter.drawEllipse(box)
        if states is not None:
            self._paint_marks(painter, states, joint, box)
        if joint == self._joint:
            painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.text), 2))
            painter.drawEllipse(box.adjusted(-4, -4, 4, 4))

    def _paint_marks(self, painter: QtGui.QPainter, states: JointStates, joint: int, box: QtCore.QRectF) -> None:
        painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.text), 1.6))
        count = max(len(states.occluded), 1)
        for view in np.flatnonzero(states.occluded[:, joint]).tolist():
            x = box.left() + (view + 0.5) * box.width() / count
            painter.drawLine(QtCore.QPointF(x - 3, box.center().y() + 3), QtCore.QPointF(x + 3, box.center().y() - 3))
        if states.locked[joint]:
            painter.drawRect(box.adjusted(-1.5, -1.5, 1.5, 1.5))

    def mousePressEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Choose the joint under the pointer."""
        joint = None if event is None else self.joint_at(event.localPos().x(), event.localPos().y())
        if joint is not None:
            self.chosen.emit(joint)

    def mouseMoveEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Name the joint under the pointer."""
        joint = None if event is None else self.joint_at(event.localPos().x(), event.localPos().y())
        self.setCursor(Qt.PointingHandCursor if joint is not None else Qt.ArrowCursor)
        self.setToolTip("" if joint is None else joint_words(joint))
