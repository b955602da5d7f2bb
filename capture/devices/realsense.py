"""Intel RealSense cameras: live D435s, librealsense software devices and recorded files, through one streaming code."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from capture.device import BaseDevice
from hoi_core.errors import DeviceError
from hoi_core.types import Camera, Frame, StreamInfo

from ._librealsense import rs
from ._realsense_find import DeviceInfo, describe, find, load, pick, reset
from ._realsense_frames import Repeats, convert
from ._realsense_options import (
    Emitter,
    Exposure,
    Settling,
    Stereo,
    adapts,
    expose,
    locked,
    read_back,
    set_common,
    set_stereo,
)
from ._realsense_profiles import Chosen, Kind, Size, choose, groups, stream_infos

__all__ = ["Config", "DeviceInfo", "RealSense", "find", "open"]

log = logging.getLogger(__name__)

Module = Literal["color", "stereo"]

_QUEUE_FRAMES = 256  # four seconds of two streams: a busy machine delays the reader, and a full queue loses frames
_RESET_S = 12.0


@dataclass(frozen=True)
class Config:
    """One camera of a rig."""

    serial: str = ""
    """Serial number; empty for the only camera that is connected."""
    view: str = "left"
    """Name of the view, the first part of its streams' names."""
    width: int = 640
    """Width of colour, px."""
    height: int = 480
    """Height of colour, px."""
    fps: int = 30
    """Frames per second of colour; a D435 offers 60 up to 960x540."""
    depth_width: int = 0
    """Width of depth and infrared, px; 0 as colour."""
    depth_height: int = 0
    """Height of depth and infrared, px; 0 as colour."""
    depth_fps: int = 0
    """Frames per second of depth and infrared; 0 as colour."""
    infrared: bool = False
    """Record the left infrared imager too: global shutter, the imager that depth is computed for."""
    emitter: Emitter = "on"
    """Infrared projector. `off`: infrared without dots, poorer depth on plain surfaces. `alternating`: in every
    second frame, so that every second infrared image is free of dots."""
    laser_mw: float = 0.0
    """Power of the projector, mW; 0 leaves it as it is."""
    sync_mode: Literal[0, 1, 2, 3] = 0
    """`inter_cam_sync_mode` of the depth sensor: 0 off, 1 master, 2 slave, 3 full slave (D415, D455: colour as well).
    It does not synchronise the colour of two D435s."""
    global_time: bool = True
    """Let librealsense translate the device's clock to the host's."""
    exposure_us: float = 0.0
    """Fixed exposure of the colour sensor, microseconds; 0 for automatic."""
    gain: float = 0.0
    """Fixed gain of the colour sensor, device units; used with a fixed exposure."""
    white_balance_k: float = 0.0
    """Fixed white balance, kelvin; 0 for automatic."""
    depth_exposure_us: float = 0.0
    """Fixed exposure of the stereo pair, microseconds; 0 for automatic."""
    depth_gain: float = 0.0
    """Fixed gain of the stereo pair; used with a fixed exposure."""
    lock: bool = True
    """After the warm-up fix what is automatic, so that brightness and colour stay the same within a recording."""
    warm_up_s: float = 3.0
    """Longest time that automatic exposure gets to settle before it is locked, s."""
    resets: int = 1
    """How often a camera that does not start is reset and tried again."""
    readout_us: float = 0.0
    """Time from the first to the last row of the colour imager's rolling shutter, microseconds; 0 if not known."""
    silence_s: float = 5.0
    """A camera that delivers nothing for so long is an error."""
    file: str = ""
    """Play this recording (.db3, .bag) instead of a live camera."""
    camera: Camera | None = None
    """Calibrated colour camera (intrinsics and pose); None takes the factory's intrinsics at the world's origin."""

    def sizes(self) -> dict[Kind, Size]:
        """Size and rate of every stream, colour first."""
        stereo = Size(self.depth_width or self.width, self.depth_height or self.height, self.depth_fps or self.fps)
        sizes: dict[Kind, Size] = {"color": Size(self.width, self.height, self.fps), "depth": stereo}
        return sizes | {"infrared": stereo} if self.infrared else sizes

    def exposures(self) -> dict[Module, Exposure]:
        """What is fixed from the start."""
        return {
            "color": Exposure(self.exposure_us, self.gain, self.white_balance_k),
            "stereo": Exposure(self.depth_exposure_us, self.depth_gain),
        }


def open(config: Config, context: rs.context | None = None) -> RealSense:  # noqa: A001 - the device contract's name
    """Start the camera's streams; a live camera warms up and locks its exposure first.

    Args:
        config: which camera, which streams.
        context: where to look; default is this machine's USB. Software devices live in their own context.

    Raises:
        DeviceError: no such camera, busy, or without the streams or options asked for.
    """
    return RealSense(config, context or rs.context())


class RealSense(BaseDevice):
    """A streaming camera; a context manager. Frames are copied out of librealsense's pool at once."""

    def __init__(self, config: Config, context: rs.context) -> None:
        self.config = config
        self.live = not config.file
        self.settings: dict[str, object] = {}
        self.streams: list[StreamInfo] = []
        self._context = context
        self._fixed: dict[Module, Exposure] = config.exposures()
        self._queue = rs.frame_queue(_QUEUE_FRAMES, keep_frames=True)
        self._repeats = Repeats()
        self._opened: list[rs.sensor] = []
        self._running: list[rs.sensor] = []
        self._last_seen: dict[str, float] = {}
        self._connect(load(config.file, context) if config.file else pick(config.serial, context))
        if self.info.advice:
            log.warning("%s", self.info.advice)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    @property
    def duplicates(self) -> int:  # type: ignore[override]
        """Frames that librealsense delivered twice."""
        return self._repeats.count

    def read(self, timeout_s: float) -> list[Frame]:
        """Wait for a frame and return it with all others that are there; empty after the timeout.

        Raises:
            DeviceError: the camera was unplugged, or one of its streams has been silent for too long.
        """
        if not self._last_seen:  # a camera may stand open for long before anybody reads it
            self._last_seen = dict.fromkeys((info.name for info in self.streams), time.monotonic())
        ok, raw = self._queue.try_wait_for_frame(int(timeout_s * 1000))
        frames: list[Frame] = []
        while ok and raw:
            frame = convert(self.config.view, raw)
            if self._repeats.is_new(frame):
                frames.append(frame)
            raw = self._queue.poll_for_frame()
        self._last_seen.update(dict.fromkeys((frame.stream for frame in frames), time.monotonic()))
        if self.live or not (frames or self.finished):
            self._check_alive(connected=bool(frames))
        return frames

    @property
    def finished(self) -> bool:
        """Whether a recorded file has been played to its end; a live camera never finishes."""
        if self.live:
            return False
        return bool(self._device.as_playback().current_status() == rs.playback_status.stopped)

    def stop(self) -> None:
        """Stop streaming and release the camera; does nothing the second time."""
        for sensor in self._running:
            _quietly(sensor.stop)
        for sensor in self._opened:
            _quietly(sensor.close)
        self._running, self._opened = [], []

    def reopen(self) -> None:
        """Find the same camera again after it was unplugged, and go on with the same streams and the same exposure.

        Raises:
            DeviceError: it is not there, or does not start.
        """
        if not self.live:
            raise DeviceError(f"{self.config.file} is a file: it cannot be plugged in again.", "Start again.")
        self.stop()
        # What the dead device left in the queue belongs to no epoch.
        self._queue = rs.frame_queue(_QUEUE_FRAMES, keep_frames=True)
        self._repeats.forget()
        self._last_seen = {}
        self._connect(pick(self.info.serial, self._context))
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _connect(self, device: rs.device) -> None:
        self._device = device
        self.info = describe(device)

    def _start(self) -> None:
        """Choose the streams, set the options, start and warm up; a camera that fails is reset and tried again."""
        left = self.config.resets if self.live else 0
        while True:
            try:
                chosen = {
                    kind: choose(self._device, kind, size, f"{self.info.serial} (USB {self.info.usb})")
                    for kind, size in self.config.sizes().items()
                }
                if not self.streams:
                    view, camera, readout = self.config.view, self.config.camera, self.config.readout_us
                    self.streams = stream_infos(view, self.info.serial, chosen, camera, readout)
                self._stream(chosen)
                return
            except RuntimeError as error:
                self.stop()
                failure = open_error(self.info, error)
                # A reset would take the camera away from whoever uses it.
                if left <= 0 or is_busy(error):
                    raise failure from error
                left -= 1
                log.warning("%s It is reset and tried again.", failure.message)
                try:
                    self._connect(reset(self._device, self.info.serial, self._context, _RESET_S))
                except DeviceError as also:
                    log.warning("%s", also.message)
                    raise failure from error

    def _stream(self, chosen: dict[Kind, Chosen]) -> None:
        modules: dict[Module, rs.sensor] = {}
        for sensor, profiles in groups(chosen):
            module: Module = "color" if profiles[0].stream_type() == rs.stream.color else "stereo"
            modules[module] = sensor
            if self.live:
                self._set_options(sensor, module)
            sensor.open(profiles)
            self._opened.append(sensor)
        # A file begins to play with its first sensor: hold it until the others listen too.
        playback = None if self.live else self._device.as_playback()
        if playback is not None:
            playback.pause()
        for sensor in modules.values():
            sensor.start(self._queue)
            self._running.append(sensor)
        if playback is not None:
            playback.resume()
        elif self.config.lock:
            self._lock(modules)
        self._note(modules)

    def _set_options(self, sensor: rs.sensor, module: Module) -> None:
        set_common(sensor, global_time=self.config.global_time)
        if module == "stereo":
            set_stereo(sensor, Stereo(self.config.emitter, self.config.laser_mw, self.config.sync_mode))
        expose(sensor, self._fixed[module], is_color=module == "color")

    def _lock(self, modules: dict[Module, rs.sensor]) -> None:
        """Let automatic exposure and white balance settle, then fix them."""
        waiting = {module: Settling() for module, sensor in modules.items() if adapts(sensor, self._fixed[module])}
        if not waiting:
            return
        until = time.monotonic() + self.config.warm_up_s
        while time.monotonic() < until and not all(settling.settled for settling in waiting.values()):
            ok, raw = self._queue.try_wait_for_frame(200)
            if ok and raw:
                module: Module = "color" if raw.profile.stream_type() == rs.stream.color else "stereo"
                if module in waiting and raw.profile.stream_type() != rs.stream.infrared:
                    waiting[module].add(raw)
        for module, settling in waiting.items():
            if not settling.settled:
                log.warning(
                    "camera %s: %s exposure had not settled after %g s; it is locked as it is.",
                    self.config.view,
                    module,
                    self.config.warm_up_s,
                )
            is_color = module == "color"
            self._fixed[module] = locked(modules[module], self._fixed[module], settling.last, is_color=is_color)
            expose(modules[module], self._fixed[module], is_color=is_color)
        while self._queue.poll_for_frame():  # the warm-up's frames are no part of a recording
            continue

    def _note(self, modules: dict[Module, rs.sensor]) -> None:
        self.settings.update(
            product=self.info.product,
            serial=self.info.serial,
            firmware=self.info.firmware,
            usb=self.info.usb,
            locked=self.live and self.config.lock,
            emitter=self.config.emitter if self.live else "as recorded",
            sync_mode=self.config.sync_mode if self.live else "as recorded",
        )
        for module, sensor in modules.items():
            self.settings[module] = dict(read_back(sensor, is_color=module == "color"))

    def _check_alive(self, *, connected: bool) -> None:
        name = f"camera {self.config.view} ({self.info.serial})"
        if not connected and not self._plugged_in():
            raise DeviceError(f"{name} was unplugged.", "Plug it in again: it is taken back, and a recording goes on.")
        # One imager can stop while the other goes on; of a file, one stream may simply be shorter.
        seen = self._last_seen.values()
        silent = time.monotonic() - (min(seen) if self.live else max(seen))
        if silent > self.config.silence_s:
            stream = min(self._last_seen, key=self._last_seen.__getitem__)
            raise DeviceError(
                f"{name} delivered no frame of {stream} for {silent:.0f} s.",
                "Unplug it, plug it in again, and use a USB 3 port.",
            )

    def _plugged_in(self) -> bool:
        """Whether the camera is there; a software device that is gone knows it only by not being listed."""
        if not self.live or not self._device.is_connected():
            return bool(self._device.is_connected())
        try:
            return any(describe(device).serial == self.info.serial for device in self._context.query_devices())
        except RuntimeError:
            return True


def is_busy(error: RuntimeError) -> bool:
    """Whether another program holds the camera."""
    return "busy" in str(error).lower() or "errno=16" in str(error)


def open_error(info: DeviceInfo, error: RuntimeError) -> DeviceError:
    """What librealsense reports when a camera does not start, in words."""
    if is_busy(error):
        return DeviceError(
            f"camera {info.serial} is busy: another program streams from it.", "Close that program, then try again."
        )
    return DeviceError(f"camera {info.serial} does not start: {error}.", "Unplug it, plug it in again, and try again.")


def _quietly(action: Callable[[], object]) -> None:
    """Run a clean-up step that fails when the camera is gone already."""
    try:
        action()
    except RuntimeError as error:
        log.debug("while stopping: %s", error)
