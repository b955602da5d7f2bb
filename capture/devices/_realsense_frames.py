"""From librealsense frames to ours: mid-exposure, arrival, exposure and gain, and frames that come twice."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from hoi_core.types import ClockDomain, Frame

from ._librealsense import rs

_WRAP_US = 1 << 32  # the hardware clock counts microseconds in 32 bits
_NOTED_WAIT_MS = (2.0, 10_000.0)
_REMEMBERED = 8
_DOMAIN: dict[rs.timestamp_domain, ClockDomain] = {
    rs.timestamp_domain.hardware_clock: "hardware_clock",
    rs.timestamp_domain.global_time: "global_time",
    rs.timestamp_domain.system_time: "system_time",
}
_KIND = {rs.stream.color: "color", rs.stream.depth: "depth", rs.stream.infrared: "infrared"}


def convert(view: str, raw: rs.frame) -> Frame:
    """Copy a frame out of librealsense's pool.

    Times are as the device counts them: where its 32-bit clock or its counter starts anew they run backwards, and
    `capture.continuity` makes them go on.

    Args:
        view: first part of the stream's name.
        raw: a video frame.
    """
    domain = _DOMAIN.get(raw.get_frame_timestamp_domain(), "system_time")
    return Frame(
        stream=f"{view}/{_KIND[raw.profile.stream_type()]}",
        frame_number=int(raw.get_frame_number()),
        t_device_ns=mid_exposure_ns(raw),
        t_host_ns=arrival_ns(raw),
        clock_domain=domain,
        image=np.array(raw.get_data()),
        exposure_us=metadata(raw, rs.frame_metadata_value.actual_exposure),
        gain=metadata(raw, rs.frame_metadata_value.gain_level),
    )


def mid_exposure_ns(raw: rs.frame) -> int:
    """Mid-exposure on the clock that the frame's time stamp counts, ns."""
    readout_us = metadata(raw, rs.frame_metadata_value.frame_timestamp)
    middle_us = metadata(raw, rs.frame_metadata_value.sensor_timestamp)
    exposure_us = metadata(raw, rs.frame_metadata_value.actual_exposure)
    if np.isfinite(readout_us) and np.isfinite(middle_us):
        # Both count the hardware clock, whatever clock the frame's own time stamp was translated to.
        lead_us = (readout_us - middle_us) % _WRAP_US
    else:
        lead_us = 0.5 * exposure_us if np.isfinite(exposure_us) else 0.0
    return round((raw.get_timestamp() * 1e3 - lead_us) * 1e3)


def arrival_ns(raw: rs.frame) -> int:
    """Arrival on the host's monotonic clock; also right when this thread was kept waiting, if librealsense noted it."""
    waited_ms = time.time() * 1e3 - metadata(raw, rs.frame_metadata_value.time_of_arrival)
    # The note counts whole milliseconds, so it is used only where it matters.
    late = _NOTED_WAIT_MS[0] < waited_ms < _NOTED_WAIT_MS[1]
    return time.monotonic_ns() - (round(waited_ms * 1e6) if late else 0)


def metadata(raw: rs.frame, field: rs.frame_metadata_value) -> float:
    """A value that came with a frame; NaN where the camera does not send it."""
    return float(raw.get_frame_metadata(field)) if raw.supports_frame_metadata(field) else float("nan")


class Repeats:
    """Recognises frames that are delivered twice: the same number at the same time as one of the last few.

    A lower number at another time is no repeat: the camera's counter has started anew.
    """

    def __init__(self) -> None:
        self.count = 0
        """Repeats so far."""
        self._seen: dict[str, deque[tuple[int, int]]] = {}

    def is_new(self, frame: Frame) -> bool:
        """Whether a frame came for the first time."""
        seen = self._seen.setdefault(frame.stream, deque(maxlen=_REMEMBERED))
        mark = (frame.frame_number, frame.t_device_ns)
        if mark in seen:
            self.count += 1
            return False
        seen.append(mark)
        return True

    def forget(self) -> None:
        """Begin anew, for a camera that was plugged in again; the count goes on."""
        self._seen.clear()
