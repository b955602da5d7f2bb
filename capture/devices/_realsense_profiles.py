"""Which librealsense streams to open, and what each imager is: size, lens, pose, depth unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from hoi_core.camera import inverse_rigid, rigid
from hoi_core.errors import DeviceError
from hoi_core.types import F64, Camera, DistortionModel, StreamInfo

from ._librealsense import rs

Kind = Literal["color", "depth", "infrared"]

_STREAMS: dict[Kind, tuple[rs.stream, rs.format, str]] = {
    "color": (rs.stream.color, rs.format.rgb8, "uint8"),
    "depth": (rs.stream.depth, rs.format.z16, "uint16"),
    "infrared": (rs.stream.infrared, rs.format.y8, "uint8"),
}
_LEFT_IMAGER = 1
_DISTORTION: dict[rs.distortion, DistortionModel] = {
    rs.distortion.none: "none",
    rs.distortion.brown_conrady: "brown_conrady",
    rs.distortion.inverse_brown_conrady: "inverse_brown_conrady",
}


class Size(NamedTuple):
    """Size and rate of a stream."""

    width: int
    """px."""
    height: int
    """px."""
    fps: int
    """Frames per second."""

    def __str__(self) -> str:
        return f"{self.width}x{self.height}@{self.fps}"


class Chosen(NamedTuple):
    """A stream to open."""

    sensor: rs.sensor
    """The sensor that delivers it."""
    profile: rs.video_stream_profile
    """The profile to open it with."""


def offered(device: rs.device) -> dict[Kind, list[Size]]:
    """Every size and rate that a camera offers in the formats that are recorded, largest first."""
    found: dict[Kind, set[Size]] = {kind: set() for kind in _STREAMS}
    for sensor in device.query_sensors():
        for profile in sensor.get_stream_profiles():
            for kind in _STREAMS:
                if _is(profile, kind):
                    found[kind].add(_size(profile.as_video_stream_profile()))
    return {kind: sorted(sizes, reverse=True) for kind, sizes in found.items()}


def choose(device: rs.device, kind: Kind, wanted: Size, camera: str) -> Chosen:
    """The sensor and the profile of one stream.

    Raises:
        DeviceError: the camera does not offer it; the message lists what it offers.
    """
    for sensor in device.query_sensors():
        for profile in sensor.get_stream_profiles():
            if _is(profile, kind) and _size(profile.as_video_stream_profile()) == wanted:
                return Chosen(sensor, profile.as_video_stream_profile())
    some = ", ".join(map(str, offered(device)[kind][:6])) or "none"
    raise DeviceError(
        f"camera {camera} has no {kind} stream of {wanted.width}x{wanted.height} at {wanted.fps} fps; "
        f"it offers: {some}.",
        "Choose one of these in the rig file (hoi-devices --modes lists all), or use a USB 3 port and cable.",
    )


def groups(chosen: Mapping[Kind, Chosen]) -> list[tuple[rs.sensor, list[rs.video_stream_profile]]]:
    """The streams by sensor: infrared and depth come from one, which opens once with all its profiles."""
    stereo = [found for kind, found in chosen.items() if kind != "color"]
    color = (chosen["color"].sensor, [chosen["color"].profile])
    return [color, (stereo[0].sensor, [found.profile for found in stereo])] if stereo else [color]


def stream_infos(
    view: str, serial: str, chosen: Mapping[Kind, Chosen], calibrated: Camera | None, readout_us: float
) -> list[StreamInfo]:
    """What the streams deliver.

    Args:
        view: first part of their names.
        serial: serial number of the camera.
        chosen: the streams.
        calibrated: colour camera instead of the factory's.
        readout_us: rolling-shutter readout of the colour imager, microseconds.
    """
    color_profile = chosen["color"].profile
    color = calibrated or _camera(color_profile)
    infos = []
    for kind, (sensor, profile) in chosen.items():
        camera, T_color = color, np.eye(4)
        if kind != "color":
            T_color = _extrinsics(profile, color_profile)
            camera = replace(_camera(profile), T_world_cam=color.T_world_cam @ T_color)
        size = _size(profile)
        infos.append(
            StreamInfo(
                name=f"{view}/{kind}",
                kind="camera",
                shape=(size.height, size.width, 3) if kind == "color" else (size.height, size.width),
                dtype=_STREAMS[kind][2],
                fps=float(size.fps),
                camera=camera,
                serial=serial,
                depth_scale_m=float(sensor.get_option(rs.option.depth_units)) if kind == "depth" else None,
                T_depth_color=inverse_rigid(T_color) if kind == "depth" else None,
                readout_us=readout_us if kind == "color" else 0.0,
            )
        )
    return infos


def _is(profile: rs.stream_profile, kind: Kind) -> bool:
    stream, pixel_format, _ = _STREAMS[kind]
    if profile.stream_type() != stream or profile.format() != pixel_format or not profile.is_video_stream_profile():
        return False
    return kind != "infrared" or profile.stream_index() == _LEFT_IMAGER


def _size(profile: rs.video_stream_profile) -> Size:
    return Size(profile.width(), profile.height(), profile.fps())


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
