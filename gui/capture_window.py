# SPDX-License-Identifier: GPL-3.0-or-later
"""The recording window: pages for the rig, its calibration, the takes and the protocol, around one open rig."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hoi_core.errors import DeviceError, HoiError

from . import theme as themes
from .actions import install, show_sheet
from .banner import Banner, show_unexpected
from .capture_actions import ACTIONS, MODES, PAGES
from .dataset_lab import DatasetLab
from .desk_keeper import DeskKeeper
from .device_keeper import DeviceKeeper
from .feed import Feed, Figures, Picture
from .floating import Floating
from .jobs import Jobs
from .lab import Lab
from .layout import recall, remember
from .pages.calibrate_host import CalibrateHost
from .pages.coverage_page import CoveragePage
from .pages.record_page import RecordPage
from .pages.rig_page import RigPage
from .qt import QtCore, QtGui, QtWidgets, application
from .rail import Rail
from .session_host import SessionHost
from .sessions import CaptureSession, data_path
from .smooth import keep_smooth
from .take_director import TakeDirector
from .take_flow import BUSY, FlowState, TakeFlow
from .take_reviews import TakeReviews

_WHERE_PX = 520
_AWAKE_MS = 200
_LEAST_SIZE = (1180, 720)


@dataclass(frozen=True)
class CaptureWindowConfig:
    """What the window starts with."""

    root: Path
    """Where recordings go."""
    rig: str = "simulated"
    """Opened at the start; empty opens none and shows the rigs."""
    sequence: str = ""
    """Name of the first recording; empty takes the next free one."""
    participant: str = ""
    """Pseudonym; empty takes whom the protocol proposes."""
    objects: tuple[str, ...] = ()
    """Objects in the scene; empty takes what the protocol proposes."""
    scenario: str = ""
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
        lab: the dataset and the devices.
        config: what the window starts with.
        theme: the colours.
    """

    def __init__(self, lab: Lab, config: CaptureWindowConfig, theme: themes.Theme) -> None:
        super().__init__()
        self.lab, self._config, self._theme = lab, config, theme
        self._feed: Feed | None = None
        self._closing = self._closed = False
        self.jobs, self.host, self.flow = Jobs(self), SessionHost(lab.open, self), TakeFlow(lab, self)
        self.desk, self.devices = DeskKeeper(lab, self.jobs, self), DeviceKeeper(lab, self.jobs, self)
        self.reviews = TakeReviews(lab.root, self.jobs, self)
        self.banner = Banner(theme)
        self.rig_page, self.record_page, self.coverage_page = RigPage(), RecordPage(theme), CoveragePage(theme)
        self.calibrate_page = CalibrateHost(theme, lab.root)
        self.director = TakeDirector(self.flow, self.desk, self.record_page, self)
        self.actions_by_id = install(self, ACTIONS, self._functions())
        self.rail = Rail(ACTIONS, self.actions_by_id, theme)
        self.stack = QtWidgets.QStackedWidget()
        self.where = QtWidgets.QLabel()
        self._lay_out()
        self._wire()
        self.set_mode("color")
        self.show_page("record" if config.rig else "rig")
        self.director.begin(config)
        self.devices.refresh()
        if config.rig:
            self.host.open(config.rig)
        else:
            self._host_changed()

    @property
    def state(self) -> FlowState:
        """How far the take is."""
        return self.flow.state

    @property
    def views(self) -> QtWidgets.QWidget:
        """The live pictures."""
        return self.record_page.views

    @property
    def page(self) -> str:
        """The page that is shown."""
        return PAGES[self.stack.currentIndex()]

    def _functions(self) -> dict[str, Callable[[], object]]:
        pages = {f"page.{name}": lambda name=name: self.show_page(name) for name in PAGES}
        modes = {f"view.{mode}": lambda mode=mode: self.set_mode(mode) for mode in MODES}
        return {
            "record.toggle": self.toggle_recording,
            "record.mark": self.flow.mark,
            "record.redo": self.director.redo,
            "record.next": self.director.propose_next,
            "record.skip": self.director.skip,
            "record.edit": self.director.edit,
            "record.report": lambda: self._with_chosen_take(self.show_report),
            "record.replay": lambda: self._with_chosen_take(self.replay),
            "record.quit": self.close,
            "view.theme": self.toggle_theme,
            "view.full": lambda: self.showNormal() if self.isFullScreen() else self.showFullScreen(),
            "help.keys": lambda: show_sheet(self, ACTIONS, self._theme),
            **pages,
            **modes,
        }

    def _lay_out(self) -> None:
        self.setWindowTitle("hoi-capture")
        self.setMinimumSize(*_LEAST_SIZE)
        recall(self, "capture")
        self.addToolBar(QtCore.Qt.LeftToolBarArea, self.rail)
        for page in (self.rig_page, self.calibrate_page, self.record_page, self.coverage_page):
            self.stack.addWidget(page)
        body = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(body)
        column.setContentsMargins(12, 10, 12, 12)
        column.setSpacing(10)
        column.addWidget(self.stack, 1)
        self.setCentralWidget(body)
        self._floating = Floating(body, self.banner)
        self.where.setObjectName("muted")
        self.where.setAlignment(QtCore.Qt.AlignRight | QtCore.Qt.AlignVCenter)
        self.where.setContentsMargins(0, 0, 14, 0)
        # The menu bar does not follow a corner that grows.
        self.where.setMinimumSize(_WHERE_PX, self.menuBar().sizeHint().height())
        self.menuBar().setCornerWidget(self.where)

    def _wire(self) -> None:
        self.host.changed.connect(self._host_changed)
        self.host.opened.connect(self._opened)
        self.host.closed.connect(self._rig_closed)
        self.host.failed.connect(self._rig_failed)
        self.flow.changed.connect(self._flow_changed)
        self.flow.failed.connect(self.banner.show_error)
        self.director.shown.connect(lambda: self.show_page("record"))
        self.director.told.connect(self.banner.show_message)
        self.director.calm.connect(self.banner.hide)
        self.jobs.failed.connect(self.banner.show_error)
        self.jobs.idle.connect(self._finish_closing)
        self.desk.changed.connect(self._offer)
        self.desk.changed.connect(lambda: self.coverage_page.show_desk(self.desk.now))
        self.desk.consent.connect(self.record_page.show_consent)
        self.desk.consent.connect(self.coverage_page.show_consent)
        self.devices.rigs.connect(self.rig_page.show_rigs)
        self.devices.plugged.connect(self.rig_page.show_plugged)
        self.devices.bandwidth.connect(self.rig_page.show_bandwidth)
        self.rig_page.opened.connect(self.open_rig)
        self.rig_page.closed.connect(self.close_rig)
        self.rig_page.refreshed.connect(self.devices.refresh)
        self.coverage_page.taken.connect(self.director.take_up)
        self.coverage_page.planned.connect(self.desk.plan)
        self.coverage_page.chosen.connect(lambda cell: self.desk.ask_consent(cell.participant))
        self.coverage_page.reported.connect(self.show_report)
        self.reviews.failed.connect(self.banner.show_error)
        self._wire_record_page()

    def _wire_record_page(self) -> None:
        page, panel = self.record_page, self.record_page.panel
        page.mode_chosen.connect(self.set_mode)
        page.views.wanted.connect(lambda wanted: self._feed.want(wanted) if self._feed is not None else None)
        panel.reported.connect(self.show_report)
        panel.replayed.connect(self.replay)

    def show_page(self, name: str) -> None:
        """Show a page of the rail."""
        self.stack.setCurrentIndex(PAGES.index(name))
        for page in PAGES:
            self.actions_by_id[f"page.{page}"].setChecked(page == name)
        self.calibrate_page.set_shown(name == "calibrate")
        if name == "record":
            self.record_page.views.setFocus()

    def set_mode(self, mode: str) -> None:
        """Show this modality in the large views."""
        for name in MODES:
            self.actions_by_id[f"view.{name}"].setChecked(name == mode)
        self.record_page.set_mode(mode)

    def toggle_theme(self) -> None:
        """Change between light and dark."""
        themes.toggle(self._theme)

    def set_theme(self, theme: themes.Theme) -> None:
        """Take over other colours."""
        self._theme = theme

    def open_rig(self, rig: str) -> None:
        """Open a rig in place of the one that is open; not in the middle of a take."""
        if self._may_change_rig():
            self._stop_feed()
            self.host.open(rig)

    def close_rig(self) -> None:
        """Close the open rig; not in the middle of a take."""
        if self._may_change_rig():
            self._stop_feed()
            self.host.close()

    def _may_change_rig(self) -> bool:
        if self.flow.state not in BUSY:
            return True
        self.banner.show_message("warn", "A take is being recorded.", "Stop it first; the rig stays open.")
        return False

    def _host_changed(self) -> None:
        state = self.host.state
        self.rig_page.show_state(state, self.host.rig, self.host.session)
        self.calibrate_page.set_session(self.host.session)
        if self.host.session is None:
            self.flow.set_session(None)
            words = {
                "opening": "opening the cameras …",
                "closing": "closing the cameras …",
                "failed": "The rig could not be opened.\nSee the Rig page (Ctrl+1).",
            }
            self.record_page.set_session(None, words.get(state, "No rig is open.\nOpen one on the Rig page (Ctrl+1)."))
        name = f"{self.host.rig} rig" if self.host.session is not None else "no rig"
        self.where.setText(f"{name}   ·   {data_path(self.lab.root)}")
        if self._closing and not self.host.busy:
            self._finish_closing()

    def _opened(self, session: CaptureSession) -> None:
        self.record_page.set_session(session, "waiting for images")
        self.flow.set_session(session)
        self.devices.judge_bandwidth(session)
        feed = Feed(session, self)
        feed.pictures.connect(self._show_pictures)
        feed.figures.connect(self._show_figures)
        feed.verdict.connect(self.record_page.show_verdict)
        feed.hands.connect(self.record_page.views.show_hands)
        self._feed = feed
        self.record_page.views.ask()
        feed.start()

    def _rig_closed(self) -> None:
        self.desk.refresh()

    def _rig_failed(self, error: HoiError) -> None:
        self.banner.show_error(error)
        self.desk.refresh()

    def _show_pictures(self, pictures: Sequence[Picture]) -> None:
        if self._feed is not None:
            self.record_page.views.show_pictures(pictures)
            self._feed.taken()

    def _show_figures(self, figures: Figures) -> None:
        if self._feed is None:
            return
        self.record_page.show_figures(figures)
        self.rig_page.show_devices(figures.devices)
        lost = any(device.state == "lost" for device in figures.devices)
        if figures.error is not None and not (lost and isinstance(figures.error, DeviceError)):
            # A lost camera has a line of its own, which goes when the camera comes back.
            self.banner.show_error(figures.error)

    def _stop_feed(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.stop()
            feed.deleteLater()

    def toggle_recording(self) -> None:
        """The large button and Space."""
        self.director.toggle()

    def _flow_changed(self) -> None:
        self._offer()
        if self._closing and not self.flow.busy and self.flow.state not in BUSY:
            self._begin_closing()

    def _offer(self) -> None:
        for name, enabled in self.director.possible().items():
            self.actions_by_id[name].setEnabled(enabled)

    def show_report(self, sequence: str) -> None:
        """Show the report of a take."""
        self.reviews.show_report(self, sequence, self._theme)

    def replay(self, sequence: str) -> None:
        """Play a take, all streams in time."""
        self.reviews.replay(sequence, self._theme)

    def _with_chosen_take(self, function: Callable[[str], None]) -> None:
        take = self.record_page.panel.takes.chosen
        if take is None:
            self.banner.show_message("info", "There is no take yet.", "Press Space to record one.", 5.0)
        else:
            function(take.sequence)

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """Close once the recording is complete on disk; the window stays alive until then."""
        if self._closed:
            remember(self, "capture")
            event.accept()
            return
        event.ignore()
        if self._closing:
            return
        self._closing = True
        if self.flow.state in BUSY:
            self.banner.show_message("info", "Completing the recording before closing …")
        self.setEnabled(False)
        self.devices.close()
        self.calibrate_page.set_shown(False)
        if not self.flow.busy:
            # Not from within the event: a window cannot close while it refuses to.
            QtCore.QTimer.singleShot(0, self._begin_closing)

    def _begin_closing(self) -> None:
        self._stop_feed()
        if self.host.session is not None or self.host.busy:
            self.host.close()
        else:
            self._finish_closing()

    def _finish_closing(self) -> None:
        waiting = self.host.busy or self.host.session is not None or self.flow.busy or self.jobs.busy
        if self._closing and not self._closed and not waiting:
            self._closed = True
            self.reviews.close()
            self.close()


def main(open_session: Callable[[str], CaptureSession], config: CaptureWindowConfig) -> int:
    """Show the recording window until it is closed.

    Ctrl-C and SIGTERM close it with its recording complete; after the first, signals do what they did before.

    Args:
        open_session: makes the session of a rig by name; called on a worker thread.
        config: what the window starts with.

    Returns:
        Exit code.
    """
    from capture.stopping import stop_on_signals

    app = application("hoi-capture")
    colours = themes.apply(app, themes.remembered_mode(config.theme))
    window = CaptureWindow(DatasetLab(config.root, open_session), config, colours)
    show_unexpected(window.banner)
    keep_smooth(window.host)
    with stop_on_signals() as stop:
        # Python hears of a signal when it next runs: at the latest when this timer fires.
        awake = QtCore.QTimer(window)
        awake.timeout.connect(lambda: window.close() if stop.is_set() else None)
        awake.start(_AWAKE_MS)
        window.show()
        return int(app.exec_())
