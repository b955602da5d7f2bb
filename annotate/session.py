"""The labels of one sequence while a person works on them: no window, every change reversible, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from annotate import auto
from annotate.document import edits, object_edits, words
from annotate.document.document import Document, Step
from annotate.document.drag import HandDrag, Window
from annotate.document.interpolation import interpolate
from annotate.document.lock import WriteLock, user_name
from annotate.document.models import Shelf
from annotate.document.near import Nearby
from annotate.document.pictures import Pictures
from annotate.document.ready import Readiness
from annotate.document.refit import put_refit, refit
from annotate.document.residuals import refreshed, touched
from annotate.epipolar import epipolar_line
from annotate.fit import Term, load_terms
from annotate.keypoints import Keypoints
from annotate.local import LocalFit
from annotate.objects.first_pose import place
from annotate.suggest import Suggestion, next_to_repeat, suggest
from annotate.triangulate import triangulate_frame
from annotate.trust.agreement import Agreement, agreement_in, repeat_in
from hoi_core.conventions import N_JOINTS, SIDES, Side
from hoi_core.errors import ConfigError, FitError, SequenceError
from hoi_core.plugins import unknown_name
from hoi_core.sequence import Binding, find_sequence, open_annotation, open_capture
from hoi_core.sequence.layout import ANNOTATION
from hoi_core.types import F32, F64, I64, STATUSES, U8, Camera, Revision, Status

Progress = words.Progress
_RAY_M = (0.15, 2.0)


class AnnotationSession:
    """Labels being edited; open with `AnnotationSession.open`, close when done.

    Every change is one undoable step and is in the journal beside the labels before it is seen here; `save` adds a
    revision, and no revision is ever rewritten. One session at a time writes the labels of a sequence.
    """

    def __init__(self, folder: Path, author: str = "", *, read_only: bool = False, blind: bool = False) -> None:
        self.folder = folder
        self.sequence = folder.name
        self.author = author or user_name()
        self.read_only, self.blind = read_only, blind
        self._lock = None if read_only else WriteLock(folder, self.author)
        try:
            self._capture = open_capture(folder)
            try:
                self._document = self._open_document()
            except BaseException:
                self._capture.close()
                raise
        except BaseException:
            self._release()
            raise
        self._pictures = Pictures(self._capture)
        self._nearby = Nearby(self._capture)
        self._readiness = Readiness(self._nearby)
        self._shelf = Shelf(folder)
        self.n_frames = len(self._capture.sync)
        self.views: tuple[str, ...] = tuple(self._capture.views)

    @classmethod
    def open(
        cls, root: Path, sequence: str, author: str = "", *, read_only: bool = False, blind: bool = False
    ) -> AnnotationSession:
        """Open a sequence where its work stands: its current revision, and what the journal holds beyond it.

        Args:
            root: the dataset.
            sequence: its sequence.
            author: written into the revisions that `save` adds; empty for the name of the user.
            read_only: look only; others may write meanwhile.
            blind: hide the labels and label anew, to measure agreement.

        Raises:
            SequenceError: unknown sequence, a damaged file, or somebody else is writing the labels.
        """
        return cls(find_sequence(root, sequence), author, read_only=read_only, blind=blind)

    def _open_document(self) -> Document:
        auto.check_labels(self.folder, self._capture)
        document = Document(
            self.folder, self._binding(), edits.unlabelled(self._capture), writable=not self.read_only, blind=self.blind
        )
        if self.blind and not document.revisions:
            document.close()
            raise SequenceError(f"{self.sequence} has no labels to be blind to.", "Annotate it first.")
        return document

    def _binding(self) -> Binding:
        """What the labels hold for."""
        if (self.folder / ANNOTATION).exists():
            with open_annotation(self.folder) as annotation:
                binding = annotation.binding
            if binding.mano_source == Binding.mano_source:
                return binding  # building the stand-in hand takes seconds, and nothing needs it yet
        layer = auto.hand_model(self.folder, "right")
        auto.check_labels(self.folder, self._capture, layer)
        return auto.bind(self._capture, layer)

    @property
    def revision(self) -> Revision:
        """The labels as they are now."""
        return self._document.revision

    @property
    def revision_name(self) -> str:
        """The stored revision that the labels started from; empty without one."""
        return self._document.base

    @property
    def revisions(self) -> list[str]:
        """All stored revisions, oldest first."""
        return self._document.revisions

    @property
    def dirty(self) -> bool:
        """Whether there are changes that no revision holds."""
        return self._document.dirty

    @property
    def recovered(self) -> bool:
        """Whether unsaved work of an earlier run was found and taken up."""
        return self._document.recovered

    @property
    def warnings(self) -> Sequence[str]:
        """What a person should know about how the labels were opened."""
        return self._document.warnings

    @property
    def sides(self) -> tuple[Side, ...]:
        """Hands that have labels."""
        return tuple(side for side in SIDES if side in self.revision.hands)

    @property
    def object_names(self) -> tuple[str, ...]:
        """Objects of the recording, labelled or not."""
        return tuple(dict.fromkeys([*self._capture.header.objects, *self.revision.objects]))

    def stored(self, name: str) -> Revision:
        """A stored revision."""
        if name not in self.revisions:
            raise unknown_name("revision", name, self.revisions)
        return self._document.stored(name)

    # What the cameras saw

    def image(self, view: str, frame: int) -> U8 | None:
        """(H, W, 3) RGB of a view, or None where it has no frame."""
        return self._pictures.image(view, frame)

    def depth_m(self, view: str, frame: int) -> F32 | None:
        """(H, W) m aligned to colour, 0 where nothing was measured; None where the view has no depth."""
        return self._pictures.depth_m(view, frame)

    def camera(self, view: str) -> Camera:
        """The view's colour camera."""
        return self._capture.views[edits.check_view(self.revision, view)].camera

    def cloud(self, frame: int, every: int = 4) -> tuple[F64, U8]:
        """(N, 3) m in the world and (N, 3) RGB of the depth points of all views, every so many pixels."""
        return self._pictures.cloud(frame, every)

    def sensor_image(self, frame: int) -> U8 | None:
        """(128, 128) of the edge sensor, or None where it has no frame."""
        return self._pictures.sensor_image(frame)

    @property
    def sensor_camera(self) -> Camera | None:
        """Camera of the edge sensor; None without one."""
        return self._pictures.sensor_camera

    # What the labels say

    def vertices_m(self, side: Side, frame: int) -> F64 | None:
        """(778, 3) m in the world, or None where there is no label."""
        track = self.revision.hands.get(side)
        if track is None or not track.valid[frame]:
            return None
        some = slice(frame, frame + 1)
        hand = self._shelf.layer(side)(track.orient[some], track.pose[some], track.betas, track.trans_m[some])
        return np.asarray(hand.vertices_m[0])

    def faces(self, side: Side) -> I64:
        """(F, 3) vertex indices."""
        return self._shelf.layer(side).faces

    def statuses(self, side: Side | None = None) -> tuple[Status, ...]:
        """Status of every frame of a hand, by default the first that has labels; `none` without one."""
        side = side or next(iter(self.sides), None)
        track = self.revision.hands.get(side) if side else None
        codes = np.zeros(self.n_frames, np.uint8) if track is None else track.status
        return tuple([STATUSES[code] for code in codes])

    def object_pose(self, name: str, frame: int) -> F64 | None:
        """(4, 4) m, object to world, or None where there is no label."""
        return object_edits.pose_of(self.revision, name, frame)

    def object_mesh(self, name: str) -> tuple[F64, I64]:
        """(V, 3) m in the object's frame and (F, 3) vertex indices.

        Raises:
            AssetError: the dataset has no usable mesh of it.
        """
        mesh = self._shelf.mesh(self._object(name))
        return mesh.vertices_m, np.asarray(mesh.faces, dtype=np.int64)

    def triangulated(self, side: Side, frame: int) -> F64:
        """(21, 3) m from the keypoints of the frame alone; NaN where they do not suffice."""
        edits.check_frames(self.revision, [frame])
        points = self.revision.keypoints.get(edits.check_side(side))
        if points is None or not points.by_view:
            return np.full((N_JOINTS, 3), np.nan)
        seen = np.stack([points.by_view[view][frame] for view in points.by_view])
        return triangulate_frame([self.camera(view) for view in points.by_view], seen)

    def epipolar(self, view: str, px: tuple[float, float], other: str) -> F64:
        """(N, 2) px in another view where a pixel's ray is seen, near to far; empty where it is not."""
        return epipolar_line(self.camera(view), np.asarray(px, dtype=np.float64), self.camera(other), *_RAY_M)

    def suggestion(self, after: int) -> Suggestion | None:
        """The next frame worth a look, or to be labelled again; None when all are good enough."""
        if self.blind:
            return next_to_repeat(self.revision, self.to_repeat, after)
        return suggest(self.revision, after)

    @cached_property
    def to_repeat(self) -> tuple[int, ...]:
        """Frames that are to be labelled a second time; empty unless the labels are hidden."""
        return repeat_in(self.folder, self.sequence) if self.blind else ()

    def agreement(self, name: str) -> Agreement:
        """How far a blind revision agrees with the labels that it was made beside."""
        return agreement_in(self.folder, name)

    # Undo and redo

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._document.undo_step is not None

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._document.redo_step is not None

    @property
    def undo_text(self) -> str:
        """What `undo` would take back; empty when nothing."""
        step = self._document.undo_step
        return step.text if step else ""

    @property
    def redo_text(self) -> str:
        """What `redo` would do again; empty when nothing."""
        step = self._document.redo_step
        return step.text if step else ""

    def undo(self) -> Step:
        """Take the last step back; saving and closing do not end the history."""
        return self._document.undo()

    def redo(self) -> Step:
        """Do the last undone step again."""
        return self._document.redo()

    def _edit(self, text: str, make: Callable[[Revision], Revision], *, measure: bool = False) -> None:
        """Make one step; with `measure`, residuals of what it touched are brought up to date within it."""
        with self._document.guard:
            changed = make(self.revision)
            if measure:
                cameras = {name: view.camera for name, view in self._capture.views.items()}
                changed = refreshed(changed, cameras, touched(self.revision, changed))
            self._document.change(text, changed)

    # Changes of hands

    def set_status(self, frames: Sequence[int], status: Status, side: Side | None = None) -> None:
        """Judge the labels of frames: of one hand, or of all hands and objects."""
        self._edit(words.judging(frames, status), lambda now: edits.set_status(now, frames, status, side))

    def set_comment(self, frame: int, text: str) -> None:
        """Write about a frame; empty removes."""
        self._edit(f"Comment on frame {frame}", lambda now: edits.set_comment(now, frame, text))

    def set_keypoint(
        self, side: Side, frame: int, view: str, joint: int, px: tuple[float, float] | None, *, occluded: bool = False
    ) -> None:
        """Place a joint in an image, or remove it with None."""
        text = f"{'Remove' if px is None else 'Place'} a {side} keypoint of frame {frame}"
        at = (frame, view, joint)
        self._edit(text, lambda now: edits.set_keypoint(now, side, at, px, occluded=occluded), measure=True)

    def set_occluded(self, side: Side, frame: int, view: str, joint: int, on: bool) -> None:
        """Say whether a joint is hidden from a view."""
        text = f"Mark a {side} keypoint of frame {frame} {'occluded' if on else 'visible'}"
        self._edit(text, lambda now: edits.set_occluded(now, side, (frame, view, joint), on=on))

    def set_locked(self, side: Side, frame: int, joints: Sequence[int], on: bool) -> None:
        """Fix joints where they are, or free them."""
        text = f"{'Lock' if on else 'Free'} {side} joints of frame {frame}"
        self._edit(text, lambda now: edits.set_locked(now, side, frame, joints, on=on))

    def copy_from(self, side: Side, frame: int, source: int) -> None:
        """Take the label of another frame."""
        text = f"Copy the {side} hand of frame {source} to frame {frame}"
        self._edit(text, lambda now: edits.copy_from(now, side, frame, source), measure=True)

    def swap_hands(self, frames: Sequence[int]) -> None:
        """Exchange left and right keypoints of frames; their labels go until the next fit."""
        self._edit(f"Swap the hands of {words.named(frames)}", lambda now: edits.swap_hands(now, frames), measure=True)

    def delete_label(self, side: Side, frames: Sequence[int]) -> None:
        """Take labels of frames out, for good: no fit fills them again. Keypoints stay."""
        text = f"Delete the {side} hand of {words.named(frames)}"
        self._edit(text, lambda now: edits.delete_label(now, side, frames), measure=True)

    def interpolate(self, side: Side, first: int, last: int) -> None:
        """Fill the frames between the keyframes (edited or accepted) of a range."""
        text = f"Interpolate the {side} hand from frame {first} to {last}"
        layer = self._shelf.layer(side)
        self._edit(text, lambda now: interpolate(now, layer, side, first, last), measure=True)

    def adopt(self, revision: Revision, text: str = "Fit all frames") -> None:
        """Take over what a fit made; clicks, locks, comments and settled frames stay as they are now."""
        self._edit(text, lambda now: edits.adopt(now, revision))

    # Changes that look at the evidence

    def prepare(self, side: Side, frame: int) -> None:
        """Read what a drag near a frame needs; changes nothing, and nothing happens where there is no label."""
        track = self.revision.hands.get(side)
        if track is not None and 0 <= frame < self.n_frames and track.valid[frame]:
            self._shelf.read_meshes(self.revision.objects)
            self._ready(side, frame)

    @cached_property
    def _terms(self) -> dict[str, Term]:
        """Looking for terms takes as long as a drag may; they stay what they are."""
        return load_terms()

    def _ready(self, side: Side, frame: int) -> tuple[Window, LocalFit]:
        models = self._shelf.models({*self.sides, side})
        return self._readiness.drag(self.revision, models, side, frame, self._terms)

    def begin_drag(self, side: Side, frame: int) -> HandDrag:
        """Start to drag joints of a hand; quick after `prepare` of a frame nearby.

        Raises:
            ConfigError: the frame has no label.
        """
        self._document.check_writable()
        locks = self.revision.locked.get(edits.check_side(side))
        return HandDrag(
            *self._ready(side, frame),
            side,
            frame,
            cameras={view: self.camera(view) for view in self.views},
            locked=[] if locks is None else np.flatnonzero(locks[frame]).tolist(),
            step=lambda make: self._edit(f"Drag the {side} hand of frame {frame}", make, measure=True),
        )

    def refit_between(
        self,
        side: Side,
        first: int,
        last: int,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Fit the frames between two frames, which are held as everything settled is.

        Raises:
            ConfigError: an end has no label, or nothing between them is free.
            FitError: cancelled.
        """
        self._document.check_writable()
        tell = words.teller(progress, cancelled)
        models, layer = self._shelf.models({*self.sides, side}), self._shelf.layer(side)
        done = refit(self._nearby, self.revision, models, layer, (first, last), self._terms, tell)
        text = f"Refit the {side} hand from frame {first} to {last}"
        self._edit(text, lambda now: put_refit(now, side, done))

    # Changes of objects

    def nudge_object(
        self, name: str, frame: int, shift_m: Sequence[float], turn_rad: Sequence[float], axes: str = "object"
    ) -> None:
        """Move an object's label along and about axes through its origin: `object`, `world` or `camera:<view>`."""
        T = self.object_pose(self._object(name), frame)
        if T is None:
            raise ConfigError(f"{name} has no label at frame {frame} to nudge.", "Place it first.")
        if axes == "world":
            T_axes: F64 = np.eye(4)
        elif axes.startswith("camera:"):
            T_axes = self.camera(axes.removeprefix("camera:")).T_world_cam
        elif axes == "object":
            T_axes = T
        else:
            raise unknown_name("kind of axes", axes, ["object", "world", *(f"camera:{view}" for view in self.views)])
        self.set_object_pose(name, frame, object_edits.nudged(T, shift_m, turn_rad, T_axes))

    def set_object_pose(self, name: str, frame: int, T_world_obj: F64) -> None:
        """Set an object's label, (4, 4) m."""
        text = f"Move {self._object(name)} in frame {frame}"
        self._edit(text, lambda now: object_edits.set_object_pose(now, name, frame, T_world_obj))

    def add_object_point(
        self, name: str, frame: int, view: str, px: tuple[float, float], point_m: Sequence[float]
    ) -> None:
        """Say that a point of the mesh, (3,) m in the object's frame, is seen at a pixel."""
        text = f"Click {self._object(name)} in frame {frame}"
        self._edit(text, lambda now: object_edits.add_object_point(now, name, (frame, view), px, point_m))

    def remove_object_point(self, name: str, index: int) -> None:
        """Remove a click, by its index in `revision.object_points[name]`."""
        text = f"Remove a click on {self._object(name)}"
        self._edit(text, lambda now: object_edits.remove_object_point(now, name, index))

    def place_object(self, name: str, frame: int) -> None:
        """Find an object's pose from the clicks of a frame.

        Raises:
            FitError: too few clicks, or clicks that no pose explains.
        """
        mesh, points = self._shelf.mesh(self._object(name)), object_edits.points_of(self.revision, name, frame)
        views = sorted(set(points.view))
        depth_m = {view: depth for view in views if (depth := self.depth_m(view, frame)) is not None}
        T = place(mesh, {view: self.camera(view) for view in views}, points, depth_m)
        text = f"Place {name} in frame {frame}"
        self._edit(text, lambda now: object_edits.set_object_pose(now, name, frame, T))

    def _object(self, name: str) -> str:
        if name not in self.object_names:
            raise unknown_name("object", name, list(self.object_names))
        return name

    # Work that takes long

    def fit(self, progress: Progress, cancelled: Callable[[], bool]) -> Revision:
        """Fit all frames to the keypoints as they are now; takes long and changes nothing here.

        Raises:
            FitError: no keypoints to start from, or cancelled.
        """
        now = self.revision
        if not now.keypoints:
            raise FitError(
                f"{self.sequence} has no keypoints to fit to.", "Click six joints of a frame in each view first."
            )
        keypoints = Keypoints(now.keypoints, now.keypoint_source, self.revision_name)
        tell = words.teller(progress, cancelled)
        with open_capture(self.folder) as capture:
            return auto.fit_revision(self.folder, capture, keypoints, auto.Config(), tell, now).revision

    def work(self, frame: int, seconds: float) -> None:
        """Count human work on a frame; no step of the history. Looking only is not counted."""
        edits.check_frames(self.revision, [frame])
        if not np.isfinite(seconds) or seconds < 0:
            raise ConfigError(f"work lasts 0 seconds or longer, got {seconds}.", "Give the time spent.")
        if not self.read_only and seconds > 0:
            self._document.work(frame, seconds)

    def save(self, comment: str = "") -> str:
        """Write a new revision, with the work counted since the last; returns its name.

        Raises:
            StorageError: the disk is full; the labels on disk are as before, and the journal holds the work.
        """
        return self._document.save(self.author, comment)

    def close(self) -> None:
        """Close the files and let others write; unsaved changes stay in the journal."""
        self._document.close()
        self._capture.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> AnnotationSession:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
