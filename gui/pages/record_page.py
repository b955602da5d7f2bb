# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that records: what is next on top, the live pictures, the large button, and the lights below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capture.protocol import Cell
from gui.feed import Figures
from gui.health import lights
from gui.lab import Consent, Desk
from gui.notice import Notice
from gui.panels.health_bar import HealthBar
from gui.panels.live_views import LiveViews
from gui.panels.record_panel import RecordPanel
from gui.panels.segments import Segments
from gui.panels.take_header import TakeHeader
from gui.panels.verdict import VerdictStrip
from gui.pictures import MODE_NAMES
from gui.qt import Qt, QtGui, QtWidgets, Signal
from gui.sessions import CaptureSession, DeviceState, RecordRequest
from gui.theme import Theme

_PANEL_PX, _WIDE_PANEL_PX, _WIDE_PX = 296, 360, 1500
_MODES = ("color", "gray", "edge", "depth")


class RecordPage(QtWidgets.QWidget):
    """Shows a session and what is to be recorded with it; decides nothing.

    Signals:
        mode_chosen(mode): a person wants something else in the large views.
        edited(): the next take is described otherwise.
    """

    mode_chosen = Signal(str)
    edited = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.header, self.views, self.panel = TakeHeader(), LiveViews(theme), RecordPanel(theme)
        self.verdict = VerdictStrip(theme)
        self.health_bar = HealthBar()
        self.lost = Notice("bad")
        self.modes = Segments(tuple((mode, MODE_NAMES[mode].capitalize()) for mode in _MODES))
        self.modes.setToolTip("What the large views show (1 to 4). A click on a picture's caption changes one alone.")
        self._nominal: Mapping[str, float] = {}
        self._names: dict[str, str] = {}
        self._desk: Desk | None = None
        self._lay_out()
        self.modes.chosen.connect(self.mode_chosen)
        self.panel.form.edited.connect(self._edited)
        # Space in a text field types a space; Return leaves the field, so that Space records again.
        self.views.setFocusPolicy(Qt.StrongFocus)
        for line in self.panel.form.lines:
            line.returnPressed.connect(self.views.setFocus)

    def _lay_out(self) -> None:
        left = QtWidgets.QVBoxLayout()
        left.setSpacing(8)
        left.addWidget(self.lost)
        left.addWidget(self.views, 1)
        middle = QtWidgets.QHBoxLayout()
        middle.setSpacing(12)
        middle.addLayout(left, 1)
        middle.addWidget(self.panel)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        bar = QtWidgets.QHBoxLayout()
        bar.addWidget(self.verdict, 1)
        bar.addSpacing(10)
        bar.addWidget(self.modes)
        column.addWidget(self.header)
        column.addLayout(bar)
        column.addLayout(middle, 1)
        column.addWidget(self.health_bar)

    def resizeEvent(self, event: QtGui.QResizeEvent | None) -> None:
        """Give the panel more room on a wide screen."""
        super().resizeEvent(event)
        self.panel.setFixedWidth(_WIDE_PANEL_PX if self.width() > _WIDE_PX else _PANEL_PX)

    def set_session(self, session: CaptureSession | None, empty_text: str) -> None:
        """Show the streams of a session; None while no rig is open."""
        streams = session.streams if session is not None else ()
        self._nominal = {info.name: info.fps for info in streams}
        self.views.set_empty_text(empty_text)
        self.views.set_streams(streams)
        if session is None:
            self.lost.hide()
            self.health_bar.clear()
            self.verdict.show_verdict(None)
            self.verdict.show_away(())

    def set_mode(self, mode: str) -> None:
        """Show this modality in the large views."""
        self.modes.choose(mode)
        self.views.set_mode(mode)

    def show_figures(self, figures: Figures) -> None:
        """Show the recorder's figures and which cameras are away."""
        self.health_bar.show_lights(lights(figures.health, self._nominal))
        self.views.show_rates(figures.health.fps)
        self._show_lost(figures.devices)

    def show_verdict(self, verdict: Any) -> None:
        """Show whether what is seen can be annotated."""
        self.verdict.show_verdict(verdict)

    def show_desk(self, desk: Desk) -> None:
        """Show the takes and the progress of the protocol; the fields stay as they are."""
        self._desk, self._names = desk, dict(desk.names)
        self.panel.takes.show_takes(desk.takes)
        self.header.show_progress(desk.coverage)
        self._edited()

    def propose(self, cell: Cell) -> None:
        """Make a cell of the protocol the next take."""
        self.panel.form.fill(cell)

    def show_consent(self, consent: Consent) -> None:
        """Show whether the participant may be recorded."""
        self.header.show_consent(consent)

    def show_request(self, request: RecordRequest) -> None:
        """Show what is being recorded."""
        self.header.show_request(request, self._names)
        self.panel.name.setText(request.sequence or self._next_name)

    @property
    def _next_name(self) -> str:
        return self._desk.sequence if self._desk is not None else ""

    def _edited(self) -> None:
        request = self.panel.form.request()
        self.header.show_request(request, self._names)
        self.panel.name.setText(request.sequence or self._next_name)
        self.edited.emit()

    def _show_lost(self, devices: Sequence[DeviceState]) -> None:
        away = [device for device in devices if device.state != "ok"]
        self.verdict.show_away({device.name for device in away})
        if not away:
            self.lost.hide()
            return
        said = "; ".join(_said(device) for device in away)
        rest = "The other streams go on. " if len(away) < len(devices) else ""
        self.lost.show_text(said, f"{rest}Plug it in again and it is taken back automatically.")


def _said(device: DeviceState) -> str:
    if device.state == "lost" and device.detail:
        return device.detail.rstrip(".")
    serial = f" ({device.serial})" if device.serial else ""
    what = "is lost" if device.state == "lost" else "sends no frames"
    detail = f": {device.detail.rstrip('.')}" if device.detail else ""
    return f"{device.name}{serial} {what}{detail}"
