# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole sequence at a glance: residual, evidence and status of every frame, and a playhead to drag."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gui.frame_facts import GOOD_MM, GOOD_PX, judge
from gui.panels.scrubber import Scrubber
from gui.qt import Qt, QtCore, QtGui
from gui.theme import Theme, colour
from hoi_core.types import F64, STATUSES, Bool, Status

_LEFT, _RIGHT, _TOP, _AXIS, _BAND, _DOTS = 40, 14, 30, 20, 10, 10


class Timeline(Scrubber):
    """Bars of the residual over dots where there is 2D evidence and a band of statuses.

    Signals:
        chosen(frame): a person clicked or dragged to it.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, _LEFT, _RIGHT)
        self._score: F64 = np.zeros(0)
        self._evidence: Bool = np.zeros(0, dtype=bool)
        self._statuses: tuple[Status, ...] = ()
        self.setMinimumHeight(120)
        self.setToolTip(
            f"Residual of every frame in units of its limit, {GOOD_PX:g} px or {GOOD_MM:g} mm, whichever is worse.\n"
            "Dots: frames with 2D evidence. Band: status. Click or drag to go there."
        )

    def set_labels(self, score: F64, evidence: Bool, statuses: Sequence[Status]) -> None:
        """Show other labels: `(M,)` scores with NaN where unknown, `(M,)` whether there is evidence, M statuses."""
        self._score, self._evidence, self._statuses = score, evidence, tuple(statuses)
        self.count = len(self._statuses)
        self.update()

    def paintEvent(self, _event: QtGui.QPaintEvent | None) -> None:
        """Paint everything; a thousand frames take about a millisecond."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        small = painter.font()
        small.setPointSizeF(8.0)
        painter.setFont(small)
        self._paint_legend(painter)
        floor = self.height() - _AXIS - _BAND - _DOTS
        self._paint_residuals(painter, floor)
        self._paint_evidence(painter, floor + _DOTS / 2)
        self._paint_statuses(painter, floor + _DOTS)
        self._paint_axis(painter)
        self.paint_playhead(painter, _TOP, self.height() - _AXIS)
        painter.end()

    def _paint_legend(self, painter: QtGui.QPainter) -> None:
        painter.setPen(QtGui.QColor(self._theme.muted))
        painter.drawText(
            QtCore.QRectF(_LEFT, 0, 300, 20), int(Qt.AlignVCenter), f"Residual, limit {GOOD_PX:g} px or {GOOD_MM:g} mm"
        )
        right = float(self.width() - _RIGHT)
        for status in reversed(STATUSES):
            text = f"{status} {self._statuses.count(status)}"
            width = painter.fontMetrics().horizontalAdvance(text)
            painter.setPen(QtGui.QColor(self._theme.muted))
            painter.drawText(QtCore.QRectF(right - width, 0, width, 20), int(Qt.AlignVCenter), text)
            painter.setPen(Qt.NoPen)
            painter.setBrush(QtGui.QColor(self._theme.status(status)))
            painter.drawRoundedRect(QtCore.QRectF(right - width - 15, 5, 10, 10), 3, 3)
            right -= width + 32

    def _paint_residuals(self, painter: QtGui.QPainter, floor: float) -> None:
        known = self._score[np.isfinite(self._score)]
        most = max(float(np.max(known)) * 1.05 if len(known) else 0.0, 1.4)
        for limit in (1, 2):
            y = floor - (floor - _TOP) * limit / most
            if y < _TOP - 2:
                continue
            painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.border), 1, Qt.DashLine))
            painter.drawLine(QtCore.QPointF(_LEFT, y), QtCore.QPointF(self.width() - _RIGHT, y))
            painter.setPen(QtGui.QColor(self._theme.muted))
            painter.drawText(QtCore.QRectF(0, y - 8, _LEFT - 8, 16), int(Qt.AlignRight | Qt.AlignVCenter), f"{limit} ×")
        painter.setPen(Qt.NoPen)
        for frame, value in enumerate(self._score):
            left, right = self._bar(frame)
            if np.isnan(value):
                painter.setBrush(colour(self._theme.idle, 45))
                painter.drawRect(QtCore.QRectF(left, _TOP, right - left, floor - _TOP))
                continue
            height = max((floor - _TOP) * value / most, 1.5)
            painter.setBrush(QtGui.QColor(self._theme.level(judge(value))))
            painter.drawRect(QtCore.QRectF(left, floor - height, right - left, height))

    def _paint_evidence(self, painter: QtGui.QPainter, y: float) -> None:
        painter.setPen(Qt.NoPen)
        painter.setBrush(QtGui.QColor(self._theme.muted))
        for frame in np.flatnonzero(self._evidence).tolist():
            x = (self.x_of(frame) + self.x_of(frame + 1)) / 2
            painter.drawEllipse(QtCore.QPointF(x, y), 1.6, 1.6)

    def _bar(self, frame: int) -> tuple[float, float]:
        left, right = self.x_of(frame), self.x_of(frame + 1)
        return left, right - (1.0 if right - left > 3 else 0.0)

    def _paint_statuses(self, painter: QtGui.QPainter, top: float) -> None:
        start = 0
        painter.setPen(Qt.NoPen)
        for frame in range(1, len(self._statuses) + 1):
            if frame == len(self._statuses) or self._statuses[frame] != self._statuses[start]:
                painter.setBrush(QtGui.QColor(self._theme.status(self._statuses[start])))
                painter.drawRect(QtCore.QRectF(self.x_of(start), top, self.x_of(frame) - self.x_of(start), _BAND))
                start = frame

    def _paint_axis(self, painter: QtGui.QPainter) -> None:
        count = len(self._statuses)
        room = (self.width() - _LEFT - _RIGHT) / 70
        step = next((s for s in (1, 5, 10, 20, 30, 60, 150, 300, 600, 1800) if count / s <= room), 9000)
        top = self.height() - _AXIS + 2
        painter.setPen(QtGui.QColor(self._theme.muted))
        for frame in range(0, count, step):
            box = QtCore.QRectF(self.x_of(frame), top, 64, _AXIS - 4)
            painter.drawText(box, int(Qt.AlignLeft | Qt.AlignVCenter), f"{frame}")
