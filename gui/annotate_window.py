# SPDX-License-Identifier: GPL-3.0-or-later
"""The annotation window: both views with the fitted hand, the timeline, and what to do with each frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from hoi_core.conventions import Side
from hoi_core.errors import HoiError
from hoi_core.types import Revision, Status

from . import icons
from . import theme as themes
from .actions import install, show_sheet, toolbar
from .annotate_actions import ACTIONS
from .banner import Banner, show_unexpected
from .commands import AdoptFit, SetStatus
from .frame_facts import facts, has_evidence, judge, next_suggestion, reprojection_px, score, statuses
from .image_view import ImageView
from .layout import recall, remember
from .overlay import Layers, compose, hand_box
from .panels.frame_info import FrameInfo
from .panels.timeline import Timeline
from .qt import QtCore, QtGui, QtWidgets, application
from .sessions import AnnotationSession
from .worker import Job

Answer = Literal["save", "later", "stay"]
Closing = Literal["no", "save", "saving", "now"]
_TICK_MS = 15
_FITTING, _SAVING = "Fitting", "Saving"
_EDITING = ("label.accept", "label.reject", "label.accept_rest")
# Size of the zoomed hand relative to the picture; leaves room for the object.
_HAND_SHARE = 0.45
# A pause longer than this is not counted as work, s.
_IDLE_S = 30.0


class AnnotateWindow(QtWidgets.QMainWindow):
    """Shows, judges and refits the labels of one sequence.

    Args:
        session: the labels; closed with the window.
        theme: the colours.
    """

    def __init__(self, session: AnnotationSession, theme: themes.Theme) -> None:
        super().__init__()
        self.session, self._theme = session, theme
        self.frame = 0
        self._job: Job | None = None
        self._job_name = ""
        self._closing: Closing = "no"
        self._worked_s, self._last_touch = 0.0, time.monotonic()
        self._play_from = (0.0, 0)
        self._zoomed = False
        self.undo_stack = QtWidgets.QUndoStack(self)
        self.banner = Banner(theme)
        self.views = {name: ImageView(theme, f"{name.capitalize()} view", zoomable=True) for name in session.views}
        self.timeline = Timeline(theme)
        self.info = FrameInfo(theme)
        self.progress = QtWidgets.QProgressBar()
        self.cancel_button = QtWidgets.QPushButton("Cancel")
        self.message = QtWidgets.QLabel()
        self.actions_by_id = install(self, ACTIONS, self._functions())
        for name in ("view.mesh", "view.follow"):
            self.actions_by_id[name].setChecked(True)
        self._lay_out()
        # Many requests between two paints become one drawing.
        self._redraw = QtCore.QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.timeout.connect(self._draw)
        self._player = QtCore.QTimer(self)
        self._player.timeout.connect(self._play_tick)
        self.timeline.chosen.connect(self.go_to)
        self.undo_stack.canUndoChanged.connect(self.actions_by_id["edit.undo"].setEnabled)
        self.undo_stack.canRedoChanged.connect(self.actions_by_id["edit.redo"].setEnabled)
        for name in ("edit.undo", "edit.redo"):
            self.actions_by_id[name].setEnabled(False)
        self._labels_changed()
        self._welcome()

    def _functions(self) -> dict[str, Callable[[], object]]:
        def step(frames: int) -> Callable[[], object]:
            return lambda: self.go_to(self.frame + frames)

        return {
            "file.save": self.save,
            "file.quit": self.close,
            "edit.undo": self.undo_stack.undo,
            "edit.redo": self.undo_stack.redo,
            "frame.first": lambda: self.go_to(0),
            "frame.back": step(-1),
            "frame.play": self.toggle_play,
            "frame.ahead": step(1),
            "frame.back_ten": step(-10),
            "frame.ahead_ten": step(10),
            "frame.back_hundred": step(-100),
            "frame.ahead_hundred": step(100),
            "frame.last": lambda: self.go_to(self.session.n_frames - 1),
            "frame.suggest": self.go_to_suggestion,
            "view.mesh": self.redraw,
            "view.wire": self.redraw,
            "view.keypoints": self.redraw,
            "view.depth": self.redraw,
            "view.follow": self._follow_toggled,
            "view.full": lambda: self.showNormal() if self.isFullScreen() else self.showFullScreen(),
            "label.accept": lambda: self.judge("accepted"),
            "label.reject": lambda: self.judge("rejected"),
            "label.accept_rest": self.accept_good,
            "label.fit": self.start_fit,
            "help.keys": lambda: show_sheet(self, ACTIONS, self._theme),
        }

    def _lay_out(self) -> None:
        recall(self, "annotate")
        toolbar(self, ACTIONS, self.actions_by_id, self._theme)
        pictures = QtWidgets.QHBoxLayout()
        pictures.setSpacing(10)
        for view in self.views.values():
            pictures.addWidget(view, 1)
        strip = QtWidgets.QFrame()
        strip.setObjectName("card")
        inside = QtWidgets.QVBoxLayout(strip)
        inside.setContentsMargins(10, 10, 10, 6)
        inside.addWidget(self.timeline)
        self.info.setFixedWidth(372)
        below = QtWidgets.QHBoxLayout()
        below.setSpacing(10)
        below.addWidget(strip, 1)
        below.addWidget(self.info)
        body = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(body)
        column.setContentsMargins(12, 10, 12, 8)
        column.setSpacing(10)
        column.addWidget(self.banner)
        column.addLayout(pictures, 11)
        column.addLayout(below, 3)
        self.setCentralWidget(body)
        self.progress.setFixedWidth(220)
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.cancel_button.setObjectName("flat")
        self.cancel_button.clicked.connect(lambda: self._job.cancel() if self._job else None)
        bar = self.statusBar()
        hint = QtWidgets.QLabel(
            "←  →  step      Space  play      A  accept      X  reject      E  worst      ?  all keys"
        )
        hint.setObjectName("muted")
        hint.setContentsMargins(14, 0, 0, 2)
        bar.addWidget(hint)
        bar.setSizeGripEnabled(False)
        bar.addPermanentWidget(self.message)
        bar.addPermanentWidget(self.progress)
        bar.addPermanentWidget(self.cancel_button)
        self._show_job(running=False)

    def _welcome(self) -> None:
        if self.session.recovered:
            self.banner.show_message(
                "info", "Unsaved work of the last time was found and taken up.", "Ctrl+S writes it as a revision."
            )
        elif not self.session.revision_name:
            self.banner.show_message("info", "This sequence has no labels yet.", "Press R to run the automatic fit.")

    @property
    def side(self) -> Side:
        """The hand that is judged."""
        return self.session.sides[0] if self.session.sides else "right"

    @property
    def layers(self) -> Layers:
        """What is shown over the images."""
        on = {name: self.actions_by_id[f"view.{name}"].isChecked() for name in ("mesh", "wire", "keypoints", "depth")}
        return Layers(mesh=on["mesh"], wireframe=on["wire"], keypoints=on["keypoints"], depth=on["depth"])

    def redraw(self) -> None:
        """Draw soon."""
        self._redraw.start(0)

    def go_to(self, frame: int) -> None:
        """Show a frame; the nearest one that exists."""
        self._touch()
        self.frame = min(max(frame, 0), max(self.session.n_frames - 1, 0))
        if self._player.isActive():
            self._play_from = (time.monotonic(), self.frame)
        self._show_figures()
        self.redraw()

    def go_to_suggestion(self) -> None:
        """Go to the frame that needs a look most."""
        frame = next_suggestion(self.session.revision, self.side, self.frame)
        if frame is None:
            self.banner.show_message("good", "Every frame is reviewed.", "Ctrl+S writes a revision.", seconds=6)
        else:
            self.go_to(frame)

    def toggle_play(self) -> None:
        """Play in real time, or stop."""
        if not self.session.n_frames:
            return
        playing = self._player.isActive()
        self.actions_by_id["frame.play"].setIcon(icons.icon("play" if playing else "pause", self._theme))
        if playing:
            self._player.stop()
            return
        if self.frame >= self.session.n_frames - 1:
            self.go_to(0)
        self._play_from = (time.monotonic(), self.frame)
        self._player.start(_TICK_MS)

    def _play_tick(self) -> None:
        t_ns = self.session.revision.t_ns
        start_s, first = self._play_from
        now_ns = t_ns[first] + int((time.monotonic() - start_s) * 1e9)
        frame = int(np.searchsorted(t_ns, now_ns, side="right")) - 1
        if frame != self.frame:
            self.frame = frame
            self._show_figures()
            self._draw()
        if frame >= self.session.n_frames - 1:
            self.toggle_play()

    def judge(self, status: Status) -> None:
        """Accept or reject the frame and go to the next."""
        if not self.session.n_frames or statuses(self.session.revision, self.side)[self.frame] == "none":
            self.banner.show_message("warn", "This frame has no label to judge.", "Press R to fit.", seconds=5)
            return
        self._push(SetStatus(self.session, [self.frame], status, self._labels_changed))
        self.go_to(self.frame + 1)

    def accept_good(self) -> None:
        """Accept every unreviewed frame whose residual is good."""
        revision = self.session.revision
        values, states = score(revision), statuses(revision, self.side)
        good = [n for n, status in enumerate(states) if status == "auto" and judge(float(values[n])) == "good"]
        if good:
            self._push(SetStatus(self.session, good, "accepted", self._labels_changed))

    def _push(self, command: QtWidgets.QUndoCommand) -> None:
        self._touch()
        try:
            self.undo_stack.push(command)
        except HoiError as error:
            self.banner.show_error(error)

    def start_fit(self) -> None:
        """Fit all frames in the background."""
        if self._job is None:
            self._run(_FITTING, self.session.fit, self._fitted)

    def _fitted(self, revision: Revision) -> None:
        self._push(AdoptFit(self.session, revision, self._labels_changed))
        median = float(np.nanmedian(np.append(reprojection_px(revision), np.nan))) if len(revision.t_ns) else np.nan
        self.banner.show_message(
            "good",
            f"The fit is done: median residual {median:.1f} px.",
            "Ctrl+Z takes it back; Ctrl+S writes a revision.",
        )

    def save(self) -> None:
        """Write a new revision in the background."""
        if self._job is None:
            worked_s = self._worked_s
            self._run(
                _SAVING,
                lambda _p, _c: self.session.save(human_seconds=worked_s),
                lambda name: self._saved(name, worked_s),
            )

    def _saved(self, name: str, worked_s: float) -> None:
        self._worked_s -= worked_s
        self.undo_stack.setClean()
        if self._closing == "saving":
            self._closing = "now"
        self.banner.show_message("good", f"Saved as {name}.", f"{self.session.sequence}/annotation.h5", seconds=5)
        self._labels_changed()

    def _run(self, name: str, work: Callable[..., object], succeeded: Callable[..., None]) -> None:
        job = Job(work, self)
        self._job, self._job_name = job, name
        job.progressed.connect(self._show_progress)
        job.succeeded.connect(succeeded)
        job.failed.connect(self._failed)
        job.cancelled.connect(lambda: self.banner.show_message("info", f"{name} was cancelled.", seconds=5))
        job.ended.connect(self._job_ended)
        self._show_job(running=True)
        self._show_progress(0.0, "")
        job.start()

    def _job_ended(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.deleteLater()
        self._show_job(running=False)
        if self._closing != "no":
            self._go_on_closing()

    def _failed(self, error: HoiError) -> None:
        self.banner.show_error(error)
        # A save that failed must not take the work with it.
        self._closing = "no"

    def _show_progress(self, share: float, text: str) -> None:
        self.progress.setValue(round(1000 * share))
        self.message.setText(f"{self._job_name} …  {text}" if text else f"{self._job_name} …")

    def _show_job(self, *, running: bool) -> None:
        for widget in (self.progress, self.cancel_button, self.message):
            widget.setVisible(running)
        self.cancel_button.setVisible(running and self._job_name == _FITTING)
        for name in ("file.save", "label.fit"):
            self.actions_by_id[name].setEnabled(not running)
        # What changed while a revision is being written would be in no revision and no draft.
        editable = not (running and self._job_name == _SAVING)
        for name in _EDITING:
            self.actions_by_id[name].setEnabled(editable)
        self.actions_by_id["edit.undo"].setEnabled(editable and self.undo_stack.canUndo())
        self.actions_by_id["edit.redo"].setEnabled(editable and self.undo_stack.canRedo())

    def _touch(self) -> None:
        """Count the time since the last input as work, unless it was a pause."""
        now = time.monotonic()
        gap, self._last_touch = now - self._last_touch, now
        self._worked_s += gap if gap < _IDLE_S else 0.0

    def _labels_changed(self) -> None:
        revision = self.session.revision
        self.timeline.set_labels(score(revision), has_evidence(revision), statuses(revision, self.side))
        if not self._zoomed:
            self._follow_toggled()
        star = " *" if self.session.dirty else ""
        self.setWindowTitle(f"{self.session.sequence}{star} – hoi-annotate")
        self._show_figures()
        self.redraw()

    def _show_figures(self) -> None:
        self.timeline.set_frame(self.frame)
        if self.session.n_frames:
            name, revision = self.session.revision_name, self.session.revision
            made = f"{name} by {revision.author}" if name else "none yet"
            if self.session.dirty:
                made = f"not saved yet, from {name}" if name else "not saved yet"
            self.info.show_facts(facts(revision, self.side, self.frame), self.session.n_frames, made)

    def _draw(self) -> None:
        revision, layers = self.session.revision, self.layers
        level = judge(float(score(revision)[self.frame])) if self.session.n_frames else "idle"
        for name, view in self.views.items():
            try:
                picture = compose(self.session, name, self.frame, layers) if self.session.n_frames else None
            except HoiError as error:
                picture = None
                self.banner.show_error(error)
            view.empty_text = "no image from this view at this moment"
            view.set_image(picture)
            self._follow(name)
            index = revision.frame_index[name][self.frame] if name in revision.frame_index else self.frame
            view.set_state(level, f"image {index}" if index >= 0 else "missing")

    def _follow_toggled(self) -> None:
        """Zoom on the hand, by what fits the whole sequence, or show everything again."""
        on = self.actions_by_id["view.follow"].isChecked()
        some = range(0, self.session.n_frames, max(self.session.n_frames // 30, 1))
        for name, view in self.views.items():
            sizes = [box[2] for box in (hand_box(self.session, name, n) for n in some) if box is not None]
            self._zoomed |= bool(sizes)
            view.look_at(0.5, 0.5, _HAND_SHARE / max(float(np.median(sizes)), 0.05) if on and sizes else 1.0)
        self.redraw()

    def _follow(self, name: str) -> None:
        box = hand_box(self.session, name, self.frame) if self.actions_by_id["view.follow"].isChecked() else None
        if box is not None:
            self.views[name].look_at(box[0], box[1])

    def ask_before_closing(self) -> Answer:
        """Ask what becomes of unsaved changes."""
        box = QtWidgets.QMessageBox(self)
        box.setWindowTitle("Unsaved changes")
        box.setText("Some changes are not in a revision yet.")
        box.setInformativeText("They are kept as a draft in any case and offered the next time.")
        save = box.addButton("Save a revision", QtWidgets.QMessageBox.AcceptRole)
        later = box.addButton("Keep as draft", QtWidgets.QMessageBox.DestructiveRole)
        box.addButton("Stay", QtWidgets.QMessageBox.RejectRole)
        box.exec_()
        return "save" if box.clickedButton() is save else "later" if box.clickedButton() is later else "stay"

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """Close when no job runs and unsaved work is decided on."""
        if self._closing == "no":
            answer = self.ask_before_closing() if self.session.dirty else "later"
            if answer == "stay":
                event.ignore()
                return
            self._closing = "save" if answer == "save" else "now"
            self._player.stop()
            if self._job is not None and self._job_name == _FITTING:
                self._job.cancel()
            elif self._job is None and self._closing == "save":
                self._go_on_closing()
        if self._closing == "now" and self._job is None:
            self._redraw.stop()
            remember(self, "annotate")
            self.session.close()
            event.accept()
        else:
            event.ignore()

    def _go_on_closing(self) -> None:
        if self._closing == "save":
            self._closing = "saving"
            self.save()
        else:
            self.close()


def show(session: AnnotationSession, mode: themes.Mode = "system") -> int:
    """Show the annotation window over an open session until it is closed. Returns the exit code."""
    app = application("hoi-annotate")
    window = AnnotateWindow(session, themes.apply(app, mode))
    show_unexpected(window.banner)
    window.show()
    return int(app.exec_())


def main(root: Path, sequence: str, mode: themes.Mode = "system") -> int:
    """Open a sequence in the annotation window.

    Args:
        root: the dataset's root.
        sequence: its name, such as `seq_001`.
        mode: colours.

    Returns:
        Exit code.

    Raises:
        SequenceError: there is no such sequence, or it cannot be read.
    """
    from annotate.session import AnnotationSession as Session

    return show(Session.open(root, sequence), mode)
