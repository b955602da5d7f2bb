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


class AnnotationSession(Protocol):
    """The labels of one sequence while a person works on them."""

    @property
    def sequence(self) -> str:
        """Name of the sequence."""

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
    def revision(self) -> Revision:
        """The labels as they are now."""

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

    def image(self, view: str, frame: int) -> U8 | None:
        """(H, W, 3) RGB of a view, or None where it has no frame."""

    def depth_m(self, view: str, frame: int) -> F32 | None:
        """(H, W) m aligned to colour, 0 where nothing was measured."""

    def camera(self, view: str) -> Camera:
        """The view's colour camera."""

    def vertices_m(self, side: Side, frame: int) -> F64 | None:
        """(778, 3) m in the world, or None where there is no label."""

    def faces(self, side: Side) -> I64:
        """(F, 3) vertex indices."""

    def set_status(self, frames: Sequence[int], status: Status) -> tuple[Status, ...]:
        """Set the status of frames; returns what they had."""

    def restore_status(self, frames: Sequence[int], statuses: Sequence[Status]) -> None:
        """Put back what `set_status` returned."""

    def save(self, comment: str = "", human_seconds: float = 0.0) -> str:
        """Write a new revision; returns its name."""

    def fit(self, progress: Callable[[float, str], None], cancelled: Callable[[], bool]) -> Revision:
        """Fit all frames; takes long and changes nothing here."""

    def adopt(self, revision: Revision) -> None:
        """Make a revision the labels being edited."""

    def close(self) -> None:
        """Close the files."""


def data_path(root: Path) -> str:
    """A root as people like to read it: as given when relative, else relative to home where it lies there."""
    if not root.is_absolute():
        return str(root)
    absolute = root.expanduser().resolve()
    home = Path.home()
    return f"~/{absolute.relative_to(home)}" if absolute.is_relative_to(home) else str(absolute)
