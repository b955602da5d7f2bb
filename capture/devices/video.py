"""Video cameras (V4L2, UVC) and video files through OpenCV: as the 128x128 gray and edge sensor, or as a view."""

from __future__ import annotations

import logging
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from capture.device import BaseDevice
from hoi_core import edges
from hoi_core.errors import DeviceError
from hoi_core.types import U8, Camera, ClockDomain, Frame, StreamInfo

__all__ = ["Config", "Video", "open"]

log = logging.getLogger(__name__)

_MAX_AGE_NS = 1_000_000_000
_ADAPTED_FRAMES = 30
_UVC_TICK_US = 100.0  # V4L2_CID_EXPOSURE_ABSOLUTE counts 100 microseconds
_UVC_MANUAL, _UVC_AUTO = 1.0, 3.0  # V4L2_EXPOSURE_MANUAL, V4L2_EXPOSURE_APERTURE_PRIORITY
_UNKNOWN_FOV_DEG = 60.0


@dataclass(frozen=True)
class Config:
    """One video camera or video file of a rig."""

    source: str
    """Number of a camera (`"0"`), its device file (`/dev/video2`), or a video file."""
    view: str = "edge128"
    """Name of the sensor or view, the first part of its streams' names."""
    kind: Literal["sensor", "color"] = "sensor"
    """`sensor`: a square of the image, reduced to gray and edge images. `color`: the whole image."""
    width: int = 0
    """Width to ask the camera for, px; 0 takes its own."""
    height: int = 0
    """Height to ask the camera for, px; 0 takes its own."""
    fps: float = 0.0
    """Rate to ask the camera for; 0 takes its own."""
    crop_x: int = -1
    """Left edge of the square that the sensor sees, px; -1 centres it."""
    crop_y: int = -1
    """Upper edge of the square that the sensor sees, px; -1 centres it."""
    crop_side: int = 0
    """Side of the square, px; 0 takes the largest."""
    size: int = 128
    """Side of the sensor's images, px."""
    exposure_us: float = 0.0
    """Fixed exposure of a camera, microseconds; 0 for automatic."""
    gain: float = 0.0
    """Fixed gain of a camera, device units; 0 leaves it."""
    lock: bool = True
    """Fix automatic exposure and white balance once they had a second to settle."""
    readout_us: float = 0.0
    """Rolling shutter: time from the exposure of the first delivered row to that of the last; 0 for a global one."""
    camera: Camera | None = None
    """Calibrated camera of the delivered images; None guesses a lens of 60 degrees at the world's origin."""

    @property
    def is_file(self) -> bool:
        """Whether it plays a file."""
        return not self.source.isdigit() and not self.source.startswith("/dev/")


def open(config: Config) -> Video:  # noqa: A001 - the device contract's name
    """Open the camera or the file.

    Raises:
        DeviceError: it is missing or busy, delivers no image, or the square lies outside its image.
    """
    return Video(config)


class Video(BaseDevice):
    """A video camera or file. Not tried on camera hardware: only files and a stand-in for `cv2.VideoCapture` were.

    Frame times of a camera are the driver's buffer time stamps where OpenCV hands them on (V4L2: the host's monotonic
    clock at the start of the exposure), else arrival. A file's are its presentation times, and it plays at their pace.
    OpenCV does not hand on the driver's frame counter: numbers are counted from the times, so that a gap shows.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.live = not config.is_file
        self.settings: dict[str, object] = {}
        self.streams: list[StreamInfo] = []
        self._ended = False
        # OpenCV must not be asked for an image while it releases the camera in another thread.
        self._guard = threading.Lock()
        self._pending: tuple[int, int, U8] | None = None
        self._capture: cv2.VideoCapture | None = None
        self._begin_ns = 0
        self._last: tuple[int, int] | None = None
        self._connect()

    @property
    def finished(self) -> bool:
        """Whether a file has been played to its end."""
        return self._ended

    def read(self, timeout_s: float) -> list[Frame]:
        """The next image, as gray and edge or as colour; of a file when it is due, empty if that is after the timeout.

        A camera is waited for as long as its driver waits: OpenCV has no shorter timeout.

        Raises:
            DeviceError: the camera was unplugged.
        """
        if self._ended:
            return []
        if self._pending is None:
            self._pending = self._grab()
            if self._pending is None:
                return []
        stamp_ns, arrival_ns, image = self._pending
        if not self.live:
            self._begin_ns = self._begin_ns or time.monotonic_ns() - stamp_ns
            due_s = (self._begin_ns + stamp_ns - time.monotonic_ns()) * 1e-9
            time.sleep(min(max(due_s, 0.0), timeout_s))
            if due_s > timeout_s:
                return []
            arrival_ns = time.monotonic_ns()
        self._pending = None
        return self._frames(stamp_ns, arrival_ns, image)

    def stop(self) -> None:
        """Release the camera; does nothing the second time."""
        with self._guard:
            if self._capture is not None:
                self._capture.release()
            self._capture = None

    def reopen(self) -> None:
        """Open the camera again after it was unplugged.

        Raises:
            DeviceError: it is not there.
        """
        if not self.live:
            raise DeviceError(f"{self.config.source} is a file: it cannot be plugged in again.", "Start again.")
        self.stop()
        self._pending = self._last = None
        self._connect()

    def _connect(self) -> None:
        self._capture = capture = self._opened()
        first = self._grab()
        if first is None:
            self.stop()
            raise DeviceError(f"{self.config.source} delivers no image.", "Close other programs that use it.")
        if self.live and self.config.lock:
            first = self._settle(capture, first)
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._fps = float(fps) if 0.0 < fps < 1000.0 else (self.config.fps or 30.0)
        if not self.streams:
            try:
                self.streams = self._streams(first[2])
            except DeviceError:
                self.stop()
                raise
        self._pending = first
        self._note(capture)

    def _opened(self) -> cv2.VideoCapture:
        config = self.config
        if config.is_file:
            if not Path(config.source).is_file():
                raise DeviceError(
                    f"expected a video {config.source}, found none.",
                    "Check `source` in the rig file; a camera is a number in quotes or /dev/video0.",
                )
            capture = cv2.VideoCapture(config.source)
        else:
            # By number or device file through V4L2 where there is one: only there come the driver's time stamps.
            source = int(config.source) if config.source.isdigit() else config.source
            capture = cv2.VideoCapture(source, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
        if not capture.isOpened():
            capture.release()
            what = "cannot be read as a video" if config.is_file else "is no camera, or another program uses it"
            raise DeviceError(f"{config.source} {what}.", "hoi-devices lists what is connected.")
        if not config.is_file:
            self._ask(capture)
        return capture

    def _ask(self, capture: cv2.VideoCapture) -> None:
        config = self.config
        # What a camera does not have, OpenCV ignores; what it made of the rest is read back into `settings`.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 4)
        for which, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, config.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, config.height),
            (cv2.CAP_PROP_FPS, config.fps),
        ):
            if value > 0:
                capture.set(which, value)
        if config.exposure_us > 0:
            capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _UVC_MANUAL)
            capture.set(cv2.CAP_PROP_EXPOSURE, config.exposure_us / _UVC_TICK_US)
        else:
            capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _UVC_AUTO)
        if config.gain > 0:
            capture.set(cv2.CAP_PROP_GAIN, config.gain)

    def _settle(self, capture: cv2.VideoCapture, first: tuple[int, int, U8]) -> tuple[int, int, U8]:
        """Let automatic exposure and white balance settle, then fix them; the newest image."""
        for _ in range(_ADAPTED_FRAMES):
            first = self._grab() or first
        if self.config.exposure_us <= 0:
            exposure = capture.get(cv2.CAP_PROP_EXPOSURE)
            capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _UVC_MANUAL)
            if exposure > 0:
                capture.set(cv2.CAP_PROP_EXPOSURE, exposure)
        balance = capture.get(cv2.CAP_PROP_WB_TEMPERATURE)
        capture.set(cv2.CAP_PROP_AUTO_WB, 0.0)
        if balance > 0:
            capture.set(cv2.CAP_PROP_WB_TEMPERATURE, balance)
        return first

    def _note(self, capture: cv2.VideoCapture) -> None:
        self.settings.update(source=self.config.source, backend=capture.getBackendName(), fps=self._fps)
        if not self.live:
            return
        self.settings.update(
            locked=self.config.lock,
            auto_exposure=capture.get(cv2.CAP_PROP_AUTO_EXPOSURE),
            exposure_us=capture.get(cv2.CAP_PROP_EXPOSURE) * _UVC_TICK_US,
            gain=capture.get(cv2.CAP_PROP_GAIN),
            white_balance_k=capture.get(cv2.CAP_PROP_WB_TEMPERATURE),
        )

    def _grab(self) -> tuple[int, int, U8] | None:
        """Time stamp, arrival (both ns) and image; None at the end of a file.

        Raises:
            DeviceError: the camera delivers nothing any more.
        """
        with self._guard:
            capture = self._capture
            if capture is None:
                raise DeviceError(f"camera {self.config.source} is closed.", "Open it again.")
            ok, image = capture.read()
            arrival_ns = time.monotonic_ns()
            stamp_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        if not ok or image is None:
            if self.live:
                raise DeviceError(
                    f"camera {self.config.view} ({self.config.source}) was unplugged, or delivers nothing.",
                    "What was recorded is kept; plug it in again.",
                )
            self._ended = True
            return None
        return stamp_ns, arrival_ns, np.asarray(image, np.uint8)

    def _frames(self, stamp_ns: int, arrival_ns: int, image: U8) -> list[Frame]:
        exposure_us = self._exposure_us()
        domain: ClockDomain = "hardware_clock"
        if self.live:
            domain = "host"
            if not 0 <= arrival_ns - stamp_ns < _MAX_AGE_NS:  # no stamp of the monotonic clock: arrival must do
                stamp_ns = arrival_ns
            elif np.isfinite(exposure_us):  # UVC stamps the start of the exposure
                stamp_ns += round(500.0 * exposure_us)
        elif self._last is not None and stamp_ns <= self._last[1]:  # a file without presentation times
            stamp_ns = self._last[1] + round(1e9 / self._fps)
        number = self._number(stamp_ns)
        return [
            Frame(info.name, number, stamp_ns, arrival_ns, domain, delivered, exposure_us)
            for info, delivered in zip(self.streams, self._images(image), strict=True)
        ]

    def _number(self, stamp_ns: int) -> int:
        number = 0
        if self._last is not None:
            steps = (stamp_ns - self._last[1]) * 1e-9 * self._fps
            number = self._last[0] + (max(round(steps), 1) if self.live else 1)
        self._last = (number, stamp_ns)
        return number

    def _exposure_us(self) -> float:
        value = self.settings.get("exposure_us")
        return float(value) if isinstance(value, float) and value > 0 else float("nan")

    def _images(self, image: U8) -> list[U8]:
        """Gray and edge of the square, or the image as RGB."""
        if self.config.kind == "color":
            return [np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)]
        x, y, side = self._square(image)
        square = image[y : y + side, x : x + side]
        # Area averaging is what a coarser pixel does, and does not alias.
        small = cv2.resize(square, (self.config.size, self.config.size), interpolation=cv2.INTER_AREA)
        gray = edges.gray(np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8))
        return [gray, edges.sobel_edges(gray)]

    def _square(self, image: U8) -> tuple[int, int, int]:
        height, width = image.shape[:2]
        config = self.config
        side = config.crop_side or min(height, width)
        x = config.crop_x if config.crop_x >= 0 else (width - side) // 2
        y = config.crop_y if config.crop_y >= 0 else (height - side) // 2
        if not (0 <= x <= width - side and 0 <= y <= height - side):
            raise DeviceError(
                f"a square of {side} px at ({x}, {y}) lies outside the {width}x{height} image of {config.source}.",
                "Correct crop_x, crop_y and crop_side in the rig file.",
            )
        return x, y, side

    def _streams(self, image: U8) -> list[StreamInfo]:
        config, shapes = self.config, [delivered.shape for delivered in self._images(image)]
        height, width = shapes[0][:2]
        if config.camera is None:
            log.warning("%s is not calibrated: its lens is guessed.", config.view)
        focal = 0.5 * width / np.tan(0.5 * np.radians(_UNKNOWN_FOV_DEG))
        camera = config.camera or Camera(width, height, focal, focal, 0.5 * (width - 1), 0.5 * (height - 1))
        if (camera.width, camera.height) != (width, height):
            raise DeviceError(
                f"{config.view} delivers {width}x{height}, its calibration is for {camera.width}x{camera.height}.",
                "Calibrate again, or correct the rig file.",
            )
        kind: Literal["camera", "sensor"] = "camera" if config.kind == "color" else "sensor"
        names = ("color",) if config.kind == "color" else ("gray", "edge")
        return [
            StreamInfo(
                f"{config.view}/{name}", kind, shape, "uint8", self._fps, camera, config.source,
                readout_us=config.readout_us,
            )
            for name, shape in zip(names, shapes, strict=True)
        ]  # fmt: skip
