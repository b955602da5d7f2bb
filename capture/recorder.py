"""Record a rig: one reader thread per device, a bounded queue, one writer thread."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from capture import clock, sync
from capture.rig import Device, Rig
from hoi_core.errors import DeviceError, HoiError, StorageError
from hoi_core.sequence import (
    REFERENCE,
    CaptureHeader,
    CaptureWriter,
    Clock,
    Drop,
    Sync,
    capture_path,
    new_sequence_dir,
    register_recording,
)
from hoi_core.types import Frame, StreamInfo

log = logging.getLogger(__name__)

QUEUE_FRAMES = 1024
"""Five seconds of the twin rig (half a gigabyte): the disk may pause for so long."""
_READ_S = 0.2
_TICK_S = 0.5
_TICK_REST = 20.0
# After the end, frames that are still on their way get this long.
_DRAIN_S = 0.3
# Live cameras start one after another and settle their exposure; what they deliver before is not recorded.
_WARM_UP_S = 1.0
_START_TIMEOUT_S = 15.0


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
    """Size of the file, MB."""


class Reader(threading.Thread):
    """Reads one device until told to stop, and hands every frame on."""

    def __init__(self, device: Device, deliver: Callable[[Frame], None]) -> None:
        names = "+".join(info.name for info in device.streams)
        super().__init__(name=f"reader {names}", daemon=True)
        self.device = device
        self.error: HoiError | None = None
        self.last_frame_s = time.monotonic()
        self._deliver = deliver
        self._ending = threading.Event()

    def run(self) -> None:
        """Read until `end`; an error of the device is kept for whoever asks."""
        try:
            while not self._ending.is_set():
                for frame in self.device.read(_READ_S):
                    self.last_frame_s = time.monotonic()
                    self._deliver(frame)
        except HoiError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - whatever a driver raises: a thread that ends unseen loses a camera
            reason = f"{type(error).__name__}: {error}"
            self.error = DeviceError(f"the {self.name} failed: {reason}.", "Plug the camera in again and record again.")

    def end(self) -> None:
        """Stop reading and wait for the thread."""
        self._ending.set()
        if self.is_alive():
            self.join(timeout=5.0)


@dataclass
class _History:
    """Times and numbers of the frames of one stream that were written."""

    number: list[int] = field(default_factory=list)
    t_device_ns: list[int] = field(default_factory=list)
    t_host_ns: list[int] = field(default_factory=list)
    domain: str = "host"

    def add(self, frame: Frame) -> None:
        self.number.append(frame.frame_number)
        self.t_device_ns.append(frame.t_device_ns)
        self.t_host_ns.append(frame.t_host_ns)
        self.domain = frame.clock_domain


class Recorder:
    """Takes frames from any thread, and writes them with their moments, drops and clocks.

    Args:
        writer: of a new file; closed by `close`.
        streams: the streams that will come.
        whole: whether all streams begin and end together (see `capture.sync.align`).
        earlier: what arrived before the recording: the clocks are known better from the preview and it together.
    """

    def __init__(
        self,
        writer: CaptureWriter,
        streams: Sequence[StreamInfo],
        *,
        whole: bool,
        earlier: Mapping[str, clock.Arrivals] | None = None,
    ) -> None:
        self.error: HoiError | None = None
        self.drop_count = 0
        self._writer = writer
        self._streams = list(streams)
        self._whole = whole
        self._earlier = dict(earlier or {})
        names = [info.name for info in streams]
        self.reference = REFERENCE if REFERENCE in names else names[0]
        self._period_ns = 1e9 / next(info.fps for info in streams if info.name == self.reference)
        self._queue: queue.Queue[Frame | None] = queue.Queue(QUEUE_FRAMES)
        self._history = {name: _History() for name in names}
        self._refused: queue.SimpleQueue[tuple[str, int, int]] = queue.SimpleQueue()
        self._ledger: dict[tuple[str, int], Drop] = {}
        self._moments_written = 0
        self._moments: Sync | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def buffer(self) -> float:
        """Share of the queue in use."""
        return self._queue.qsize() / QUEUE_FRAMES

    @property
    def file_bytes(self) -> int:
        """Size of the file so far."""
        return self._writer.path.stat().st_size

    @property
    def counts(self) -> dict[str, int]:
        """Frames written, by stream."""
        return self._writer.counts

    def put(self, frame: Frame) -> bool:
        """Queue a frame; when the disk cannot keep up it is dropped and the ledger says so."""
        if self.error is not None:
            return False
        try:
            self._queue.put_nowait(frame)
        except queue.Full:
            self._refused.put((frame.stream, frame.frame_number, frame.t_device_ns))
            return False
        return True

    def close(self, *, complete: bool = True) -> None:
        """Write what is queued, the final clocks, moments and drops, and close the file.

        Raises:
            StorageError: something could not be written; what was flushed before is kept.
        """
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        finished = False
        try:
            if self.error is None:
                # Streams that were stopped do not end together.
                self._finish(whole=self._whole and complete)
                finished = True
        finally:
            self._writer.close(complete=complete and finished)
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        due = time.monotonic() + _TICK_S
        try:
            while (frame := self._queue.get()) is not None:
                self._writer.append(frame)
                self._history[frame.stream].add(frame)
                begin = time.monotonic()
                if begin > due:
                    self._tick()
                    # It takes longer the longer the recording is, but never more than a twentieth of the time.
                    now = time.monotonic()
                    due = now + max(_TICK_S, _TICK_REST * (now - begin))
        except HoiError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - HDF5 raises many kinds; the recording must not go on without a writer
            reason = f"{type(error).__name__}: {error}"
            self.error = StorageError(f"cannot write {self._writer.path}: {reason}.", "Check the disk.")
        if self.error is not None:
            self._discard()

    def _discard(self) -> None:
        """Empty the queue so that nobody waits for a writer that is gone."""
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return

    def _align(self, *, whole: bool) -> tuple[dict[str, Clock], Sync, list[Drop]] | None:
        arrivals = {
            name: clock.Arrivals(
                np.array(past.t_device_ns, dtype=np.int64),
                np.array(past.t_host_ns, dtype=np.int64),
                past.domain,  # type: ignore[arg-type]
            )
            for name, past in self._history.items()
        }
        if not len(arrivals[self.reference].t_device_ns):
            return None
        clocks = clock.fit_all(self._streams, clock.joined(self._earlier, arrivals))
        times = {
            name: sync.StreamTimes(np.array(self._history[name].number), model.to_common_ns(arrivals[name].t_device_ns))
            for name, model in clocks.items()
            if len(arrivals[name].t_device_ns)
        }
        moments, drops = sync.align(times, self.reference, self._period_ns, whole=whole)
        return clocks, moments, drops

    def _tick(self) -> None:
        """Moments and drops as far as they are certain, so that a killed recording has them too."""
        found = self._align(whole=False)
        if found is None:
            return
        clocks, moments, drops = found
        ripe = int(np.searchsorted(moments.t_ns, moments.t_ns[-1] - round(_DRAIN_S * 1e9)))
        self._write_clocks(clocks)
        self._write_drops(clocks, [drop for drop in drops if drop.t_ns < moments.t_ns[-1] - _DRAIN_S * 1e9])
        if ripe > self._moments_written:
            new = slice(self._moments_written, ripe)
            self._writer.extend_sync(
                moments.t_ns[new],
                {name: index[new] for name, index in moments.index.items()},
                {name: skew[new] for name, skew in moments.skew_ns.items()},
            )
            self._moments_written = ripe

    def _finish(self, *, whole: bool) -> None:
        found = self._align(whole=whole)
        if found is None:
            return
        clocks, moments, drops = found
        self._write_clocks(clocks)
        self._write_drops(clocks, drops)
        self._writer.extend_sync(moments.t_ns, moments.index, moments.skew_ns, replace=True)
        self._moments = moments

    def _write_clocks(self, clocks: Mapping[str, Clock]) -> None:
        for name, model in clocks.items():
            self._writer.clock(
                name, model.offset_ns, model.drift_ppm, model.residual_ns, reference_ns=model.reference_ns
            )

    def _write_drops(self, clocks: Mapping[str, Clock], drops: Sequence[Drop]) -> None:
        while not self._refused.empty():
            stream, number, t_device_ns = self._refused.get()
            known = clocks.get(stream)
            t_ns = int(known.to_common_ns(np.array([t_device_ns]))[0]) if known else t_device_ns
            self._write_drop(Drop(stream, number, t_ns, sync.QUEUE_FULL))
        for drop in drops:
            self._write_drop(drop)

    def _write_drop(self, drop: Drop) -> None:
        if self._ledger.setdefault((drop.stream, drop.frame_number), drop) is drop:
            self._writer.drop(drop.stream, drop.frame_number, drop.t_ns, drop.reason)
            self.drop_count += 1

    def report(self, duplicates: int = 0) -> RecordReport:
        """What was recorded; after `close`."""
        moments = self._moments
        drops = sorted(self._ledger.values(), key=lambda drop: (drop.t_ns, drop.stream))
        size = self._writer.path.stat().st_size / 1e6
        if moments is None or not len(moments.t_ns):
            return RecordReport(self._writer.path, 0.0, self.counts, 0, 0, drops, duplicates, float("nan"), size)
        whole = np.all([index >= 0 for index in moments.index.values()], axis=0)
        other = next((n for n in moments.index if n.endswith("/color") and n != self.reference), None)
        skew = float("nan")
        if other is not None and (moments.index[other] >= 0).any():
            skew = float(np.median(np.abs(moments.skew_ns[other][moments.index[other] >= 0]))) * 1e-6
        seconds = float(np.ptp(moments.t_ns)) * 1e-9
        return RecordReport(
            self._writer.path,
            seconds,
            self.counts,
            len(moments.t_ns),
            int(whole.sum()) if len(moments.index) == len(self._streams) else 0,
            drops,
            duplicates,
            skew,
            size,
        )


def ends_by_itself(rig: Rig) -> bool:
    """Whether a rig delivers a fixed number of frames, all streams starting and ending together."""
    return bool(getattr(rig, "whole", False))


def streams_of(rig: Rig) -> list[StreamInfo]:
    """All streams of a rig, in the order of its devices."""
    return [info for device in rig.devices for info in device.streams]


def open_recorder(
    rig: Rig,
    header: CaptureHeader,
    root: Path,
    *,
    whole: bool,
    earlier: Mapping[str, clock.Arrivals] | None = None,
) -> Recorder:
    """A recorder into a new sequence `header.sequence`.

    Raises:
        SequenceError: the sequence exists.
        StorageError: no space.
    """
    new_sequence_dir(root, header.sequence)
    writer = CaptureWriter.create(capture_path(root, header.sequence), header, streams_of(rig))
    return Recorder(writer, streams_of(rig), whole=whole, earlier=earlier)


def close_recorder(
    recorder: Recorder, header: CaptureHeader, root: Path, *, complete: bool, duplicates: int
) -> RecordReport:
    """Close the file and enter the recording into the dataset's tables; a recording without frames is removed.

    Raises:
        DeviceError: no moment was recorded although nothing else went wrong.
        StorageError: something could not be written; what was flushed before is kept.
    """
    try:
        recorder.close(complete=complete)
    finally:
        report = recorder.report(duplicates)
        if any(report.frames.values()):
            status = "recorded" if complete and recorder.error is None and report.moments else "incomplete"
            register_recording(root, header, seconds=report.seconds, drops=len(report.drops), status=status)
        else:
            report.path.unlink(missing_ok=True)
            with suppress(OSError):  # somebody put other files there
                report.path.parent.rmdir()
    if complete and not report.moments:
        raise DeviceError(
            f"expected frames of {recorder.reference}, none arrived: there are no moments.",
            "Check `hoi-devices`, the cables and the rig file.",
        )
    return report


def record(
    rig: Rig,
    header: CaptureHeader,
    root: Path,
    seconds: float,
    on_progress: Callable[[Progress], None] | None = None,
) -> RecordReport:
    """Record a rig into the new sequence `header.sequence`, and stop the rig.

    A rig that ends by itself is recorded from its first frame to its last; a live one for `seconds`, once all its
    cameras deliver; recorded files for `seconds` at most, from their first frame.

    Raises:
        SequenceError: the sequence exists.
        DeviceError: a camera fell silent or was unplugged (what was recorded until then is kept), or none delivered.
        StorageError: the disk is full; what was recorded until then is kept.
    """
    whole = ends_by_itself(rig)
    recorder = open_recorder(rig, header, root, whole=whole)
    files_only = not any(getattr(device, "live", True) for device in rig.devices)
    gate = _Gate(recorder, streams_of(rig), open_at_once=whole or files_only)
    readers = [Reader(device, gate.put) for device in rig.devices]
    complete = False
    try:
        for reader in readers:
            reader.start()
        rig.start()
        _wait(rig, readers, gate, None if whole else seconds, on_progress)
        complete = True
    finally:
        for reader in readers:
            reader.end()
        rig.stop()
        duplicates = sum(getattr(device, "duplicates", 0) for device in rig.devices)
        report = close_recorder(recorder, header, root, complete=complete, duplicates=duplicates)
    return report


class _Gate:
    """Lets frames through to the recorder once every stream delivers."""

    def __init__(self, recorder: Recorder, streams: Sequence[StreamInfo], *, open_at_once: bool) -> None:
        self.recorder = recorder
        self.opened_s: float | None = None
        self._at_once = open_at_once
        self._waiting = {info.name for info in streams}
        self._settled_s = float("inf")

    @property
    def silent(self) -> frozenset[str]:
        """Streams that have not delivered anything yet."""
        return frozenset(self._waiting)

    def put(self, frame: Frame) -> None:
        """Pass a frame on, or drop it before the start."""
        now = time.monotonic()
        if self._waiting:
            self._waiting.discard(frame.stream)
            if not self._waiting:
                self._settled_s = now + _WARM_UP_S
        if self.opened_s is None and (self._at_once or now >= self._settled_s):
            self.opened_s = now
        if self.opened_s is not None:
            self.recorder.put(frame)


def _wait(
    rig: Rig,
    readers: Sequence[Reader],
    gate: _Gate,
    seconds: float | None,
    on_progress: Callable[[Progress], None] | None,
) -> None:
    """Return when the recording is over; raise what went wrong in a thread."""
    begin = time.monotonic()
    while True:
        time.sleep(0.05)
        now, recorder = time.monotonic(), gate.recorder
        for error in (recorder.error, *(reader.error for reader in readers)):
            if error is not None:
                raise error
        elapsed = now - gate.opened_s if gate.opened_s is not None else 0.0
        if on_progress is not None:
            frames = recorder.counts.get(REFERENCE, max(recorder.counts.values()))
            on_progress(Progress(elapsed, frames, recorder.drop_count, recorder.buffer))
        quiet = all(now - reader.last_frame_s > _DRAIN_S for reader in readers)
        if rig.finished and quiet:
            return
        if seconds is not None and elapsed > seconds + _DRAIN_S:
            return
        if seconds is not None and gate.silent and now - begin > _START_TIMEOUT_S:
            raise DeviceError(
                f"no frame from {', '.join(sorted(gate.silent))} within {_START_TIMEOUT_S:.0f} s.",
                "Check `hoi-devices`, the cables and the rig file.",
            )
