"""A librealsense software device with the streams of a D435: what the streaming code sees is a real device object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capture.devices._librealsense import rs
from hoi_core.types import F64, U8, Camera, ClockDomain

DEPTH_SCALE_M = 0.001
_DISTORTION = {
    "none": rs.distortion.none,
    "brown_conrady": rs.distortion.brown_conrady,
    "inverse_brown_conrady": rs.distortion.inverse_brown_conrady,
}
_DOMAIN = {
    "hardware_clock": rs.timestamp_domain.hardware_clock,
    "global_time": rs.timestamp_domain.global_time,
    "system_time": rs.timestamp_domain.system_time,
}

# What `Shot` says by default, as a camera shows it whose exposure is locked; colour counts in 100 microseconds.
_FIXED = {
    "depth": {rs.option.exposure: 8500.0, rs.option.gain: 16.0, rs.option.emitter_enabled: 1.0},
    "color": {rs.option.exposure: 85.0, rs.option.gain: 16.0, rs.option.white_balance: 4600.0},
}


@dataclass(frozen=True)
class Shot:
    """What one exposure of both imagers carries besides the pixels."""

    frame_number: int
    """The device's counter."""
    t_device_ms: float
    """Mid-exposure on the device's clock, ms."""
    clock_domain: ClockDomain = "hardware_clock"
    """Clock that `t_device_ms` counts."""
    exposure_us: float = 8500.0
    """Exposure time, microseconds."""
    gain: float = 16.0
    """Sensor gain, device units."""


class SoftwareD435:
    """One software device with a depth and a colour stream.

    Args:
        serial: serial number under which pipelines find it.
        color: colour imager.
        depth: depth imager.
        T_color_depth: `(4, 4)` m, depth to colour imager.
        fps: frames per second.
    """

    def __init__(self, serial: str, color: Camera, depth: Camera, T_color_depth: F64, fps: int = 30) -> None:
        self.serial = serial
        self._device = rs.software_device()
        self._describe()
        self._sensors = {
            "depth": self._device.add_sensor("Stereo Module"),
            "color": self._device.add_sensor("RGB Camera"),
        }
        self._profiles = {
            "depth": self._sensors["depth"].add_video_stream(_stream(rs.stream.depth, depth, fps), True),
            "color": self._sensors["color"].add_video_stream(_stream(rs.stream.color, color, fps), True),
        }
        extrinsics = rs.extrinsics()
        # librealsense stores rotations column by column.
        extrinsics.rotation = T_color_depth[:3, :3].T.ravel().tolist()
        extrinsics.translation = T_color_depth[:3, 3].tolist()
        self._profiles["depth"].register_extrinsics_to(self._profiles["color"], extrinsics)
        self._sensors["depth"].add_read_only_option(rs.option.depth_units, DEPTH_SCALE_M)
        for name, options in _FIXED.items():
            for option, value in options.items():
                self._sensors[name].add_read_only_option(option, value)
        self._device.create_matcher(rs.matchers.default)
        for sensor in self._sensors.values():
            # In millihertz; without it librealsense's matcher loses a third of the pairs.
            sensor.set_metadata(rs.frame_metadata_value.actual_fps, fps * 1000)

    def add_to(self, context: rs.context) -> None:
        """List the device in a context, so that `rs.pipeline` and `rs.config` find it."""
        self._device.add_to(context)

    @property
    def opened(self) -> bool:
        """Whether somebody has opened both streams."""
        return all(sensor.get_active_streams() for sensor in self._sensors.values())

    def push(self, shot: Shot, color: U8, depth: np.ndarray) -> None:
        """Deliver one pair of frames; runs the receiving callbacks in this thread.

        Args:
            shot: number, time and exposure.
            color: `(H, W, 3)` RGB.
            depth: `(H, W)` uint16, units of `DEPTH_SCALE_M`.

        Raises:
            ValueError: an image has another size or type, which librealsense would read as garbage.
        """
        for name, image, kind, size in (("depth", depth, np.uint16, 2), ("color", color, np.uint8, 3)):
            profile = self._profiles[name].as_video_stream_profile()
            shape = (profile.height(), profile.width()) + ((3,) if name == "color" else ())
            if image.shape != shape or image.dtype != kind or not image.flags.c_contiguous:
                raise ValueError(f"{name} must be contiguous {np.dtype(kind)} {shape}, got {image.dtype} {image.shape}")
            self._set_metadata(self._sensors[name], shot)
            frame = rs.software_video_frame()
            frame.pixels = image
            frame.stride = shape[1] * size
            frame.bpp = size
            frame.timestamp = shot.t_device_ms
            frame.domain = _DOMAIN[shot.clock_domain]
            frame.frame_number = shot.frame_number
            frame.profile = profile
            if name == "depth":
                frame.depth_units = DEPTH_SCALE_M
            self._sensors[name].on_video_frame(frame)

    def _describe(self) -> None:
        values = {
            rs.camera_info.name: "Intel RealSense D435 (simulated)",
            rs.camera_info.serial_number: self.serial,
            rs.camera_info.firmware_version: "5.16.0.1",
            rs.camera_info.product_line: "D400",
            rs.camera_info.product_id: "0B07",
            rs.camera_info.usb_type_descriptor: "3.2",
            rs.camera_info.physical_port: f"simulated-{self.serial}",
        }
        for key, value in values.items():
            # Some fields exist from the start and can only be updated.
            if self._device.supports(key):
                self._device.update_info(key, value)
            else:
                self._device.register_info(key, value)

    @staticmethod
    def _set_metadata(sensor: rs.software_sensor, shot: Shot) -> None:
        microseconds = int(shot.t_device_ms * 1000.0)
        for key, value in (
            (rs.frame_metadata_value.frame_counter, shot.frame_number),
            (rs.frame_metadata_value.frame_timestamp, microseconds),
            (rs.frame_metadata_value.sensor_timestamp, microseconds),
            (rs.frame_metadata_value.actual_exposure, int(shot.exposure_us)),
            (rs.frame_metadata_value.gain_level, int(shot.gain)),
        ):
            sensor.set_metadata(key, value)


def _stream(kind: rs.stream, camera: Camera, fps: int) -> rs.video_stream:
    intrinsics = rs.intrinsics()
    intrinsics.width, intrinsics.height = camera.width, camera.height
    intrinsics.fx, intrinsics.fy, intrinsics.ppx, intrinsics.ppy = camera.fx, camera.fy, camera.cx, camera.cy
    intrinsics.model = _DISTORTION[camera.distortion_model]
    intrinsics.coeffs = list(camera.distortion)
    stream = rs.video_stream()
    stream.type, stream.index, stream.fps = kind, 0, fps
    stream.width, stream.height, stream.intrinsics = camera.width, camera.height, intrinsics
    depth = kind == rs.stream.depth
    stream.uid, stream.bpp, stream.fmt = (1, 2, rs.format.z16) if depth else (2, 3, rs.format.rgb8)
    return stream
