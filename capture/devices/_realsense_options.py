"""Options of a camera's sensors: exposure, gain, white balance, projector, sync; every one only where supported."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from hoi_core.errors import DeviceError

from ._librealsense import rs
from ._realsense_frames import metadata

log = logging.getLogger(__name__)

Emitter = Literal["on", "off", "alternating"]

_COLOR_TICK_US = 100.0  # the colour imager counts its exposure in units of 100 microseconds, the stereo pair in 1
_SETTLED_FRAMES = 10
_SETTLED_SHARE = 0.03


@dataclass(frozen=True)
class Exposure:
    """How an imager exposes; 0 leaves a value to the camera."""

    exposure_us: float = 0.0
    """Exposure time, microseconds."""
    gain: float = 0.0
    """Gain, device units."""
    white_balance_k: float = 0.0
    """White balance of a colour imager, kelvin."""


class Stereo(NamedTuple):
    """Options that only the stereo module has."""

    emitter: Emitter
    """Infrared projector: on, off, or in every second frame."""
    laser_mw: float
    """Power of the projector, mW; 0 leaves it."""
    sync_mode: int
    """`inter_cam_sync_mode`."""


def set_common(sensor: rs.sensor, *, global_time: bool) -> None:
    """Options that every sensor may have."""
    put(sensor, rs.option.global_time_enabled, float(global_time))
    # With priority on, auto exposure halves the frame rate in a dark scene.
    put(sensor, rs.option.auto_exposure_priority, 0.0)


def set_stereo(sensor: rs.sensor, wanted: Stereo) -> None:
    """Projector and hardware sync of the stereo module."""
    option = rs.option
    # Alternation is refused while the projector is off, and so is switching it off while it alternates
    # (github.com/realsenseai/librealsense/pull/3066): undo first, then set.
    put(sensor, option.emitter_on_off, 0.0)
    put(sensor, option.emitter_enabled, 0.0 if wanted.emitter == "off" else 1.0)
    if wanted.laser_mw > 0 and wanted.emitter != "off":
        put(sensor, option.laser_power, wanted.laser_mw)
    if wanted.emitter == "alternating" and not put(sensor, option.emitter_on_off, 1.0):
        raise DeviceError(
            "this camera's projector cannot alternate: it needs a D435 or D435i with firmware 5.12 or newer.",
            "Update the firmware, or write `emitter: on` or `emitter: off` in the rig file.",
        )
    if not put(sensor, option.inter_cam_sync_mode, float(wanted.sync_mode)) and wanted.sync_mode:
        log.warning("this camera has no hardware sync: sync_mode %d has no effect.", wanted.sync_mode)


def expose(sensor: rs.sensor, wanted: Exposure, *, is_color: bool) -> None:
    """Fix what is given, leave the rest to the camera.

    Raises:
        DeviceError: a value out of range.
    """
    option = rs.option
    put(sensor, option.enable_auto_exposure, float(wanted.exposure_us <= 0))
    if wanted.exposure_us > 0:
        put(sensor, option.exposure, wanted.exposure_us / (_COLOR_TICK_US if is_color else 1.0))
        if wanted.gain > 0:
            put(sensor, option.gain, wanted.gain)
    if is_color:
        put(sensor, option.enable_auto_white_balance, float(wanted.white_balance_k <= 0))
        if wanted.white_balance_k > 0:
            put(sensor, option.white_balance, wanted.white_balance_k)


def adapts(sensor: rs.sensor, wanted: Exposure) -> bool:
    """Whether there is something that the camera still sets by itself, so that a warm-up makes sense."""
    option = rs.option
    exposure = wanted.exposure_us <= 0 and sensor.supports(option.enable_auto_exposure)
    balance = wanted.white_balance_k <= 0 and sensor.supports(option.enable_auto_white_balance)
    return bool(exposure or balance)


class Settling:
    """Watches exposure and gain of an imager until they stay."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []

    def add(self, raw: rs.frame) -> None:
        """A frame of the warm-up."""
        field = rs.frame_metadata_value
        self._seen.append((metadata(raw, field.actual_exposure), metadata(raw, field.gain_level)))

    @property
    def settled(self) -> bool:
        """Whether the last frames agree within 3 %; without metadata enough frames must do."""
        if len(self._seen) < _SETTLED_FRAMES:
            return False
        last = np.array(self._seen[-_SETTLED_FRAMES:])
        if np.isnan(last).all():
            return True
        last = np.nan_to_num(last)  # exposure or gain alone may be missing
        return bool((np.ptp(last, axis=0) <= _SETTLED_SHARE * np.maximum(last.max(axis=0), 1.0)).all())

    @property
    def last(self) -> Exposure:
        """What the camera arrived at; 0 where it does not say."""
        exposure, gain = self._seen[-1] if self._seen else (0.0, 0.0)
        return Exposure(exposure if exposure > 0 else 0.0, gain if gain > 0 else 0.0)


def locked(sensor: rs.sensor, wanted: Exposure, settled: Exposure, *, is_color: bool) -> Exposure:
    """What to fix after the warm-up: what was asked for, else what the camera arrived at."""
    option = rs.option
    tick = _COLOR_TICK_US if is_color else 1.0
    exposure = wanted.exposure_us or settled.exposure_us or get(sensor, option.exposure, 0.0) * tick
    gain = wanted.gain or settled.gain or get(sensor, option.gain, 0.0)
    balance = wanted.white_balance_k or (get(sensor, option.white_balance, 0.0) if is_color else 0.0)
    return Exposure(exposure, gain, balance)


def read_back(sensor: rs.sensor, *, is_color: bool) -> Mapping[str, object]:
    """What a sensor says about its options now; only those that it has."""
    option = rs.option
    tick = _COLOR_TICK_US if is_color else 1.0
    asked = {
        "auto_exposure": (option.enable_auto_exposure, None),
        "exposure_us": (option.exposure, tick),
        "gain": (option.gain, 1.0),
        "auto_white_balance": (option.enable_auto_white_balance, None),
        "white_balance_k": (option.white_balance, 1.0),
        "emitter": (option.emitter_enabled, None),
        "emitter_alternates": (option.emitter_on_off, None),
        "laser_mw": (option.laser_power, 1.0),
        "sync_mode": (option.inter_cam_sync_mode, 1.0),
        "global_time": (option.global_time_enabled, None),
    }
    found: dict[str, object] = {}
    for name, (which, scale) in asked.items():
        value = get(sensor, which, float("nan"))
        if value == value:  # noqa: PLR0124 - NaN stands for an option that the sensor does not have
            found[name] = bool(value) if scale is None else value * scale
    return found


def get(sensor: rs.sensor, option: rs.option, missing: float) -> float:
    """An option's value, or `missing` where the sensor does not have it."""
    if not sensor.supports(option):
        return missing
    try:
        return float(sensor.get_option(option))
    except RuntimeError as error:  # some can only be read at certain times
        log.debug("option %s cannot be read: %s", option.name, error)
        return missing


def put(sensor: rs.sensor, option: rs.option, value: float) -> bool:
    """Set an option where the sensor has it, to the nearest of its steps.

    Returns:
        Whether it was set.

    Raises:
        DeviceError: out of range.
    """
    if not sensor.supports(option) or sensor.is_option_read_only(option):
        log.debug("option %s is not settable", option.name)
        return False
    limits = sensor.get_option_range(option)
    if not limits.min <= value <= limits.max:
        raise DeviceError(
            f"option {option.name} takes {limits.min:g} to {limits.max:g}, got {value:g}.", "Correct the rig file."
        )
    if limits.step > 0:  # librealsense refuses what lies between two steps
        value = min(limits.min + round((value - limits.min) / limits.step) * limits.step, limits.max)
    sensor.set_option(option, value)
    return True
