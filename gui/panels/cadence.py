# SPDX-License-Identifier: GPL-3.0-or-later
"""How regular a stream was, as a small picture: its usual interval, the scatter, and the longest gap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gui.health import Level, level_below, rate_level, worst
from gui.qt import Qt, QtCore, QtGui, QtWidgets
from gui.theme import Theme, colour

if TYPE_CHECKING:
    from capture.report import StreamReport

# The axis runs over octaves of the nominal period, so that a gap of a second and a jitter of a millisecond both show.
_LEFT_OCTAVES, _RIGHT_OCTAVES = -1.0, 6.0


class CadenceBar(QtWidgets.QWidget):
    """Time between two frames on a logarithmic axis, from half a period to 64 periods."""

    def __init__(self, theme: Theme, report: StreamReport) -> None:
        super().__init__()
        self._theme, self._report = theme, report
        self.setMinimumSize(120, 22)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self.setToolTip(
            "Time between two frames. Block: usual interval and its scatter (95 %). Line: to the longest gap.\n"
            "Ticks: 1, 2, 4, ... periods."
        )

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme
        self.update()

    def x_of(self, interval_ms: float) -> float:
        """Where an interval lies, px."""
        period_ms = 1000.0 / max(self._report.nominal_fps, 1e-3)
        octaves = math.log2(max(interval_ms / period_ms, 1e-6))
        share = (octaves - _LEFT_OCTAVES) / (_RIGHT_OCTAVES - _LEFT_OCTAVES)
        return 3 + (self.width() - 6) * min(max(share, 0.0), 1.0)

    def paintEvent(self, _event: QtGui.QPaintEvent | None) -> None:
        """Paint the axis, the scatter and the gap."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        middle, report = self.height() / 2, self._report
        period_ms = 1000.0 / max(report.nominal_fps, 1e-3)
        painter.setPen(QtGui.QPen(QtGui.QColor(self._theme.border), 1))
        painter.drawLine(QtCore.QPointF(3, middle), QtCore.QPointF(self.width() - 3, middle))
        for octave in range(7):
            x = self.x_of(period_ms * 2**octave)
            reach = 6 if octave == 0 else 3
            painter.drawLine(QtCore.QPointF(x, middle - reach), QtCore.QPointF(x, middle + reach))
        if math.isfinite(report.fps) and report.fps > 0:
            usual_ms, shade = 1000.0 / report.fps, QtGui.QColor(self._theme.level(cadence_level(report)))
            jitter_ms = report.jitter_ms if math.isfinite(report.jitter_ms) else 0.0
            if math.isfinite(report.longest_gap_ms):
                painter.setPen(QtGui.QPen(shade, 1.6))
                gap = self.x_of(report.longest_gap_ms)
                painter.drawLine(QtCore.QPointF(self.x_of(usual_ms), middle), QtCore.QPointF(gap, middle))
                painter.drawLine(QtCore.QPointF(gap, middle - 4), QtCore.QPointF(gap, middle + 4))
            left, right = self.x_of(usual_ms - jitter_ms), self.x_of(usual_ms + jitter_ms)
            painter.setPen(Qt.NoPen)
            painter.setBrush(colour(shade.name(), 220))
            painter.drawRoundedRect(QtCore.QRectF(left - 2, middle - 5, right - left + 4, 10), 3, 3)
        painter.end()


def cadence_level(report: StreamReport) -> Level:
    """Judge rate, scatter and the longest gap of a stream together."""
    period_ms = 1000.0 / max(report.nominal_fps, 1e-3)
    rate = report.fps if math.isfinite(report.fps) else 0.0
    levels: list[Level] = [
        rate_level(rate, report.nominal_fps),
        jitter_level(report.jitter_ms / period_ms),
        gap_level(report.longest_gap_ms / period_ms),
    ]
    return worst(levels)


def jitter_level(periods: float) -> Level:
    """Judge the scatter of a stream's intervals, in its periods."""
    return level_below(periods, 0.1, 0.35)


def gap_level(periods: float) -> Level:
    """Judge the longest gap of a stream, in its periods."""
    return level_below(periods, 2.2, 6.2)
