"""Intel RealSense cameras: live D435s, librealsense software devices and recorded files, through one streaming code."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np

from hoi_core.camera import inverse_rigid, rigid
from hoi_core.errors import DeviceError
from hoi_core.types import F64, Camera, ClockDomain, DistortionModel, Frame, StreamInfo

try:
    import pyrealsense2 as rs
except ImportError as error:
    raise DeviceError(
        f"recording needs pyrealsense2, which does not load: {error}.",
        "Install it: pip install 'hoi-toolkit[capture]'; on Debian also: apt install libusb-1.0-0.",
    ) from error

log = logging.getLogger(__name__)

Kind = Literal["color", "depth", "infrared"]

_OLD_FRAMES = 3  # librealsense repeats the last frames now and then
_WRAP_US = 1 << 32  # the hardware clock counts microseconds in 32 bits: it starts anew every 71.6 minutes
_QUEUE_FRAMES = 256  # four seconds of two streams: a busy machine delays the reader, and a full queue loses frames
_NOTED_WAIT_MS = (2.0, 10_000.0)
_STREAMS: dict[Kind, tuple[rs.stream, rs.format, str]] = {
    "color": (rs.stream.color, rs.format.rgb8, "uint8"),
    "depth": (rs.stream.depth, rs.format.z16, "uint16"),
    "infrared": (rs.stream.infrared, rs.format.y8, "uint8"),
}
_DISTORTION: dict[rs.distortion, DistortionModel] = {
    rs.distortion.none: "none",
    rs.distortion.brown_conrady: "brown_conrady",
    rs.distortion.inverse_brown_conrady: "inverse_brown_conrady",
}
_DOMAIN: dict[rs.timestamp_domain, ClockDomain] = {
    rs.timestamp_domain.hardware_clock: "hardware_clock",
    rs.timestamp_domain.global_time: "global_time",
    rs.timestamp_domain.system_time: "system_time",
}


@dataclass(frozen=True)
class Config:
    """One camera of a rig."""

    serial: str = ""
    """Serial number; empty for the only camera that is connected."""
    view: str = "left"
    """Name of the view, the first part of its streams' names."""
    width: int = 640
    """Width of colour and depth, px."""
    height: int = 480
    """Height of colour and depth, px."""
    fps: int = 30
    """Frames per second of every stream."""
    infrared: bool = False
    """Record the left infrared imager too (global shutter, same imager as depth)."""
    sync_mode: int = 0
    """`inter_cam_sync_mode` of the depth sensor: 0 off, 1 master, 2 slave. It does not synchronise colour to colour."""
    global_time: bool = True
    """Let librealsense translate the device's clock to the host's."""
    exposure_us: float = 0.0
    """Fixed exposure of the colour sensor, microseconds; 0 for automatic."""
    gain: float = 0.0
    """Fixed gain of the colour sensor, device units; used with a fixed exposure."""
    silence_s: float = 5.0
    """A camera that delivers nothing for so long is an error."""
    file: str = ""
    """Play this recording (.db3, .bag) instead of a live camera."""
    camera: Camera | None = None
    """Calibrated colour camera (intrinsics and pose); None takes the factory's intrinsics at the world's origin."""


@dataclass(frozen=True)
class DeviceInfo:
    """A camera that is connected."""

    name: str
    """Product name."""
    serial: str
    """Serial number."""
    usb: str
    """USB version it runs at, such as `3.2`; a D435 at `2.1` cannot deliver both streams at full rate."""
    firmware: str
    """Firmware version."""


def find(context: rs.context | None = None) -> list[DeviceInfo]:
    """The RealSense devices of a context, by default those connected to this machine.

    Raises:
        DeviceError: a camera is there, but does not answer or may not be opened.
    """
    try:
        found = [_describe(device) for device in (context or rs.context()).query_devices()]
    except RuntimeError as error:
        raise DeviceError(
            f"librealsense cannot ask the cameras who they are: {error}.", "Plug them in again; check the udev rules."
        ) from error
    return sorted(found, key=lambda info: info.serial)


def open(config: Config, context: rs.context | None = None) -> RealSense:  # noqa: A001 - the device contract's name
    """Start the camera's streams.

    Args:
        config: which camera, which streams.
        context: where to look; default is this machine's USB. Software devices live in their own context.

    Raises:
        DeviceError: no such camera, busy, or without the streams asked for.
    """
    return RealSense(config, context or rs.context())


class RealSense:
    """A streaming camera; a context manager. Frames are copied out of librealsense's pool at once."""

    def __init__(self, config: Config, context: rs.context) -> None:
        self.config = config
        self.live = not config.file
        self.duplicates = 0
        self._context = context
        self._device = _pick(config, context)
        self.info = _describe(self._device)
        self._warn_usb2()
        self._queue = rs.frame_queue(_QUEUE_FRAMES, keep_frames=True)
        self._last: dict[str, tuple[int, float]] = {}
        self._opened: list[rs.sensor] = []
        self._running: list[rs.sensor] = []
        self._last_seen: dict[str, float] = {}
        kinds: list[Kind] = ["color", "depth", "infrared"] if config.infrared else ["color", "depth"]
        try:
            chosen = {kind: self._find_profile(kind) for kind in kinds}
            self.streams = _stream_infos(config, self.info, chosen)
            self._start(chosen)
        except BaseException:
            self.stop()
            raise

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
            frame = self._convert(raw)
            if frame is not None:
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

    def __enter__(self) -> RealSense:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _find_profile(self, kind: Kind) -> tuple[rs.sensor, rs.video_stream_profile]:
        stream, pixel_format, _ = _STREAMS[kind]
        wanted, offered = (self.config.width, self.config.height, self.config.fps), set()
        for sensor in self._device.query_sensors():
            for profile in sensor.get_stream_profiles():
                if profile.stream_type() != stream or not profile.is_video_stream_profile():
                    continue
                video = profile.as_video_stream_profile()
                if kind == "infrared" and profile.stream_index() != 1:
                    continue
                size = (video.width(), video.height(), profile.fps())
                if profile.format() == pixel_format and size == wanted:
                    return sensor, video
                if profile.format() == pixel_format:
                    offered.add(size)
        some = ", ".join("{}x{}@{}".format(*size) for size in sorted(offered, reverse=True)[:6]) or "none"
        raise DeviceError(
            f"camera {self.info.serial} has no {kind} stream of {wanted[0]}x{wanted[1]} at {wanted[2]} fps "
            f"(USB {self.info.usb}); it offers: {some}.",
            "Choose one of these in the rig file, or use a USB 3 port and cable.",
        )

    def _start(self, chosen: dict[Kind, tuple[rs.sensor, rs.video_stream_profile]]) -> None:
        groups: list[tuple[rs.sensor, list[rs.video_stream_profile]]] = []
        for kind, (sensor, profile) in chosen.items():
            # Infrared and depth come from one sensor, which opens once with all its profiles.
            same = next((g for g in groups if kind == "infrared" and g[1][0].stream_type() == rs.stream.depth), None)
            groups.append((sensor, [profile])) if same is None else same[1].append(profile)
        try:
            for sensor, profiles in groups:
                _set_options(sensor, self.config, is_color=profiles[0].stream_type() == rs.stream.color)
                sensor.open(profiles)
                self._opened.append(sensor)
            # A file begins to play with its first sensor: hold it until the others listen too.
            playback = None if self.live else self._device.as_playback()
            if playback is not None:
                playback.pause()
            for sensor, _ in groups:
                sensor.start(self._queue)
                self._running.append(sensor)
            if playback is not None:
                playback.resume()
        except RuntimeError as error:
            raise _open_error(self.info, error) from error

    def _convert(self, raw: rs.frame) -> Frame | None:
        """Copy a frame out of the pool; None for a frame that came before."""
        kind = next(name for name, (stream, _, _) in _STREAMS.items() if stream == raw.profile.stream_type())
        stream, number = f"{self.config.view}/{kind}", int(raw.get_frame_number())
        last, last_ms = self._last.get(stream, (number - 1, 0.0))
        if 0 <= last - number <= _OLD_FRAMES and raw.get_timestamp() <= last_ms:
            self.duplicates += 1
            return None
        # A counter that starts anew is continued by whoever reads the device.
        self._last[stream] = number, raw.get_timestamp()
        domain = _DOMAIN.get(raw.get_frame_timestamp_domain(), "system_time")
        return Frame(
            stream=stream,
            frame_number=number,
            t_device_ns=_mid_exposure_ns(raw),
            t_host_ns=_arrival_ns(raw),
            clock_domain=domain,
            image=np.array(raw.get_data()),
            exposure_us=_metadata(raw, rs.frame_metadata_value.actual_exposure),
            gain=_metadata(raw, rs.frame_metadata_value.gain_level),
        )

    def _check_alive(self, *, connected: bool) -> None:
        name = f"camera {self.config.view} ({self.info.serial})"
        if not connected and not self._plugged_in():
            raise DeviceError(f"{name} was unplugged.", "What was recorded is kept; plug it in and record again.")
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
            return any(_describe(device).serial == self.info.serial for device in self._context.query_devices())
        except RuntimeError:
            return True

    def _warn_usb2(self) -> None:
        if self.info.usb.startswith("2"):
            log.warning("Camera %s runs at USB %s: expect dropped frames.", self.info.serial, self.info.usb)


def _mid_exposure_ns(raw: rs.frame) -> int:
    """Mid-exposure on the clock of the frame's time stamp, which may wrap (see `capture.continuity`)."""
    readout = _metadata(raw, rs.frame_metadata_value.frame_timestamp)
    middle = _metadata(raw, rs.frame_metadata_value.sensor_timestamp)
    exposure_us = _metadata(raw, rs.frame_metadata_value.actual_exposure)
    if np.isfinite(readout) and np.isfinite(middle):
        # Both count the hardware clock, whatever clock the frame's own time stamp was translated to.
        lead_us = (readout - middle) % _WRAP_US
    else:
        lead_us = 0.5 * exposure_us if np.isfinite(exposure_us) else 0.0
    return round((raw.get_timestamp() * 1e3 - lead_us) * 1e3)


def _describe(device: rs.device) -> DeviceInfo:
    def text(field: rs.camera_info) -> str:
        return str(device.get_info(field)) if device.supports(field) else "unknown"

    info = rs.camera_info
    return DeviceInfo(
        text(info.name), text(info.serial_number), text(info.usb_type_descriptor), text(info.firmware_version)
    )


def _pick(config: Config, context: rs.context) -> rs.device:
    if config.file:
        return _load(config, context)
    devices = {_describe(device).serial: device for device in context.query_devices()}
    if not devices:
        raise DeviceError(
            "no RealSense camera is connected.", "Plug one into a USB 3 port, or record with --rig simulated."
        )
    if not config.serial and len(devices) == 1:
        return next(iter(devices.values()))
    if config.serial not in devices:
        asked = f"no camera with serial number {config.serial!r}" if config.serial else "several cameras are connected"
        raise DeviceError(f"{asked}; connected: {', '.join(sorted(devices))}.", "Name one of these in the rig file.")
    return devices[config.serial]


def _load(config: Config, context: rs.context) -> rs.device:
    if not Path(config.file).is_file():
        raise DeviceError(f"expected a recording {config.file}, found none.", "Check the path in the rig file.")
    try:
        return context.load_device(config.file)
    except RuntimeError as error:
        raise DeviceError(
            f"{config.file} cannot be played: {error}.", "Give a .db3 or .bag that librealsense recorded."
        ) from error


def _open_error(info: DeviceInfo, error: RuntimeError) -> DeviceError:
    text = str(error)
    if "busy" in text.lower() or "errno=16" in text:
        return DeviceError(
            f"camera {info.serial} is busy: another program streams from it.", "Close that program, then try again."
        )
    return DeviceError(f"camera {info.serial} does not start: {text}.", "Unplug it, plug it in again, and try again.")


def _set_options(sensor: rs.sensor, config: Config, *, is_color: bool) -> None:
    option = rs.option
    _set(sensor, option.global_time_enabled, float(config.global_time))
    if not is_color:
        _set(sensor, option.inter_cam_sync_mode, float(config.sync_mode))
        return
    # With priority on, a dark scene halves the frame rate.
    _set(sensor, option.auto_exposure_priority, 0.0)
    _set(sensor, option.enable_auto_exposure, float(config.exposure_us <= 0))
    if config.exposure_us > 0:
        _set(sensor, option.exposure, config.exposure_us / 100.0)  # the colour sensor counts in 100 microseconds
        if config.gain > 0:
            _set(sensor, option.gain, config.gain)


def _set(sensor: rs.sensor, option: rs.option, value: float) -> None:
    """Set an option where the sensor has it; software devices have few."""
    if not sensor.supports(option) or sensor.is_option_read_only(option):
        log.debug("option %s is not settable", option.name)
        return
    limits = sensor.get_option_range(option)
    if not limits.min <= value <= limits.max:
        raise DeviceError(
            f"option {option.name} takes {limits.min:g} to {limits.max:g}, got {value:g}.", "Correct the rig file."
        )
    sensor.set_option(option, value)


def _metadata(raw: rs.frame, field: rs.frame_metadata_value) -> float:
    return float(raw.get_frame_metadata(field)) if raw.supports_frame_metadata(field) else float("nan")


def _arrival_ns(raw: rs.frame) -> int:
    """Arrival on the host's monotonic clock; also right when this thread was kept waiting, if librealsense noted it."""
    waited_ms = time.time() * 1e3 - _metadata(raw, rs.frame_metadata_value.time_of_arrival)
    # The note counts whole milliseconds, so it is used only where it matters.
    late = _NOTED_WAIT_MS[0] < waited_ms < _NOTED_WAIT_MS[1]
    return time.monotonic_ns() - (round(waited_ms * 1e6) if late else 0)


def _camera(profile: rs.video_stream_profile) -> Camera:
    lens = profile.get_intrinsics()
    k1, k2, p1, p2, k3 = (float(c) for c in lens.coeffs)
    if lens.model not in _DISTORTION and any(lens.coeffs):
        raise DeviceError(f"lens model {lens.model.name} is not supported.", "Calibrate the camera: hoi-calibrate.")
    return Camera(
        width=lens.width,
        height=lens.height,
        fx=lens.fx,
        fy=lens.fy,
        cx=lens.ppx,
        cy=lens.ppy,
        distortion=(k1, k2, p1, p2, k3),
        distortion_model=_DISTORTION.get(lens.model, "none"),
    )


def _extrinsics(source: rs.video_stream_profile, target: rs.video_stream_profile) -> F64:
    """`T_target_source`; librealsense keeps rotations column by column."""
    found = source.get_extrinsics_to(target)
    return rigid(np.array(found.rotation, dtype=np.float64).reshape(3, 3).T, np.array(found.translation))


def _stream_infos(
    config: Config, info: DeviceInfo, chosen: dict[Kind, tuple[rs.sensor, rs.video_stream_profile]]
) -> list[StreamInfo]:
    color_profile = chosen["color"][1]
    color = config.camera or _camera(color_profile)
    infos = []
    for kind, (sensor, profile) in chosen.items():
        camera, T_color = color, np.eye(4)
        if kind != "color":
            T_color = _extrinsics(profile, color_profile)
            camera = replace(_camera(profile), T_world_cam=color.T_world_cam @ T_color)
        infos.append(
            StreamInfo(
                name=f"{config.view}/{kind}",
                kind="camera",
                shape=(config.height, config.width, 3) if kind == "color" else (config.height, config.width),
                dtype=_STREAMS[kind][2],
                fps=float(config.fps),
                camera=camera,
                serial=info.serial,
                depth_scale_m=float(sensor.get_option(rs.option.depth_units)) if kind == "depth" else None,
                T_depth_color=inverse_rigid(T_color) if kind == "depth" else None,
            )
        )
    return infos


def _quietly(action: Callable[[], object]) -> None:
    """Run a clean-up step that fails when the camera is gone already."""
    try:
        action()
    except RuntimeError as error:
        log.debug("while stopping: %s", error)
