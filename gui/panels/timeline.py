# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole sequence at a glance: residual, evidence, status, keyframes and comments, and a playhead to drag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gui.frame_facts import GOOD_MM, GOOD_PX, has_evidence, judge, keyframes, problem, score, statuses
from gui.panels.scrubber import Scrubber
from gui.qt import Qt, QtCore, QtGui, QtWidgets
from gui.theme import Theme, colour
from hoi_core.conventions import Side
from hoi_core.types import F64, I64, STATUSES, Bool, Revision, Status

_LEFT, _RIGHT, _TOP, _AXIS, _BAND, _DOTS = 40, 14, 34, 20, 10, 10


@dataclass(frozen=True)
class TimelineLabels:
    """What is shown of M moments."""

    score: F64 = field(default_factory=lambda: np.zeros(0))
    """(M,) residual in units of its limit; NaN where unknown."""
    evidence: Bool = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """(M,) whether there is 2D evidence."""
    statuses: tuple[Status, ...] = ()
    """M of them."""
    keyframes: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    """Frames that a person made or accepted."""
    comments: Mapping[int, str] = field(default_factory=dict)
    """frame -> what is written about it."""
    problems: tuple[str, ...] = ()
    """Why each moment has no label, or empty."""
    seconds: F64 = field(default_factory=lambda: np.zeros(0))
    """(M,) s since the first moment."""


def timeline_labels(revision: Revision, side: Side) -> TimelineLabels:
    """What the timeline shows of one hand."""
    states = statuses(revision, side)
    t_ns = revision.t_ns
    return TimelineLabels(
        score(revision),
        has_evidence(revision),
        states,
        keyframes(revision, side),
        revision.comments,
        tuple(problem(revision, side, n) for n in range(len(states))),
        (t_ns - t_ns[0]) * 1e-9 if len(t_ns) else np.zeros(0),
    )


class Timeline(Scrubber):
    """Bars of the residual over dots where there is 2D evidence and a band of statuses with keyframes.

    Signals:
        chosen(frame): a person clicked or dragged to it.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, _LEFT, _RIGHT)
        self._labels = TimelineLabels()
        self._span: tuple[int, int] | None = None
        self._next: int | None = None
        self.setMinimumHeight(116)
        self.setMouseTracking(True)

    def set_labels(self, labels: TimelineLabels) -> None:
        """Show other labels."""
        self._labels = labels
        self.count = len(labels.statuses)
        self.update()

    def set_span(self, span: tuple[int, int] | None) -> None:
        """Show between which keyframes a fit or an interpolation would act."""
        self._span = span
        self.update()

    def set_next(self, frame: int | None) -> None:
        """Show which frame is suggested."""
        self._next = frame
        self.update()

    def mouseMoveEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Drag the playhead, or tell about the frame under the pointer."""
        super().mouseMoveEvent(event)
        if event is not None and event.buttons() == Qt.NoButton and self.count:
            text = self.words(self.frame_at(event.localPos().x()))
            QtWidgets.QToolTip.showText(event.globalPos(), text, self)

    def words(self, frame: int) -> str:
        """A frame in one line: time, status, residual, why it has no label, comment."""
        labels = self._labels
        words = [f"frame {frame}", f"{labels.seconds[frame]:.2f} s", labels.statuses[frame]]
        if np.isfinite(labels.score[frame]):
            words.append(f"{labels.score[frame]:.1f} × the limit of {GOOD_PX:g} px or {GOOD_MM:g} mm")
        words += [text for text in (labels.problems[frame], labels.comments.get(frame, "")) if text]
        return "  ·  ".join(words)

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
        self._paint_marks(painter, floor + _DOTS)
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
            text = f"{status} {self._labels.statuses.count(status)}"
            width = painter.fontMetrics().horizontalAdvance(text)
            painter.setPen(QtGui.QColor(self._theme.muted))
            painter.drawText(QtCore.QRectF(right - width, 0, width, 20), int(Qt.AlignVCenter), text)
            painter.setPen(Qt.NoPen)
            painter.setBrush(QtGui.QColor(self._theme.status(status)))
            painter.drawRoundedRect(QtCore.QRectF(right - width - 15, 5, 10, 10), 3, 3)
            right -= width + 32

    def _paint_residuals(self, painter: QtGui.QPainter, floor: float) -> None:
        values = self._labels.score
        known = values[np.isfinite(values)]
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
        for frame, value in enumerate(values):
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
        for frame in np.flatnonzero(self._labels.evidence).tolist():
            x = self._middle(frame)
            painter.drawEllipse(QtCore.QPointF(x, y), 1.6, 1.6)

    def _bar(self, frame: int) -> tuple[float, float]:
        left, right = self.x_of(frame), self.x_of(frame + 1)
        return left, right - (1.0 if right - left > 3 else 0.0)

    def _paint_statuses(self, painter: QtGui.QPainter, top: float) -> None:
        start, states = 0, self._labels.statuses
        painter.setPen(Qt.NoPen)
        for frame in range(1, len(states) + 1):
            if frame == len(states) or states[frame] != states[start]:
                painter.setBrush(QtGui.QColor(self._theme.status(states[start])))
                painter.drawRect(QtCore.QRectF(self.x_of(start), top, self.x_of(frame) - self.x_of(start), _BAND))
                start = frame
        if self._span is not None:
            painter.setBrush(Qt.NoBrush)
            painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.text), 1.4))
            left, right = self.x_of(self._span[0]), self.x_of(self._span[1] + 1)
            painter.drawRoundedRect(QtCore.QRectF(left, top - 1.5, right - left, _BAND + 3), 3, 3)

    def _paint_marks(self, painter: QtGui.QPainter, top: float) -> None:
        """Diamonds for keyframes where there is room, flags for comments, a ring for the suggestion."""
        painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.surface), 1))
        painter.setBrush(QtGui.QColor(self._theme.text))
        wide = self.x_of(1) - self.x_of(0)
        keys = self._labels.keyframes
        y = top + _BAND / 2
        # Of a run of keyframes only the ends are marked: between them the band says it.
        ends = keys[np.flatnonzero((np.diff(keys, prepend=-9) > 1) | (np.diff(keys, append=1 << 40) > 1))]
        for frame in (keys if wide > 9 else ends).tolist():
            x = self._middle(frame)
            corners = [QtCore.QPointF(x + dx, y + dy) for dx, dy in ((0, -4.5), (4.5, 0), (0, 4.5), (-4.5, 0))]
            painter.drawPolygon(QtGui.QPolygonF(corners))
        painter.setPen(Qt.NoPen)
        painter.setBrush(QtGui.QColor(self._theme.warn))
        for frame in self._labels.comments:
            x = self._middle(frame)
            flag = [QtCore.QPointF(x - 1, _TOP - 8), QtCore.QPointF(x + 8, _TOP - 4), QtCore.QPointF(x - 1, _TOP)]
            painter.drawPolygon(QtGui.QPolygonF(flag))
            painter.drawRect(QtCore.QRectF(x - 1, _TOP - 8, 1.4, 14))
        if self._next is not None:
            painter.setBrush(Qt.NoBrush)
            painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.accent), 2))
            painter.drawEllipse(QtCore.QPointF(self._middle(self._next), _TOP - 2), 4, 4)

    def _middle(self, frame: int) -> float:
        return (self.x_of(frame) + self.x_of(frame + 1)) / 2

    def _paint_axis(self, painter: QtGui.QPainter) -> None:
        count = self.count
        room = (self.width() - _LEFT - _RIGHT) / 70
        step = next((s for s in (1, 5, 10, 20, 30, 60, 150, 300, 600, 1800) if count / s <= room), 9000)
        top = self.height() - _AXIS + 2
        painter.setPen(QtGui.QColor(self._theme.muted))
        for frame in range(0, count, step):
            # The last number stays inside.
            left = min(self.x_of(frame), self.width() - painter.fontMetrics().horizontalAdvance(f"{frame}") - 2.0)
            painter.drawText(QtCore.QRectF(left, top, 64, _AXIS - 4), int(Qt.AlignLeft | Qt.AlignVCenter), f"{frame}")
