# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about the frame that is shown."""

from __future__ import annotations

from gui.frame_facts import GOOD_MM, GOOD_PX, FrameFacts
from gui.health import UNKNOWN, figure, level_below
from gui.qt import Qt, QtWidgets
from gui.theme import Theme

_ROWS = ("Reprojection", "Depth", "Joint sigma", "Joints from", "2D evidence", "Revision")


class FrameInfo(QtWidgets.QFrame):
    """Frame, time and status on top; figures below."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("card")
        self._theme = theme
        self.frame = QtWidgets.QLabel()
        self.frame.setObjectName("title")
        self.status = QtWidgets.QLabel()
        self.values: dict[str, QtWidgets.QLabel] = {}
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(18, 12, 18, 12)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.frame, 0, 0, 1, 2)
        grid.addWidget(self.status, 0, 1, Qt.AlignRight)
        for row, name in enumerate(_ROWS, start=1):
            label = QtWidgets.QLabel(name)
            label.setObjectName("field")
            self.values[name] = QtWidgets.QLabel()
            grid.addWidget(label, row, 0)
            grid.addWidget(self.values[name], row, 1)
        grid.setRowStretch(len(_ROWS) + 1, 1)

    def show_facts(self, facts: FrameFacts, n_frames: int, revision: str) -> None:
        """Show a frame."""
        self.frame.setText(f"Frame {facts.frame} of {n_frames}   ·   {facts.seconds:.2f} s")
        self.status.setText(f"● {facts.status}")
        self.status.setStyleSheet(f"color: {self._theme.status(facts.status)}; font-weight: 600;")
        texts = {
            "Reprojection": figure(facts.reprojection_px, "px"),
            "Depth": figure(facts.depth_mm, "mm"),
            "Joint sigma": figure(facts.sigma_mm, "mm"),
            "Joints from": ", ".join(f"{source} {count}" for source, count in facts.sources) or UNKNOWN,
            "2D evidence": ", ".join(f"{view} {count}" for view, count in facts.evidence if count) or UNKNOWN,
            "Revision": revision,
        }
        for name, text in texts.items():
            self.values[name].setText(text)
        self._tint("Reprojection", self._theme.level(level_below(facts.reprojection_px, GOOD_PX, 2 * GOOD_PX)))
        self._tint("Depth", self._theme.level(level_below(facts.depth_mm, GOOD_MM, 2 * GOOD_MM)))

    def _tint(self, name: str, colour: str) -> None:
        self.values[name].setStyleSheet(f"color: {colour}; font-weight: 600;")
