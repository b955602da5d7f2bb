# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that calibrates the cameras of an open rig, step by step, and checks them for the day."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from capture.device import image_streams
from capture.rig_file import attach_calibration, file_of_rig
from hoi_core.errors import HoiError

from .banner import Banner, Kind
from .board_watch import BoardWatch, Look, Seen, checker, collecting
from .jobs import Jobs
from .panels.calibrate_capture import CalibrateCapture
from .panels.calibrate_result import CalibrateResult
from .panels.calibrate_start import CalibrateStart
from .panels.card import Card
from .qt import Qt, QtCore, QtGui, QtWidgets
from .sessions import CaptureSession
from .theme import Theme

if TYPE_CHECKING:
    from capture.calibrate import Board, Calibration, CheckResult, Collector

_DEFAULT = "The default board"


class CalibratePage(QtWidgets.QWidget):
    """Calibration as a wizard: the board, the shots, the result; and the check of the day.

    Args:
        theme: the colours.
        open_session: gives the running session of the rig that is open; it stays the caller's.
        root: the dataset.
    """

    def __init__(self, theme: Theme, open_session: Callable[[], CaptureSession], root: Path) -> None:
        super().__init__()
        self._theme, self._open_session, self._root = theme, open_session, root
        self._session: CaptureSession | None = None
        self._board: Board | None = None
        self._collector: Collector | None = None
        self._look: Look | None = None
        self._watch: BoardWatch | None = None
        self._checked = ""
        self._images: Seen | None = None
        self.banner = Banner(theme)
        self.jobs = Jobs(self)
        self.begin_step, self.capture_step = CalibrateStart(), CalibrateCapture(theme)
        self.busy_step, self.result_step = _Busy(), CalibrateResult(theme)
        self.steps = QtWidgets.QStackedWidget()
        for step in (self.begin_step, self.capture_step, self.busy_step, self.result_step):
            self.steps.addWidget(step)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(self.banner)
        column.addWidget(self.steps, 1)
        self._connect()

    def _connect(self) -> None:
        first, second, last = self.begin_step, self.capture_step, self.result_step
        first.board_wanted.connect(self.ask_board)
        first.default_wanted.connect(self.use_default_board)
        first.print_wanted.connect(self.ask_print)
        first.begun.connect(self.begin)
        first.check_wanted.connect(self.begin_check)
        second.paused.connect(lambda on: self._watch.pause(paused=on) if self._watch is not None else None)
        second.restarted.connect(self.begin)
        second.finished.connect(self.finish)
        second.left.connect(self.leave)
        last.saved.connect(self.save)
        last.report_wanted.connect(self.open_report)
        last.more.connect(self.take_more)
        last.discarded.connect(self.leave)
        self.jobs.failed.connect(self.banner.show_error)

    @property
    def step(self) -> str:
        """`start`, `capture`, `busy` or `result`."""
        return ("start", "capture", "busy", "result")[self.steps.currentIndex()]

    def start(self) -> None:
        """Begin to look at the cameras."""
        try:
            session = self._open_session()
        except HoiError as error:
            self.banner.show_error(error)
            return
        if session is not self._session:
            # Shots of other cameras are worth nothing here.
            self._stop_watch()
            self._session, self._collector, self._look = session, None, None
            self.steps.setCurrentWidget(self.begin_step)
        if self._board is None:
            self.use_default_board()
        self.begin_step.show_views(tuple(image_streams(session.streams)))
        self._list_known()
        if self.step == "capture" and self._watch is None and self._look is not None:
            self._start_watch(self._look)

    def stop(self) -> None:
        """Look no more; what was collected stays."""
        self._stop_watch()

    def use_board(self, board: Board, source: str) -> None:
        """Use this board from now on."""
        self._board = board
        self.begin_step.show_board(board, source)

    def use_default_board(self) -> None:
        """Use the board that the toolkit brings."""
        from capture.calibrate import Board

        self.use_board(Board(), _DEFAULT)

    def read_board(self, path: Path) -> None:
        """Use the board that a file describes."""
        from capture.calibrate import Board

        try:
            self.use_board(Board.read(path), path.name)
        except HoiError as error:
            self.banner.show_error(error)

    def ask_board(self) -> None:
        """Ask for a board file."""
        chosen, _ = QtWidgets.QFileDialog.getOpenFileName(self, "The board", "", "Board (*.toml)")
        if chosen:
            self.read_board(Path(chosen))

    def ask_print(self) -> None:
        """Ask where to, then save the board in its true size."""
        chosen, _ = QtWidgets.QFileDialog.getSaveFileName(
            self, "Save the board to print", "board.pdf", "PDF in true size (*.pdf);;Picture (*.png)"
        )
        if chosen:
            self.save_board(Path(chosen))

    def save_board(self, path: Path) -> None:
        """Save the board in its true size."""
        board = self._board
        if board is not None:
            from capture.calibrate.printing import print_board

            self.jobs.run("print", lambda: print_board(board, path), lambda _page_mm: self._told_saved(path))

    def begin(self) -> None:
        """Collect shots, from none on."""
        if self._session is None or self._board is None:
            return
        from capture.calibrate import Collector
        from capture.calibrate.live import factory_cameras

        streams = self._session.streams
        self._checked = ""
        self._collector = Collector(self._board, tuple(image_streams(streams)), factory_cameras(streams))
        self._show_capture(collecting(self._session, self._collector))

    def begin_check(self, identifier: str) -> None:
        """Look for the board to compare it with a calibration."""
        if self._session is None or self._board is None:
            return
        self._checked, self._collector = identifier, None
        self._show_capture(checker(self._board))

    def finish(self) -> None:
        """Solve for the cameras, or check them, on a thread."""
        self._stop_watch()
        if self._checked:
            self._check()
        elif self._collector is not None and self._board is not None and self._session is not None:
            from capture.calibrate import calibrate

            self.busy_step.show_text("Computing the cameras …", f"{len(self._collector.shots)} shots")
            self.steps.setCurrentWidget(self.busy_step)
            work = partial(calibrate, self._board, self._collector.shots, self._collector.factory)
            self.jobs.run("calibrate", work, self._solved, self._refused)

    def take_more(self) -> None:
        """Go back to the board and keep the shots."""
        if self._look is not None:
            self.steps.setCurrentWidget(self.capture_step)
            self._start_watch(self._look)

    def leave(self) -> None:
        """Go back to the first step; shots are forgotten."""
        self._stop_watch()
        self._collector, self._look = None, None
        self._list_known()
        self.steps.setCurrentWidget(self.begin_step)

    def save(self, attach: bool) -> None:
        """Write the calibration under a new name, and name it in the rig's file if asked to."""
        calibration, path = self.result_step.calibration, self._rig_path()
        if calibration is None:
            return

        def work() -> tuple[Calibration, str]:
            from capture.calibrate import write_calibration

            written = write_calibration(self._root, calibration)
            if attach and path is not None:
                attach_calibration(path, written.id)
            return written, path.name if attach and path is not None else ""

        self.result_step.save.setEnabled(False)
        self.jobs.run("save", work, lambda found: self._saved(*found), self._not_saved)

    def open_report(self) -> None:
        """Write the report beside the calibrations and open it in the browser."""
        calibration = self.result_step.calibration
        if calibration is None:
            return
        path = self._root / "calibrations" / f"{calibration.id or 'unsaved'}.html"

        def work() -> Path:
            from capture.calibrate import report_html

            path.parent.mkdir(parents=True, exist_ok=True)
            report_html(calibration, path)
            return path

        self.jobs.run("report", work, self._show_report)

    def _show_capture(self, look: Look) -> None:
        if self._session is None:
            return
        self._stop_watch()
        self.banner.hide()
        self.capture_step.set_streams(image_streams(self._session.streams), checking=bool(self._checked))
        self.steps.setCurrentWidget(self.capture_step)
        self._start_watch(look)

    def _start_watch(self, look: Look) -> None:
        if self._session is None:
            return
        self._stop_watch()
        self._look = look
        self._watch = BoardWatch(self._session, look)
        self._watch.seen.connect(self._seen)
        self._watch.failed.connect(self.banner.show_error)
        self._watch.start()

    def _stop_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()
            watch.seen.disconnect(self._seen)
            watch.failed.disconnect(self.banner.show_error)

    def _seen(self, seen: Seen) -> None:
        # A look that ended after its step was left is not shown any more.
        if self._watch is not None and self.step == "capture":
            self._images = seen
            self.capture_step.show_seen(seen)

    def _check(self) -> None:
        seen, board, identifier = self._images, self._board, self._checked
        if seen is None or board is None:
            return

        def work() -> CheckResult:
            from capture.calibrate import check_calibration, read_calibration

            return check_calibration(read_calibration(self._root, identifier), board, seen.images)

        self.jobs.run("check", work, self._checked_now, self._check_failed)

    def _checked_now(self, result: CheckResult) -> None:
        self.leave()
        kind: Kind = "good" if result.ok else "bad"
        self.banner.show_message(kind, result.text, "" if result.ok else "A camera was moved: calibrate again.")

    def _check_failed(self, error: HoiError) -> None:
        self.banner.show_error(error)
        self.take_more()

    def _solved(self, calibration: Calibration) -> None:
        path = self._rig_path()
        self.result_step.show_calibration(calibration, path.name if path is not None else "")
        self.steps.setCurrentWidget(self.result_step)

    def _refused(self, error: HoiError) -> None:
        self.result_step.show_refusal(error)
        self.steps.setCurrentWidget(self.result_step)

    def _saved(self, calibration: Calibration, attached: str) -> None:
        self.result_step.calibration = calibration
        self.result_step.show_saved(calibration.id, attached)
        self._list_known()

    def _not_saved(self, error: HoiError) -> None:
        self.result_step.save.setEnabled(True)
        self.banner.show_error(error)

    def _show_report(self, path: Path) -> None:
        self.banner.show_message("good", f"The report is {path}.", seconds=8)
        QtGui.QDesktopServices.openUrl(QtCore.QUrl.fromLocalFile(str(path.resolve())))

    def _told_saved(self, path: Path) -> None:
        self.banner.show_message("good", f"Saved {path}.", "Print it at 100 %, then measure a square.", seconds=8)

    def _rig_path(self) -> Path | None:
        return file_of_rig(self._root, self._session.rig_name) if self._session is not None else None

    def _list_known(self) -> None:
        from capture.calibrate.store import list_calibrations

        self.begin_step.show_known(list_calibrations(self._root))


class _Busy(QtWidgets.QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.card = Card("")
        self.words = QtWidgets.QLabel("")
        self.words.setObjectName("huge")
        self.note = QtWidgets.QLabel("")
        self.note.setObjectName("muted")
        bar = QtWidgets.QProgressBar()
        bar.setRange(0, 0)
        bar.setTextVisible(False)
        for widget in (self.words, self.note, bar):
            self.card.column.addWidget(widget)
        self.card.setFixedWidth(460)
        column = QtWidgets.QVBoxLayout(self)
        column.addWidget(self.card, 0, Qt.AlignCenter)

    def show_text(self, words: str, note: str) -> None:
        """Say what is being done."""
        self.words.setText(words)
        self.note.setText(note)
