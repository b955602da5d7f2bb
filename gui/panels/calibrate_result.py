# SPDX-License-Identifier: GPL-3.0-or-later
"""The last step of calibrating: how good it is, in figures with a judgement, and what becomes of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gui.health import Level, figure, level_below, worst
from gui.notice import Notice
from gui.panels.card import Card
from gui.panels.residual_plot import ResidualPlot
from gui.qt import Qt, QtWidgets, Signal
from gui.theme import Theme, set_level
from hoi_core.errors import HoiError

if TYPE_CHECKING:
    from capture.calibrate import Calibration

_WORDS: dict[Level, str] = {
    "good": "A good calibration",
    "warn": "Usable; better with more shots",
    "bad": "Poor: calibrate again",
    "idle": "Not judged",
}
_SHORT: dict[Level, str] = {"good": "good", "warn": "watch", "bad": "poor", "idle": "–"}


class CalibrateResult(QtWidgets.QWidget):
    """Figures, residual pictures, and save, attach, report, more shots.

    Signals:
        saved(attach): write it, and name it in the rig's file if `attach`.
        report_wanted(): open the report.
        more(): back to the board for more shots.
        discarded(): back to the first step.
    """

    saved = Signal(bool)
    report_wanted = Signal()
    more = Signal()
    discarded = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.calibration: Calibration | None = None
        self.heading = QtWidgets.QLabel("")
        self.heading.setObjectName("heading")
        self.refusal = Notice("bad")
        self.figures = Card("Figures")
        self.residuals = Card("Residuals", "No visible pattern: the lens models fit.")
        self._grid = QtWidgets.QGridLayout()
        self._plots = QtWidgets.QGridLayout()
        self._plots.setSpacing(12)
        self.save = QtWidgets.QPushButton("Save")
        self.save.setObjectName("primary")
        self.attach = QtWidgets.QCheckBox("Use it in this rig")
        self.report = QtWidgets.QPushButton("Open the report")
        self.again = QtWidgets.QPushButton("Take more shots")
        self.discard = QtWidgets.QPushButton("Discard")
        self.discard.setObjectName("flat")
        self._lay_out()
        self.save.clicked.connect(lambda: self.saved.emit(self.attach.isChecked() and self.attach.isEnabled()))
        self.report.clicked.connect(self.report_wanted)
        self.again.clicked.connect(self.more)
        self.discard.clicked.connect(self.discarded)

    def _lay_out(self) -> None:
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(6)
        self.figures.column.addLayout(self._grid)
        self.figures.column.addStretch(1)
        self.residuals.column.addLayout(self._plots, 1)
        middle = QtWidgets.QHBoxLayout()
        middle.setSpacing(12)
        middle.addWidget(self.figures, 2)
        middle.addWidget(self.residuals, 3)
        bar = QtWidgets.QHBoxLayout()
        bar.setSpacing(10)
        for widget in (self.discard, self.again):
            bar.addWidget(widget)
        bar.addStretch(1)
        for widget in (self.report, self.attach, self.save):
            bar.addWidget(widget)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.heading)
        column.addWidget(self.refusal)
        column.addLayout(middle, 1)
        column.addLayout(bar)

    def show_refusal(self, error: HoiError) -> None:
        """Show why no calibration came of it, and what to do."""
        self.calibration = None
        self.heading.setText("The calibration failed")
        set_level(self.heading, "bad")
        self.refusal.show_text(error.message, error.hint)
        for card in (self.figures, self.residuals):
            card.setVisible(False)
        for widget in (self.save, self.attach, self.report):
            widget.setVisible(False)

    def show_calibration(self, calibration: Calibration, rig: str) -> None:
        """Show a result; `rig` names the file that can take it, empty if there is none."""
        self.calibration = calibration
        rows = figures(calibration)
        level = worst([row[2] for row in rows])
        self.heading.setText(_WORDS[level])
        set_level(self.heading, level)
        self.refusal.hide()
        if calibration.notes:
            self.refusal.set_level("warn")
            self.refusal.show_text("Notes", "\n".join(calibration.notes))
        self._fill(rows)
        self._plot(calibration)
        for widget in (self.figures, self.residuals, self.save, self.attach, self.report):
            widget.setVisible(True)
        self.save.setEnabled(True)
        self.save.setText("Save")
        self.attach.setEnabled(bool(rig))
        self.attach.setChecked(bool(rig))
        self.attach.setText(f"Use it in {rig}" if rig else "This rig has no file that could name it")

    def show_saved(self, identifier: str, attached: str) -> None:
        """Tell where it went."""
        self.save.setText(f"Saved as {identifier}")
        self.save.setEnabled(False)
        self.refusal.set_level("good")
        where = f"{attached} uses it from its next opening on." if attached else "Name it in a rig file to use it."
        self.refusal.show_text(f"Saved as {identifier}.", where)

    def _fill(self, rows: list[tuple[str, str, Level, str]]) -> None:
        _empty(self._grid)
        for n, (name, value, level, tip) in enumerate(rows):
            named, figure, word = QtWidgets.QLabel(name), QtWidgets.QLabel(value), QtWidgets.QLabel(_SHORT[level])
            named.setObjectName("muted")
            set_level(word, level)
            for column, label in enumerate((named, figure, word)):
                label.setToolTip(tip)
                self._grid.addWidget(label, n, column, Qt.AlignRight if column == 1 else Qt.AlignLeft)
        self._grid.setColumnStretch(0, 1)

    def _plot(self, calibration: Calibration) -> None:
        _empty(self._plots)
        for n, (view, residual) in enumerate(calibration.residuals.items()):
            size = (calibration.cameras[view].width, calibration.cameras[view].height)
            plot = ResidualPlot(self._theme, view, size, residual.corners_px, residual.error_px)
            self._plots.addWidget(plot, n // 2, n % 2)


def figures(calibration: Calibration) -> list[tuple[str, str, Level, str]]:
    """Name, value, judgement and explanation of each figure."""
    known = calibration.figures
    rows: list[tuple[str, str, Level, str]] = []
    for view, rms_px in known.rms_px.items():
        shots = known.shots.get(view, 0)
        rows.append(
            (f"{view}: lens only", figure(rms_px, "px", 2), level_below(rms_px, 0.5, 1.0), f"RMS over {shots} shots")
        )
    rows += [
        ("All views together", figure(known.stereo_rms_px, "px", 2), level_below(known.stereo_rms_px, 0.6, 1.0), "RMS"),
        (
            "Held-out shots",
            figure(known.holdout_px, "px", 2),
            level_below(known.holdout_px, 0.7, 1.0),
            "RMS in shots that the cameras were not fitted to",
        ),
        (
            "Loop closure",
            figure(known.loop_mm, "mm", 2),
            level_below(known.loop_mm, 2.5, 4.0),
            "How far a point moves when it is carried through all cameras and back",
        ),
    ]
    rows += [
        (f"{view}: depth to board", figure(plane_mm, "mm", 1), level_below(abs(plane_mm), 4.0, 10.0), "median distance")
        for view, plane_mm in known.plane_mm.items()
    ]
    rows += [
        (
            f"{view}: depth scale",
            f"{scale:.4f}" if math.isfinite(scale) else "–",
            level_below(abs(scale - 1.0), 0.01, 0.03),
            "Measured depth by depth from the corners; far from 1: a square is not as long as the board file says",
        )
        for view, scale in known.depth_scale.items()
    ]
    pairs = known.baselines_mm or {"first two cameras": known.baseline_mm}
    rows += [
        (f"Distance {pair}", figure(value, "mm", 1), "idle", "Compare it with a tape") for pair, value in pairs.items()
    ]
    return rows


def _empty(layout: QtWidgets.QLayout) -> None:
    while layout.count():
        item = layout.takeAt(0)
        widget = item.widget() if item is not None else None
        if widget is not None:
            widget.deleteLater()
