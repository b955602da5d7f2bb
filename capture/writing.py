"""From the rings to the disk: one writer thread, and what a finished recording holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from capture.absence import Start
from capture.annotatable import Verdict
from capture.ledger import Books, Ledger
from capture.memory import Backlog, give_back
from capture.motion import MotionTrack, settled
from capture.ring import RING_S, Rings
from capture.timekeeper import Timekeeper
from hoi_core.errors import DeviceError, HoiError, StorageError
from hoi_core.sequence import (
    CaptureHeader,
    CaptureWriter,
    Clock,
    Drop,
    Epoch,
    Sync,
    capture_path,
    new_sequence_dir,
    register_recording,
)
from hoi_core.types import Frame, StreamInfo

_TICK_S = 1.0


@dataclass(frozen=True)
class RecordReport:
    """What a recording holds."""

    path: Path
    """The capture file."""
    seconds: float
    """From the first to the last moment, s."""
    frames: Mapping[str, int]
    """Frames by stream."""
    moments: int
    """Number of moments."""
    paired: int
    """Moments at which every stream has a frame."""
    drops: Sequence[Drop]
    """Every missing frame."""
    duplicates: int
    """Frames that a device delivered twice; they are not recorded."""
    skew_ms: float
    """Median distance in time of the two views' colour frames, ms; NaN with one view."""
    megabytes: float
    """Size of all files, MB."""
    verdict: Verdict = field(default_factory=Verdict)
    """What the take is worth to whoever annotates it."""
    losses: int = 0
    """How often a device was lost while recording."""
    stopped_early: bool = False
    """Whether somebody ended it before its planned length."""


class Recorder:
    """Takes frames from any thread, and writes them with their moments, drops and clocks.

    Args:
        writer: of a new file; closed by `close`.
        devices: the streams of each device.
        timekeeper: knows each stream's clock, and where numbers or times were continued.
        ring_s: how long the disk may pause before frames are refused, s.
        explain: says more about a disk that fills up.
        start: how the recording begins; default is with the rig's first frame.
    """

    def __init__(
        self,
        writer: CaptureWriter,
        devices: Sequence[Sequence[StreamInfo]],
        timekeeper: Timekeeper,
        ring_s: float = RING_S,
        explain: Callable[[StorageError], StorageError] | None = None,
        start: Start | None = None,
    ) -> None:
        self.error: HoiError | None = None
        self._writer = writer
        self._streams = [info for streams in devices for info in streams]
        self._timekeeper = timekeeper
        self._explain = explain
        self._epochs_written: set[Epoch] = set()
        self._clocks_written: Mapping[str, Clock] = {}
        self._began: dict[str, int] = {}
        self._rings = Rings(devices, ring_s)
        self._backlog = Backlog()
        self._ledger = Ledger(self._streams, start)
        self._motion = MotionTrack(self._streams)
        self._marks: list[tuple[int, str]] = []
        self._moments: Sync | None = None
        self._drops: Sequence[Drop] = ()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def reference(self) -> str:
        """The stream whose frames are the moments."""
        return self._ledger.reference

    @property
    def buffer(self) -> float:
        """Share in use of the fullest ring."""
        return self._rings.fill

    @property
    def file_bytes(self) -> int:
        """Size of all files so far."""
        return self._writer.bytes

    @property
    def counts(self) -> dict[str, int]:
        """Frames written, by stream."""
        return self._writer.counts

    @property
    def drop_count(self) -> int:
        """Frames known to be missing."""
        return self._ledger.drop_count

    def put(self, frame: Frame) -> bool:
        """Queue a frame; when the disk cannot keep up it is dropped and the ledger says so."""
        if self.error is not None:
            return False
        if self._rings.put(frame):
            return True
        self._ledger.refuse(frame)
        return False

    def mark(self, text: str) -> None:
        """Note that something happened now."""
        # The common clock is the host's monotonic one.
        self._marks.append((time.monotonic_ns(), text))

    def close(self, *, complete: bool = True, whole: bool = False, ended: Mapping[str, str] | None = None) -> None:
        """Write what is queued, the final clocks, moments and drops, and close the file.

        Args:
            complete: whether the recording is as long as it was meant to be.
            whole: whether all streams begin and end with the same moment.
            ended: streams that deliver no more, and why.

        Raises:
            StorageError: something could not be written; what was flushed before is kept.
        """
        self._rings.close()
        self._thread.join()
        finished = False
        try:
            if self.error is None:
                self._finish(whole=whole, ended=ended)
                finished = True
        finally:
            self._writer.close(complete=complete and finished)
            give_back()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        due = time.monotonic() + _TICK_S
        try:
            while (frame := self._rings.take()) is not None:
                self._began.setdefault(frame.stream, frame.frame_number)
                self._writer.append(frame)
                self._ledger.add(frame)
                self._motion.add(frame.stream, frame.t_device_ns, frame.image)
                now = time.monotonic()
                if now > due:
                    self._tick()
                    due = now + _TICK_S
        except StorageError as error:
            self.error = self._explain(error) if self._explain is not None else error
        except HoiError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - HDF5 raises many kinds; the recording must not go on without a writer
            reason = f"{type(error).__name__}: {error}"
            self.error = StorageError(f"cannot write {self._writer.path}: {reason}.", "Check the disk.")
        if self.error is not None:
            # So that nobody waits for a writer that is gone.
            self._rings.discard()

    def _tick(self) -> None:
        """Moments and drops as far as they are certain, so that a killed recording has them too."""
        epochs = self._own_epochs()
        self._write_marks()
        # A camera that was opened again has left the memory of its old frames.
        returned = len(epochs) > len(self._epochs_written)
        self._backlog.note(self._rings.take_highest(), self._rings.fill, changed=returned)
        books = self._ledger.tick(self._timekeeper.now(), epochs)
        if books is None:
            return
        self._write(books, epochs, replace=False)

    def _finish(self, *, whole: bool, ended: Mapping[str, str] | None) -> None:
        epochs = self._own_epochs()
        self._write_marks()
        columns = {info.name: self._writer.columns(info.name) for info in self._streams}
        clocks = settled(self._timekeeper.fit(), self._motion, self.reference)
        books = self._ledger.finish(clocks, columns, whole=whole, epochs=epochs, ended=ended)
        if books is None:
            return
        self._write(books, epochs, replace=True)
        self._moments, self._drops = books.moments, books.drops

    def _write(self, books: Books, epochs: Sequence[Epoch], *, replace: bool) -> None:
        if books.clocks is not self._clocks_written:
            for name, model in books.clocks.items():
                self._writer.set_clock(name, model)
            self._clocks_written = books.clocks
        new = [epoch for epoch in epochs if epoch not in self._epochs_written]
        if new:
            self._writer.extend_epochs(new)
            self._epochs_written.update(new)
        if replace or books.drops:
            self._writer.extend_drops(books.drops, replace=replace)
        if replace or len(books.moments):
            found = books.moments
            self._writer.extend_sync(found.t_ns, found.index, found.skew_ns, replace=replace)

    def _own_epochs(self) -> list[Epoch]:
        """The epochs that concern frames of this recording: of those before its first frame the last one."""
        out: dict[str, list[Epoch]] = {}
        for epoch in self._timekeeper.epochs:
            own = out.setdefault(epoch.stream, [])
            if epoch.first_frame_number <= self._began.get(epoch.stream, 0):
                own.clear()
            own.append(epoch)
        return [epoch for own in out.values() for epoch in own]

    def _write_marks(self) -> None:
        while self._marks:
            self._writer.mark(*self._marks.pop(0))

    def report(self, duplicates: int = 0) -> RecordReport:
        """What was recorded; after `close`."""
        moments, megabytes = self._moments, self._writer.bytes / 1e6
        if moments is None or not len(moments.t_ns):
            none = float("nan")
            return RecordReport(self._writer.path, 0.0, self.counts, 0, 0, self._drops, duplicates, none, megabytes)
        other = next((n for n in moments.index if n.endswith("/color") and n != self.reference), None)
        skew = float("nan")
        if other is not None and (moments.index[other] >= 0).any():
            skew = float(np.median(np.abs(moments.skew_ns[other][moments.index[other] >= 0]))) * 1e-6
        return RecordReport(
            path=self._writer.path,
            seconds=float(np.ptp(moments.t_ns)) * 1e-9,
            frames=self.counts,
            moments=len(moments.t_ns),
            paired=int(moments.complete.sum()) if len(moments.index) == len(self._streams) else 0,
            drops=self._drops,
            duplicates=duplicates,
            skew_ms=skew,
            megabytes=megabytes,
        )


def new_writer(
    root: Path,
    header: CaptureHeader,
    streams: Sequence[StreamInfo],
    settings: Mapping[str, Mapping[str, object]],
    segment_s: float,
) -> CaptureWriter:
    """The files of a new sequence `header.sequence`.

    Raises:
        SequenceError: the sequence exists.
        StorageError: no space.
    """
    new_sequence_dir(root, header.sequence)
    path = capture_path(root, header.sequence)
    return CaptureWriter.create(path, header, streams, settings=settings, segment_s=segment_s)


def enter(root: Path, header: CaptureHeader, report: RecordReport, *, complete: bool) -> None:
    """Enter a recording into the dataset's tables; one without frames is removed."""
    if any(report.frames.values()):
        status = "recorded" if complete and report.moments else "incomplete"
        register_recording(root, header, seconds=report.seconds, drops=len(report.drops), status=status)
        return
    report.path.unlink(missing_ok=True)
    with suppress(OSError):  # somebody put other files there
        report.path.parent.rmdir()


def no_frames(reference: str) -> DeviceError:
    """The error of a recording without a moment."""
    return DeviceError(
        f"expected frames of {reference}, none arrived: there are no moments.",
        "Check `hoi-devices`, the cables and the rig file.",
    )
