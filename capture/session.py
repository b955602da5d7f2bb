"""A capture session: preview, record, mark, and how healthy everything is. Windows and headless recording share it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from capture import sync, view_figures
from capture.absence import Start
from capture.annotatable import Verdict
from capture.device import Rig, StagedRig, streams_of
from capture.disk import bytes_per_s, explained, free_bytes, require_space
from capture.frame_watch import Watch
from capture.hand_watch import HandWatch, OpenEye, Sight
from capture.readers import STALE_S, DeviceState, Reader
from capture.rig import RecordRequest, label_simulated, make_header
from capture.timekeeper import Timekeeper
from capture.writing import Recorder, RecordReport, enter, new_writer, no_frames
from hoi_core.errors import DeviceError, HoiError, StorageError
from hoi_core.sequence import REFERENCE, CaptureHeader, next_name
from hoi_core.sequence.consent import require_consent
from hoi_core.sequence.writer import SEGMENT_S
from hoi_core.types import Frame, StreamInfo

__all__ = ["CaptureSession", "DeviceState", "Health"]

log = logging.getLogger(__name__)
_RATE_FRAMES = 60
_SKEW_FRAMES = 300
_PREVIEW_DROPS_S = 10.0
# After the end, frames that are still on their way get this long.
DRAIN_S = 0.3


@dataclass(frozen=True)
class Health:
    """How a session is doing, now."""

    fps: Mapping[str, float]
    """Frames per second by stream, over the last seconds; 0 for a silent one."""
    skew_ms: float
    """Median distance in time between the two views' colour frames, ms; NaN with one view."""
    dropped: int
    """Frames missing since the start of the recording; without one, over the last ten seconds."""
    buffer_share: float
    """Share in use of the fullest ring between the devices and the writer."""
    disk_minutes: float
    """Minutes of recording that fit on the disk."""
    depth_fill: Mapping[str, float]
    """Share of measured pixels by view."""
    exposure_us: Mapping[str, float]
    """Exposure time by stream, microseconds; NaN while unknown."""


@dataclass
class _Live:
    """The last frames of one stream."""

    info: StreamInfo
    latest: Frame | None = None
    gaps: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_SKEW_FRAMES))
    stamps: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_SKEW_FRAMES))

    def add(self, frame: Frame) -> None:
        missing = frame.frame_number - self.latest.frame_number - 1 if self.latest is not None else 0
        if missing > 0:
            self.gaps.append((frame.t_host_ns, missing))
        self.latest = frame
        self.stamps.append((frame.t_device_ns, frame.t_host_ns))

    def fps(self, now_ns: int) -> float:
        host = [t_host for _, t_host in list(self.stamps)[-_RATE_FRAMES:]]
        if len(host) < 2 or now_ns - host[-1] > STALE_S * 1e9:
            return 0.0
        return (len(host) - 1) / max((host[-1] - host[0]) * 1e-9, 1e-6)

    def missing(self, since_ns: int) -> int:
        """Frames found missing after a moment of the host's clock."""
        return sum(count for t_host, count in list(self.gaps) if t_host >= since_ns)


@dataclass(frozen=True)
class _Take:
    """The running recording."""

    recorder: Recorder
    header: CaptureHeader
    began_s: float
    until_s: float
    whole: bool
    duplicates_before: int
    losses_before: int


class CaptureSession:
    """Preview and record a rig; every method may be called from a window's thread.

    A recording that is started before the session is complete from the rig's first frame; one that is started
    later begins with the next frames. A device that is lost is opened again while the others go on.

    Args:
        rig: the devices; the session stops them.
        root: the dataset.
        segment_s: after so long a recording goes on in its next file, s.
        eye: makes what looks for a hand in one view; or why nobody looks.
    """

    def __init__(self, rig: Rig, root: Path, *, segment_s: float = SEGMENT_S, eye: OpenEye | str = "") -> None:
        self.rig = rig
        self.rig_name = rig.name
        self.root = root
        self.streams = streams_of(rig)
        self._segment_s = segment_s
        self._live = {info.name: _Live(info) for info in self.streams}
        self._time = Timekeeper(self.streams)
        self._readers = [Reader(device, self._time, self._deliver) for device in rig.devices]
        self._watch = Watch(self.streams, self._fill)
        self._hands = HandWatch(self.streams, self.latest, self._fill, eye)
        self._lock = threading.Lock()
        self._take: _Take | None = None
        self._told: list[HoiError] = []
        self._started = False

    def start(self) -> None:
        """Begin to preview."""
        self._started = True
        for reader in self._readers:
            reader.start()
        self._watch.start()
        self._hands.start()
        self.rig.start()

    def stop(self) -> None:
        """End the preview, and a running recording with it; release the rig."""
        try:
            if self._take is not None:
                self.stop_recording()
        finally:
            self._hands.end()
            self._watch.end()
            for reader in self._readers:
                reader.end()
            self.rig.stop()

    def latest(self, stream: str) -> Frame | None:
        """The newest frame of a stream; None before its first."""
        return self._live[stream].latest

    def next_sequence(self) -> str:
        """The next free name of a sequence."""
        return next_name(self.root)

    @property
    def recording(self) -> bool:
        """Whether frames are being written: not before the start, nor after the time asked for or an error."""
        take = self._take
        return (
            take is not None
            and take.recorder.error is None
            and time.monotonic() < take.until_s
            and not self.finished
            and not self.all_gone
        )

    @property
    def recorded_s(self) -> float:
        """Length of the running recording, s."""
        return time.monotonic() - self._take.began_s if self._take is not None else 0.0

    @property
    def counts(self) -> dict[str, int]:
        """Frames written by the running recording, by stream."""
        return self._take.recorder.counts if self._take is not None else dict.fromkeys(self._live, 0)

    @property
    def finished(self) -> bool:
        """Whether the rig has delivered its last frame."""
        now = time.monotonic()
        return self.rig.finished and all(now - reader.last_frame_s > DRAIN_S for reader in self._readers)

    @property
    def error(self) -> HoiError | None:
        """What is wrong in the background now: the disk, or a device that is lost."""
        take = self._take
        errors = [take.recorder.error if take is not None else None, *(reader.error for reader in self._readers)]
        return next((error for error in errors if error is not None), None)

    @property
    def all_lost(self) -> bool:
        """Whether no device is left."""
        return all(reader.error is not None for reader in self._readers)

    @property
    def all_gone(self) -> bool:
        """Whether no device is left, and none can come back."""
        return all(reader.gone for reader in self._readers)

    @property
    def broken(self) -> bool:
        """Whether the running recording can write no more; `stop_recording` says why."""
        return self._take is not None and self._take.recorder.error is not None

    @property
    def progress(self) -> tuple[int, float]:
        """Frames known to be missing, and the share in use of the fullest ring."""
        return self._dropped(), self._fill()

    def take_error(self) -> HoiError | None:
        """What went wrong in the background, handed out once."""
        error = self.error
        if error is None or any(error is told for told in self._told):
            return None
        self._told = [*self._told[-8:], error]
        return error

    def devices(self) -> tuple[DeviceState, ...]:
        """How each device is doing, in the order of the rig."""
        return tuple(reader.state() for reader in self._readers)

    def mark(self, text: str = "") -> None:
        """Note that something happened now; stored with the recording, ignored while nothing is recorded."""
        take = self._take
        if take is not None:
            take.recorder.mark(text)

    def start_recording(self, request: RecordRequest, seconds: float | None = None) -> None:
        """Write every frame from now on to the new sequence `request.sequence`.

        Args:
            request: whom and what; its name is new.
            seconds: planned length, for which there must be space; None until it is stopped.

        Raises:
            ConsentError: the participant's consent is missing or has expired, or it is no pseudonym.
            DeviceError: a recording is running.
            SequenceError: the sequence exists.
            StorageError: no space for the length that is planned.
        """
        self.begin(make_header(self.rig, request), seconds)

    def begin(self, header: CaptureHeader, seconds: float | None) -> None:
        """`start_recording` with a header of one's own, for `seconds` or until it is stopped."""
        if self._take is not None:
            raise DeviceError("a recording is running already.", "Stop it first.")
        if warning := require_consent(self.root, header.participant):
            log.warning("%s.", warning)
        require_space(self.root, self.streams, seconds)
        settings = {info.name: device.settings for device in self.rig.devices for info in device.streams}
        writer = new_writer(self.root, header, self.streams, settings, self._segment_s)
        began_s = time.monotonic()
        whole = self.rig.whole and not self._started
        # A rig that ends by itself may be slow to begin: its last frames count as much as its first.
        until_s = began_s + (seconds if seconds and not whole else float("inf"))

        def explain(error: StorageError) -> StorageError:
            elapsed = time.monotonic() - began_s
            rate = writer.bytes / elapsed if elapsed > 2.0 else bytes_per_s(self.streams)
            return explained(error, self.root, rate, seconds - elapsed if seconds else None)

        if self._started and isinstance(self.rig, StagedRig):
            # The simulated hand comes in from the start, not from wherever the preview has got to.
            self.rig.rewind()
        self._watch.watcher.begin_take()
        streams = [device.streams for device in self.rig.devices]
        lost = [reader for reader in self._readers if reader.error is not None]
        # A device that is away already counts as lost in this take too.
        losses = sum(reader.losses for reader in self._readers) - len(lost)
        with self._lock:
            recorder = Recorder(writer, streams, self._time, explain=explain, start=self._start_of_take(lost))
            self._take = _Take(recorder, header, began_s, until_s, whole, self._duplicates(), losses)

    def _start_of_take(self, lost: Sequence[Reader]) -> Start:
        """What was before the take, so that what it misses from its first moment on can be listed."""
        if not self._started:
            return Start()
        before = {
            name: (live.latest.frame_number, live.latest.t_device_ns)
            for name, live in self._live.items()
            if live.latest is not None
        }
        return Start(time.monotonic_ns(), before, [stream for reader in lost for stream in reader.streams])

    def stop_recording(self, *, complete: bool = True) -> RecordReport:
        """End the recording and close its file; waits for frames on their way (0.3 s) and for the disk.

        Args:
            complete: False marks a take that was broken off.

        Raises:
            DeviceError: nothing is being recorded, or nothing was.
            StorageError: the disk was full; what was written before is kept.
        """
        if self._take is None:
            raise DeviceError("nothing is being recorded.", "Start a recording first.")
        if self._take.recorder.error is None and not self.finished and not self.all_lost:
            time.sleep(DRAIN_S)
        for reader in self._readers:
            reader.flush()
        with self._lock:
            take, self._take = self._take, None
        gone = [reader for reader in self._readers if reader.error is not None]
        complete = complete and not gone
        verdict = self._watch.watcher.take_verdict(self._skew_ms(), take.recorder.drop_count)
        report: RecordReport | None = None
        try:
            ended = {stream: reader.ended for reader in self._readers if reader.ended for stream in reader.streams}
            take.recorder.close(complete=complete, whole=take.whole and complete, ended=ended)
            complete = complete and take.recorder.error is None
        except BaseException:
            complete = False
            raise
        finally:
            report = replace(
                take.recorder.report(self._duplicates() - take.duplicates_before),
                verdict=verdict,
                losses=sum(reader.losses for reader in self._readers) - take.losses_before,
                stopped_early=not complete and time.monotonic() < take.until_s,
            )
            self._enter(take, report, complete=complete)
        if not report.moments:
            raise (gone[0].error if gone and gone[0].error else no_frames(take.recorder.reference))
        label_simulated(self.rig, report.path.parent)
        return report

    def _enter(self, take: _Take, report: RecordReport, *, complete: bool) -> None:
        try:
            enter(self.root, take.header, report, complete=complete)
        except StorageError as error:
            if take.recorder.error is None:
                raise
            # What went wrong first says more, such as how much space is needed.
            log.warning("%s is not in the tables: %s", take.header.sequence, error)

    def verdict(self) -> Verdict:
        """Whether what the cameras see can be annotated; below a millisecond."""
        return self._watch.verdict(self._skew_ms(), self._dropped())

    def hands(self) -> Mapping[str, Sight]:
        """Whether each view shows a hand, as a network sees it; below a millisecond."""
        return self._hands.seen

    def health(self) -> Health:
        """Figures for the health bar; takes about a millisecond."""
        now_ns = time.monotonic_ns()
        latest = {name: live.latest for name, live in self._live.items() if live.latest is not None}
        fill = {
            live.info.view: view_figures.depth_fill(live.latest.image)
            for live in self._live.values()
            if live.latest is not None and live.info.content == "depth"
        }
        return Health(
            fps={name: live.fps(now_ns) for name, live in self._live.items()},
            skew_ms=self._skew_ms(),
            dropped=self._dropped(),
            buffer_share=self._fill(),
            disk_minutes=self._disk_minutes(),
            depth_fill=fill,
            exposure_us={name: frame.exposure_us for name, frame in latest.items()},
        )

    def _deliver(self, frame: Frame) -> None:
        # What was held back after a reset came in time if it arrived in time.
        arrived_s = min(time.monotonic(), frame.t_host_ns * 1e-9)
        with self._lock:
            take = self._take
            if take is not None and arrived_s < take.until_s + DRAIN_S:
                take.recorder.put(frame)
            self._live[frame.stream].add(frame)
        self._watch.offer(frame)

    def _fill(self) -> float:
        take = self._take
        return take.recorder.buffer if take is not None else 0.0

    def _dropped(self) -> int:
        take = self._take
        if take is not None:
            return take.recorder.drop_count
        # A preview of hours is not to look bad for what happened before lunch.
        since_ns = time.monotonic_ns() - round(_PREVIEW_DROPS_S * 1e9)
        return sum(live.missing(since_ns) for live in self._live.values())

    def _duplicates(self) -> int:
        return sum(device.duplicates for device in self.rig.devices)

    def _skew_ms(self) -> float:
        """Median distance between the reference's frames and another view's, on the clocks as known now."""
        names = [name for name in self._live if name.endswith("/color") and self._live[name].stamps]
        other = next((name for name in names if name != REFERENCE), None)
        clocks = self._time.now()
        if REFERENCE not in names or other is None or not {REFERENCE, other} <= clocks.keys():
            return float("nan")
        own, theirs = (
            clocks[name].to_common_ns(np.array([t for t, _ in list(self._live[name].stamps)], dtype=np.int64))
            for name in (REFERENCE, other)
        )
        index, skew = sync.nearest(own, theirs, 0.5e9 / self._live[REFERENCE].info.fps)
        return float(np.median(np.abs(skew[index >= 0]))) * 1e-6 if (index >= 0).any() else float("nan")

    def _disk_minutes(self) -> float:
        rate, take = bytes_per_s(self.streams), self._take
        if take is not None and (elapsed := time.monotonic() - take.began_s) > 2.0:
            rate = max(take.recorder.file_bytes / elapsed, 1.0)
        return free_bytes(self.root) / rate / 60.0
