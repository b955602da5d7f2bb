# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the newest image of a stream, scaled to fit, with a caption; zooms with the wheel."""

from __future__ import annotations

import cv2
import numpy as np

from hoi_core.types import U8

from .health import Level
from .kept import Kept
from .qt import Qt, QtCore, QtGui, QtWidgets, Signal
from .theme import DARK, Theme, colour

_MAX_ZOOM = 12.0
CAPTION_PX = 28
"""Height of the caption above the image."""
_MARK_PX = 22


class ImageView(QtWidgets.QWidget):
    """A picture with a caption, a state light and a message while there is nothing to show.

    Setting an image only remembers it; painting happens when the screen is ready, so a fast stream never queues.

    Signals:
        caption_clicked(where on the screen): a person pressed the caption.
        resized(): there is another amount of room.
    """

    caption_clicked = Signal(QtCore.QPoint)
    resized = Signal()

    def __init__(self, theme: Theme, title: str, *, smooth: bool = True, zoomable: bool = False) -> None:
        super().__init__()
        self._theme, self.smooth, self._zoomable = theme, smooth, zoomable
        self.title, self.note, self.empty_text = title, "", "waiting for images"
        self.level: Level = "idle"
        self.stale = False
        self.mark: tuple[Level, str] | None = None
        self._image: QtGui.QImage | None = None
        self._pixels: U8 | None = None
        self._given: U8 | None = None
        self._count = 0
        self._kept = Kept()
        self._zoom = 1.0
        self._centre = QtCore.QPointF(0.5, 0.5)
        self._grip: QtCore.QPointF | None = None
        self.setMinimumSize(120, 90)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Expanding)
        if zoomable:
            self.setToolTip("Wheel: zoom. Drag: move. Double click: fit.")

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme
        self.update()

    @property
    def has_image(self) -> bool:
        """Whether an image is shown."""
        return self._image is not None

    @property
    def zoom(self) -> float:
        """How many times larger than fitted the image is shown."""
        return self._zoom

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the image, px; 0 while there is none."""
        return (self._image.width(), self._image.height()) if self._image is not None else (0, 0)

    def set_image(self, image: U8 | None) -> None:
        """Show `(H, W, 3)` RGB or `(H, W)` gray uint8; None clears. The array must not be changed afterwards."""
        self._take_image(image)
        self.update()

    def _take_image(self, image: U8 | None) -> None:
        if image is not None and image is self._given:
            return
        self._given = image
        self._count += 1
        self._pixels = None if image is None else np.ascontiguousarray(image)
        self._image = None if self._pixels is None else _borrowed(self._pixels)

    def set_state(self, level: Level, note: str) -> None:
        """Set the light and the note on the right of the caption."""
        if (level, note) != (self.level, self.note):
            self.level, self.note = level, note
            self.update()

    def set_mark(self, level: Level, words: str) -> None:
        """Show a small mark in the picture's corner: a light and a word or two; empty words take it away."""
        mark = (level, words) if words else None
        if mark != self.mark:
            self.mark = mark
            self.update()

    def set_stale(self, *, stale: bool) -> None:
        """Dim a picture that is old: its camera sends nothing any more."""
        if stale != self.stale:
            self.stale = stale
            self.update()

    def look_at(self, x: float, y: float, zoom: float | None = None) -> None:
        """Centre on a point, given as shares of the image's width and height; None keeps the zoom."""
        self._zoom = self._zoom if zoom is None else min(max(zoom, 1.0), _MAX_ZOOM)
        self._move_to(x, y)

    def area(self) -> QtCore.QRectF:
        """Room for the image, below the caption, px."""
        return QtCore.QRectF(self.rect()).adjusted(1, CAPTION_PX, -1, -1)

    def target(self) -> QtCore.QRectF:
        """Where the image lies in the widget, px."""
        area = self.area()
        if self._image is None:
            return area
        width, height = self._size_px()
        centre = self._centre_shown()
        left = area.center().x() - centre.x() * width
        top = area.center().y() - centre.y() * height
        return QtCore.QRectF(left, top, width, height)

    def _size_px(self) -> tuple[float, float]:
        """Width and height of the whole image as zoomed, px."""
        area, (width, height) = self.area(), self.image_size
        scale = self._zoom * min(area.width() / max(width, 1), area.height() / max(height, 1))
        return width * scale, height * scale

    def _centre_shown(self) -> QtCore.QPointF:
        """The share of the image in the middle of the room: as near to the one asked for as leaves no empty stripe."""
        area, (width, height) = self.area(), self._size_px()
        shares = []
        for asked, room, size in (
            (self._centre.x(), area.width(), width),
            (self._centre.y(), area.height(), height),
        ):
            half = min(0.5 * room / max(size, 1e-6), 0.5)
            shares.append(min(max(asked, half), 1.0 - half))
        return QtCore.QPointF(*shares)

    def paintEvent(self, _event: QtGui.QPaintEvent | None) -> None:
        """Paint the image, the caption and the light."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        if self._zoomable:
            # Painted over again and again while somebody drags: what stays is not made anew.
            said = (self.title, self.note, self.level, self.empty_text, self._theme)
            self._kept.paint(painter, self.rect(), (self.seen(), said), self._paint_still)
        else:
            self._paint_still(painter)
        if self._image is not None:
            painter.setClipPath(self._shape())
            painter.setClipRect(self.area(), Qt.IntersectClip)
            self.paint_over(painter)
            self._paint_mark(painter)
            if self.stale:
                painter.fillRect(self.area(), colour("#000000", 170))
                painter.setPen(colour("#f1f3f6"))
                painter.drawText(self.area(), int(Qt.AlignCenter), "no new frames")
        painter.end()

    def _shape(self) -> QtGui.QPainterPath:
        shape = QtGui.QPainterPath()
        shape.addRoundedRect(QtCore.QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
        return shape

    def _paint_still(self, painter: QtGui.QPainter) -> None:
        shape = self._shape()
        painter.fillPath(shape, QtGui.QColor(self._theme.canvas))
        painter.save()
        painter.setClipPath(shape)
        if self._image is not None:
            painter.setClipRect(self.area(), Qt.IntersectClip)
            self._paint_image(painter)
            painter.setClipPath(shape)
        else:
            painter.setPen(colour("#aab3c0"))
            painter.drawText(self.area(), int(Qt.AlignCenter | Qt.TextWordWrap), self.empty_text)
        self._paint_caption(painter)
        painter.restore()
        painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.border), 1.0))
        painter.drawPath(shape)

    def paint_over(self, painter: QtGui.QPainter) -> None:
        """Paint over the image; for views that show more than one."""

    def _paint_mark(self, painter: QtGui.QPainter) -> None:
        if self.mark is None:
            return
        level, words = self.mark
        width = painter.fontMetrics().horizontalAdvance(words) + 30
        box = QtCore.QRectF(self.width() - width - 8, CAPTION_PX + 7, width, _MARK_PX)
        painter.setPen(QtGui.QPen(colour(DARK.level(level), 200), 1.0))
        painter.setBrush(colour("#000000", 150))
        painter.drawRoundedRect(box, _MARK_PX / 2, _MARK_PX / 2)
        painter.setPen(Qt.NoPen)
        painter.setBrush(QtGui.QColor(DARK.level(level)))
        painter.drawEllipse(QtCore.QPointF(box.left() + 12, box.center().y()), 4, 4)
        painter.setPen(QtGui.QColor("#f1f3f6"))
        painter.drawText(box.adjusted(21, 0, 0, 0), int(Qt.AlignVCenter | Qt.AlignLeft), words)

    def _paint_image(self, painter: QtGui.QPainter) -> None:
        where, ratio = self.target(), self.devicePixelRatioF()
        if self._pixels is None or self._image is None:
            return
        if self._zoomable:
            painter.setRenderHint(QtGui.QPainter.SmoothPixmapTransform, self.smooth)
            painter.drawImage(where, self._image)
            return
        if (
            max(abs(self._image.width() - where.width() * ratio), abs(self._image.height() - where.height() * ratio))
            <= 1
        ):
            # Scaled by whoever made it.
            self._image.setDevicePixelRatio(ratio)
            painter.drawImage(QtCore.QPointF(round(where.x()), round(where.y())), self._image)
            return
        # OpenCV scales three times as fast as Qt and, unlike Qt, lets the recorder's threads run meanwhile.
        size = (max(round(where.width() * ratio), 1), max(round(where.height() * ratio), 1))
        kind = cv2.INTER_LINEAR if self.smooth else cv2.INTER_NEAREST
        pixels = np.ascontiguousarray(cv2.resize(self._pixels, size, interpolation=kind), dtype=np.uint8)
        image = _borrowed(pixels)
        image.setDevicePixelRatio(ratio)
        painter.drawImage(QtCore.QPointF(round(where.x()), round(where.y())), image)

    def seen(self) -> tuple[object, ...]:
        """What the picture on the screen depends on: which image, where, how large, how smooth; to be compared."""
        return (self._count, self.target().getRect(), self.smooth)

    def _paint_caption(self, painter: QtGui.QPainter) -> None:
        strip = QtCore.QRectF(0.5, 0.5, self.width() - 1, CAPTION_PX)
        painter.setPen(Qt.NoPen)
        # The canvas is dark in both themes, and so are the lights on it.
        painter.setBrush(QtGui.QColor(DARK.level(self.level)))
        painter.drawEllipse(QtCore.QPointF(strip.left() + 14, strip.center().y()), 4, 4)
        inner = strip.adjusted(26, 0, -11, 0)
        painter.setPen(QtGui.QColor("#f1f3f6"))
        painter.drawText(inner, int(Qt.AlignVCenter | Qt.AlignLeft), self.title)
        metrics = painter.fontMetrics()
        room = inner.width() - metrics.horizontalAdvance(self.title) - 12
        painter.setPen(QtGui.QColor("#b6bfcc"))
        if metrics.horizontalAdvance(self.note) <= room:
            painter.drawText(inner, int(Qt.AlignVCenter | Qt.AlignRight), self.note)

    def wheelEvent(self, event: QtGui.QWheelEvent | None) -> None:
        """Zoom about the pointer."""
        if event is None or not self._zoomable or self._image is None:
            return
        before = self.target()
        at = event.position()
        share = QtCore.QPointF((at.x() - before.x()) / before.width(), (at.y() - before.y()) / before.height())
        self._zoom = min(max(self._zoom * 1.0015 ** event.angleDelta().y(), 1.0), _MAX_ZOOM)
        after = self.target()
        middle = self.area().center()
        # The point under the pointer stays there.
        self._move_to(
            share.x() + (middle.x() - at.x()) / after.width(), share.y() + (middle.y() - at.y()) / after.height()
        )
        event.accept()

    def mousePressEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Begin to drag the zoomed image, or tell of a press on the caption."""
        if event is not None and event.localPos().y() < CAPTION_PX:
            self.caption_clicked.emit(event.globalPos())
        elif event is not None and self._zoomable:
            self._grip = event.localPos()

    def resizeEvent(self, event: QtGui.QResizeEvent | None) -> None:
        """Tell that there is another amount of room."""
        super().resizeEvent(event)
        self.resized.emit()

    def mouseMoveEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Drag the zoomed image."""
        if event is None or self._grip is None or self._image is None:
            return
        step, where = event.localPos() - self._grip, self.target()
        self._grip = event.localPos()
        centre = self._centre_shown()
        self._move_to(centre.x() - step.x() / where.width(), centre.y() - step.y() / where.height())

    def mouseReleaseEvent(self, _event: QtGui.QMouseEvent | None) -> None:
        """End the drag."""
        self._grip = None

    def mouseDoubleClickEvent(self, _event: QtGui.QMouseEvent | None) -> None:
        """Fit the image again."""
        self.look_at(0.5, 0.5, 1.0)

    def _move_to(self, x: float, y: float) -> None:
        self._centre = QtCore.QPointF(x, y)
        self.update()


def _borrowed(pixels: U8) -> QtGui.QImage:
    """A QImage that only borrows the memory: the array must live as long as it is in use."""
    kind = QtGui.QImage.Format_Grayscale8 if pixels.ndim == 2 else QtGui.QImage.Format_RGB888
    return QtGui.QImage(pixels.data, pixels.shape[1], pixels.shape[0], pixels.strides[0], kind)
