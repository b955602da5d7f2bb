# SPDX-License-Identifier: GPL-3.0-or-later
"""The recording window: live views, one button, and lights that say whether the data will be good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hoi_core.errors import HoiError

from . import theme as themes
from .actions import install, show_sheet, toolbar
from .banner import Banner, show_unexpected
from .capture_actions import ACTIONS
from .health import lights
from .layout import recall, remember
from .panels.health_bar import HealthBar
from .panels.live_views import LiveViews
from .panels.record_panel import RecordPanel, State
from .qt import Qt, QtCore, QtGui, QtWidgets, application
from .sessions import CaptureSession, RecordReport, data_path
from .worker import Job

# 25 pictures a second look live and leave more of the processor to the recorder.
_FRAME_MS = 40
_HEALTH_MS = 250


@dataclass(frozen=True)
class CaptureWindowConfig:
    """What the window starts with."""

    root: Path
    """Where recordings go."""
    sequence: str = ""
    """Name of the first recording; empty takes the next free one."""
    participant: str = "p01"
    """Pseudonym."""
    objects: tuple[str, ...] = ("o01",)
    """Objects in the scene."""
    scenario: str = "s1"
    """Scenario of the protocol."""
    action: str = ""
    """What the participant does."""
    seconds: float | None = None
    """Stop by itself after this long, s."""
    theme: themes.Mode = "system"
    """Colours of the window."""


class CaptureWindow(QtWidgets.QMainWindow):
    """Previews and records; every wait happens on another thread.

    Args:
        open_session: makes the session; called on a worker thread, as it may take seconds.
        config: what the fields start with.
        theme: the colours.
    """

    def __init__(
        self, open_session: Callable[[], CaptureSession], config: CaptureWindowConfig, theme: themes.Theme
    ) -> None:
        super().__init__()
        self._open_session, self._config, self._theme = open_session, config, theme
        self.session: CaptureSession | None = None
        self._job: Job | None = None
        self._closed = False
        self._count_left = 0.0
        self.banner = Banner(theme)
        self.views = LiveViews(theme)
        self.panel = RecordPanel(theme)
        self.health_bar = HealthBar(theme)
        self.where = QtWidgets.QLabel()
        self.actions_by_id = install(self, ACTIONS, self._functions())
        self._lay_out()
        self._fill_fields()
        self.panel.pressed.connect(self.toggle_recording)
        self._frames = QtCore.QTimer(self)
        self._frames.timeout.connect(self._on_frame_tick)
        self._health = QtCore.QTimer(self)
        self._health.timeout.connect(self._on_health_tick)
        self.open()

    @property
    def state(self) -> State:
        """What the window is doing."""
        return self.panel.state

    def _functions(self) -> dict[str, Callable[[], object]]:
        return {
            "record.toggle": self.toggle_recording,
            "record.next": self.fill_next_name,
            "record.quit": self.close,
            "view.depth": lambda: self.views.set_depth_large(self.actions_by_id["view.depth"].isChecked()),
            "view.full": lambda: self.showNormal() if self.isFullScreen() else self.showFullScreen(),
            "help.keys": lambda: show_sheet(self, ACTIONS, self._theme),
        }

    def _lay_out(self) -> None:
        self.setWindowTitle("hoi-capture")
        recall(self, "capture")
        bar = toolbar(self, ACTIONS, self.actions_by_id, self._theme)
        space = QtWidgets.QWidget()
        space.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Preferred)
        bar.addWidget(space)
        self.where.setObjectName("muted")
        self.where.setContentsMargins(0, 0, 10, 0)
        bar.addWidget(self.where)
        self.panel.setFixedWidth(312)
        middle = QtWidgets.QHBoxLayout()
        middle.setSpacing(12)
        middle.addWidget(self.views, 1)
        middle.addWidget(self.panel)
        body = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(body)
        column.setContentsMargins(12, 10, 12, 12)
        column.setSpacing(12)
        column.addWidget(self.banner)
        column.addLayout(middle, 1)
        column.addWidget(self.health_bar)
        self.setCentralWidget(body)
        # Space in a text field types a space; Return leaves the field, so that Space records again.
        self.views.setFocusPolicy(Qt.StrongFocus)
        for field in self.panel.fields:
            if isinstance(field, QtWidgets.QLineEdit):
                field.returnPressed.connect(self.views.setFocus)
        self.views.setFocus()

    def _fill_fields(self) -> None:
        config, panel = self._config, self.panel
        panel.sequence.setText(config.sequence)
        panel.participant.setText(config.participant)
        panel.objects.setText(", ".join(config.objects))
        panel.scenario.setText(config.scenario)
        panel.action.setText(config.action)
        panel.seconds.setValue(round(config.seconds or 0))

    def open(self) -> None:
        """Open the cameras in the background."""

        def work(_progress: object, _cancelled: object) -> CaptureSession:
            session = self._open_session()
            try:
                session.start()
            except BaseException:
                session.stop()
                raise
            return session

        self._set_state("opening")
        self.views.set_empty_text("opening the cameras …")
        self.panel.show_time(0.0, "")
        self._run(work, self._opened, self._open_failed)

    def _opened(self, session: CaptureSession) -> None:
        self.session = session
        if self.state == "closing":
            return
        self.where.setText(f"{session.rig_name} rig   ·   {data_path(self._config.root)}")
        self.views.set_empty_text("waiting for images")
        self.views.set_streams(session.streams)
        if not self.panel.sequence.text().strip():
            self.fill_next_name()
        self._set_state("ready")
        self._frames.start(_FRAME_MS)
        self._health.start(_HEALTH_MS)

    def _open_failed(self, error: HoiError) -> None:
        self.views.set_empty_text("no cameras")
        self.banner.show_error(error)
        if self.state != "closing":
            self._set_state("failed")

    def fill_next_name(self) -> None:
        """Fill in the next free sequence name."""
        if self.session is not None and self.state in ("opening", "ready"):
            self.panel.sequence.setText(self.session.next_sequence())

    def toggle_recording(self) -> None:
        """The big button and Space."""
        if self.state == "failed":
            self.banner.hide()
            self.open()
        elif self.state == "ready":
            self._count_left = float(self.panel.countdown.value())
            self._set_state("countdown")
            if self._count_left <= 0:
                self._record()
        elif self.state == "countdown":
            self._set_state("ready")
        elif self.state == "recording":
            self._save()

    def _record(self) -> None:
        if self.session is None:
            return
        self.banner.hide()
        try:
            self.session.start_recording(self.panel.request())
        except HoiError as error:
            self.banner.show_error(error)
            self._set_state("ready")
        else:
            self._set_state("recording")

    def _save(self) -> None:
        session = self.session
        if session is not None:
            self._set_state("saving")
            self._run(lambda _p, _c: session.stop_recording(), self._saved, self._save_failed)

    def _saved(self, report: RecordReport) -> None:
        name, dropped = report.path.parent.name, len(report.drops)
        lost = "no frame dropped" if not dropped else f"{dropped} dropped frames, listed in the file"
        self.banner.show_message(
            "good" if not dropped and report.paired == report.moments else "warn",
            f"{name} is saved: {report.seconds:.1f} s, {report.paired} of {report.moments} moments complete, {lost}.",
            f"Next: hoi-annotate {name}",
        )
        self.panel.add_take(name, report.seconds, dropped)
        self._back_to_ready()

    def _save_failed(self, error: HoiError) -> None:
        self.banner.show_error(error)
        self._back_to_ready()

    def _back_to_ready(self) -> None:
        if self.state != "closing":
            self._set_state("ready")
            self.fill_next_name()

    def _on_frame_tick(self) -> None:
        if self.session is None or self.state == "closing":
            return
        self.views.refresh(self.session)
        if self.state == "countdown":
            self._count_left -= _FRAME_MS / 1000
            self.panel.show_time(max(self._count_left, 0.0), "until recording starts")
            if self._count_left <= 0:
                self._record()
        elif self.state == "recording":
            self.panel.show_time(self.session.recorded_s, f"{self.panel.sequence.text()}")
            if not self.session.recording:
                self._save()
        elif self.state == "ready":
            self.panel.show_time(0.0, "press Space to record")

    def _on_health_tick(self) -> None:
        if self.session is None or self.state == "closing":
            return
        health = self.session.health()
        self.health_bar.show_lights(lights(health, {info.name: info.fps for info in self.session.streams}))
        self.views.show_rates(health.fps)
        error = self.session.take_error()
        if error is not None:
            self.banner.show_error(error)

    def _set_state(self, state: State) -> None:
        self.panel.set_state(state)
        self.actions_by_id["record.toggle"].setEnabled(self.panel.button.isEnabled())
        self.actions_by_id["record.next"].setEnabled(state == "ready")

    def _run(
        self,
        work: Callable[[Any, Any], Any],
        succeeded: Callable[[Any], None],
        failed: Callable[[HoiError], None],
    ) -> None:
        job = Job(work, self)
        job.succeeded.connect(succeeded)
        job.failed.connect(failed)
        job.ended.connect(lambda: self._job_ended(job))
        self._job = job
        job.start()

    def _job_ended(self, job: Job) -> None:
        if self._job is job:
            self._job = None
        job.deleteLater()
        if self.state == "closing" and not self._closed and self._job is None:
            self._stop_session()

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """Close once the recording is complete on disk; the window stays alive until then."""
        idle = self._job is None and self.session is None
        if self._closed or idle:
            remember(self, "capture")
            event.accept()
            return
        event.ignore()
        if self.state == "closing":
            return
        was_recording = self.state in ("recording", "saving")
        self._set_state("closing")
        if was_recording:
            self.banner.show_message("info", "Completing the recording before closing …")
        if self._job is None:
            self._stop_session()

    def _stop_session(self) -> None:
        self._frames.stop()
        self._health.stop()
        session = self.session
        if session is None:
            self._finish_closing()
            return
        self.session = None
        self._run(lambda _p, _c: session.stop(), lambda _: self._finish_closing(), self._stop_failed)

    def _stop_failed(self, error: HoiError) -> None:
        # Nothing more can be done for the devices; the file was flushed twice a second and can be recovered.
        self.banner.show_error(error)
        self._finish_closing()

    def _finish_closing(self) -> None:
        self._closed = True
        self.close()


def main(open_session: Callable[[], CaptureSession], config: CaptureWindowConfig) -> int:
    """Show the recording window until it is closed.

    Args:
        open_session: makes the session of the chosen rig; called on a worker thread.
        config: what the window starts with.

    Returns:
        Exit code.
    """
    app = application("hoi-capture")
    window = CaptureWindow(open_session, config, themes.apply(app, config.theme))
    show_unexpected(window.banner)
    window.show()
    return int(app.exec_())
