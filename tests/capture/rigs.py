"""Small rigs for the tests: software D435s that are pushed by hand, and devices made of plain Python."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyrealsense2 as rs

from capture.devices import realsense
from capture.simulation.software_d435 import Shot, SoftwareD435
from hoi_core.camera import rigid
from hoi_core.rotation import exp_so3
from hoi_core.types import Camera, Frame, StreamInfo

COLOR = Camera(64, 48, 61.5, 61.0, 31.8, 24.2, (0.1, -0.2, 0.001, 0.002, 0.05), "inverse_brown_conrady")
DEPTH = Camera(64, 48, 40.0, 40.0, 31.5, 23.5)
T_COLOR_DEPTH = rigid(exp_so3(np.array([0.01, 0.02, -0.03])), np.array([0.0147, 0.0002, 0.0003]))
POSE = rigid(exp_so3(np.array([0.0, 1.2, 0.0])), np.array([0.5, 0.0, 0.1]))
PERIOD_NS = 33_333_333


def color_image(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 255, (48, 64, 3), np.uint8)


def depth_image(n: int) -> np.ndarray:
    image = np.full((48, 64), 700, np.uint16)
    image[0, 0] = n
    return image


class SoftwareRig:
    """Two software D435s through the real streaming code; `push` delivers, frames in `lost` never come."""

    name, calibration, whole = "software", "", True

    def __init__(self, frames: int, lost: set[tuple[str, int]] = frozenset(), fps_real: float = 400.0) -> None:
        self._context = rs.context()
        self._changes = []
        self._context.set_devices_changed_callback(lambda info: self._changes.append((info, info.get_new_devices())))
        self.cameras = {
            view: SoftwareD435(serial, COLOR, DEPTH, T_COLOR_DEPTH)
            for view, serial in (("left", "901"), ("right", "902"))
        }
        for camera in self.cameras.values():
            camera.add_to(self._context)
        self.context = self._context
        self.devices = [
            realsense.open(realsense.Config(camera.serial, view, 64, 48), self._context)
            for view, camera in self.cameras.items()
        ]
        self._frames, self._lost, self._pause_s = frames, lost, 1.0 / fps_real
        self._thread = threading.Thread(target=self._produce, daemon=True)
        self._ending = False

    def start(self) -> None:
        self._thread.start()

    @property
    def finished(self) -> bool:
        return self._thread.ident is not None and not self._thread.is_alive()

    def stop(self) -> None:
        self._ending = True
        if self._thread.ident is not None:
            self._thread.join()
        for device in self.devices:
            device.stop()

    def _produce(self) -> None:
        for n in range(self._frames):
            for k, (view, camera) in enumerate(self.cameras.items()):
                push(
                    camera,
                    n,
                    1000.0 + n * 33.333333 + 4.0 * k,
                    {kind for v, kind in map(_split, self._lost_at(n)) if v == view},
                )
            time.sleep(self._pause_s)
            if self._ending:
                return

    def _lost_at(self, n: int) -> list[str]:
        return [stream for stream, number in self._lost if number == n]


def _split(stream: str) -> tuple[str, str]:
    view, kind = stream.split("/")
    return view, kind


def push(camera: SoftwareD435, n: int, t_ms: float, lost: set[str] = frozenset()) -> None:
    """Push one pair, or one of the two where the other is lost."""
    sensors = dict(camera._sensors)

    class Deaf:
        def __init__(self, sensor):
            self._sensor = sensor

        def set_metadata(self, *arguments):
            self._sensor.set_metadata(*arguments)

        def on_video_frame(self, frame):
            pass

    camera._sensors = {kind: Deaf(sensor) if kind in lost else sensor for kind, sensor in sensors.items()}
    camera.push(Shot(n, t_ms, "global_time"), color_image(n), depth_image(n))
    camera._sensors = sensors


def record_left_to_file(rig: SoftwareRig, path: Path, count: int) -> None:
    """Let librealsense's own recorder write pairs 0, 1, ... of the rig's left camera into a `.db3`."""
    rig.devices[0].stop()
    camera = next(d for d in rig.context.query_devices() if d.get_info(rs.camera_info.serial_number) == "901")
    recorder = rs.recorder(str(path), camera)
    sensors = recorder.query_sensors()
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles()[0])
        sensor.start(lambda frame: None)
    for n in range(count):
        push(rig.cameras["left"], n, 1000.0 + n * 33.0)
        # librealsense's recorder writes in a thread of its own, and drops what comes faster than that.
        threading.Event().wait(0.03)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    del recorder, sensors, sensor
    gc.collect()


class FakeDevice:
    """A device of plain Python: delivers `frames` colour frames, as fast as it is read, and then `ends` somehow."""

    live, finished, duplicates, settings = True, False, 0, MappingProxyType({})

    def __init__(self, view: str, frames: int, error: Exception | None = None, pause_s: float = 0.002) -> None:
        self.streams = [StreamInfo(f"{view}/color", "camera", (48, 64, 3), "uint8", 30.0, COLOR, view)]
        self.stopped = False
        self.begin_ns = time.monotonic_ns()
        self._view, self._frames, self._error, self._pause_s = view, frames, error, pause_s
        self.n = 0

    def read(self, timeout_s: float) -> list[Frame]:
        time.sleep(self._pause_s)
        if self.n >= self._frames:
            if self._error is not None:
                raise self._error
            return []
        n, self.n = self.n, self.n + 1
        stamp = self.begin_ns + n * PERIOD_NS
        return [
            Frame(f"{self._view}/color", n, stamp, stamp + 1_000_000, "hardware_clock", color_image(n), 8500.0, 16.0)
        ]

    def stop(self) -> None:
        self.stopped = True


class FakeRig:
    """A rig of fake devices."""

    name, calibration = "fake", ""

    def __init__(self, *devices: FakeDevice, whole: bool = True) -> None:
        self.devices = list(devices)
        self.whole = whole
        self.started = False

    def start(self) -> None:
        self.started = True

    @property
    def finished(self) -> bool:
        return self.whole and all(device.n >= device._frames for device in self.devices)

    def stop(self) -> None:
        for device in self.devices:
            device.stop()
