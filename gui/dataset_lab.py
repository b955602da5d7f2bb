# SPDX-License-Identifier: GPL-3.0-or-later
"""The dataset and the devices of this machine, as the recording window needs them. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hoi_core.errors import HoiError
from hoi_core.types import StreamInfo

from .lab import Consent, Desk, DeviceInfo, RigChoice, Take
from .sessions import CaptureSession

if TYPE_CHECKING:
    from capture.watch import DeviceWatch


class DatasetLab:
    """A dataset root, the cameras that are plugged in, and the way to open a rig.

    Args:
        root: the dataset.
        open_session: makes the session of a rig by name; may take seconds.
    """

    def __init__(self, root: Path, open_session: Callable[[str], CaptureSession]) -> None:
        self.root = root
        self._open_session = open_session

    def rigs(self) -> Sequence[RigChoice]:
        """The rigs that can be opened."""
        from capture.rig import list_rigs

        return list_rigs(self.root)

    def watch(self, on_change: Callable[[Sequence[DeviceInfo]], None]) -> DeviceWatch:
        """Follow what is plugged in."""
        from capture.watch import DeviceWatch

        watch = DeviceWatch(on_change)
        on_change(watch.devices())
        return watch

    def open(self, rig: str) -> CaptureSession:
        """Open a rig."""
        return self._open_session(rig)

    def desk(self, participant: str | None = None) -> Desk:
        """The protocol and the takes as the tables have them now.

        Raises:
            SequenceError: a table is malformed.
        """
        from capture.protocol import coverage, next_take
        from hoi_core.sequence import next_name
        from hoi_core.sequence.tables import read_table

        names = read_table(self.root, "objects")
        proposal = next_take(self.root, participant) if participant else None
        return Desk(
            coverage=coverage(self.root),
            next_take=proposal or next_take(self.root),
            takes=_takes(self.root),
            names=dict(zip(names["object"], names["name"], strict=True)) if "name" in names else {},
            sequence=next_name(self.root),
        )

    def plan(self, catalogue: str) -> None:
        """Write a protocol."""
        from capture.protocol import plan

        plan(self.root, catalogue=catalogue)

    def reject(self, sequence: str, reason: str) -> None:
        """Mark a take as rejected."""
        from capture.protocol import reject_take

        reject_take(self.root, sequence, reason)

    def consent(self, participant: str) -> Consent:
        """Whether a participant may be recorded today."""
        from hoi_core.sequence.consent import read_consent, require_consent

        try:
            warning = require_consent(self.root, participant)
            if warning:
                return Consent(participant, "warn", "no consent entered")
            known = read_consent(self.root, participant)
        except HoiError as error:
            return Consent(participant, "bad", error.message.rstrip("."), error)
        until = f"consent until {known.expiry}" if known is not None and known.expiry is not None else "consent given"
        return Consent(participant, "good", until)

    def bandwidth(self, streams: Sequence[StreamInfo]) -> str:
        """Whether streams fit through their connections."""
        from capture.bandwidth import verdict

        return verdict(streams)


def _takes(root: Path) -> tuple[Take, ...]:
    from hoi_core.sequence.tables import read_table

    rows = read_table(root, "protocol").to_dict("records")
    made = [
        Take(
            sequence=str(row["sequence"]),
            participant=str(row.get("participant", "")),
            objects=tuple(str(row.get("objects", "")).split()),
            scenario=str(row.get("scenario", "")),
            action=str(row.get("action", "")),
            seconds=_number(row.get("seconds")),
            drops=round(_number(row.get("drops"), 0.0)),
            status=str(row.get("status", "")),
        )
        for row in rows
        if row["sequence"]
    ]
    return tuple(sorted(made, key=lambda take: take.sequence, reverse=True))


def _number(text: object, missing: float = float("nan")) -> float:
    try:
        return float(str(text))
    except ValueError:
        return missing
