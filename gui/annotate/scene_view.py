# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture in three dimensions that can be turned, moved and zoomed, with joints and cameras over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gui.image_view import ImageView
from gui.qt import Qt, QtCore, QtGui, Signal
from gui.theme import DARK, Theme
from hoi_core import draw
from hoi_core.conventions import BONES
from hoi_core.types import F32, F64, Bool, Camera

from .scene import Orbit, Scene, draw_scene, surface_point_m

_BACKGROUND = (13, 15, 19)
_GRIP_PX = 12.0
# Arms of the drawn cameras, m.
_FRUSTUM_M = 0.05


@dataclass(frozen=True)
class Marks:
    """Joints and cameras that stand in the scene."""

    joints_m: F64 | None = None
    """(21, 3) m; None for none."""
    chosen: int | None = None
    cameras: Sequence[Camera] = ()
    points_m: F64 | None = None
    """(K, 3) m, marked by rings."""
    point: int | None = None
    """The chosen one of them."""


class SceneView(ImageView):
    """Drag turns, right drag moves, the wheel zooms, a double click shows everything again.

    Signals:
        joint_chosen(joint): a person clicked a joint.
        surface_chosen(x, y, z): a person clicked a mesh there, m.
        orbit_changed(): it is looked at from elsewhere.
    """

    joint_chosen = Signal(int)
    surface_chosen = Signal(float, float, float)
    orbit_changed = Signal()

    def __init__(self, theme: Theme, title: str) -> None:
        super().__init__(theme, title)
        self.orbit = self.home = Orbit()
        self.scene = Scene(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), ())
        self.marks = Marks()
        self._surface_m: F32 = np.zeros((1, 1), np.float32)
        self._camera = self.orbit.camera(64, 64)
        self._pressed: QtCore.QPointF | None = None
        self._turned = False
        self._drawn = False
        self.resized.connect(self.redraw)

    def set_scene(self, scene: Scene, marks: Marks) -> None:
        """Look at something else from the same side."""
        self.scene, self.marks = scene, marks
        self.redraw()

    def set_orbit(self, orbit: Orbit) -> None:
        """Look from elsewhere."""
        self.orbit = orbit
        self.orbit_changed.emit()
        self.redraw()

    def redraw(self) -> None:
        """Draw before the next paint."""
        self._drawn = False
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent | None) -> None:
        """Draw what has changed, and paint."""
        if not self._drawn:
            self._drawn = True
            area = self.area()
            self._camera = self.orbit.camera(max(int(area.width()), 16), max(int(area.height()), 16))
            picture, self._surface_m = draw_scene(self.scene, self._camera, _BACKGROUND)
            self._take_image(picture)
        super().paintEvent(event)

    def to_widget(self, points_m: F64) -> F64:
        """Points of the world `(N, 3)` m to points of this widget."""
        where = self.target()
        return np.asarray(draw.world_to_pixels(self._camera, points_m) + 0.5 + [where.left(), where.top()])

    def paint_over(self, painter: QtGui.QPainter) -> None:
        """Paint joints, cameras and marked points."""
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        for camera in self.marks.cameras:
            self._paint_camera(painter, camera)
        if self.marks.joints_m is not None:
            self._paint_joints(painter, self.to_widget(self.marks.joints_m))
        if self.marks.points_m is not None and len(self.marks.points_m):
            for k, at in enumerate(self.to_widget(self.marks.points_m)):
                chosen = k == self.marks.point
                painter.setBrush(QtGui.QColor(DARK.accent) if chosen else Qt.NoBrush)
                painter.setPen(QtGui.QPen(QtGui.QColor("#f1f3f6"), 2 if chosen else 1.2))
                if np.isfinite(at).all():
                    painter.drawEllipse(QtCore.QPointF(*at), 6 if chosen else 3.5, 6 if chosen else 3.5)

    def _paint_joints(self, painter: QtGui.QPainter, places: F64) -> None:
        shown: Bool = np.asarray(np.isfinite(places).all(-1))
        for parent, child in BONES:
            if shown[parent] and shown[child]:
                painter.setPen(QtGui.QPen(QtGui.QColor(*draw.joint_colour(child)), 1.6))
                painter.drawLine(QtCore.QPointF(*places[parent]), QtCore.QPointF(*places[child]))
        for joint in np.flatnonzero(shown).tolist():
            chosen = joint == self.marks.chosen
            painter.setPen(QtGui.QPen(QtGui.QColor("#f1f3f6" if chosen else "#0d0f13"), 2 if chosen else 1))
            painter.setBrush(QtGui.QColor(*draw.joint_colour(joint)))
            painter.drawEllipse(QtCore.QPointF(*places[joint]), 6 if chosen else 3, 6 if chosen else 3)

    def _paint_camera(self, painter: QtGui.QPainter, camera: Camera) -> None:
        wide, high = 0.5 * camera.width / camera.fx, 0.5 * camera.height / camera.fy
        corners = np.array([[-wide, -high, 1], [wide, -high, 1], [wide, high, 1], [-wide, high, 1]]) * _FRUSTUM_M
        local = np.concatenate([np.zeros((1, 3)), corners])
        pose = camera.T_world_cam
        places = self.to_widget(local @ pose[:3, :3].T + pose[:3, 3])
        if not np.isfinite(places).all():
            return
        painter.setPen(QtGui.QPen(QtGui.QColor(151, 161, 176), 1.2))
        for a, b in ((0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1)):
            painter.drawLine(QtCore.QPointF(*places[a]), QtCore.QPointF(*places[b]))

    def wheelEvent(self, event: QtGui.QWheelEvent | None) -> None:
        """Come nearer or go away."""
        if event is not None:
            self.set_orbit(self.orbit.nearer(0.9988 ** event.angleDelta().y()))
            event.accept()

    def mousePressEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Begin to turn, or to choose."""
        if event is not None and self.area().contains(event.localPos()):
            self._pressed, self._turned = event.localPos(), False
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Turn, or move what one looks at."""
        if event is None or self._pressed is None:
            return
        step = event.localPos() - self._pressed
        if not self._turned and step.manhattanLength() < 4:
            return
        self._pressed, self._turned = event.localPos(), True
        if event.buttons() & Qt.RightButton or event.modifiers() & Qt.ShiftModifier:
            scale = self.orbit.distance_m / self._camera.fx
            self.set_orbit(self.orbit.shifted(-step.x() * scale, step.y() * scale))
        else:
            self.set_orbit(self.orbit.turned(-0.009 * step.x(), 0.009 * step.y()))

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """A press that turned nothing chooses a joint, or a place on a mesh."""
        if event is not None and self._pressed is not None and not self._turned:
            self._choose_at(event.localPos())
        self._pressed = None
        super().mouseReleaseEvent(event)

    def _choose_at(self, point: QtCore.QPointF) -> None:
        if self.marks.joints_m is not None:
            away = np.linalg.norm(self.to_widget(self.marks.joints_m) - [point.x(), point.y()], axis=1)
            joint = int(np.argmin(np.nan_to_num(away, nan=np.inf)))
            if away[joint] < _GRIP_PX:
                self.joint_chosen.emit(joint)
                return
        where = self.target()
        x, y = int(point.x() - where.left()), int(point.y() - where.top())
        found = surface_point_m(self._camera, self._surface_m, x, y)
        if found is not None:
            self.surface_chosen.emit(*found.tolist())

    def mouseDoubleClickEvent(self, _event: QtGui.QMouseEvent | None) -> None:
        """Look from where one looked first."""
        self.set_orbit(self.home)
