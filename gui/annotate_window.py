# SPDX-License-Identifier: GPL-3.0-or-later
"""The annotation window: lays out the views, panes, timeline and panels, and lets each action reach its part."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from hoi_core.conventions import Side
from hoi_core.errors import HoiError
from hoi_core.types import Status

from . import icons
from . import theme as themes
from .actions import install, show_sheet, toolbar
from .annotate.ask import Answer, ask_about_unsaved
from .annotate.edits import Edits
from .annotate.grab import Grab, Hold
from .annotate.guesses import Guesser
from .annotate.keys import Keys
from .annotate.long_work import LongWork
from .annotate.pair import CanvasPair
from .annotate.palette import Palette
from .annotate.picture import Layers, read_meshes
from .annotate.player import Player
from .annotate.selection import Selection
from .annotate.shop import Shop
from .annotate.side_panes import SidePanes
from .annotate.tabs import Tabs
from .annotate.window_actions import functions
from .annotate.words import Words, blind_task
from .annotate_actions import ACTIONS, EDITING, READING
from .banner import Banner
from .frame_facts import facts, keyframes, span_between
from .jobs import Jobs
from .layout import recall, remember
from .panels.timeline import Timeline, timeline_labels
from .qt import QtCore, QtGui, QtWidgets
from .sessions import AnnotationSession

Closing = Literal["no", "save", "saving", "now"]
# A person who stays this long at a frame may drag there: what that needs is read ahead.
_SETTLE_MS = 250


class AnnotateWindow(QtWidgets.QMainWindow):
    """Shows, corrects, judges and refits the labels of one sequence.

    Args:
        session: the labels; closed with the window.
        theme: the colours.
        guesser: guesses hand and object of a frame; None where no network was named.
    """

    def __init__(self, session: AnnotationSession, theme: themes.Theme, guesser: Guesser | None = None) -> None:
        super().__init__()
        self.session, self._theme = session, theme
        self._closing: Closing = "no"
        self._meshes_read = False
        self.selection = Selection(session, self)
        self.edits = Edits(session, self.selection, self)
        self.gripper = Grab(session, self)
        self.jobs = Jobs(self)
        self.work = LongWork()
        self.banner = Banner(theme)
        self.shop = Shop(session, self.selection, self.edits, self.gripper, self.work, guesser)
        self.player = Player(session, self.selection, self)
        self.words = Words(session, self.selection, self)
        self.pair = CanvasPair(session, self.selection, self.gripper, theme)
        self.views = self.pair.canvases
        self.keys = Keys(session, self.selection, self.edits, self.gripper, self.pair)
        self.panes = self.keys.panes = SidePanes(session, self.selection, self.jobs, theme)
        self.timeline = Timeline(theme)
        self.actions_by_id = install(self, ACTIONS, functions(self))
        self.tabs = Tabs(session, self.selection, self.actions_by_id, theme)
        self.info = self.tabs.frame
        for name in ("mesh", "keypoints", "objects", "follow"):
            self.actions_by_id[f"view.{name}"].setChecked(True)
        # Many requests between two paints become one drawing.
        self._redraw = QtCore.QTimer(self, singleShot=True)
        self._settled = QtCore.QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._lay_out()
        self._connect()
        self._labels_changed()
        self.pair.zoom_on_hands()
        self._choice_changed()
        self.layers_changed()
        self._welcome()
        self.jobs.run("meshes", lambda: read_meshes(session), lambda _: self._take_meshes())

    def _lay_out(self) -> None:
        recall(self, "annotate")
        toolbar(self, ACTIONS, self.actions_by_id, self._theme)
        strip = QtWidgets.QFrame(objectName="card")
        inside = QtWidgets.QVBoxLayout(strip)
        inside.setContentsMargins(10, 8, 10, 6)
        inside.setSpacing(2)
        inside.addWidget(self.timeline, 1)
        inside.addWidget(self.words.suggested)
        left = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(self.pair, 11)
        column.addWidget(strip, 3)
        right = QtWidgets.QSplitter(QtCore.Qt.Vertical)
        right.addWidget(self.panes)
        right.addWidget(self.tabs)
        right.setSizes([300, 340])
        right.setChildrenCollapsible(False)
        across = QtWidgets.QSplitter(QtCore.Qt.Horizontal)
        across.addWidget(left)
        across.addWidget(right)
        across.setStretchFactor(0, 1)
        across.setSizes([920, 330])
        across.setChildrenCollapsible(False)
        right.setMinimumWidth(312)
        body = QtWidgets.QWidget()
        rows = QtWidgets.QVBoxLayout(body)
        rows.setContentsMargins(12, 10, 12, 8)
        rows.setSpacing(10)
        rows.addWidget(self.banner)
        rows.addWidget(across, 1)
        self.setCentralWidget(body)
        bar = self.statusBar()
        bar.setSizeGripEnabled(False)
        bar.addWidget(self.words.hint, 1)
        bar.addPermanentWidget(self.work)
        bar.addPermanentWidget(self.words.kept)

    def _connect(self) -> None:
        self._redraw.timeout.connect(self._draw)
        self.player.ticked.connect(self._play_ticked)
        self.player.switched.connect(self._play_switched)
        self.shop.fitted.connect(self.pair.zoom_on_hands)
        self.shop.saved.connect(lambda _name: self._saved())
        self._settled.timeout.connect(self._prepare)
        self.timeline.chosen.connect(self.selection.go_to)
        self.selection.moved.connect(self._moved)
        self.selection.chosen.connect(self._choice_changed)
        self.edits.changed.connect(self._labels_changed)
        self.work.changed.connect(self._work_changed)
        self.work.cancelled.connect(lambda name: self.banner.show_message("info", f"{name} was cancelled.", seconds=5))
        for part in (self.edits, self.pair, self.panes, self.gripper, self.jobs, self.words):
            part.failed.connect(self.banner.show_error)
        self.work.failed.connect(self._work_failed)
        for teller in (self.edits, self.keys, self.shop):
            teller.told.connect(lambda kind, title, hint: self.banner.show_message(kind, title, hint, seconds=6))
        self.shop.compared.connect(lambda title, hint: self.banner.show_message("good", title, hint))
        self.gripper.moved.connect(self.pair.show_held_point)
        self.gripper.settled.connect(self._labels_changed)
        self.panes.point_chosen.connect(lambda: self.selection.set_target("object"))
        self.tabs.frame.commented.connect(self.edits.comment)
        self.tabs.objects.axes_chosen.connect(self.keys.set_axes)
        self.keys.axes_changed.connect(self.tabs.objects.axes.choose)
        self.tabs.objects.point_removed.connect(self._remove_object_point)
        for canvas in self.views.values():
            canvas.gripped.connect(self._gripped)
            canvas.dragged.connect(self.gripper.move)
            canvas.released.connect(self.gripper.release)
            canvas.placed.connect(self.keys.place)

    def _welcome(self) -> None:
        session = self.session
        if session.read_only:
            self.banner.show_message("info", "These labels can only be looked at.", "Nothing here changes them.")
        elif session.blind:
            self.banner.show_message("info", "Blind work: the stored labels are hidden.", blind_task(session))
        elif session.recovered:
            self.banner.show_message(
                "info", "Unsaved work of the last time was found and taken up.", "Ctrl+S writes it as a revision."
            )
        elif not session.revision_name:
            self.banner.show_message("info", "This sequence has no labels yet.", "Click joints (P), or press R to fit.")
        if session.warnings:
            self.banner.show_message("warn", " ".join(session.warnings))

    def _take_meshes(self) -> None:
        self._meshes_read = True
        self.layers_changed()

    @property
    def frame(self) -> int:
        """The frame that is shown."""
        return self.selection.frame

    @property
    def layers(self) -> Layers:
        """What is shown over the images."""
        on = {
            name: self.actions_by_id[f"view.{name}"].isChecked()
            for name in ("mesh", "wire", "keypoints", "depth", "objects")
        }
        return Layers(
            on["mesh"] and self._meshes_read,
            on["wire"],
            on["keypoints"],
            on["depth"],
            on["objects"] and self._meshes_read,
        )

    def layers_changed(self) -> None:
        """Show other layers."""
        self.pair.layers = self.layers
        self.panes.layers = replace(self.layers, depth=False)
        self.redraw()

    def redraw(self) -> None:
        """Draw soon."""
        self._redraw.start(0)

    def go_to(self, frame: int) -> None:
        """Show a frame; the nearest one that exists."""
        self.selection.go_to(frame)

    def go_to_key(self, way: int) -> None:
        """Go to the keyframe before or after."""
        keys = keyframes(self.session.revision, self.selection.side)
        some = keys[keys > self.frame] if way > 0 else keys[keys < self.frame][::-1]
        if len(some):
            self.go_to(int(some[0]))

    def go_to_suggestion(self) -> None:
        """Go to the frame whose correction helps most, and say why."""
        found = self.words.suggest()
        if found is None:
            self.banner.show_message("good", self.words.suggested.text(), "Ctrl+S writes a revision.", seconds=6)
        else:
            self.go_to(found.frame)

    def ask_frame(self) -> None:
        """Ask for the number of a frame."""
        last = max(self.session.n_frames - 1, 0)
        number, ok = QtWidgets.QInputDialog.getInt(self, "Go to frame", f"Frame, 0 to {last}", self.frame, 0, last)
        if ok:
            self.go_to(number)

    def _play_switched(self) -> None:
        name = "pause" if self.player.playing else "play"
        self.actions_by_id["frame.play"].setIcon(icons.icon(name, self._theme))
        if not self.player.playing:
            self._moved()

    def _play_ticked(self) -> None:
        self._show_figures()
        self._draw()

    def _moved(self) -> None:
        self.edits.touch()
        if self.player.playing:
            self.player.restart()
        if self.gripper.held:
            self.gripper.release()
        self.keys.forget_cursor()
        self._show_figures()
        self._settled.start()
        self.redraw()

    def _prepare(self) -> None:
        """Read ahead what a drag near this frame needs."""
        session, side, frame = self.session, self.selection.side, self.frame
        track = session.revision.hands.get(side)
        if track is None or session.read_only or self.player.playing or not track.valid[frame]:
            return
        self.jobs.run("prepare", lambda: session.prepare(side, frame), lambda _: None)

    def judge(self, status: Status) -> None:
        """Accept or reject the frame and go to the next."""
        self.gripper.release()
        self.edits.judge(status)

    def _gripped(self, side: Side, joint: int, view: str, u: float, v: float) -> None:
        self.edits.touch()
        if side != self.selection.side:
            self.selection.choose_side(side)
        self.selection.choose_joint(joint)
        self.gripper.grip(Hold(side, joint, view, self.frame), (u, v))

    def let_go(self) -> None:
        """Leave what was begun: the held joint, placing, the chosen joint."""
        if self.gripper.held:
            self.gripper.cancel()
        elif self.selection.placing:
            self.selection.set_placing(on=False)
        elif self.selection.target == "object":
            self.selection.set_target("joint")
        else:
            self.selection.choose_joint(None)
        self.setFocus()

    def mark_points(self) -> None:
        """Begin to mark points of the object: choose one on the mesh, click where it is seen."""
        self.tabs.show_tab("objects")
        self.panes.show_pane("object")
        self.selection.target = "object"
        self.selection.set_placing(on=True)

    def tabs_remove_point(self) -> None:
        """Take back the chosen mark of the object, or the last one."""
        self.tabs.objects.remove_point()

    def _remove_object_point(self, index: int) -> None:
        self.edits.do(lambda: self.session.remove_object_point(self.selection.object_name, index))

    def save_with_comment(self) -> None:
        """Ask what was done, and write a revision."""
        text, ok = QtWidgets.QInputDialog.getText(self, "Save a revision", "What was done")
        if ok:
            self.shop.save(text.strip())

    def _saved(self) -> None:
        if self._closing == "saving":
            self._closing = "now"
        self._labels_changed()

    def _work_changed(self) -> None:
        self._enable()
        if not self.work.running and self._closing != "no":
            self._go_on_closing()

    def _work_failed(self, error: HoiError) -> None:
        self.banner.show_error(error)
        # A save that failed must not take the work with it.
        self._closing = "no"

    def _enable(self) -> None:
        """Rest what cannot be done now: all changes while labels are written, undo where there is nothing."""
        resting, read_only = self.work.running and self.work.changes_labels, self.session.read_only
        for name, action in self.actions_by_id.items():
            allowed = not read_only or name.startswith(READING)
            action.setEnabled(allowed and not (resting and name.startswith(EDITING)))
        for name in ("file.save", "file.save_as", "label.fit", "label.refit", "label.guess"):
            self.actions_by_id[name].setEnabled(not self.work.running and not read_only)
        undo, redo = self.actions_by_id["edit.undo"], self.actions_by_id["edit.redo"]
        undo.setEnabled(undo.isEnabled() and self.session.can_undo)
        redo.setEnabled(redo.isEnabled() and self.session.can_redo)
        undo.setText(f"&Undo: {self.session.undo_text}" if self.session.undo_text else "&Undo")
        redo.setText(f"&Redo: {self.session.redo_text}" if self.session.redo_text else "&Redo")
        for action in (undo, redo):
            action.setIconText("")
        for canvas in self.views.values():
            canvas.editable = not read_only and not resting

    def _labels_changed(self) -> None:
        revision = self.session.revision
        self.timeline.set_labels(timeline_labels(revision, self.selection.side))
        star = " *" if self.session.dirty else ""
        self.setWindowTitle(f"{self.session.sequence}{star} – hoi-annotate")
        self.words.show_kept()
        self._enable()
        self.tabs.review.refresh()
        self._show_figures()
        found = self.words.suggest()
        self.timeline.set_next(None if found is None else found.frame)
        self.redraw()

    def _choice_changed(self) -> None:
        chosen = self.selection
        self.actions_by_id["joint.clicks"].setChecked(chosen.placing and chosen.target == "joint")
        self.actions_by_id["object.move"].setChecked(chosen.target == "object" and not chosen.placing)
        self.timeline.set_labels(timeline_labels(self.session.revision, chosen.side))
        self.keys.forget_cursor()
        self.words.show_hint()
        self._show_figures()
        self.redraw()

    def _show_figures(self) -> None:
        session = self.session
        self.timeline.set_frame(self.frame)
        self.timeline.set_span(span_between(session.revision, self.selection.side, self.frame))
        if session.n_frames:
            name = session.revision_name
            made = f"{name} by {session.revision.author}" if name else "none yet"
            if session.dirty:
                made = f"not saved yet, from {name}" if name else "not saved yet"
            self.info.show_facts(facts(session.revision, self.selection.side, self.frame), session.n_frames, made)
            if not self.player.playing:
                self.tabs.refresh()

    def _draw(self) -> None:
        if not self.gripper.held:
            self.pair.draw()
        self.panes.refresh(playing=self.player.playing)
        self.keys.show_cursor()

    def follow_toggled(self) -> None:
        """Zoom on the hand, or show everything again."""
        self.pair.follow = self.actions_by_id["view.follow"].isChecked()
        self.pair.zoom_on_hands()
        self.redraw()

    def comment_here(self) -> None:
        """Write about the frame."""
        self.tabs.show_tab("frame")
        self.info.comment.setFocus()
        self.info.comment.selectAll()

    def show_palette(self) -> None:
        """Find an action by a few letters."""
        Palette(self, ACTIONS, self.actions_by_id).show()

    def show_keys(self) -> None:
        """List every key."""
        show_sheet(self, ACTIONS, self._theme)

    def toggle_theme(self) -> None:
        """Change between light and dark colours."""
        themes.toggle(self._theme)

    def set_theme(self, theme: themes.Theme) -> None:
        """Take over other colours."""
        self._theme = theme
        for action in (a for a in ACTIONS if a.icon):
            name = "pause" if action.id == "frame.play" and self.player.playing else action.icon
            self.actions_by_id[action.id].setIcon(icons.icon(name, theme))
        self._show_figures()

    def ask_before_closing(self) -> Answer:
        """Ask what becomes of unsaved changes."""
        return ask_about_unsaved(self)

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """Close when nothing runs and unsaved work is decided on."""
        if self._closing == "no":
            self.gripper.release()
            ask = self.session.dirty and not self.session.read_only
            answer = self.ask_before_closing() if ask else "later"
            if answer == "stay":
                event.ignore()
                return
            self._closing = "save" if answer == "save" else "now"
            self.player.stop()
            self.work.cancel()
            self.jobs.idle.connect(self._go_on_closing)
            if not self.work.running and self._closing == "save":
                self._go_on_closing()
        if self._closing == "now" and not self.work.running and not self.jobs.busy:
            self._redraw.stop()
            self._settled.stop()
            remember(self, "annotate")
            self.edits.hand_on_work()
            self.session.close()
            event.accept()
        else:
            event.ignore()

    def _go_on_closing(self) -> None:
        if self._closing == "save":
            self._closing = "saving"
            self.shop.save()
        elif self._closing == "now":
            self.close()
