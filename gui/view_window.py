# SPDX-License-Identifier: GPL-3.0-or-later
"""The window that plays a recording: all streams in time, with what is missing and why."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hoi_core.errors import HoiError

from . import icons
from . import theme as themes
from .actions import install, show_sheet, toolbar
from .banner import Banner, show_unexpected
from .feed import Wanted
from .health import STATE_LEVELS
from .jobs import Jobs
from .layout import recall, remember
from .panels.live_views import LiveViews
from .panels.replay_timeline import ReplayTimeline
from .panels.segments import Segments
from .panels.transport import Transport
from .pictures import MODE_NAMES
from .qt import QtCore, QtGui, QtWidgets, application
from .replay_reader import Opened, ReplayReader, Request, Shown
from .report_dialog import ReportDialog
from .timetable import LOST, OURS, EventKind
from .view_actions import ACTIONS, MODES, SPEEDS

_TICK_MS = 10
_GAPS: tuple[EventKind, ...] = ("drop", "loss", "restart")
_STATE_HINTS = {
    "never closed": "Its recorder was killed, or is still running. All that reached the disk is shown; "
    "`hoi-data recover` makes it a whole recording.",
    "stopped early": "It was closed before its time; all that it holds is shown.",
}


class ViewWindow(QtWidgets.QMainWindow):
    """Plays one recording. Opens, reads and decodes on a thread: it never waits for the disk.

    Args:
        folder: of the sequence, or its `capture.h5`.
        theme: the colours.
    """

    def __init__(self, folder: Path, theme: themes.Theme) -> None:
        super().__init__()
        self.folder, self._theme = Path(folder), theme
        self.moment = 0
        self.shown_moment = -1
        self.recording: Opened | None = None
        self._wanted: tuple[Wanted, ...] = ()
        self._speed = 1.0
        self._play_from = (0.0, 0.0)
        self._direction = 0
        self._painted: deque[float] = deque(maxlen=30)
        self.banner = Banner(theme)
        self.views = LiveViews(theme, zoomable=True, beside=True)
        self.timeline = ReplayTimeline(theme)
        self.transport = Transport()
        self.modes = Segments(tuple((mode, MODE_NAMES[mode].capitalize()) for mode in MODES))
        self.summary = QtWidgets.QLabel("")
        self.state = QtWidgets.QLabel("opening …")
        self.jobs = Jobs(self)
        self.report = ReportDialog(self.jobs, self)
        self.actions_by_id = install(self, ACTIONS, self._functions())
        self._lay_out()
        self._player = QtCore.QTimer(self)
        self._player.timeout.connect(self._play_tick)
        self.reader = ReplayReader(self.folder)
        self._connect()
        self.set_mode("color")
        self.set_speed("true")
        self.views.set_empty_text("opening …")
        self.reader.start()

    def _functions(self) -> dict[str, Callable[[], object]]:
        def step(moments: int) -> Callable[[], object]:
            return lambda: self.go_to(self.moment + moments)

        def skip(seconds: float) -> Callable[[], object]:
            return lambda: self.go_to_time(self.seconds + seconds)

        return {
            "file.sheet": self.ask_sheet,
            "file.frames": self.ask_frames,
            "file.report": lambda: self.report.show_take(self, self.folder, self._theme),
            "file.quit": self.close,
            "frame.first": lambda: self.go_to(0),
            "frame.back": step(-1),
            "frame.play": self.toggle_play,
            "frame.ahead": step(1),
            "frame.back_ten": step(-10),
            "frame.ahead_ten": step(10),
            "frame.back_second": skip(-5.0),
            "frame.ahead_second": skip(5.0),
            "frame.last": lambda: self.go_to(self.count - 1),
            "jump.mark": lambda: self.jump(("mark",), 1),
            "jump.mark_back": lambda: self.jump(("mark",), -1),
            "jump.drop": lambda: self.jump(_GAPS, 1),
            "jump.drop_back": lambda: self.jump(_GAPS, -1),
            **{f"speed.{name}": lambda name=name: self.set_speed(name) for name in SPEEDS},
            **{f"view.{mode}": lambda mode=mode: self.set_mode(mode) for mode in MODES},
            "view.labels": self.ask,
            "view.theme": self.toggle_theme,
            "view.full": lambda: self.showNormal() if self.isFullScreen() else self.showFullScreen(),
            "help.keys": lambda: show_sheet(self, ACTIONS, self._theme),
        }

    def _connect(self) -> None:
        self.reader.opened.connect(self._opened)
        self.reader.shown.connect(self._show)
        self.reader.failed.connect(self._failed)
        self.reader.saved.connect(self._saved)
        self.report.failed.connect(self.banner.show_error)
        self.jobs.failed.connect(self.banner.show_error)
        self.views.wanted.connect(self._want)
        self.timeline.chosen.connect(self.go_to)
        self.modes.chosen.connect(self.set_mode)
        self.transport.speeds.chosen.connect(self.set_speed)

    def _lay_out(self) -> None:
        recall(self, "view")
        toolbar(self, ACTIONS, self.actions_by_id, self._theme).setIconSize(QtCore.QSize(18, 18))
        self.actions_by_id["view.labels"].setEnabled(False)
        self.setWindowTitle(f"{self.name} – hoi-data view")
        self.summary.setObjectName("muted")
        top = QtWidgets.QHBoxLayout()
        top.setSpacing(14)
        top.addWidget(self.modes)
        top.addWidget(self.summary, 1)
        top.addWidget(self.state)
        strip = QtWidgets.QFrame()
        strip.setObjectName("card")
        inside = QtWidgets.QVBoxLayout(strip)
        inside.setContentsMargins(12, 8, 12, 8)
        inside.setSpacing(4)
        inside.addWidget(self.timeline)
        inside.addWidget(self.transport)
        body = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(body)
        column.setContentsMargins(12, 10, 12, 8)
        column.setSpacing(9)
        column.addWidget(self.banner)
        column.addLayout(top)
        column.addWidget(self.views, 1)
        column.addWidget(strip)
        self.setCentralWidget(body)
        hint = QtWidgets.QLabel("←  →  step      Space  play      M  next mark      E  next gap      ?  all keys")
        hint.setObjectName("muted")
        hint.setContentsMargins(14, 0, 0, 2)
        self.statusBar().addWidget(hint)
        self.statusBar().setSizeGripEnabled(False)

    @property
    def name(self) -> str:
        """Name of the sequence."""
        return (self.folder.parent if self.folder.is_file() else self.folder).resolve().name

    @property
    def count(self) -> int:
        """Number of moments; 0 while the recording is being opened."""
        return len(self.recording.table) if self.recording is not None else 0

    @property
    def seconds(self) -> float:
        """Time of the moment, s since the first."""
        return float(self.recording.table.t_s[self.moment]) if self.recording is not None and self.count else 0.0

    @property
    def playing(self) -> bool:
        """Whether it plays."""
        return self._player.isActive()

    def go_to(self, moment: int) -> None:
        """Show a moment; the nearest one that exists."""
        self._direction = 1 if moment >= self.moment else -1
        self._set_moment(moment)
        if self.playing:
            self._play_from = (time.monotonic(), self.seconds)

    def go_to_time(self, seconds: float) -> None:
        """Show the moment at a time, s since the first."""
        if self.recording is not None and self.count:
            self.go_to(self.recording.table.moment_at(max(seconds, 0.0)))

    def jump(self, kinds: Sequence[EventKind], step: int) -> None:
        """Go to the next or previous event of these kinds."""
        if self.recording is None:
            return
        found = self.recording.table.jump(self.moment, kinds, step)
        if found is None:
            what = "mark" if kinds == ("mark",) else "gap"
            self.banner.show_message("info", f"No {'further' if step > 0 else 'earlier'} {what}.", seconds=2.5)
            return
        self.go_to(found)

    def set_mode(self, mode: str) -> None:
        """Show this in the large views."""
        for name in MODES:
            self.actions_by_id[f"view.{name}"].setChecked(name == mode)
        self.modes.choose(mode)
        self.views.set_mode(mode)

    def set_speed(self, name: str) -> None:
        """Play at half, true or double speed."""
        for other in SPEEDS:
            self.actions_by_id[f"speed.{other}"].setChecked(other == name)
        self.transport.speeds.choose(name)
        self._speed = SPEEDS[name]
        self._play_from = (time.monotonic(), self.seconds)

    def toggle_play(self) -> None:
        """Play, or stop."""
        if not self.count:
            return
        if self.playing:
            self._stop_playing()
            return
        if self.moment >= self.count - 1:
            self._set_moment(0)
        self._direction = 1
        self._painted.clear()
        self._play_from = (time.monotonic(), self.seconds)
        self._player.start(_TICK_MS)
        self._show_icons()

    def toggle_theme(self) -> None:
        """Change between light and dark."""
        themes.toggle(self._theme)

    def set_theme(self, theme: themes.Theme) -> None:
        """Take over other colours, whichever window changed them."""
        self._theme = theme
        self._show_icons()

    def ask(self) -> None:
        """Ask for the pictures of the moment."""
        if self.recording is not None and self.count:
            self.reader.ask(self._request())

    def ask_sheet(self) -> None:
        """Ask where to, then save what is shown as one picture."""
        name = f"{self.name}_{self.moment:05d}.png"
        chosen, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Save this picture", name, "PNG (*.png)")
        if chosen:
            self.save_sheet(Path(chosen))

    def save_sheet(self, path: Path) -> None:
        """Save what is shown as one picture, on the reader's thread."""
        self.reader.save(self._request(), path, f"{self.name}   {self.seconds:.3f} s   moment {self.moment}")

    def ask_frames(self) -> None:
        """Ask where to, then save every stream's image."""
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self, "Save the frames of this moment in")
        if chosen:
            self.reader.save_frames(self.moment, Path(chosen))

    def _request(self) -> Request:
        labels = self.actions_by_id["view.labels"].isChecked()
        return Request(self.moment, self._wanted, labels, self._direction)

    def _set_moment(self, moment: int) -> None:
        self.moment = min(max(moment, 0), max(self.count - 1, 0))
        self.timeline.set_frame(self.moment)
        self._show_time()
        self.ask()

    def _want(self, wanted: tuple[Wanted, ...]) -> None:
        self._wanted = wanted
        self.ask()

    def _play_tick(self) -> None:
        if self.recording is None:
            return
        started, from_s = self._play_from
        moment = self.recording.table.moment_at(from_s + self._speed * (time.monotonic() - started))
        if moment != self.moment:
            self._set_moment(moment)
        if moment >= self.count - 1:
            self._stop_playing()

    def _stop_playing(self) -> None:
        self._player.stop()
        self._direction = 0
        self.transport.show_rate("")
        self._show_icons()

    def _opened(self, opened: Opened) -> None:
        self.recording = opened
        table = opened.table
        files = f"  ·  {opened.segments} files" if opened.segments > 1 else ""
        self.summary.setText(f"{self.name}  ·  {opened.summary}{files}")
        self.state.setText(opened.state)
        themes.set_level(self.state, STATE_LEVELS[opened.state])
        self.state.setToolTip(_STATE_HINTS.get(opened.state, "Everything was written and closed."))
        if opened.state != "complete":
            self.banner.show_message("warn", f"This recording was {opened.state}.", _STATE_HINTS[opened.state])
        kinds = {info.name.partition("/")[2] for info in opened.infos}
        infrared = "infrared" in kinds
        self.modes.buttons["infrared"].setVisible(infrared)
        themes.set_property(self.modes.buttons["depth"], "edge", "" if infrared else "last")
        self.actions_by_id["view.infrared"].setEnabled(infrared)
        self.actions_by_id["view.labels"].setEnabled(bool(opened.labels))
        self.actions_by_id["view.labels"].setChecked(bool(opened.labels))
        for name, wanted in (("mark", ("mark",)), ("drop", _GAPS)):
            some = any(event.kind in wanted for event in table.events)
            self.actions_by_id[f"jump.{name}"].setEnabled(some)
            self.actions_by_id[f"jump.{name}_back"].setEnabled(some)
        self.timeline.set_table(table, [info.name for info in opened.infos])
        self.views.set_streams(opened.infos)
        self._set_moment(0)
        if not len(table):
            self.views.set_empty_text("this recording holds no frames")

    def _show(self, shown: Shown) -> None:
        """Put pictures and their captions on the screen together, so that they always speak of the same moment."""
        self.shown_moment = shown.moment
        filled = {made.wanted.place for made in shown.pictures}
        self.views.show_pictures(shown.pictures)
        for n in range(len(self.views.places)):
            self._caption(n, shown.moment, filled)
        if self.playing:
            now = time.monotonic()
            self._painted.append(now)
            if len(self._painted) > 5:
                rate = (len(self._painted) - 1) / max(now - self._painted[0], 1e-6)
                self.transport.show_rate(f"{rate:.0f} pictures/s")

    def _caption(self, n: int, moment: int, filled: set[int]) -> None:
        if self.recording is None:
            return
        view, stream, table = self.views.views[n], self.views.stream_of(n), self.recording.table
        if not stream:
            view.set_image(None)
            view.empty_text = "not in this recording"
            view.set_state("idle", "")
            return
        reason = table.reason(stream, moment)
        if reason:
            view.set_image(None)
            view.empty_text = f"no frame: {reason}"
            state = table.states[stream][moment]
            view.set_state("bad" if state in (OURS, LOST) else "warn", "missing")
        elif n in filled:
            view.set_state("good", self._facts(stream, moment, large=n < len(self.views.large)))

    def _facts(self, stream: str, moment: int, *, large: bool) -> str:
        if self.recording is None:
            return ""
        table, fields = self.recording.table, self.recording.fields[stream]
        index = int(table.index[stream][moment])
        words = [f"{table.skew_ms[stream][moment]:+.1f} ms"]
        if large:
            exposure_ms = float(fields["exposure_us"][index]) / 1000
            words = [f"frame {int(fields['frame_number'][index])}", *words]
            words += [f"exposed {exposure_ms:.1f} ms"] if np.isfinite(exposure_ms) else []
        return "  ·  ".join(words)

    def _show_time(self) -> None:
        if self.recording is None:
            return
        table = self.recording.table
        self.transport.show_moment(self.moment, self.count, self.seconds, table.seconds)
        missing = [(name, table.reason(name, self.moment)) for name in table.index]
        gaps = [f"{name} {reason}" for name, reason in missing if reason]
        half = 0.5 * table.period_s
        marks = [e.text for e in table.events if e.kind == "mark" and abs(e.first_s - self.seconds) <= half]
        if gaps:
            self.transport.show_note("warn", "Missing: " + ", ".join(gaps))
        elif marks:
            self.transport.show_note("idle", "Mark: " + ", ".join(marks))
        else:
            self.transport.show_note("idle", "All streams are there" if self.count else "")

    def _failed(self, error: HoiError) -> None:
        self.banner.show_error(error)
        if self.recording is None:
            self.state.setText("cannot be opened")
            themes.set_level(self.state, "bad")
            self.views.set_empty_text("no recording")

    def _saved(self, paths: tuple[Path, ...]) -> None:
        what = f"{len(paths)} pictures in {paths[0].parent}" if len(paths) > 1 else str(paths[0])
        self.banner.show_message("good", f"Saved {what}.", seconds=5)

    def _show_icons(self) -> None:
        for action in (a for a in ACTIONS if a.icon):
            name = "pause" if action.id == "frame.play" and self.playing else action.icon
            self.actions_by_id[action.id].setIcon(icons.icon(name, self._theme))

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """Stop reading, then close."""
        self._player.stop()
        self.reader.stop()
        self.report.close()
        remember(self, "view")
        event.accept()


def main(folder: Path, mode: themes.Mode = "system") -> int:
    """Show a recording until its window is closed.

    Args:
        folder: of the sequence.
        mode: colours.

    Returns:
        Exit code.
    """
    app = application("hoi-data")
    window = ViewWindow(folder, themes.apply(app, themes.remembered_mode(mode)))
    show_unexpected(window.banner)
    window.show()
    code = int(app.exec_())
    # The interpreter must not end in the middle of a read.
    window.reader.wait()
    return code
