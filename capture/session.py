"""A capture session without a window: preview, record, and how healthy everything is."""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from capture import clock, quality, sync
from capture.annotatable import Verdict
from capture.recorder import (
    Reader,
    Recorder,
    RecordReport,
    close_recorder,
    ends_by_itself,
    open_recorder,
    streams_of,
)
from capture.rig import RecordRequest, Rig, label_simulated, make_header
from hoi_core.errors import DeviceError, HoiError
from hoi_core.sequence import REFERENCE, CaptureHeader, next_name
from hoi_core.types import Frame, StreamInfo

_WINDOW_FRAMES = 300  # about ten seconds: what the clocks are known from before a recording
_RATE_FRAMES = 60
_STALE_S = 1.0
_DRAIN_S = 0.3
# Share of the raw size that is left after compression, before a recording has shown its own.
_COMPRESSION = 0.55


@dataclass(frozen=True)
class Health:
    """How a session is doing, now."""

    fps: Mapping[str, float]
    """Frames per second by stream, over the last seconds; 0 for a silent one."""
    skew_ms: float
    """Median distance in time between the two views' colour frames, ms; NaN with one view."""
    dropped: int
    """Frames missing since the start of the recording, or of the preview."""
    buffer_share: float
    """Share of the writer's queue in use."""
    disk_minutes: float
    """Minutes of recording that fit on the disk."""
    depth_fill: Mapping[str, float]
    """Share of measured pixels by view."""
    exposure_us: Mapping[str, float]
    """Exposure time by stream, microseconds; NaN while unknown."""


@dataclass(frozen=True)
class DeviceState:
    """How one device of the rig is doing."""

    name: str
    """View or sensor."""
    serial: str
    """Serial number; empty where the device has none."""
    state: Literal["ok", "silent", "lost"]
    """`silent`: connected, but no frame for a second; `lost`: unplugged or failed, and being reopened."""
    detail: str = ""
    """What is wrong, in words; empty while all is well."""


@dataclass
class _Live:
    """The last frames of one stream."""

    info: StreamInfo
    latest: Frame | None = None
    missing: int = 0
    stamps: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_WINDOW_FRAMES))

    def add(self, frame: Frame) -> None:
        if self.latest is not None:
            self.missing += max(frame.frame_number - self.latest.frame_number - 1, 0)
        self.latest = frame
        self.stamps.append((frame.t_device_ns, frame.t_host_ns))

    def fps(self, now_ns: int) -> float:
        host = [t_host for _, t_host in list(self.stamps)[-_RATE_FRAMES:]]
        if len(host) < 2 or now_ns - host[-1] > _STALE_S * 1e9:
            return 0.0
        return (len(host) - 1) / max((host[-1] - host[0]) * 1e-9, 1e-6)


class CaptureSession:
    """Preview and record a rig; every method may be called from a window's thread.

    A recording that is started before the session is complete from the rig's first frame; one that is started
    later begins with the next frames.

    Args:
        rig: the devices; the session stops them.
        root: the dataset.
    """

    def __init__(self, rig: Rig, root: Path) -> None:
        self.rig = rig
        self.rig_name = str(getattr(rig, "name", "rig"))
        self.root = root
        self.streams = streams_of(rig)
        self._live = {info.name: _Live(info) for info in self.streams}
        self._readers = [Reader(device, self._deliver) for device in rig.devices]
        self._lock = threading.Lock()
        self._recorder: Recorder | None = None
        self._header: CaptureHeader | None = None
        self._began_s = 0.0
        self._until_s = float("inf")
        self._reported: HoiError | None = None
        self._duplicates_before = 0
        self._started = False

    def start(self) -> None:
        """Begin to preview."""
        self._started = True
        for reader in self._readers:
            reader.start()
        self.rig.start()

    def stop(self) -> None:
        """End the preview, and a running recording with it; release the rig."""
        try:
            if self._recorder is not None:
                self.stop_recording()
        finally:
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
        recorder, now = self._recorder, time.monotonic()
        return recorder is not None and recorder.error is None and now < self._until_s and not self.finished

    @property
    def recorded_s(self) -> float:
        """Length of the running recording, s."""
        return time.monotonic() - self._began_s if self._recorder is not None else 0.0

    @property
    def finished(self) -> bool:
        """Whether the rig has delivered its last frame."""
        now = time.monotonic()
        return self.rig.finished and all(now - reader.last_frame_s > _DRAIN_S for reader in self._readers)

    @property
    def error(self) -> HoiError | None:
        """What went wrong in the background: a camera, or the disk."""
        recorder = self._recorder
        errors = [reader.error for reader in self._readers] + [recorder.error if recorder is not None else None]
        return next((error for error in errors if error is not None), None)

    def take_error(self) -> HoiError | None:
        """What went wrong in the background, handed out once."""
        error = self.error
        if error is None or error is self._reported:
            return None
        self._reported = error
        return error

    def start_recording(self, request: RecordRequest) -> None:
        """Write every frame from now on to the new sequence `request.sequence`.

        Raises:
            DeviceError: a recording is running.
            SequenceError: the sequence exists.
            StorageError: no space.
        """
        if self._recorder is not None:
            raise DeviceError("a recording is running already.", "Stop it first.")
        whole = ends_by_itself(self.rig) and not self._started
        header = make_header(self.rig, request)
        earlier = {name: self._arrivals(name) for name in self._live}
        recorder = open_recorder(self.rig, header, self.root, whole=whole, earlier=earlier)
        if self._started and hasattr(self.rig, "rewind"):
            # The simulated hand comes in from the start, not from wherever the preview has got to.
            self.rig.rewind()
        seconds = getattr(request, "seconds", None)
        with self._lock:
            self._header, self._recorder, self._began_s = header, recorder, time.monotonic()
            self._until_s = self._began_s + (seconds or float("inf"))
            self._duplicates_before = self._duplicates()

    def stop_recording(self) -> RecordReport:
        """End the recording and close its file; waits for frames on their way (0.3 s) and for the disk.

        Raises:
            DeviceError: nothing is being recorded.
            StorageError: the disk was full; what was written before is kept.
        """
        if self._recorder is None or self._header is None:
            raise DeviceError("nothing is being recorded.", "Start a recording first.")
        if self.error is None and not self.finished:
            time.sleep(_DRAIN_S)
        complete = self.error is None
        with self._lock:
            recorder, header, self._recorder = self._recorder, self._header, None
        duplicates = self._duplicates() - self._duplicates_before
        report = close_recorder(recorder, header, self.root, complete=complete, duplicates=duplicates)
        if report.moments:
            label_simulated(self.rig, report.path.parent)
        return report

    def devices(self) -> tuple[DeviceState, ...]:
        """How each device is doing, in the order of the rig."""
        now = time.monotonic()
        return tuple(_state(reader, now) for reader in self._readers)

    def mark(self, text: str = "") -> None:
        """Note that something happened now; stored with the recording, ignored while nothing is recorded."""

    def verdict(self) -> Verdict:
        """Whether what the cameras see can be annotated; below 0.1 ms."""
        return Verdict()

    def health(self) -> Health:
        """Figures for the health bar; takes about a millisecond."""
        now_ns = time.monotonic_ns()
        recorder = self._recorder
        latest = {name: live.latest for name, live in self._live.items() if live.latest is not None}
        fill = {n.split("/", 1)[0]: quality.depth_fill(f.image) for n, f in latest.items() if n.endswith("/depth")}  # type: ignore[arg-type]
        drops = recorder.drop_count if recorder is not None else sum(live.missing for live in self._live.values())
        return Health(
            fps={name: live.fps(now_ns) for name, live in self._live.items()},
            skew_ms=self._skew_ms(),
            dropped=drops,
            buffer_share=recorder.buffer if recorder is not None else 0.0,
            disk_minutes=self._disk_minutes(recorder),
            depth_fill=fill,
            exposure_us={name: frame.exposure_us for name, frame in latest.items()},
        )

    def _deliver(self, frame: Frame) -> None:
        self._live[frame.stream].add(frame)
        with self._lock:
            if self._recorder is not None and time.monotonic() < self._until_s + _DRAIN_S:
                self._recorder.put(frame)

    def _duplicates(self) -> int:
        return sum(getattr(device, "duplicates", 0) for device in self.rig.devices)

    def _arrivals(self, name: str) -> clock.Arrivals:
        """When the last frames of a stream were taken and came."""
        live = self._live[name]
        stamps = np.array(list(live.stamps), dtype=np.int64).reshape(-1, 2)
        domain = live.latest.clock_domain if live.latest is not None else "host"
        return clock.Arrivals(stamps[:, 0], stamps[:, 1], domain)

    def _skew_ms(self) -> float:
        """Median distance between the reference's frames and another view's, on the clocks as known now."""
        names = [name for name in self._live if name.endswith("/color") and self._live[name].stamps]
        other = next((name for name in names if name != REFERENCE), None)
        if REFERENCE not in names or other is None:
            return float("nan")
        arrivals = {name: self._arrivals(name) for name in (REFERENCE, other)}
        clocks = clock.fit_all(self.streams, arrivals)
        own, theirs = (clocks[name].to_common_ns(arrivals[name].t_device_ns) for name in (REFERENCE, other))
        index, skew = sync.nearest(own, theirs, 0.5e9 / self._live[REFERENCE].info.fps)
        return float(np.median(np.abs(skew[index >= 0]))) * 1e-6 if (index >= 0).any() else float("nan")

    def _disk_minutes(self, recorder: Recorder | None) -> float:
        folder = self.root
        while not folder.exists():
            folder = folder.parent
        raw = sum(np.prod(i.shape) * np.dtype(i.dtype).itemsize * i.fps for i in self.streams)
        rate = float(raw) * _COMPRESSION
        elapsed = time.monotonic() - self._began_s
        if recorder is not None and elapsed > 2.0:
            rate = max(recorder.file_bytes / elapsed, 1.0)
        return shutil.disk_usage(folder).free / rate / 60.0


def _state(reader: Reader, now_s: float) -> DeviceState:
    info = reader.device.streams[0]
    name = info.name.split("/", 1)[0]
    if reader.error is not None:
        return DeviceState(name, info.serial, "lost", reader.error.message)
    silent_s = now_s - reader.last_frame_s
    if silent_s > _STALE_S:
        return DeviceState(name, info.serial, "silent", f"no frame for {silent_s:.0f} s")
    return DeviceState(name, info.serial, "ok")
