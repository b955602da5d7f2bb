# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of labels that a person asks for: each is one step of the session, and an error is told, never raised."""

from __future__ import annotations

import time
from collections.abc import Callable

from gui.frame_facts import judge, score, span_between, statuses
from gui.qt import QtCore, Signal
from gui.sessions import AnnotationSession, Step
from hoi_core.conventions import JOINT_NAMES
from hoi_core.errors import HoiError
from hoi_core.types import MARKS, Status

from .selection import Selection

# A pause longer than this is not counted as work, s.
_IDLE_S = 30.0
# Seconds are handed on in portions, as each is a record of the journal.
_PORTION_S = 5.0


class Edits(QtCore.QObject):
    """Judging, copying, swapping, filling, marking; and undo and redo.

    Signals:
        changed(): the labels are others now.
        failed(HoiError): nothing has changed.
        told(kind, title, hint): what a person should know.
    """

    changed = Signal()
    failed = Signal(object)
    told = Signal(str, str, str)

    def __init__(self, session: AnnotationSession, selection: Selection, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._selection = session, selection
        self._last_touch, self._portion_s, self._portion_frame = time.monotonic(), 0.0, 0

    def do(self, step: Callable[[], object]) -> bool:
        """Make a step; whether it was made."""
        self.touch()
        try:
            step()
        except HoiError as error:
            self.failed.emit(error)
            return False
        self.changed.emit()
        return True

    def touch(self) -> None:
        """Count the time since the last input as work on the frame, unless it was a pause."""
        now = time.monotonic()
        gap, self._last_touch = now - self._last_touch, now
        self._portion_s += gap if gap < _IDLE_S else 0.0
        if self._portion_frame != self._selection.frame or self._portion_s >= _PORTION_S:
            self.hand_on_work()

    def hand_on_work(self) -> None:
        """Let the session count the seconds that were worked."""
        seconds, frame = self._portion_s, self._portion_frame
        self._portion_s, self._portion_frame = 0.0, self._selection.frame
        if seconds <= 0.1 or self._session.read_only or frame >= self._session.n_frames:
            return
        try:
            self._session.work(frame, seconds)
        except HoiError as error:
            self.failed.emit(error)

    def undo(self) -> None:
        """Take the last step back, and show where it was."""
        self._back(self._session.undo)

    def redo(self) -> None:
        """Do the undone step again, and show where it is."""
        self._back(self._session.redo)

    def _back(self, way: Callable[[], Step]) -> None:
        steps: list[Step] = []
        if self.do(lambda: steps.append(way())) and steps:
            frames = steps[0].frames
            if frames is not None and not frames[0] <= self._selection.frame <= frames[1]:
                self._selection.go_to(frames[0])

    def judge(self, status: Status) -> None:
        """Accept or reject the frame and go to the next."""
        chosen, session = self._selection, self._session
        labelled = any(bool(h.valid[chosen.frame]) for h in session.revision.hands.values()) if session.n_frames else 0
        labelled = labelled or any(bool(o.valid[chosen.frame]) for o in session.revision.objects.values())
        if not labelled:
            self.told.emit("warn", "This frame has no label to judge.", "R fits all frames; clicks help it.")
        elif self.do(lambda: session.set_status([chosen.frame], status)):
            chosen.go_to(chosen.frame + 1)

    def accept_good(self) -> None:
        """Accept every open frame whose residual is good."""
        revision = self._session.revision
        values, states = score(revision), statuses(revision, self._selection.side)
        good = [n for n, status in enumerate(states) if status == "auto" and judge(float(values[n])) == "good"]
        if good:
            self.do(lambda: self._session.set_status(good, "accepted"))
        else:
            self.told.emit("info", "No open frame has good residuals.", "E goes to the one that matters most.")

    def copy_from(self, by: int) -> None:
        """Take the hand's label of a frame nearby."""
        chosen = self._selection
        self.do(lambda: self._session.copy_from(chosen.side, chosen.frame, chosen.frame + by))

    def copy_object(self) -> None:
        """Take the object's pose of the frame before."""
        chosen = self._selection
        pose = self._session.object_pose(chosen.object_name, chosen.frame - 1) if chosen.frame else None
        if pose is None:
            self.told.emit("warn", "The frame before has no pose of this object.", "Mark points and place it.")
        else:
            self.do(lambda: self._session.set_object_pose(chosen.object_name, chosen.frame, pose))

    def swap_hands(self) -> None:
        """Exchange the hands of the frame."""
        self.do(lambda: self._session.swap_hands([self._selection.frame]))

    def delete_label(self) -> None:
        """Remove the hand's label at the frame."""
        chosen = self._selection
        self.do(lambda: self._session.delete_label(chosen.side, [chosen.frame]))

    def span(self) -> tuple[int, int] | None:
        """The keyframes around the frame; tells where there are none."""
        chosen = self._selection
        span = span_between(self._session.revision, chosen.side, chosen.frame)
        if span is None:
            self.told.emit(
                "warn", "This needs a keyframe on both sides.", "Edit or accept (A) a frame before and one after."
            )
        return span

    def interpolate(self) -> None:
        """Fill the frames between the keyframes around."""
        span, chosen = self.span(), self._selection
        if span is not None:
            self.do(lambda: self._session.interpolate(chosen.side, *span))

    def comment(self, frame: int, text: str) -> None:
        """Write about a frame."""
        self.do(lambda: self._session.set_comment(frame, text))

    def place_joint(self, view: str, u: float, v: float) -> None:
        """Click the chosen joint in a view and go on to the next one."""
        chosen = self._selection
        joint = 0 if chosen.joint is None else chosen.joint
        if self.do(lambda: self._session.set_keypoint(chosen.side, chosen.frame, view, joint, (u, v))):
            chosen.choose_joint((joint + 1) % len(JOINT_NAMES) if chosen.placing else joint)

    def remove_joint(self) -> None:
        """Remove the chosen joint's click in the active view."""
        chosen, joint = self._selection, self._selection.joint
        if joint is not None:
            self.do(lambda: self._session.set_keypoint(chosen.side, chosen.frame, chosen.view, joint, None))

    def toggle_lock(self, *, others: bool = False) -> None:
        """Fix the chosen joint, or all others, where they are; or free them."""
        chosen, joint = self._selection, self._selection.joint
        if joint is None:
            return
        joints = [n for n in range(len(JOINT_NAMES)) if (n != joint) == others]
        locked = self._session.revision.locked.get(chosen.side)
        on = locked is None or not bool(locked[chosen.frame, joints].all())
        self.do(lambda: self._session.set_locked(chosen.side, chosen.frame, joints, on))

    def toggle_occluded(self) -> None:
        """Say that the chosen joint is hidden from the active view, or is not."""
        chosen, joint = self._selection, self._selection.joint
        if joint is None:
            return
        held = self._session.revision.keypoints.get(chosen.side)
        marks = held.marks.get(chosen.view) if held is not None else None
        on = marks is None or not marks[chosen.frame, joint] & MARKS["occluded"]
        self.do(lambda: self._session.set_occluded(chosen.side, chosen.frame, chosen.view, joint, bool(on)))
