"""The labels of one sequence while a person works on them: no window, every change reversible, drafts survive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from annotate import auto
from annotate.keypoints import Keypoints
from hoi_core.conventions import SIDES, Side
from hoi_core.errors import FitError, SequenceError
from hoi_core.mano import ManoLayer
from hoi_core.sequence import find_sequence, open_annotation, open_capture, write_revision
from hoi_core.sequence.layout import ANNOTATION
from hoi_core.types import F32, F64, I64, STATUSES, U8, Camera, HandKeypoints, HandTrack, Revision, Status

DRAFT = "annotation.draft.h5"
"""Unsaved work, beside the labels."""


class AnnotationSession:
    """Labels being edited; open with `AnnotationSession.open`, close when done.

    Changes live here and in a draft file until `save` adds them as a revision; a revision is never rewritten.
    """

    def __init__(self, folder: Path, author: str) -> None:
        self.folder = folder
        self.sequence = folder.name
        self._author = author
        self._capture = open_capture(folder)
        try:
            auto.check_labels(folder, self._capture)
            self._binding = auto.bind(self._capture, auto.hand_model(folder, "right"))
            self._stored, self.revision_name, self.revisions = self._load()
            self._now = self._take_up_draft() or self._stored
        except BaseException:
            self._capture.close()
            raise
        self._layers: dict[Side, ManoLayer] = {}
        self.recovered = self._now is not self._stored
        self.n_frames = len(self._stored.t_ns)
        self.views: tuple[str, ...] = tuple(self._capture.views)

    @classmethod
    def open(cls, root: Path, sequence: str, author: str = "annotator") -> AnnotationSession:
        """Open a sequence at its current revision, or at the draft of unsaved work where there is one.

        Args:
            root: the dataset.
            sequence: its sequence.
            author: written into the revisions that `save` adds.

        Raises:
            SequenceError: unknown sequence, or a damaged file.
        """
        return cls(find_sequence(root, sequence), author)

    def _load(self) -> tuple[Revision, str, list[str]]:
        if not (self.folder / ANNOTATION).exists():
            return self._unlabelled(), "", []
        with open_annotation(self.folder) as annotation:
            revision = annotation.load()
            if len(revision.t_ns) != len(self._capture.sync):
                raise SequenceError(
                    f"the labels of {self.sequence} must have its {len(self._capture.sync)} moments, "
                    f"they have {len(revision.t_ns)}.",
                    f"Move {ANNOTATION} aside and annotate again.",
                )
            return revision, annotation.current, annotation.revisions

    def _unlabelled(self) -> Revision:
        sync = self._capture.sync
        index = {view: sync.index[f"{view}/color"] for view in self._capture.views}
        nothing = {view: np.full((len(sync), 21, 3), np.nan) for view in self._capture.views}
        return Revision(
            sync.t_ns, {}, {}, {"right": HandKeypoints(nothing)}, index, author=self._author, keypoint_source="clicked"
        )

    def _take_up_draft(self) -> Revision | None:
        """The draft, if it belongs to the current revision."""
        path = self.folder / DRAFT
        if not path.exists():
            return None
        with open_annotation(path) as annotation:
            draft = annotation.load()
            belongs = annotation.binding == self._binding and draft.parent == self.revision_name
        return draft if belongs and len(draft.t_ns) == len(self._stored.t_ns) else None

    @property
    def revision(self) -> Revision:
        """The labels as they are now."""
        return self._now

    @property
    def sides(self) -> tuple[Side, ...]:
        """Hands that have labels."""
        return tuple(side for side in SIDES if side in self._now.hands)

    @property
    def dirty(self) -> bool:
        """Whether there are changes that no revision holds."""
        return self._now is not self._stored

    def image(self, view: str, frame: int) -> U8 | None:
        """(H, W, 3) RGB of a view, or None where it has no frame."""
        index = int(self._capture.sync.index[f"{view}/color"][frame])
        return np.asarray(self._capture.views[view].color[index], dtype=np.uint8) if index >= 0 else None

    def depth_m(self, view: str, frame: int) -> F32 | None:
        """(H, W) m aligned to colour, 0 where nothing was measured; None where the view has no depth."""
        stream = f"{view}/depth"
        index = int(self._capture.sync.index[stream][frame]) if stream in self._capture.streams else -1
        return self._capture.views[view].depth_in_color_m(index) if index >= 0 else None

    def camera(self, view: str) -> Camera:
        """The view's colour camera."""
        return self._capture.views[view].camera

    def vertices_m(self, side: Side, frame: int) -> F64 | None:
        """(778, 3) m in the world, or None where there is no label."""
        track = self._now.hands.get(side)
        if track is None or not track.valid[frame]:
            return None
        some = slice(frame, frame + 1)
        hand = self._layer(side)(track.orient[some], track.pose[some], track.betas, track.trans_m[some])
        return np.asarray(hand.vertices_m[0])

    def faces(self, side: Side) -> I64:
        """(F, 3) vertex indices."""
        return self._layer(side).faces

    def _layer(self, side: Side) -> ManoLayer:
        if side not in self._layers:
            self._layers[side] = auto.hand_model(self.folder, side)
        return self._layers[side]

    def set_status(self, frames: Sequence[int], status: Status) -> tuple[Status, ...]:
        """Set the status of frames; returns what they had."""
        before = self.statuses()
        self.restore_status(frames, [status] * len(frames))
        return tuple(before[frame] for frame in frames)

    def restore_status(self, frames: Sequence[int], statuses: Sequence[Status]) -> None:
        """Put back what `set_status` returned."""
        hands: dict[Side, HandTrack] = {}
        for side, track in self._now.hands.items():
            codes = track.status.copy()
            codes[list(frames)] = [STATUSES.index(status) for status in statuses]
            hands[side] = replace(track, status=codes)
        self._change(replace(self._now, hands=hands))

    def statuses(self) -> tuple[Status, ...]:
        """Status of every frame: of the first hand, `none` without one."""
        codes = self._now.hands[self.sides[0]].status if self.sides else np.zeros(self.n_frames, np.uint8)
        return tuple([STATUSES[code] for code in codes])

    def set_keypoint(
        self, frame: int, view: str, joint: int, value: Sequence[float] | None
    ) -> tuple[float, ...] | None:
        """Set `(u px, v px, confidence)` of a joint, or remove it with None; returns what it had."""
        side: Side = next(iter(self._now.keypoints), "right")
        held = self._now.keypoints[side]
        points = held.by_view[view].copy()
        before = points[frame, joint].copy()
        points[frame, joint] = np.nan if value is None else value
        changed = replace(held, by_view={**held.by_view, view: points})
        self._change(replace(self._now, keypoints={**self._now.keypoints, side: changed}))
        return tuple(before.tolist()) if np.isfinite(before[:2]).all() else None

    def save(self, comment: str = "", human_seconds: float = 0.0) -> str:
        """Write a new revision; returns its name.

        Raises:
            StorageError: the disk is full; the labels on disk are as before.
        """
        revision = replace(
            self._now, author=self._author, parent=self.revision_name, comment=comment, human_seconds=human_seconds
        )
        name = write_revision(self.folder, revision, binding=self._binding)
        (self.folder / DRAFT).unlink(missing_ok=True)
        self._stored = self._now = revision
        self.revision_name = name
        self.revisions = [*self.revisions, name]
        return name

    def fit(self, progress: Callable[[float, str], None], cancelled: Callable[[], bool]) -> Revision:
        """Fit all frames to the keypoints as they are now; takes long and changes nothing here.

        Raises:
            FitError: no keypoints to start from, or cancelled.
        """

        def tell(share: float, what: str) -> None:
            if cancelled():
                raise FitError("the fit was cancelled.", "Nothing has changed.")
            progress(share, what)

        side = self.sides[0] if self.sides else "right"
        keypoints = Keypoints(self._now.keypoints, self._now.keypoint_source, self.revision_name)
        with open_capture(self.folder) as capture:
            return auto.fit_revision(self.folder, capture, keypoints, auto.Config(side=side), tell).revision

    def adopt(self, revision: Revision) -> None:
        """Make a revision the labels being edited."""
        self._change(revision)

    def _change(self, revision: Revision) -> None:
        self._now = revision
        if revision is self._stored:
            (self.folder / DRAFT).unlink(missing_ok=True)
        else:
            self._write_draft()

    def _write_draft(self) -> None:
        """Replace the draft in one step: a crash at any point leaves the old one or the new one."""
        fresh = self.folder / f"{DRAFT}.new"
        fresh.unlink(missing_ok=True)
        write_revision(fresh, replace(self._now, parent=self.revision_name), binding=self._binding)
        fresh.replace(self.folder / DRAFT)

    def close(self) -> None:
        """Close the files; unsaved changes stay in the draft."""
        self._capture.close()

    def __enter__(self) -> AnnotationSession:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
