# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole recording at a glance: a lane for each stream with its gaps, the skew, and the marks above."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gui.panels.scrubber import Scrubber
from gui.qt import Qt, QtCore, QtGui
from gui.theme import Theme, colour
from gui.timetable import LOST, MISSING, OURS, PRESENT, Event, Timetable
from hoi_core.types import F64, U8

_LEFT, _RIGHT, _TOP, _AXIS = 96, 16, 26, 20
_LANE, _GAP, _SKEW, _SKEW_GAP = 9, 4, 36, 8
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
# Below this the plot would magnify noise.
_LEAST_SKEW_MS = 4.0
_NAMES = {MISSING: "not delivered", LOST: "device away", OURS: "lost by the recorder"}


class ReplayTimeline(Scrubber):
    """Lanes of what is there, over a plot of the streams' skew; click or drag to go there."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, _LEFT, _RIGHT)
        self._table: Timetable | None = None
        self._streams: tuple[str, ...] = ()
        # Everything but the playhead, painted once for a size and a theme.
        self._still: QtGui.QPixmap | None = None
        self.setMouseTracking(True)
        self._resize()

    def set_table(self, table: Timetable, streams: Sequence[str]) -> None:
        """Show another recording; lanes in the order of `streams`."""
        self._table, self._streams = table, tuple(streams)
        self.count, self._still = len(table), None
        self._resize()
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._still = None
        super().set_theme(theme)

    def resizeEvent(self, event: QtGui.QResizeEvent | None) -> None:
        """Paint anew for another size."""
        self._still = None
        super().resizeEvent(event)

    def paintEvent(self, _event: QtGui.QPaintEvent | None) -> None:
        """Paint the playhead over what stands still."""
        if self._still is None:
            self._still = self._painted()
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        painter.drawPixmap(0, 0, self._still)
        self.paint_playhead(painter, _TOP - 4, self.height() - _AXIS)
        painter.end()

    def mouseMoveEvent(self, event: QtGui.QMouseEvent | None) -> None:
        """Drag the playhead; without a button, say what lies under the pointer."""
        super().mouseMoveEvent(event)
        if event is not None and not event.buttons():
            self.setToolTip(self.text_at(event.localPos().x(), event.localPos().y()))

    def text_at(self, x: float, y: float) -> str:
        """What lies at a point of the widget: the time, the reason of a gap, and events near it."""
        if self._table is None or not self.count:
            return ""
        moment = self.frame_at(x)
        said = [f"{self._table.t_s[moment]:.3f} s  ·  moment {moment}"]
        lane = int((y - _TOP) // (_LANE + _GAP))
        if 0 <= lane < len(self._streams):
            name = self._streams[lane]
            reason = self._table.reason(name, moment)
            skew = self._table.skew_ms[name][moment]
            said.append(f"{name}: {reason}" if reason else f"{name}: {skew:+.2f} ms")
        reach = 6 / max(self.width() - _LEFT - _RIGHT, 1) * max(self._table.seconds, 1e-9)
        t = self._table.t_s[moment]
        near = [e for e in self._table.events if e.first_s - reach <= t <= e.last_s + reach]
        said += [f"{event.stream}: {event.text}" if event.stream else event.text for event in near[:6]]
        return "\n".join(said)

    def _resize(self) -> None:
        self.setFixedHeight(_TOP + len(self._streams) * (_LANE + _GAP) + _SKEW_GAP + _SKEW + _AXIS + 2)

    def _painted(self) -> QtGui.QPixmap:
        ratio = self.devicePixelRatioF()
        out = QtGui.QPixmap(max(int(self.width() * ratio), 1), max(int(self.height() * ratio), 1))
        out.setDevicePixelRatio(ratio)
        out.fill(Qt.transparent)
        if self._table is None or not self.count:
            return out
        painter = QtGui.QPainter(out)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        font = self.font()
        font.setPointSizeF(8.0)
        painter.setFont(font)
        self._paint_axis(painter)
        for n, name in enumerate(self._streams):
            self._paint_lane(painter, name, _TOP + n * (_LANE + _GAP))
        self._paint_skew(painter, float(self.height() - _AXIS - _SKEW), float(self.height() - _AXIS - 2))
        self._paint_events(painter)
        self._paint_legend(painter)
        painter.end()
        return out

    def _paint_axis(self, painter: QtGui.QPainter) -> None:
        if self._table is None:
            return
        seconds = max(self._table.seconds, 1e-3)
        room = max((self.width() - _LEFT - _RIGHT) / 74, 1)
        step = next((s for s in _STEPS_S if seconds / s <= room), _STEPS_S[-1])
        floor = self.height() - _AXIS
        for k in range(int(seconds / step) + 1):
            x = self.x_of(self._table.moment_at(k * step) + 0.5)
            painter.setPen(QtGui.QPen(colour(self._theme.border, 160), 1))
            painter.drawLine(QtCore.QPointF(x, _TOP - 2), QtCore.QPointF(x, floor))
            painter.setPen(QtGui.QColor(self._theme.muted))
            box = QtCore.QRectF(x - 37, floor + 2, 74, _AXIS - 4)
            painter.drawText(box, int(Qt.AlignCenter), _clock(k * step, step))

    def _paint_lane(self, painter: QtGui.QPainter, name: str, top: float) -> None:
        """A bar where the stream is there; gaps in the colour of their reason, at least two pixels wide."""
        if self._table is None:
            return
        painter.setPen(QtGui.QColor(self._theme.muted))
        label = QtCore.QRectF(0, top - 3, _LEFT - 10, _LANE + 6)
        painter.drawText(label, int(Qt.AlignRight | Qt.AlignVCenter), name)
        states = self._table.states[name]
        painter.setPen(Qt.NoPen)
        painter.setRenderHint(QtGui.QPainter.Antialiasing, False)
        painter.setBrush(colour(self._theme.accent, 120))
        painter.drawRect(QtCore.QRectF(_LEFT, top, self.width() - _LEFT - _RIGHT, _LANE))
        for first, last, state in runs(states):
            if state == PRESENT:
                continue
            left, right = self.x_of(first), self.x_of(last + 1)
            painter.setBrush(QtGui.QColor(self._theme.surface))
            painter.drawRect(QtCore.QRectF(left, top, max(right - left, 2.0), _LANE))
            painter.setBrush(self._shade(state))
            painter.drawRect(QtCore.QRectF(left, top, max(right - left, 2.0), _LANE))
        painter.setRenderHint(QtGui.QPainter.Antialiasing, True)

    def _shade(self, state: int) -> QtGui.QColor:
        shades = {MISSING: self._theme.warn, LOST: self._theme.idle, OURS: self._theme.bad}
        return QtGui.QColor(shades[state])

    def _paint_skew(self, painter: QtGui.QPainter, top: float, floor: float) -> None:
        """The largest distance of any stream from the moment, for each column of pixels."""
        if self._table is None:
            return
        worst = worst_skew_ms(self._table, self._streams)
        known = worst[np.isfinite(worst)]
        most = max(float(known.max()) * 1.1 if len(known) else 0.0, _LEAST_SKEW_MS)
        painter.setPen(QtGui.QColor(self._theme.muted))
        for share, text in ((0.0, "0"), (1.0, f"{most:.0f} ms")):
            y = floor - share * (floor - top)
            painter.drawText(QtCore.QRectF(0, y - 8, _LEFT - 10, 16), int(Qt.AlignRight | Qt.AlignVCenter), text)
        painter.drawText(
            QtCore.QRectF(0, (top + floor) / 2 - 8, _LEFT - 10, 16), int(Qt.AlignRight | Qt.AlignVCenter), "skew"
        )
        painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.border), 1))
        painter.drawLine(QtCore.QPointF(_LEFT, floor), QtCore.QPointF(self.width() - _RIGHT, floor))
        columns = binned_most(worst, max(int(self.width() - _LEFT - _RIGHT), 1))
        painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.edited), 1.3))
        width = (self.width() - _LEFT - _RIGHT) / len(columns)
        previous: QtCore.QPointF | None = None
        for n, value in enumerate(columns.tolist()):
            here = None
            if np.isfinite(value):
                here = QtCore.QPointF(_LEFT + (n + 0.5) * width, floor - min(value / most, 1.0) * (floor - top))
                painter.drawLine(previous if previous is not None else here, here)
            previous = here

    def _paint_events(self, painter: QtGui.QPainter) -> None:
        if self._table is None:
            return
        free = 0.0
        for event in self._table.events:
            x = self.x_of(self._table.moment_near(event.first_s) + 0.5)
            if event.kind == "mark":
                free = self._paint_mark(painter, event, x, free)
            elif event.kind == "restart" and event.stream in self._streams:
                top = _TOP + self._streams.index(event.stream) * (_LANE + _GAP)
                painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.text), 1.4))
                painter.drawLine(QtCore.QPointF(x, top - 2), QtCore.QPointF(x, top + _LANE + 2))

    def _paint_mark(self, painter: QtGui.QPainter, event: Event, x: float, free: float) -> float:
        """A flag with its text where there is room. Returns where the room begins again."""
        shade = QtGui.QColor(self._theme.edited)
        painter.setPen(QtGui.QPen(shade, 1.2))
        painter.drawLine(QtCore.QPointF(x, 8), QtCore.QPointF(x, self.height() - _AXIS))
        painter.setPen(Qt.NoPen)
        painter.setBrush(shade)
        flag = [QtCore.QPointF(x, 7), QtCore.QPointF(x + 9, 11), QtCore.QPointF(x, 15)]
        painter.drawPolygon(QtGui.QPolygonF(flag))
        if x < free:
            return free
        painter.setPen(QtGui.QColor(self._theme.text))
        text = painter.fontMetrics().elidedText(event.text, Qt.ElideRight, 140)
        painter.drawText(QtCore.QRectF(x + 12, 2, 150, 17), int(Qt.AlignVCenter | Qt.AlignLeft), text)
        return x + 18 + painter.fontMetrics().horizontalAdvance(text)

    def _paint_legend(self, painter: QtGui.QPainter) -> None:
        """What the colours of gaps mean, for those that occur; at the right, above the lanes."""
        if self._table is None:
            return
        found = {int(state) for name in self._streams for state in np.unique(self._table.states[name])} - {PRESENT}
        right = float(self.width() - _RIGHT)
        for state in sorted(found, reverse=True):
            text = _NAMES[state]
            width = painter.fontMetrics().horizontalAdvance(text)
            painter.setPen(Qt.NoPen)
            painter.setBrush(QtGui.QColor(self._theme.surface))
            painter.drawRect(QtCore.QRectF(right - width - 22, 2, width + 22, 17))
            painter.setPen(QtGui.QColor(self._theme.muted))
            painter.drawText(QtCore.QRectF(right - width, 2, width, 17), int(Qt.AlignVCenter), text)
            painter.setPen(Qt.NoPen)
            painter.setBrush(self._shade(state))
            painter.drawRoundedRect(QtCore.QRectF(right - width - 15, 6, 10, 10), 3, 3)
            right -= width + 30


def runs(states: U8) -> list[tuple[int, int, int]]:
    """First, last and value of each stretch of equal values. `(M,)`."""
    if not len(states):
        return []
    edges = np.flatnonzero(np.diff(states.astype(np.int64))) + 1
    starts, ends = [0, *edges.tolist()], [*edges.tolist(), len(states)]
    return [(first, end - 1, int(states[first])) for first, end in zip(starts, ends, strict=True)]


def worst_skew_ms(table: Timetable, streams: Sequence[str]) -> F64:
    """`(M,)` largest distance of any of the streams from the moment, ms; NaN where all are missing."""
    worst: F64 = np.full(len(table), np.nan)
    for name in streams:
        worst = np.fmax(worst, np.abs(table.skew_ms[name]))
    return worst


def binned_most(values: F64, bins: int) -> F64:
    """The largest known value in each of at most `bins` equal parts; NaN where none is known. `(M,) -> (<= bins,)`."""
    bins = min(bins, len(values))
    starts = np.arange(bins) * len(values) // bins
    found = np.maximum.reduceat(np.where(np.isfinite(values), values, -np.inf), starts)
    return np.where(np.isfinite(found), found, np.nan)


def _clock(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes or step >= 60 else f"{rest} s"
