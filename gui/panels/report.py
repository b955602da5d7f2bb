# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a take: what was recorded, how well, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gui.health import (
    STATE_LEVELS,
    UNKNOWN,
    Level,
    figure,
    fill_level,
    level_above,
    level_below,
    rate_level,
    skew_level,
)
from gui.panels.cadence import CadenceBar, gap_level, jitter_level
from gui.panels.verdict import VerdictStrip, level_of
from gui.qt import Qt, QtWidgets
from gui.theme import Theme, set_level, set_property

if TYPE_CHECKING:
    from capture.report import StreamReport, TakeReport

_WORDS: dict[Level, str] = {
    "good": "A good take",
    "warn": "Usable, with reservations",
    "bad": "Record it again",
    "idle": "Not judged",
}
# Shares of missing frames that are harmless, and that still are to be lived with.
_FEW_DROPS, _SOME_DROPS = 0.002, 0.02


class TakeReportView(QtWidgets.QWidget):
    """Shows one report: the judgement on top, figures, one line for each stream, what to know, and a copy as text."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.report: TakeReport | None = None
        self.copy = QtWidgets.QPushButton("Copy as text")
        self.copy.setToolTip("Copy the whole report, to paste into a log book.")
        self.copy.clicked.connect(self.copy_text)
        self._body = QtWidgets.QWidget()
        self._body.setObjectName("plain")
        self._scroll = QtWidgets.QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QtWidgets.QFrame.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._scroll, 1)
        row = QtWidgets.QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.copy)
        column.addLayout(row)
        self.show_report(None)

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme

    def show_report(self, report: TakeReport | None) -> None:
        """Show a report; None clears."""
        self.report = report
        self.copy.setEnabled(report is not None)
        body = QtWidgets.QWidget()
        body.setObjectName("plain")
        column = QtWidgets.QVBoxLayout(body)
        column.setContentsMargins(4, 2, 10, 4)
        column.setSpacing(12)
        if report is None:
            column.addWidget(_label("No take is chosen.", "muted"), 1, Qt.AlignCenter)
        else:
            column.addLayout(_head(report))
            column.addLayout(_tiles(tiles(report)))
            column.addWidget(self._verdict(report))
            column.addWidget(self._streams(report.streams))
            column.addWidget(_notes(report))
            column.addStretch(1)
        self._scroll.setWidget(body)

    def text(self) -> str:
        """The report as lines of text; empty without one."""
        return "\n".join(self.report.lines()) if self.report is not None else ""

    def copy_text(self) -> None:
        """Put the report's text on the clipboard."""
        QtWidgets.QApplication.clipboard().setText(self.text())

    def _verdict(self, report: TakeReport) -> QtWidgets.QWidget:
        card, column = _card("Can it be annotated?")
        strip = VerdictStrip(self._theme, advise=False)
        strip.show_verdict(report.verdict)
        column.addWidget(strip)
        for words in report.verdict.words[:8]:
            column.addWidget(_label(f"•  {words}", wrap=True))
        return card

    def _streams(self, streams: Sequence[StreamReport]) -> QtWidgets.QWidget:
        card, column = _card("Streams")
        grid = QtWidgets.QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(5)
        heads = ("", "fps", "interval, in periods 1 2 4 …", "scatter", "longest gap", "missing", "exposure")
        for n, head in enumerate(heads):
            grid.addWidget(_label(head, "muted"), 0, n, _side(n))
        grid.setColumnStretch(2, 1)
        for row, stream in enumerate(streams, 1):
            grid.addWidget(CadenceBar(self._theme, stream), row, 2)
            for n, (text, level, tip) in enumerate(cells(stream)):
                place = n + (n >= 2)
                label = _label(text)
                label.setToolTip(tip)
                # Only what is not good stands out.
                set_property(label, "level", level if level in ("warn", "bad") else "")
                grid.addWidget(label, row, place, _side(place))
        column.addLayout(grid)
        return card


def tiles(report: TakeReport) -> list[tuple[str, str, str, Level]]:
    """The large figures: name, value, a word about it, and how good it is."""
    missing = sum(sum(stream.drops.values()) for stream in report.streams)
    frames = sum(stream.frames for stream in report.streams)
    share = missing / max(frames + missing, 1)
    paired = report.paired / max(report.moments, 1)
    p95 = max((value[1] for value in report.skew_ms.values()), default=math.nan)
    middle = max((value[0] for value in report.skew_ms.values()), default=math.nan)
    fill = min(report.depth_fill.values(), default=math.nan)
    locked = [stream.locked for stream in report.streams if stream.locked is not None]
    lock: tuple[str, str, Level] = ("locked", "exposure and gain stood still", "good")
    if not locked:
        lock = (UNKNOWN, "the cameras do not say", "idle")
    elif not all(locked):
        lock = ("moving", "exposure or gain changed", "warn")
    return [
        ("Length", f"{report.seconds:.1f} s", f"{report.moments} moments", "idle"),
        ("Paired", f"{100 * paired:.1f} %", f"{report.paired} of {report.moments}", level_above(paired, 0.98, 0.9)),
        ("Missing", f"{missing}", f"{100 * share:.2f} % of frames", level_below(share, _FEW_DROPS, _SOME_DROPS)),
        ("Skew", figure(middle, "ms"), f"95 % below {figure(p95, 'ms')}", skew_level(p95)),
        ("Depth fill", figure(100 * fill, "%", 0), "worse view", fill_level(fill)),
        ("Exposure", *lock),
        ("Disk", f"{report.megabytes:.0f} MB", f"{figure(report.megabytes_per_minute, 'MB/min', 0)}", "idle"),
    ]


def cells(stream: StreamReport) -> list[tuple[str, Level, str]]:
    """The line of a stream: text, level and tip of each cell."""
    period_ms = 1000.0 / max(stream.nominal_fps, 1e-3)
    drops = ", ".join(f"{count} {reason}" for reason, count in stream.drops.items() if count)
    missing = sum(stream.drops.values())
    return [
        (stream.stream, "idle", f"{stream.frames} frames"),
        (_number(stream.fps), rate_level(stream.fps, stream.nominal_fps), f"{stream.nominal_fps:g} were asked for"),
        (figure(stream.jitter_ms, "ms"), jitter_level(stream.jitter_ms / period_ms), "95 % of intervals"),
        (figure(stream.longest_gap_ms, "ms", 0), gap_level(stream.longest_gap_ms / period_ms), ""),
        (
            drops or "none",
            level_below(missing / max(stream.frames + missing, 1), _FEW_DROPS, _SOME_DROPS),
            "frames missing, by reason",
        ),
        (_exposure(stream), "warn" if stream.locked is False else "idle", _lock_words(stream.locked)),
    ]


def _exposure(stream: StreamReport) -> str:
    low, high = (value / 1000 for value in stream.exposure_us)
    if not math.isfinite(low):
        return UNKNOWN
    span = f"{low:.1f} ms" if high - low < 0.05 else f"{low:.1f} – {high:.1f} ms"
    return f"{span}, {'locked' if stream.locked else 'moving'}" if stream.locked is not None else span


def _lock_words(locked: bool | None) -> str:
    if locked is None:
        return "The camera does not say whether exposure and gain were locked."
    return "Exposure and gain stood still." if locked else "Exposure or gain changed: lock them in the rig."


def _head(report: TakeReport) -> QtWidgets.QLayout:
    level = level_of(report.level)
    words = _label(_WORDS[level], "heading")
    set_level(words, level)
    who = [report.participant, " ".join(report.objects)]
    line = "  ·  ".join(word for word in (report.sequence, *who) if word)
    state = _label(report.state)
    set_level(state, STATE_LEVELS.get(report.state, "idle"))
    row = QtWidgets.QHBoxLayout()
    row.setSpacing(14)
    row.addWidget(words)
    row.addWidget(_label(line, "muted"), 1)
    row.addWidget(state)
    return row


def _tiles(figures: Iterable[tuple[str, str, str, Level]]) -> QtWidgets.QLayout:
    row = QtWidgets.QHBoxLayout()
    row.setSpacing(8)
    for name, value, note, level in figures:
        tile = QtWidgets.QFrame()
        tile.setObjectName("card")
        column = QtWidgets.QVBoxLayout(tile)
        column.setContentsMargins(11, 8, 11, 8)
        column.setSpacing(1)
        large = _label(value, "big")
        set_property(large, "level", "" if level == "idle" else level)
        column.addWidget(_label(name, "section"))
        column.addWidget(large)
        column.addWidget(_label(note, "muted", wrap=True))
        column.addStretch(1)
        row.addWidget(tile, 1)
    return row


def _notes(report: TakeReport) -> QtWidgets.QWidget:
    card, column = _card("Notes")
    lines = [
        f"{name}: skew median {figure(m, 'ms')}, 95 % {figure(p, 'ms')}, most {figure(most, 'ms')}"
        for name, (m, p, most) in report.skew_ms.items()
    ]
    lines += [
        f"{name}: {offset:+.1f} ± {sigma:.1f} ms against the reference, from the motion in the images"
        for name, (offset, sigma) in report.view_offset_ms.items()
    ]
    lines += [f"{view}: depth measured in {100 * fill:.0f} % of pixels" for view, fill in report.depth_fill.items()]
    lines += [f"recorded in {report.segments} files"] if report.segments > 1 else []
    lines += list(report.epochs)
    lines += [f"mark at {seconds:.2f} s{f': {text}' if text else ''}" for seconds, text in report.marks]
    for line in lines or ["Nothing special."]:
        column.addWidget(_label(line, wrap=True))
    return card


def _card(title: str) -> tuple[QtWidgets.QFrame, QtWidgets.QVBoxLayout]:
    frame = QtWidgets.QFrame()
    frame.setObjectName("card")
    column = QtWidgets.QVBoxLayout(frame)
    column.setContentsMargins(14, 10, 14, 12)
    column.setSpacing(5)
    column.addWidget(_label(title, "title"))
    return frame, column


def _label(text: str, name: str = "", *, wrap: bool = False) -> QtWidgets.QLabel:
    label = QtWidgets.QLabel(text)
    label.setObjectName(name)
    label.setWordWrap(wrap)
    label.setTextInteractionFlags(Qt.TextSelectableByMouse)
    return label


def _side(column: int) -> Qt.AlignmentFlag:
    return Qt.AlignLeft | Qt.AlignVCenter if column in (0, 2, 5, 6) else Qt.AlignRight | Qt.AlignVCenter


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else UNKNOWN
