"""The device contract: what the recorder asks of a camera or sensor, and of a rig of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, Self, runtime_checkable

from hoi_core.errors import DeviceError
from hoi_core.types import Camera, Frame, Revision, StreamInfo


class Device(Protocol):
    """What the recorder asks of a camera or sensor; `BaseDevice` has the defaults."""

    @property
    def streams(self) -> Sequence[StreamInfo]:
        """What it delivers, known from when it is opened; the same after `reopen`."""

    @property
    def live(self) -> bool:
        """Whether it is there now; False where it plays a file, which has an end."""

    @property
    def finished(self) -> bool:
        """Whether a file has been played to its end; a live device never finishes."""

    @property
    def duplicates(self) -> int:
        """Frames so far that came a second time and were not handed on."""

    @property
    def settings(self) -> Mapping[str, object]:
        """What was set, locked and found: exposure, gain, emitter, firmware, ...; plain values, stored as JSON."""

    def read(self, timeout_s: float) -> list[Frame]:
        """Wait for frames; empty after the timeout.

        Raises:
            DeviceError: it was unplugged, fell silent or broke; `reopen` may bring it back.
        """

    def stop(self) -> None:
        """Release the device; does nothing the second time."""

    def reopen(self) -> None:
        """Open the same device again after a DeviceError: the same object with the same streams.

        Raises:
            DeviceError: it is not there (yet), or never will be.
        """


@runtime_checkable
class Rig(Protocol):
    """Devices that start and stop together."""

    @property
    def name(self) -> str:
        """Name, stored with each recording."""

    @property
    def calibration(self) -> str:
        """Identifier of its calibration; empty without one."""

    @property
    def devices(self) -> Sequence[Device]:
        """In the order of its file."""

    @property
    def whole(self) -> bool:
        """Whether it plays one recording, which is to be kept from its first frame to its last."""

    @property
    def finished(self) -> bool:
        """Whether it will deliver nothing more; a live rig never finishes."""

    def start(self) -> None:
        """Begin to deliver frames."""

    def stop(self) -> None:
        """Release all devices; does nothing the second time."""


@runtime_checkable
class StagedRig(Rig, Protocol):
    """A rig that plays a scene whose truth it knows, as the simulated one does."""

    @property
    def object_name(self) -> str:
        """Identifier of the object in the scene; it stands in the header instead of what a person asked for."""

    @property
    def true_cameras(self) -> Mapping[str, Camera]:
        """Stream -> where its camera really is, which the calibration only approaches."""

    def prepare(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Draw ahead what is to be played; `on_progress` gets the number of moments done and their total."""

    def rewind(self) -> None:
        """In a preview without end, begin the play anew; elsewhere it does nothing that is seen."""

    def write_truth(self, sequence_dir: Path) -> None:
        """Write `truth.h5` beside a finished recording."""

    def simulated_clicks(self, sequence_dir: Path) -> Revision:
        """Revision r000 of a finished recording: the clicks of a simulated annotator."""

    def write_meshes(self, root: Path) -> None:
        """Give a dataset the mesh of what is played with, where it has none."""


def streams_of(rig: Rig) -> list[StreamInfo]:
    """All streams of a rig, in the order of its devices."""
    return [info for device in rig.devices for info in device.streams]


def image_streams(streams: Sequence[StreamInfo]) -> dict[str, StreamInfo]:
    """View or sensor -> the stream in which things are seen: colour, else gray; `left` first, sensors last."""
    found: dict[str, StreamInfo] = {}
    for content in ("color", "gray"):
        for info in streams:
            if info.content == content:
                found.setdefault(info.view, info)
    order = sorted(found, key=lambda view: (found[view].kind == "sensor", view != "left", view))
    return {view: found[view] for view in order}


class BaseDevice:
    """Defaults of the contract for a live device: derive from it, set `streams`, write `read` and `stop`.

    Example:
        >>> class MySensor(BaseDevice):
        ...     def __init__(self, config):
        ...         self.streams = [...]
        ...     def read(self, timeout_s):
        ...         return [...]
    """

    streams: Sequence[StreamInfo] = ()
    live: bool = True
    duplicates: int = 0
    settings: Mapping[str, object] = MappingProxyType({})

    @property
    def finished(self) -> bool:
        """A live device never finishes."""
        return False

    def stop(self) -> None:
        """Release the device; here there is nothing to release."""

    def reopen(self) -> None:
        """Refuse: a device that can be opened again says how.

        Raises:
            DeviceError: always.
        """
        names = ", ".join(info.name for info in self.streams)
        raise DeviceError(f"the device of {names} cannot be opened again.", "Start the program again.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
