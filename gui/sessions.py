# SPDX-License-Identifier: GPL-3.0-or-later
"""What the windows need from the sessions behind them, as protocols: tests put fakes in their place. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hoi_core.conventions import Side
from hoi_core.errors import HoiError
from hoi_core.types import F32, F64, I64, U8, Camera, Frame, Revision, Status, StreamInfo


class Health(Protocol):
    """A recorder's figures about itself."""

    @property
    def fps(self) -> Mapping[str, float]:
        """Stream -> frames per second over the last second."""

    @property
    def skew_ms(self) -> float:
        """Median distance in time of paired frames; NaN while unknown."""

    @property
    def dropped(self) -> int:
        """Frames that never arrived."""

    @property
    def buffer_share(self) -> float:
        """Fullest queue, 0 to 1."""

    @property
    def disk_minutes(self) -> float:
        """Minutes of recording that still fit."""

    @property
    def depth_fill(self) -> Mapping[str, float]:
        """View -> share of depth pixels with a measurement."""

    @property
    def exposure_us(self) -> Mapping[str, float]:
        """Stream -> exposure, microseconds; NaN while unknown."""


@dataclass(frozen=True)
class RecordRequest:
    """What a person asked to record."""

    sequence: str
    participant: str
    objects: tuple[str, ...]
    scenario: str
    action: str
    seconds: float | None = None


class RecordReport(Protocol):
    """What a finished recording holds."""

    @property
    def path(self) -> Path:
        """The capture file, in the sequence's own folder."""

    @property
    def seconds(self) -> float:
        """From the first to the last moment, s."""

    @property
    def moments(self) -> int:
        """Number of moments."""

    @property
    def paired(self) -> int:
        """Moments at which every stream has a frame."""

    @property
    def drops(self) -> Sequence[object]:
        """Every missing frame."""

    @property
    def verdict(self) -> Any:
        """Whether the take can be annotated: `capture.annotatable.Verdict`."""


class DeviceState(Protocol):
    """How one device of an open rig is doing."""

    @property
    def name(self) -> str:
        """What the rig calls it."""

    @property
    def serial(self) -> str:
        """Serial number; empty where it has none."""

    @property
    def state(self) -> str:
        """`ok`, `silent` (open, but no frames) or `lost` (unplugged)."""

    @property
    def detail(self) -> str:
        """What happened, in words; empty when all is well."""


class CaptureSession(Protocol):
    """Cameras in preview and in recording; safe to call from any thread."""

    @property
    def rig_name(self) -> str:
        """Name of the rig."""

    @property
    def streams(self) -> Sequence[StreamInfo]:
        """What the devices deliver, after `start`."""

    @property
    def recording(self) -> bool:
        """Whether frames go to disk."""

    @property
    def recorded_s(self) -> float:
        """Length of the running recording, s."""

    def start(self) -> None:
        """Open the devices and begin the preview; may take seconds."""

    def stop(self) -> None:
        """Close everything; a running recording is completed first."""

    def latest(self, stream: str) -> Frame | None:
        """The newest frame; never waits."""

    def next_sequence(self) -> str:
        """The next free name of a sequence."""

    def start_recording(self, request: RecordRequest, seconds: float | None = None) -> None:
        """Begin to write; returns at once."""

    def stop_recording(self) -> RecordReport:
        """Write what is queued and close the file; may take seconds."""

    def health(self) -> Health:
        """A snapshot of the figures; never waits."""

    def take_error(self) -> HoiError | None:
        """An error met in the background, handed out once."""

    def devices(self) -> Sequence[DeviceState]:
        """How each device is doing."""

    def mark(self, text: str = "") -> None:
        """Store a mark at this moment of the running recording."""

    def verdict(self) -> Any:
        """Whether what is seen now can be annotated: `capture.annotatable.Verdict`."""

    def hands(self) -> Mapping[str, Any]:
        """View -> whether a network sees a hand in it: `capture.hand_watch.Sight`."""


class Step(Protocol):
    """One undoable step of work."""

    @property
    def text(self) -> str:
        """What it did, as the menus say it: `Accept frame 12`."""

    @property
    def frames(self) -> tuple[int, int] | None:
        """First and last frame that it changed; None for steps that belong to no frame."""


class DragView(Protocol):
    """The hand while a joint is being dragged."""

    @property
    def joints_m(self) -> F64:
        """(21, 3) m in the world."""

    @property
    def vertices_m(self) -> F64:
        """(778, 3) m in the world."""


class Drag(Protocol):
    """A joint being dragged; ends with `finish` or `cancel`, once."""

    def move(self, view: str, joint: int, px: tuple[float, float]) -> DragView:
        """The hand with the joint there; safe on one worker thread, touches no file and no label."""

    def finish(self) -> None:
        """Take over the last move as one undoable step: keypoint clicked there, frames around it fitted anew."""

    def cancel(self) -> None:
        """Leave the labels as they were."""


class Suggestion(Protocol):
    """The frame that a person should look at next."""

    @property
    def frame(self) -> int:
        """Index of the frame."""

    @property
    def reason(self) -> str:
        """Why, in a few words."""

    @property
    def expected_error_mm(self) -> float:
        """Expected error of its joints, mm; NaN while unknown."""


class Agreement(Protocol):
    """How far two labels of the same frames are apart."""

    @property
    def moments(self) -> int:
        """Frames of a hand that were labelled twice."""

    @property
    def joint_mm(self) -> float:
        """Mean distance of the joints, mm."""

    @property
    def joint_p95_mm(self) -> float:
        """The distance that 95 % of the joints stay below, mm."""

    @property
    def click_px(self) -> float:
        """Mean distance of clicks that both made, px; NaN without any."""


ProgressFunction = Callable[[float, str], None]
"""Called with (share done, what is being done)."""


class AnnotationSession(Protocol):
    """The labels of one sequence while a person works on them.

    What changes labels is one undoable step, is on disk when the call returns, and raises a `HoiError` without
    changing anything when it cannot be done. Reading is safe from any thread, `fit`, `refit_between` and `prepare`
    may run on a worker; one change at a time.
    """

    @property
    def sequence(self) -> str:
        """Name of the sequence."""

    @property
    def author(self) -> str:
        """Who works; written into the revisions."""

    @property
    def read_only(self) -> bool:
        """Whether every change is refused."""

    @property
    def blind(self) -> bool:
        """Whether the stored labels are hidden and `save` adds a blind revision."""

    @property
    def n_frames(self) -> int:
        """Number of moments."""

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views."""

    @property
    def sides(self) -> tuple[Side, ...]:
        """Hands that have labels now."""

    @property
    def object_names(self) -> tuple[str, ...]:
        """Objects of the recording, labelled or not."""

    @property
    def revision(self) -> Revision:
        """The labels as they are now; a new object after every change."""

    @property
    def revision_name(self) -> str:
        """Name of the stored revision that the labels started from, or empty."""

    @property
    def revisions(self) -> list[str]:
        """All stored revisions, oldest first."""

    @property
    def dirty(self) -> bool:
        """Whether there are changes that no revision holds."""

    @property
    def recovered(self) -> bool:
        """Whether unsaved work of an earlier run was found and taken up."""

    @property
    def warnings(self) -> Sequence[str]:
        """What a person should know about how the labels were opened: a torn journal, a newer revision of others."""

    # What the cameras saw

    def image(self, view: str, frame: int) -> U8 | None:
        """(H, W, 3) RGB of a view, or None where it has no frame."""

    def depth_m(self, view: str, frame: int) -> F32 | None:
        """(H, W) m aligned to colour, 0 where nothing was measured."""

    def camera(self, view: str) -> Camera:
        """The view's colour camera."""

    def cloud(self, frame: int, every: int = 4) -> tuple[F64, U8]:
        """(N, 3) m in the world and (N, 3) RGB of the depth points of all views, every so many pixels."""

    def sensor_image(self, frame: int) -> U8 | None:
        """(128, 128) of the edge sensor, or None where it has no frame."""

    @property
    def sensor_camera(self) -> Camera | None:
        """Camera of the edge sensor; None without one."""

    # What the labels say

    def vertices_m(self, side: Side, frame: int) -> F64 | None:
        """(778, 3) m in the world, or None where there is no label."""

    def faces(self, side: Side) -> I64:
        """(F, 3) vertex indices."""

    def object_mesh(self, name: str) -> tuple[F64, I64]:
        """(V, 3) m in the object's frame and (F, 3) vertex indices."""

    def object_pose(self, name: str, frame: int) -> F64 | None:
        """(4, 4) m, object to world, or None where there is no label."""

    def statuses(self, side: Side | None = None) -> tuple[Status, ...]:
        """Status of every frame of a hand, by default the first that has labels; `none` without one."""

    def triangulated(self, side: Side, frame: int) -> F64:
        """(21, 3) m from the keypoints of the frame alone; NaN where they do not suffice."""

    def epipolar(self, view: str, px: tuple[float, float], other: str) -> F64:
        """(N, 2) px in another view where a pixel's ray is seen, near to far; empty where it is not."""

    def suggestion(self, after: int) -> Suggestion | None:
        """The next frame worth a look, or to be labelled again; None when all are good enough."""

    @property
    def to_repeat(self) -> Sequence[int]:
        """Frames that are to be labelled a second time; empty unless the labels are hidden."""

    def agreement(self, name: str) -> Agreement:
        """How far a blind revision agrees with the labels that it was made beside."""

    # Undo and redo; the history has no end and outlives the window

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""

    @property
    def undo_text(self) -> str:
        """What `undo` would take back; empty when nothing."""

    @property
    def redo_text(self) -> str:
        """What `redo` would do again; empty when nothing."""

    def undo(self) -> Step:
        """Take the last step back."""

    def redo(self) -> Step:
        """Do the last undone step again."""

    # Changes; each is one step

    def set_status(self, frames: Sequence[int], status: Status, side: Side | None = None) -> None:
        """Judge the labels of frames: of one hand, or of all hands and objects."""

    def set_comment(self, frame: int, text: str) -> None:
        """Write about a frame; empty removes."""

    def set_keypoint(
        self,
        side: Side,
        frame: int,
        view: str,
        joint: int,
        px: tuple[float, float] | None,
        *,
        occluded: bool = False,
    ) -> None:
        """Place a joint in an image, or remove it with None."""

    def set_occluded(self, side: Side, frame: int, view: str, joint: int, on: bool) -> None:
        """Say whether a joint is hidden from a view."""

    def set_locked(self, side: Side, frame: int, joints: Sequence[int], on: bool) -> None:
        """Fix joints where they are, or free them."""

    def copy_from(self, side: Side, frame: int, source: int) -> None:
        """Take the label of another frame."""

    def swap_hands(self, frames: Sequence[int]) -> None:
        """Exchange left and right keypoints of frames; their labels go until the next fit."""

    def delete_label(self, side: Side, frames: Sequence[int]) -> None:
        """Remove the labels of frames; keypoints stay."""

    def interpolate(self, side: Side, first: int, last: int) -> None:
        """Fill the frames between the keyframes (edited or accepted) of a range."""

    def refit_between(
        self,
        side: Side,
        first: int,
        last: int,
        progress: ProgressFunction | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Fit the frames between two frames, which are held."""

    def nudge_object(
        self, name: str, frame: int, shift_m: Sequence[float], turn_rad: Sequence[float], axes: str = "object"
    ) -> None:
        """Move an object's label along and about axes: `object`, `world` or `camera:<view>`."""

    def set_object_pose(self, name: str, frame: int, T_world_obj: F64) -> None:
        """Set an object's label, (4, 4) m."""

    def add_object_point(
        self, name: str, frame: int, view: str, px: tuple[float, float], point_m: Sequence[float]
    ) -> None:
        """Say that a point of the mesh, (3,) m in the object's frame, is seen at a pixel."""

    def remove_object_point(self, name: str, index: int) -> None:
        """Remove a click, by its index in `revision.object_points[name]`."""

    def place_object(self, name: str, frame: int) -> None:
        """Find an object's pose from the clicks of a frame."""

    def adopt(self, revision: Revision, text: str = "Fit all frames") -> None:
        """Take over what a fit made; clicks, locks and comments stay as they are now."""

    def begin_drag(self, side: Side, frame: int) -> Drag:
        """Start to drag joints of a hand; quick after `prepare` of a frame nearby."""

    # Work that takes long

    def prepare(self, side: Side, frame: int) -> None:
        """Read what a drag near a frame needs; changes nothing."""

    def fit(self, progress: ProgressFunction, cancelled: Callable[[], bool]) -> Revision:
        """Fit all frames; changes nothing here, give the result to `adopt`."""

    def stored(self, name: str) -> Revision:
        """A stored revision."""

    def work(self, frame: int, seconds: float) -> None:
        """Count human work on a frame; no step of the history."""

    def save(self, comment: str = "") -> str:
        """Write a new revision; returns its name."""

    def close(self) -> None:
        """Close the files and let others write; unsaved changes stay in the journal."""


def data_path(root: Path) -> str:
    """A root as people like to read it: as given when relative, else relative to home where it lies there."""
    if not root.is_absolute():
        return str(root)
    absolute = root.expanduser().resolve()
    home = Path.home()
    return f"~/{absolute.relative_to(home)}" if absolute.is_relative_to(home) else str(absolute)
