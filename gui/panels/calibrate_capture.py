# SPDX-License-Identifier: GPL-3.0-or-later
"""The step in which the board is moved: live pictures, what to do next in large words, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gui.board_watch import Seen
from gui.image_view import CAPTION_PX
from gui.panels.board_view import BoardView
from gui.panels.card import Card
from gui.pictures import title
from gui.qt import Qt, QtGui, QtWidgets, Signal
from gui.theme import Theme, set_property
from hoi_core.types import StreamInfo

if TYPE_CHECKING:
    from capture.calibrate import Guidance

_PANEL_PX = 280
# Height of the words above the pictures, with the space around them.
_WORDS_PX = 100
# Least and most of the height that goes to the pictures of the cameras.
_LARGE_SHARE = (0.5, 0.78)
# With fewer shots no calibration is tried; up to this many more are better, but a person may choose.
_LEAST_SHOTS = 8
_CHECK_TIPS = (
    "Hold the board still where all cameras see it, large and not too oblique.",
    "Then press Check now: the board's corners in all views are compared with the calibration.",
)
_TIPS = (
    "Cells of the grid turn green where the board was seen: fill them in every picture.",
    "Near, so that the board fills a view; then far.",
    "Tilted to the left and right, up and down, by about 30 to 45 degrees.",
    "Held still for a moment: then a shot is taken automatically.",
)


class CalibrateCapture(QtWidgets.QWidget):
    """Shows what a board watch sees; decides nothing.

    Signals:
        paused(on): look no more for a while, or go on.
        restarted(): forget all shots.
        finished(): enough; solve, or check.
        left(): back to the first step.
    """

    paused = Signal(bool)
    restarted = Signal()
    finished = Signal()
    left = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.views: dict[str, BoardView] = {}
        self._checking = False
        self.shots = 0
        self.words = QtWidgets.QLabel("")
        self.words.setObjectName("huge")
        self.words.setWordWrap(True)
        self.words.setMinimumHeight(64)
        self.words.setAlignment(Qt.AlignLeft | Qt.AlignVCenter)
        self.count = QtWidgets.QLabel("")
        self.count.setObjectName("heading")
        self.progress = QtWidgets.QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.table = QtWidgets.QGridLayout()
        self.pause = QtWidgets.QPushButton("Pause")
        self.pause.setCheckable(True)
        self.pause.setToolTip("Take no shots while you get ready.")
        self.restart = QtWidgets.QPushButton("Start over")
        self.finish = QtWidgets.QPushButton("Finish")
        self.finish.setObjectName("primary")
        self.back = QtWidgets.QPushButton("Back")
        self.back.setObjectName("flat")
        self._cells: dict[str, tuple[QtWidgets.QLabel, QtWidgets.QLabel, QtWidgets.QProgressBar]] = {}
        self._lay_out()
        self.pause.toggled.connect(self._pause)
        self.restart.clicked.connect(self.restarted)
        self.finish.clicked.connect(self.finished)
        self.back.clicked.connect(self.left)

    def _lay_out(self) -> None:
        banner = QtWidgets.QFrame()
        banner.setObjectName("card")
        said = QtWidgets.QHBoxLayout(banner)
        said.setContentsMargins(18, 8, 18, 8)
        said.addWidget(self.words, 1)
        self._pictures = QtWidgets.QHBoxLayout()
        self._pictures.setSpacing(10)
        self._sensors = QtWidgets.QHBoxLayout()
        left = QtWidgets.QVBoxLayout()
        left.setSpacing(10)
        self._sensors.setSpacing(10)
        self._left = left
        left.addWidget(banner)
        left.addLayout(self._pictures, 2)
        below = QtWidgets.QHBoxLayout()
        below.setSpacing(10)
        below.addLayout(self._sensors)
        tips = Card("How to move the board")
        self.tips = QtWidgets.QLabel()
        self.tips.setWordWrap(True)
        tips.column.addWidget(self.tips)
        tips.column.addStretch(1)
        below.addWidget(tips, 1)
        left.addLayout(below, 1)
        panel = QtWidgets.QFrame()
        panel.setObjectName("card")
        panel.setFixedWidth(_PANEL_PX)
        column = QtWidgets.QVBoxLayout(panel)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(9)
        column.addWidget(self.count)
        column.addWidget(self.progress)
        self.table.setHorizontalSpacing(10)
        self.table.setVerticalSpacing(6)
        column.addSpacing(4)
        column.addLayout(self.table)
        column.addStretch(1)
        small = QtWidgets.QHBoxLayout()
        small.addWidget(self.pause)
        small.addWidget(self.restart)
        column.addLayout(small)
        column.addWidget(self.finish)
        column.addWidget(self.back)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addLayout(left, 1)
        row.addWidget(panel)

    def set_streams(self, streams: Mapping[str, StreamInfo], *, checking: bool) -> None:
        """Make a picture for each view: cameras large and side by side, sensors small in the panel."""
        self._checking = checking
        self.tips.setText("\n".join(f"•  {tip}" for tip in (_CHECK_TIPS if checking else _TIPS)))
        if checking:
            # A sensor's few pixels show no corners to check.
            streams = {name: info for name, info in streams.items() if info.kind != "sensor"}
        for view in self.views.values():
            view.setParent(None)
            view.deleteLater()
        self.views = {}
        for name, info in streams.items():
            sensor = info.kind == "sensor"
            view = BoardView(self._theme, title(name, info.name.partition("/")[2]), smooth=not sensor)
            self.views[name] = view
            if sensor:
                self._sensors.addWidget(view)
            else:
                self._pictures.addWidget(view, 1)
        self._fit()
        self._fill_table(streams)
        for button in (self.pause, self.restart, self.count, self.progress):
            button.setVisible(not checking)
        self.pause.setChecked(False)
        self.finish.setText("Check now" if checking else "Finish early")
        self.finish.setEnabled(False)
        self.words.setText("Waiting for images …")
        self._show_count(0, 0.0)

    def resizeEvent(self, event: QtGui.QResizeEvent | None) -> None:
        """Give the pictures of the cameras the height that they fill, and the rest to what stands below."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = self.width() - _PANEL_PX - 12
        large = max(self._pictures.count(), 1)
        filled = (room / large * 0.75 + CAPTION_PX) / max(self.height() - _WORDS_PX, 1)
        share = min(max(filled, _LARGE_SHARE[0]), _LARGE_SHARE[1])
        self._left.setStretch(1, round(1000 * share))
        self._left.setStretch(2, round(1000 * (1 - share)))
        below_px = (1 - share) * (self.height() - _WORDS_PX)
        for n in range(self._sensors.count()):
            self._sensors.itemAt(n).widget().setFixedWidth(max(round(below_px - CAPTION_PX), 140))

    def _fill_table(self, streams: Mapping[str, StreamInfo]) -> None:
        while self.table.count():
            item = self.table.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.deleteLater()
        self._cells = {}
        heads = ("View", "Shots", "Tilt") if not self._checking else ("View", "Corners")
        for n, head in enumerate(heads):
            label = QtWidgets.QLabel(head)
            label.setObjectName("section")
            self.table.addWidget(label, 0, n)
        for row, (name, info) in enumerate(streams.items(), 1):
            shown, number, tilt = QtWidgets.QLabel(name), QtWidgets.QLabel("0"), QtWidgets.QProgressBar()
            tilt.setRange(0, 1000)
            tilt.setTextVisible(False)
            tilt.setToolTip("How differently the board was tilted; the wider, the better the lens is known.")
            for column, widget in enumerate((shown, number, tilt)[: len(heads)]):
                self.table.addWidget(widget, row, column)
            tilt.setVisible(not self._checking and info.kind != "sensor")
            self._cells[name] = (shown, number, tilt)

    def show_seen(self, seen: Seen) -> None:
        """Show the images and what was found in them."""
        guidance = seen.guidance
        for name, view in self.views.items():
            found = guidance.views.get(name)
            if found is None or name not in seen.images:
                continue
            view.show_seen(seen.images[name], found, accepted=guidance.accepted)
            _, number, tilt = self._cells[name]
            number.setText(str(found.corners if self._checking else found.count))
            tilt.setValue(round(1000 * min(max(found.tilt, 0.0), 1.0)))
        self.show_guidance(guidance)

    def show_guidance(self, guidance: Guidance) -> None:
        """Say what to do next and how far it is."""
        self.words.setText(guidance.text)
        set_property(self.words, "level", "good" if guidance.accepted or guidance.ready else "")
        self.shots = guidance.shots
        self._show_count(guidance.shots, guidance.progress)
        early = not self._checking and not guidance.ready
        self.finish.setEnabled(guidance.ready or (early and guidance.shots >= _LEAST_SHOTS))
        if not self._checking:
            self.finish.setText("Finish early" if early else "Finish: compute the cameras")

    def _show_count(self, shots: int, progress: float) -> None:
        self.count.setText(f"{shots} shot{'' if shots == 1 else 's'}")
        self.progress.setValue(round(1000 * min(max(progress, 0.0), 1.0)))

    def _pause(self, on: bool) -> None:
        self.pause.setText("Go on" if on else "Pause")
        if on:
            self.words.setText("Paused.")
        self.paused.emit(on)
