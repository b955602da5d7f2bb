"""Record a rig without a window."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from capture.device import Rig
from capture.session import DRAIN_S, CaptureSession
from capture.writing import RecordReport
from hoi_core.errors import DeviceError, HoiError
from hoi_core.sequence import REFERENCE, CaptureHeader
from hoi_core.sequence.writer import SEGMENT_S

__all__ = ["Progress", "RecordReport", "record"]

# Live cameras start one after another and settle their exposure; what they deliver before is not recorded.
_WARM_UP_S = 1.0
_START_TIMEOUT_S = 15.0
_LOST_S = 10.0
"""A recording ends when all devices have been lost for so long."""


@dataclass(frozen=True)
class Progress:
    """How far a recording is."""

    seconds: float
    """Time since its first frame, s."""
    frames: int
    """Frames of the reference stream written."""
    drops: int
    """Frames known to be missing."""
    buffer: float
    """Share of the queue in use."""


def record(
    rig: Rig,
    header: CaptureHeader,
    root: Path,
    seconds: float,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    stop: threading.Event | None = None,
    segment_s: float = SEGMENT_S,
) -> RecordReport:
    """Record a rig into the new sequence `header.sequence`, and stop the rig.

    A rig that ends by itself is recorded from its first frame to its last; a live one for `seconds`, once all its
    cameras deliver; recorded files for `seconds` at most, from their first frame. A camera that is lost is opened
    again while the others go on; the frames that it missed are in the drop table.

    Args:
        rig: what to record.
        header: of the new sequence.
        root: the dataset.
        seconds: planned length, s.
        on_progress: called about twenty times a second.
        stop: ends the recording early when it is set; what was recorded is kept and marked incomplete.
        segment_s: after so long it goes on in its next file, s.

    Raises:
        SequenceError: the sequence exists.
        DeviceError: every camera was lost (what was recorded until then is kept), or none delivered.
        StorageError: it does not fit on the disk, or the disk filled up; what was recorded until then is kept.
    """
    session = CaptureSession(rig, root, segment_s=segment_s)
    stop = stop or threading.Event()
    whole = rig.whole
    try:
        # What plays files loses nothing to a slow start, and has no warm-up.
        if whole or not any(device.live for device in rig.devices):
            session.begin(header, seconds)
            session.start()
        else:
            session.start()
            _settle(session, stop)
            session.begin(header, seconds)
        try:
            error = _wait(session, None if whole else seconds, on_progress, stop)
        except BaseException:
            with suppress(HoiError):
                session.stop_recording(complete=False)
            raise
        report = session.stop_recording(complete=error is None and not stop.is_set())
    finally:
        session.stop()
    if error is not None:
        raise error
    return report


def _settle(session: CaptureSession, stop: threading.Event) -> None:
    """Wait until every stream delivers, and a moment longer."""
    begin = time.monotonic()
    while silent := sorted(info.name for info in session.streams if session.latest(info.name) is None):
        if session.error is not None:
            raise session.error
        if time.monotonic() - begin > _START_TIMEOUT_S:
            raise DeviceError(
                f"no frame from {', '.join(silent)} within {_START_TIMEOUT_S:.0f} s.",
                "Check `hoi-devices`, the cables and the rig file.",
            )
        if stop.wait(0.02):
            return
    stop.wait(_WARM_UP_S)


def _wait(
    session: CaptureSession,
    seconds: float | None,
    on_progress: Callable[[Progress], None] | None,
    stop: threading.Event,
) -> HoiError | None:
    """Return when the recording is over; the error if every device was lost."""
    seen_s = time.monotonic()
    while not stop.wait(0.05):
        elapsed, now = session.recorded_s, time.monotonic()
        if on_progress is not None:
            counts, health = session.counts, session.progress
            on_progress(Progress(elapsed, counts.get(REFERENCE, max(counts.values())), *health))
        if session.broken or session.finished:
            return None
        if seconds is not None and elapsed > seconds + DRAIN_S:
            return None
        if not session.all_lost:
            seen_s = now
        elif session.all_gone or now - seen_s > _LOST_S:
            return session.error
    return None
