# SPDX-License-Identifier: GPL-3.0-or-later
"""Can what is seen now be annotated? A light for the take and one for each view, with words."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from gui.health import Level, worst
from gui.pictures import spoken
from gui.qt import Qt, QtCore, QtGui, QtWidgets
from gui.theme import Theme, colour

if TYPE_CHECKING:
    from capture.annotatable import Reading, Verdict

_WORDS: dict[Level, str] = {
    "good": "Can be annotated",
    "warn": "Watch",
    "bad": "Not good enough",
    "idle": "Not judged yet",
}
_SHORT: dict[Level, str] = {"good": "good", "warn": "watch", "bad": "fix", "idle": "no data"}
_HEIGHT_PX, _PILL_PX, _PAD_PX = 34, 26, 10


def level_of(level: str) -> Level:
    """A judgement of `capture.annotatable` as the windows name it: what is unknown is idle."""
    return "idle" if level == "unknown" else level  # type: ignore[return-value]


class VerdictStrip(QtWidgets.QWidget):
    """One line: a pill for the take, a pill for each view, and what to do first.

    Colour is never the only sign: every pill has a word. The tip lists all readings.

    Args:
        theme: the colours.
        advise: whether it also says what to do first.
    """

    def __init__(self, theme: Theme, *, advise: bool = True) -> None:
        super().__init__()
        self._theme, self._advise = theme, advise
        self.verdict: Verdict | None = None
        self._away: frozenset[str] = frozenset()
        self.setFixedHeight(_HEIGHT_PX)
        self.setMinimumWidth(240)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme
        self.update()

    def show_verdict(self, verdict: Verdict | None) -> None:
        """Show a judgement; None where there is nothing to judge."""
        if verdict == self.verdict and verdict is not None:
            return
        self.verdict = verdict
        self.setToolTip(tip(verdict, self._theme) if verdict is not None else "")
        self.setAccessibleName(self.words)
        self.update()

    def show_away(self, views: Collection[str]) -> None:
        """Tell which views send nothing now: whatever was judged of them is of the past."""
        if frozenset(views) != self._away:
            self._away = frozenset(views)
            self.setAccessibleName(self.words)
            self.update()

    @property
    def level(self) -> Level:
        """The level that needs most attention."""
        if self._away:
            return "bad"
        return level_of(self.verdict.level) if self.verdict is not None else "idle"

    @property
    def words(self) -> str:
        """All that the strip says, in one line."""
        said = [f"{name}: {word}" for name, _, word in self.pills()]
        return "  ·  ".join([*said, self.advice]) if self.advice else "  ·  ".join(said)

    @property
    def advice(self) -> str:
        """What to do first; empty when all is well."""
        found = self.verdict.words if self.verdict is not None and self._advise else ()
        rest = f"   (+{len(found) - 1} more)" if len(found) > 1 else ""
        return f"{found[0]}{rest}" if found else ""

    def pills(self) -> list[tuple[str, Level, str]]:
        """Name, level and word of each light, the take first."""
        judged = dict(self.verdict.views) if self.verdict is not None else {}
        out: list[tuple[str, Level, str]] = [("Take", self.level, _WORDS[self.level])]
        # Cameras before sensors, in an order that does not change while one is away.
        for view in sorted({*judged, *self._away}, key=lambda view: (spoken(view) != view, view)):
            level, word = _judged(judged.get(view, ()))
            out.append((spoken(view), "bad", "away") if view in self._away else (spoken(view), level, word))
        take = self.verdict.take if self.verdict is not None else ()
        levels = [(reading.name.replace("_", " "), level_of(reading.level)) for reading in take]
        return out + [(name, level, _SHORT[level]) for name, level in levels if level in ("warn", "bad")]

    def paintEvent(self, _event: QtGui.QPaintEvent | None) -> None:
        """Paint the pills, then the advice in the room that is left."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        left = 0.0
        for n, (name, level, word) in enumerate(self.pills()):
            left += self._paint_pill(painter, left, name if n else "", word, level) + 6
        room = QtCore.QRectF(left + 6, 0, self.width() - left - 8, self.height())
        painter.setPen(QtGui.QColor(self._theme.muted))
        text = painter.fontMetrics().elidedText(self.advice, Qt.ElideRight, max(int(room.width()), 0))
        painter.drawText(room, int(Qt.AlignVCenter | Qt.AlignLeft), text)
        painter.end()

    def _paint_pill(self, painter: QtGui.QPainter, left: float, name: str, word: str, level: Level) -> float:
        font = painter.font()
        font.setBold(not name)
        painter.setFont(font)
        metrics, shade = painter.fontMetrics(), self._theme.level(level)
        named = f"{name} " if name else ""
        width = metrics.horizontalAdvance(named + word) + 2 * _PAD_PX + 14
        box = QtCore.QRectF(left + 0.5, (self.height() - _PILL_PX) / 2, width, _PILL_PX)
        painter.setPen(QtGui.QPen(colour(shade, 150), 1.0))
        painter.setBrush(colour(shade, 60 if not name else 26))
        painter.drawRoundedRect(box, _PILL_PX / 2, _PILL_PX / 2)
        painter.setPen(Qt.NoPen)
        painter.setBrush(QtGui.QColor(shade))
        painter.drawEllipse(QtCore.QPointF(box.left() + _PAD_PX + 4, box.center().y()), 4, 4)
        text = box.adjusted(_PAD_PX + 14, 0, 0, 0)
        painter.setPen(QtGui.QColor(self._theme.muted))
        painter.drawText(text, int(Qt.AlignVCenter | Qt.AlignLeft), named)
        painter.setPen(QtGui.QColor(self._theme.text))
        text.setLeft(text.left() + metrics.horizontalAdvance(named))
        painter.drawText(text, int(Qt.AlignVCenter | Qt.AlignLeft), word)
        font.setBold(False)
        painter.setFont(font)
        return width


def _judged(readings: tuple[Reading, ...]) -> tuple[Level, str]:
    """The level of a view that needs most attention, and a word: what is poor, or that all is well."""
    level = worst([level_of(reading.level) for reading in readings])
    poor = [reading.name.replace("_", " ") for reading in readings if level_of(reading.level) == level]
    return level, poor[0] if level in ("warn", "bad") else _SHORT[level]


def tip(verdict: Verdict, theme: Theme) -> str:
    """All readings as a table with their words."""
    rows = []
    for place, readings in [*verdict.views.items(), ("take", verdict.take)]:
        for reading in readings:
            level = level_of(reading.level)
            rows.append(
                f"<tr><td style='padding-right:10px;color:{theme.muted}'>{place}</td>"
                f"<td style='padding-right:10px'>{reading.name.replace('_', ' ')}</td>"
                f"<td style='padding-right:10px;color:{theme.level(level)}'><b>{_SHORT[level]}</b></td>"
                f"<td>{reading.text}</td></tr>"
            )
    return f"<table>{''.join(rows)}</table>" if rows else ""
