# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recording window needs from the dataset and the devices around it, as protocols. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from capture.protocol import Cell, Coverage
from hoi_core.errors import HoiError
from hoi_core.types import StreamInfo

from .health import Level
from .sessions import CaptureSession


class RigChoice(Protocol):
    """A rig that can be opened."""

    @property
    def name(self) -> str:
        """What `--rig` takes."""

    @property
    def path(self) -> Path | None:
        """Its file; None for the built-in one."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Its devices, in words."""

    @property
    def problem(self) -> str:
        """Why it cannot be opened; empty if nothing speaks against it."""


class DeviceInfo(Protocol):
    """A camera that is plugged in."""

    @property
    def product(self) -> str:
        """Model."""

    @property
    def serial(self) -> str:
        """Serial number."""

    @property
    def firmware(self) -> str:
        """Firmware version."""

    @property
    def usb(self) -> str:
        """USB version of the connection."""

    @property
    def usb_ok(self) -> bool:
        """Whether the connection is fast enough."""

    @property
    def advice(self) -> str:
        """What to do about it; empty when all is well."""


class Closing(Protocol):
    """Something that runs until it is closed."""

    def close(self) -> None:
        """End it."""


@dataclass(frozen=True)
class Consent:
    """Whether a participant may be recorded today."""

    participant: str
    """Pseudonym."""
    level: Level
    """`good` in force, `warn` nothing entered yet, `bad` refused."""
    words: str
    """The same in words."""
    error: HoiError | None = None
    """What recording is refused with."""


@dataclass(frozen=True)
class Take:
    """A recording in the list of takes."""

    sequence: str
    """Its name."""
    participant: str
    """Pseudonym."""
    objects: tuple[str, ...]
    """Identifiers."""
    scenario: str
    """Name of the scenario."""
    action: str
    """What the participant did."""
    seconds: float
    """Length, s; NaN while unknown."""
    drops: int
    """Missing frames."""
    status: str
    """`recorded`, `incomplete`, `rejected`, ..."""


@dataclass(frozen=True)
class Desk:
    """What is on the desk of whoever records: the protocol, the takes, who is next."""

    coverage: Coverage
    """The whole protocol; without cells where none is written."""
    next_take: Cell | None
    """What the protocol proposes; None when all is done."""
    takes: tuple[Take, ...]
    """Newest first."""
    names: Mapping[str, str]
    """Object -> its name in words."""
    sequence: str
    """The next free name of a sequence."""


class Lab(Protocol):
    """The dataset and the devices around a window. Every method may take long: call it from a job."""

    @property
    def root(self) -> Path:
        """The dataset."""

    def rigs(self) -> Sequence[RigChoice]:
        """The rigs that can be opened, `simulated` first."""

    def watch(self, on_change: Callable[[Sequence[DeviceInfo]], None]) -> Closing:
        """Call back with the devices plugged in, now and whenever that changes, from any thread."""

    def open(self, rig: str) -> CaptureSession:
        """Open a rig; not started yet."""

    def desk(self, participant: str | None = None) -> Desk:
        """The protocol as it is now, with a proposal for this participant or for the next one in turn."""

    def plan(self, catalogue: str) -> None:
        """Write a protocol: `household`, the default, or `simulated`, for the simulated rig's own objects."""

    def reject(self, sequence: str, reason: str) -> None:
        """Mark a take as rejected; its files stay."""

    def bandwidth(self, streams: Sequence[StreamInfo]) -> str:
        """Whether streams fit through their connections, in words.

        Raises:
            HoiError: they do not.
        """

    def consent(self, participant: str) -> Consent:
        """Whether a participant may be recorded today."""
