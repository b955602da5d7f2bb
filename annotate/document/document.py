"""The labels being edited and their history: steps that can be taken back, on disk before they are seen."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from annotate.document.flat import Flat, flatten, unflatten
from annotate.document.journal import Journal, Kind, Record
from annotate.document.patch import Patch, apply, decode, difference, encode, frames_of, reverse
from hoi_core.errors import HoiError, SequenceError, StorageError
from hoi_core.sequence import Annotation, Binding, open_annotation, write_revision
from hoi_core.sequence.layout import ANNOTATION
from hoi_core.types import F64, Revision

log = logging.getLogger(__name__)

JOURNAL = "annotation.journal"
"""Steps since the first one ever made, beside the labels."""
BLIND_JOURNAL = "annotation.blind.journal"
"""Steps of a blind annotation that is not finished."""
_DRAFT = "annotation.draft.h5"
_VERSION = 1


@dataclass(frozen=True)
class Step:
    """One undoable step of work."""

    text: str
    """What it did, as menus say it: `Accept frame 12`."""
    frames: tuple[int, int] | None
    """First and last frame that it changed; None for steps that belong to no frame."""


class Document:
    """Labels of one sequence, their history, and the journal that holds both.

    A change is in the journal before it is in the labels: a kill at any moment loses at most the change that was
    being made, and a full disk refuses a change instead of losing it later.

    Args:
        folder: of the sequence.
        binding: what the labels hold for.
        unlabelled: the labels of a sequence that has none.
        writable: False looks only; changes are refused.
        blind: start without the stored labels, and write a revision that does not become the current one.
    """

    def __init__(
        self, folder: Path, binding: Binding, unlabelled: Revision, *, writable: bool = True, blind: bool = False
    ) -> None:
        self.folder, self._binding, self._blind, self._writable = folder, binding, blind, writable
        self._unlabelled = unlabelled
        self.guard = threading.RLock()
        """Held while labels change; hold it to read, think and change as one."""
        self._undo: list[Record] = []
        self._redo: list[Record] = []
        self._saved_top: Record | None = None
        self._unsaved_work: list[tuple[int, float]] = []
        self.recovered = False
        self.warnings: list[str] = []
        self.revisions, current = self._stored_revisions()
        self.base = "" if blind else current
        """Stored revision that the labels started from; empty without one."""
        self._parent = current
        self._journal = Journal(folder / (BLIND_JOURNAL if blind else JOURNAL), writable=writable)
        try:
            self._take_up(current)
        except BaseException:
            self._journal.close()
            raise

    # Opening

    def _stored_revisions(self) -> tuple[list[str], str]:
        if not (self.folder / ANNOTATION).exists():
            return [], ""
        with open_annotation(self.folder) as annotation:
            return annotation.revisions, annotation.current

    def stored(self, name: str) -> Revision:
        """A stored revision; the empty name is the unlabelled sequence.

        Raises:
            SequenceError: it is damaged, or has other moments than the recording.
        """
        if not name:
            return self._unlabelled
        with open_annotation(self.folder) as annotation:
            return _fitting(annotation, name, self._unlabelled)

    def _take_up(self, current: str) -> None:
        """The labels where the journal left them."""
        if self._journal.torn_bytes:
            self.warnings.append("The last change was cut off when the program was killed; all before it is here.")
        records = self._journal.records
        start = self._checkpoint(records)
        base = str(records[start].about["revision"]) if records else self.base
        self._set(flatten(self.stored(base)), self.stored(base))
        self.base = base
        for record in records[:start]:
            self._step_stacks(record)
        self._saved_top = self._top
        self._replay(start)
        self.recovered = self.dirty
        if self._blind:
            if records and not self.dirty and base:
                self._begin_again()
            return
        if base != current:
            self._catch_up(current)
        self._take_up_draft()

    def _checkpoint(self, records: Sequence[Record]) -> int:
        """Index of the newest record after which the labels were those of a revision that is still there."""
        if not records:
            return 0
        head = records[0].about
        if records[0].kind != "begin" or head.get("capture_hash") != self._binding.capture_hash:
            raise SequenceError(
                f"{self._journal.path} is the journal of another recording.", "Move it aside and open again."
            )
        if int(head.get("version", 0)) > _VERSION:
            raise SequenceError(f"{self._journal.path} was written by a newer version of this program.", "Update.")
        for index in range(len(records) - 1, -1, -1):
            if records[index].kind in ("begin", "saved"):
                name = records[index].about["revision"]
                if not name or name in self.revisions:
                    return index
        raise SequenceError(
            f"{self._journal.path} continues {head['revision']}, which {ANNOTATION} does not hold.",
            f"Restore {ANNOTATION}, or move the journal aside and open again.",
        )

    def _replay(self, start: int) -> None:
        """Do again what was done since the checkpoint."""
        for index in range(start, len(self._journal.records)):
            record = self._journal.records[index]
            try:
                self._replay_one(record)
            except HoiError as error:
                left = len(self._journal.records) - index
                log.warning("%s: %s", self._journal.path, error)
                self._journal.cut_from(index)
                self.warnings.append(
                    f"The last {left} records of the journal could not be read; a copy of it was kept beside it."
                )
                return

    def _replay_one(self, record: Record) -> None:
        if record.kind == "work":
            self._count(int(record.about["frame"]), float(record.about["seconds"]))
            return
        if record.kind in ("do", "undo", "redo"):
            step = self._stepped_by(record)
            patch = self._patch(step)
            self._set(apply(self._flat, reverse(patch) if record.kind == "undo" else patch), self._now)
        self._step_stacks(record)

    def _stepped_by(self, record: Record) -> Record:
        stack = {"do": [record], "undo": self._undo, "redo": self._redo}[record.kind]
        if not stack:
            raise SequenceError("the journal takes back a step that was never made.", "")
        return stack[-1]

    def _step_stacks(self, record: Record) -> None:
        """What a record does to the history."""
        if record.kind == "do":
            self._undo.append(record)
            self._redo.clear()
        elif record.kind == "undo" and self._undo:
            self._redo.append(self._undo.pop())
        elif record.kind == "redo" and self._redo:
            self._undo.append(self._redo.pop())

    def _catch_up(self, current: str) -> None:
        """The stored labels are newer than the journal knows: ours, where a kill hit `save`, or somebody else's."""
        newer = self.stored(current)
        patch = difference(self._flat, flatten(newer))
        if not patch:
            self._note_saved(current)
            self.recovered = False
        elif self.dirty:
            self.warnings.append(
                f"Revision {current} by {newer.author} was added since; this unsaved work continues {self.base}."
            )
        else:
            work = self._unsaved_work
            if self._writable and self._journal.records:
                self._step_stacks(self._append_step(f"Revision {current} by {newer.author}", patch))
            self._set(apply(self._flat, patch), newer)
            self._note_saved(current)
            for frame, seconds in work if self._writable else ():
                self.work(frame, seconds)

    def _take_up_draft(self) -> None:
        """Unsaved work that a version without a journal left: it becomes a step, if it continues these labels."""
        path = self.folder / _DRAFT
        if not (self._writable and path.exists()):
            return
        with open_annotation(path) as annotation:
            draft = _fitting(annotation, annotation.current, self._unlabelled)
            belongs = annotation.binding == self._binding and draft.parent == self.base and not self.dirty
        if not belongs:
            self.warnings.append(f"{_DRAFT} holds unsaved work on revision {draft.parent}; it was left as it is.")
            return
        self.change("Unsaved work of an earlier version", draft)
        self.recovered = True
        path.unlink()

    def _begin_again(self) -> None:
        """A blind annotation that was saved is finished: the next one starts with nothing."""
        self._journal.close()
        if self._writable:
            self._journal.path.unlink()
        self._journal = Journal(self._journal.path, writable=self._writable)
        self._undo, self._redo, self._saved_top, self.base = [], [], None, ""
        self._set(flatten(self._unlabelled), self._unlabelled)

    # State

    def _set(self, flat: Flat, like: Revision) -> None:
        self._flat, self._now = flat, unflatten(flat, like)

    @property
    def revision(self) -> Revision:
        """The labels as they are now."""
        return self._now

    @property
    def _top(self) -> Record | None:
        return self._undo[-1] if self._undo else None

    @property
    def dirty(self) -> bool:
        """Whether the labels are others than those of the stored revision they belong to."""
        return self._top is not self._saved_top

    @property
    def undo_step(self) -> Step | None:
        """What `undo` would take back."""
        return _step(self._undo[-1]) if self._undo else None

    @property
    def redo_step(self) -> Step | None:
        """What `redo` would do again."""
        return _step(self._redo[-1]) if self._redo else None

    # Steps

    def change(self, text: str, revision: Revision) -> Step | None:
        """Make a revision the labels, as one undoable step.

        Returns:
            The step; None where nothing changes.

        Raises:
            SequenceError: open to look at only.
            StorageError: the disk is full; nothing has changed.
        """
        with self.guard:
            new = flatten(revision)
            patch = difference(self._flat, new)
            if not patch:
                return None
            record = self._append_step(text, patch)
            self._set(new, self._now)
            self._step_stacks(record)
            return _step(record)

    def check_writable(self) -> None:
        """Refuse changes where there can be none.

        Raises:
            SequenceError: open to look at only.
        """
        if not self._writable:
            raise SequenceError(
                f"the labels of {self.folder.name} are open to look at only.", "Open them without --read-only."
            )

    def _append_step(self, text: str, patch: Patch) -> Record:
        frames = frames_of(patch, len(self._now.t_ns))
        return self._append("do", {"text": text, "frames": frames}, encode(patch))

    def _append(self, kind: Kind, about: dict[str, object], data: bytes = b"") -> Record:
        self.check_writable()
        if not self._journal.records:
            begin = {
                "version": _VERSION,
                "capture_hash": self._binding.capture_hash,
                "mano_source": self._binding.mano_source,
                "revision": self.base,
            }
            self._journal.append("begin", begin)
        return self._journal.append(kind, about, data)

    def undo(self) -> Step:
        """Take the last step back; works past saves and past the opening.

        Raises:
            SequenceError: there is none, or the journal is damaged where it lies.
        """
        return self._move("undo")

    def redo(self) -> Step:
        """Do the last undone step again.

        Raises:
            SequenceError: there is none.
        """
        return self._move("redo")

    def _move(self, kind: Literal["undo", "redo"]) -> Step:
        with self.guard:
            stack = self._undo if kind == "undo" else self._redo
            if not stack:
                raise SequenceError(f"there is nothing to {kind}.", "")
            step = stack[-1]
            patch = self._patch(step)
            flat = apply(self._flat, reverse(patch) if kind == "undo" else patch)
            record = self._append(kind, {})
            self._set(flat, self._now)
            self._step_stacks(record)
            return _step(step)

    def _patch(self, step: Record) -> Patch:
        return decode(self._journal.read(step))

    def work(self, frame: int, seconds: float) -> None:
        """Count human work on a moment; no step of the history."""
        with self.guard:
            self._append("work", {"frame": int(frame), "seconds": float(seconds)})
            self._count(int(frame), float(seconds))

    def _count(self, frame: int, seconds: float) -> None:
        held = self._now.work_s
        work_s: F64 = np.zeros(len(self._now.t_ns)) if held is None else held.copy()
        work_s[frame] += seconds
        self._now = replace(self._now, work_s=work_s)
        self._unsaved_work.append((frame, seconds))

    def save(self, author: str, comment: str = "") -> str:
        """Write the labels as a new revision; returns its name. The history goes on.

        Raises:
            StorageError: the disk is full; the labels on disk are as before, the journal still holds the work.
        """
        with self.guard:
            self.check_writable()
            revision = replace(
                self._now,
                author=author,
                parent=self._parent if self._blind else self.base,
                comment=comment,
                human_seconds=sum(seconds for _, seconds in self._unsaved_work),
                purpose="blind" if self._blind else "labels",
            )
            name = write_revision(self.folder, revision, binding=self._binding)
            self.revisions = [*self.revisions, name]
            self._now = revision
            try:
                self._note_saved(name)
            except StorageError as error:
                # The revision is whole; the next opening compares it with the journal and finds that it was saved.
                log.warning("%s", error)
            return name

    def _note_saved(self, name: str) -> None:
        self.base, self._saved_top, self._unsaved_work = name, self._top, []
        if self._writable and self._journal.records:
            self._journal.append("saved", {"revision": name})

    def close(self) -> None:
        """Close the journal; what is in it is there when the labels are opened again."""
        self._journal.close()


def _step(record: Record) -> Step:
    frames = record.about.get("frames")
    return Step(str(record.about["text"]), None if frames is None else (int(frames[0]), int(frames[1])))


def _fitting(annotation: Annotation, name: str, unlabelled: Revision) -> Revision:
    revision = annotation.load(name)
    if len(revision.t_ns) != len(unlabelled.t_ns):
        raise SequenceError(
            f"the labels {name} of {annotation.path.parent.name} must have its {len(unlabelled.t_ns)} moments, "
            f"they have {len(revision.t_ns)}.",
            f"Move {ANNOTATION} aside and annotate again.",
        )
    return revision
