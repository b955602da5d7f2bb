# SPDX-License-Identifier: GPL-3.0-or-later
"""One camera's view to work in: the image with meshes, joints and evidence over it, and a pointer that grips joints."""

from __future__ import annotations

import numpy as np

from gui.image_view import ImageView
from gui.kept import Kept
from gui.qt import Qt, QtCore, QtGui, Signal
from gui.theme import Theme, colour
from hoi_core.conventions import BONES, Side, joint_words
from hoi_core.draw import joint_colour
from hoi_core.types import F64, Bool

from .picture import HandMarks, Overlay, Picture
from .selection import Selection

_GRIP_PX = 12.0
_HALO = QtGui.QColor(13, 15, 19, 200)
_WHITE = QtGui.QColor("#f1f3f6")
_MARK = QtGui.QColor(250, 190, 90)


class Canvas(ImageView):
    """An image to click and drag joints in; it only tells of what the pointer does.

    Signals:
        gripped(side, joint, view, u, v): a joint was pressed; `dragged(u, v)` and `released()` follow.
        placed(view, u, v): a person clicked where the chosen joint or mesh point lies.
        hovered(view, side, joint): the pointer is on a joint; joint -1 when it left.
        touched(view): a person pressed in this view.
    """

    gripped = Signal(str, int, str, float, float)
    dragged = Signal(float, float)
    released = Signal()
    placed = Signal(str, float, float)
    hovered = Signal(str, str, int)
    touched = Signal(str)

    def __init__(self, theme: Theme, view: str, selection: Selection) -> None:
        super().__init__(theme, f"{view.capitalize()} view", zoomable=True)
        self.view, self.editable, self._selection = view, True, selection
        self.picture = Picture()
        self.epipolar_px: F64 = np.zeros((0, 2))
        self.cursor_px: tuple[float, float] | None = None
        self.held: tuple[Side, int, tuple[float, float]] | None = None
        self._hover: tuple[Side, int] | None = None
        self._holding = False
        # While a joint is dragged the meshes and hands stay between two fits, and only what follows the pointer moves.
        self._pictures, self._mesh_layer, self._hand_layer = 0, Kept(), Kept()
        self._behinds, self._behind_layer = 0, Kept()
        self.setMouseTracking(True)
        self.setToolTip("")

    def set_picture(self, picture: Picture) -> None:
        """Show another frame, or the same with other labels."""
        self._behinds += picture.behind is not self.picture.behind
        self._pictures += 1
        self.picture = picture
        self.set_image(picture.image)

    def set_held(self, side: Side, joint: int, at_px: tuple[float, float]) -> None:
        """Show a joint under the pointer in place of its evidence."""
        self.held = (side, joint, at_px)
        self.update()

    def let_go(self) -> None:
        """Show the evidence of all joints again."""
        self.held = None
        self.update()

    def set_epipolar(self, points_px: F64) -> None:
        """Show where a point of the other view may lie, `(N, 2)` px; an empty array hides it."""
        if not np.array_equal(points_px, self.epipolar_px, equal_nan=True):
            self.epipolar_px = points_px
            self.update()

    def set_cursor(self, at_px: tuple[float, float] | None) -> None:
        """Show the cross-hair that keys move, or hide it."""
        if at_px != self.cursor_px:
            self.cursor_px = at_px
            self.update()

    def to_widget(self, pixels: F64) -> F64:
        """Pixels of the image `(..., 2)` to points of this widget."""
        where = self.target()
        scale = where.width() / max(self.image_size[0], 1)
        return np.asarray((pixels + 0.5) * scale + [where.left(), where.top()])

    def to_image(self, point: QtCore.QPointF) -> tuple[float, float]:
        """A point of this widget to pixels of the image."""
        where = self.target()
        scale = where.width() / max(self.image_size[0], 1)
        return (point.x() - where.left()) / scale - 0.5, (point.y() - where.top()) / scale - 0.5

    def joint_at(self, point: QtCore.QPointF) -> tuple[Side, int] | None:
        """The nearest joint or click under the pointer, the chosen one and its hand first."""
        best, found = _GRIP_PX, None
        for hand in self.picture.hands:
            for places in (hand.joints_px, hand.evidence_px[:, :2]):
                away = np.linalg.norm(self.to_widget(places) - [point.x(), point.y()], axis=1)
                if hand.side == self._selection.side and self._selection.joint is not None:
                    away[self._selection.joint] -= 4.0
                joint = int(np.argmin(np.nan_to_num(away, nan=np.inf)))
                if np.isfinite(away[joint]) and away[joint] < best:
                    best, found = float(away[joint]), (hand.side, joint)
        return found

    def paint_over(self, painter: QtGui.QPainter) -> None:
        """Paint what lies over the image."""
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        room, seen = self.area().toAlignedRect(), (self.seen(), self._pictures)
        over, behind = self.picture.overlay, self.picture.behind
        if behind is not None:
            key = (self.seen(), self._behinds)
            self._behind_layer.paint(painter, room, key, lambda inner: self._paint_overlay(inner, behind))
        if over is not None:
            self._mesh_layer.paint(painter, room, seen, lambda inner: self._paint_overlay(inner, over))
        self._paint_epipolar(painter)
        chosen = self._selection
        choice = (chosen.side, chosen.joint, chosen.view, chosen.target, self.editable)
        held = None if self.held is None else self.held[:2]
        self._hand_layer.paint(painter, room, (seen, choice, held, self._hover), self._paint_marks)
        if self.held is not None:
            self._paint_crosses(painter, [self.held[1]], self.to_widget(np.array([self.held[2]])), [1.0], clicked=True)
        if self.cursor_px is not None:
            self._paint_cursor(painter, *self.to_widget(np.array(self.cursor_px)))
        if self.editable and self._selection.view == self.view:
            painter.setPen(QtGui.QPen(colour(self._theme.accent, 220), 2))
            painter.setBrush(Qt.NoBrush)
            painter.drawRoundedRect(QtCore.QRectF(self.area()).adjusted(1, 1, -1, -1), 4, 4)

    def _paint_marks(self, painter: QtGui.QPainter) -> None:
        for hand in self.picture.hands:
            self._paint_hand(painter, hand)
        self._paint_ellipse(painter)
        painter.setBrush(Qt.NoBrush)
        for x, y in self.to_widget(self.picture.object_px):
            for pen in (QtGui.QPen(_HALO, 4), QtGui.QPen(_MARK, 2)):
                painter.setPen(pen)
                painter.drawEllipse(QtCore.QPointF(x, y), 5, 5)

    def _paint_overlay(self, painter: QtGui.QPainter, over: Overlay) -> None:
        height, width = over.rgba.shape[:2]
        image = QtGui.QImage(over.rgba.data, width, height, 4 * width, QtGui.QImage.Format_RGBA8888_Premultiplied)
        left, top, wide, high = over.box_px
        a = self.to_widget(np.array([left - 0.5, top - 0.5]))
        b = self.to_widget(np.array([left + wide - 0.5, top + high - 0.5]))
        painter.setRenderHint(QtGui.QPainter.SmoothPixmapTransform)
        painter.drawImage(QtCore.QRectF(QtCore.QPointF(*a), QtCore.QPointF(*b)), image)

    def _paint_hand(self, painter: QtGui.QPainter, hand: HandMarks) -> None:
        joints, evidence = self.to_widget(hand.joints_px), self.to_widget(hand.evidence_px[:, :2])
        ours = hand.side == self._selection.side
        painter.setOpacity(1.0 if ours else 0.55)
        shown: Bool = np.asarray(np.isfinite(joints).all(-1))
        _paint_bones(painter, joints, shown)
        there: Bool = np.asarray(np.isfinite(evidence).all(-1))
        if self.held is not None and self.held[0] == hand.side:
            there[self.held[1]] = False
        sure = np.clip(np.nan_to_num(hand.evidence_px[:, 2], nan=0.0), 0.0, 1.0)
        for clicked in (False, True):
            some = np.flatnonzero(there & (hand.clicked == clicked))
            self._paint_crosses(painter, some.tolist(), evidence[some], sure[some].tolist(), clicked=clicked)
        for joint in np.flatnonzero(shown).tolist():
            self._paint_joint(painter, hand, joint, joints[joint])
        painter.setOpacity(1.0)
        chosen = self._selection.joint
        if ours and chosen is not None and self._selection.target == "joint" and self.editable:
            at = joints[chosen] if shown[chosen] else evidence[chosen]
            if np.isfinite(at).all():
                name = joint_words(chosen) if self._selection.view == self.view else ""
                self._paint_choice(painter, name, at)

    def _paint_joint(self, painter: QtGui.QPainter, hand: HandMarks, joint: int, at: F64) -> None:
        centre, tint = QtCore.QPointF(*at), QtGui.QColor(*joint_colour(joint))
        hot = self._hover == (hand.side, joint)
        radius = 6.0 if hot else 4.5
        painter.setPen(QtGui.QPen(_HALO, 1.4))
        painter.setBrush(tint)
        if hand.occluded[joint]:
            painter.setPen(QtGui.QPen(tint, 2.0))
            painter.setBrush(QtGui.QColor(13, 15, 19, 150))
        painter.drawEllipse(centre, radius, radius)
        if hand.locked[joint]:
            painter.setBrush(Qt.NoBrush)
            for pen in (QtGui.QPen(_HALO, 4.0), QtGui.QPen(_WHITE, 2.0)):
                painter.setPen(pen)
                painter.drawRect(QtCore.QRectF(centre.x() - 7, centre.y() - 7, 14, 14))

    def _paint_crosses(
        self, painter: QtGui.QPainter, joints: list[int], places: F64, sure: list[float], *, clicked: bool
    ) -> None:
        """Crosses: large where a person clicked, small and as faint as they are doubtful where they were detected."""
        reach = 6.0 if clicked else 4.0
        crosses = [
            [QtCore.QLineF(x - reach, y - sign * reach, x + reach, y + sign * reach) for sign in (1, -1)]
            for x, y in places.tolist()
        ]
        painter.setPen(QtGui.QPen(_HALO, 4.2 if clicked else 3.0))
        painter.drawLines([line for cross in crosses for line in cross])
        for joint, cross, confidence in zip(joints, crosses, sure, strict=True):
            tint = QtGui.QColor(*joint_colour(joint))
            tint.setAlphaF(1.0 if clicked else 0.35 + 0.65 * confidence)
            painter.setPen(QtGui.QPen(tint, 2.2 if clicked else 1.5))
            painter.drawLines(cross)

    def _paint_choice(self, painter: QtGui.QPainter, text: str, at: F64) -> None:
        painter.setBrush(Qt.NoBrush)
        for pen in (QtGui.QPen(_HALO, 4.5), QtGui.QPen(_WHITE, 2.0)):
            painter.setPen(pen)
            painter.drawEllipse(QtCore.QPointF(*at), 9.5, 9.5)
        if not text:
            return
        width = painter.fontMetrics().horizontalAdvance(text) + 14
        right = at[0] + 16 + width < self.width()
        box = QtCore.QRectF(at[0] + 15 if right else at[0] - 15 - width, at[1] - 11, width, 21)
        painter.setPen(Qt.NoPen)
        painter.setBrush(QtGui.QColor(13, 15, 19, 215))
        painter.drawRoundedRect(box, 5, 5)
        painter.setPen(_WHITE)
        painter.drawText(box, int(Qt.AlignCenter), text)

    def _paint_ellipse(self, painter: QtGui.QPainter) -> None:
        ellipse = self.picture.ellipse
        if ellipse is None:
            return
        u, v, a, b, degrees = ellipse
        scale = self.target().width() / max(self.image_size[0], 1)
        painter.save()
        painter.translate(*self.to_widget(np.array([u, v])))
        painter.rotate(degrees)
        painter.setBrush(QtGui.QColor(241, 243, 246, 40))
        painter.setPen(QtGui.QPen(QtGui.QColor(241, 243, 246, 180), 1.2, Qt.DashLine))
        painter.drawEllipse(QtCore.QPointF(0, 0), a * scale, b * scale)
        painter.restore()

    def _paint_epipolar(self, painter: QtGui.QPainter) -> None:
        line = self.epipolar_px[np.isfinite(self.epipolar_px).all(-1)]
        if len(line) < 2:
            return
        path = QtGui.QPolygonF([QtCore.QPointF(x, y) for x, y in _simplified(self.to_widget(line)).tolist()])
        joint = self._selection.joint or 0
        painter.setBrush(Qt.NoBrush)
        for pen in (QtGui.QPen(_HALO, 3.5), QtGui.QPen(QtGui.QColor(*joint_colour(joint)), 1.6, Qt.DashLine)):
            painter.setPen(pen)
            painter.drawPolyline(path)

    def _paint_cursor(self, painter: QtGui.QPainter, x: float, y: float) -> None:
        for pen in (QtGui.QPen(_HALO, 4.0), QtGui.QPen(_WHITE, 1.6)):
            painter.setPen(pen)
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                painter.drawLine(QtCore.QPointF(x + 4 * dx, y + 4 * dy), QtCore.QPointF(x + 14 * dx, y + 14 * dy))

    def mousePressEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Grip a joint, put a point where a person places, or move the image."""
        if event is None or not self.editable or not self.has_image or not self.area().contains(event.localPos()):
            super().mousePressEvent(event)
            return
        self.touched.emit(self.view)
        point = event.localPos()
        u, v = self.to_image(point)
        found = self.joint_at(point)
        if event.button() == Qt.LeftButton and (self._selection.placing or event.modifiers() & Qt.ControlModifier):
            self.placed.emit(self.view, u, v)
        elif event.button() == Qt.LeftButton and found is not None:
            self._holding = True
            self.gripped.emit(found[0], found[1], self.view, u, v)
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Drag the joint or the image, or tell what is under the pointer."""
        if event is None:
            return
        if self._holding:
            self.dragged.emit(*self.to_image(event.localPos()))
            return
        if event.buttons() == Qt.NoButton:
            self._hover_at(self.joint_at(event.localPos()) if self.editable and self.has_image else None)
            return
        super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Let the joint go, or the image."""
        if self._holding:
            self._holding = False
            self.released.emit()
        super().mouseReleaseEvent(event)

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Fit the image, unless a joint is under the pointer."""
        if event is not None and self.editable and self.has_image and self.joint_at(event.localPos()) is not None:
            return
        super().mouseDoubleClickEvent(event)

    def leaveEvent(self, event: QtCore.QEvent | None) -> None:
        """Nothing is under the pointer any more."""
        self._hover_at(None)
        super().leaveEvent(event)

    def _hover_at(self, found: tuple[Side, int] | None) -> None:
        if found == self._hover:
            return
        self._hover = found
        placing = self._selection.placing
        self.setCursor(Qt.CrossCursor if placing else Qt.OpenHandCursor if found else Qt.ArrowCursor)
        self.hovered.emit(self.view, found[0] if found else self._selection.side, found[1] if found else -1)
        self.update()


def _simplified(line: F64) -> F64:
    """A polyline `(N, 2)` px, or its two ends where it is straight: dashes along many points take long to paint."""
    along = line[-1] - line[0]
    across = (line - line[0]) @ [-along[1], along[0]]
    straight = np.abs(across).max() < 0.2 * np.linalg.norm(along)
    return line[[0, -1]] if straight else line


def _paint_bones(painter: QtGui.QPainter, joints: F64, shown: Bool) -> None:
    """Lines between joints `(21, 2)` px that are shown, each finger in its colour over one dark halo."""
    fingers: dict[tuple[int, int, int], list[QtCore.QLineF]] = {}
    for parent, child in BONES:
        if shown[parent] and shown[child]:
            line = QtCore.QLineF(*joints[parent].tolist(), *joints[child].tolist())
            fingers.setdefault(joint_colour(child), []).append(line)
    halo = QtGui.QPen(_HALO, 4.0)
    halo.setCapStyle(Qt.RoundCap)
    painter.setPen(halo)
    painter.drawLines([line for lines in fingers.values() for line in lines])
    for tint, lines in fingers.items():
        pen = QtGui.QPen(QtGui.QColor(*tint), 2.2)
        pen.setCapStyle(Qt.RoundCap)
        painter.setPen(pen)
        painter.drawLines(lines)
