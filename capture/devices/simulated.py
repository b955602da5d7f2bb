"""The simulated rig: a twin of the laboratory whose cameras are librealsense software devices.

A hand takes an object between two virtual D435s and a 128x128 edge sensor. Images are rendered ahead, then pushed in
real time; everything after that is the code that records a real D435.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pyrealsense2 as rs

from capture.devices import _truth, realsense
from capture.devices._clocks import DeviceClock, choose_drops
from capture.devices._faults import Faults
from capture.devices._noise import DepthNoise, NoiseBanks, expose, measure_depth
from capture.devices._software_d435 import Shot, SoftwareD435
from capture.devices._twin import SENSOR, VIEWS, Patch, Stage, choose_cast, place_cameras
from hoi_core import edges
from hoi_core.conventions import Side
from hoi_core.errors import ConfigError, DeviceError
from hoi_core.scene.motion import Moments
from hoi_core.scene.unkind import Unkindness
from hoi_core.types import F64, I64, U8, Frame, Revision, StreamInfo

log = logging.getLogger(__name__)

DEVICES = (*VIEWS, SENSOR)
_SERIALS = {"left": "000000000001", "right": "000000000002", SENSOR: "edge128-simulated"}
_COLOR_NOISE = (1.3, 2.4)
_SENSOR_NOISE = (1.6, 2.4)
_BLUR_PX = 0.55
_WORKERS = 2
_LONGEST_S = 60.0
"""Drawn images wait in memory, about 0.1 GB for each second."""


@dataclass(frozen=True)
class Config:
    """What the simulated rig plays and how unkind it is."""

    seed: int = 0
    """Decides motion, light, room and noise: the same seed gives the same images and the same truth."""
    seconds: float = 6.0
    """Length of a recording; the play itself takes 6 s, then hand and object rest."""
    object: str = "o03"
    """Object, `o01` ... `o08` or its kind, such as `mug`."""
    participant: str = "p01"
    """Decides the hand: shape, deviation from the model, skin."""
    side: Side = "right"
    """Which hand plays."""
    fps: int = 30
    """Frames per second of every stream."""
    clock_domain: Literal["hardware_clock", "global_time", "system_time"] = "hardware_clock"
    """Clock that device times count; `hardware_clock` has an offset and a drift for each device."""
    drift_ppm: float = 20.0
    """How much the devices' clocks run fast or slow, parts per million."""
    skew_ms: float = 4.0
    """How much later the right camera exposes than the left one; the hand is drawn at each camera's own time."""
    jitter_ms: float = 0.02
    """Spread of exposure times about the regular grid."""
    drop_rate: float = 0.0
    """Share of frames that each device loses."""
    calibration_error_px: float = 0.3
    """Error of the calibrated directions of every camera but `left`, px in its image."""
    calibration_error_m: float = 0.001
    """Error of the calibrated positions of every camera but `left`, m."""
    faults: Faults = field(default_factory=Faults)
    """What else goes wrong: stalls, unplugged devices, clocks that start anew, late deliveries."""
    scene: Literal["play", "board"] = "play"
    """`play`: a hand takes an object. `board`: a person shows a ChArUco board to the cameras, for calibration."""
    noise: Literal["fresh", "cached"] = "fresh"
    """`cached` takes the noise of the still room from a ring of images: less work where only the load matters."""
    live: bool = False
    """Repeat the play without end, for previews; rendering goes on in the background."""
    depth: DepthNoise = field(default_factory=DepthNoise)
    """Errors of the depth cameras."""
    unkind: Unkindness = field(default_factory=Unkindness)
    """How far the true hand lies off the model."""
    clicks: _truth.ClickNoise = field(default_factory=_truth.ClickNoise)
    """Errors of the simulated annotator."""

    def __post_init__(self) -> None:
        # Written so that NaN fails too.
        for name, good, wanted in (
            ("seed", self.seed >= 0, "0 or more"),
            ("seconds", 0.0 < self.seconds <= _LONGEST_S, f"above 0 and at most {_LONGEST_S:g} (it is drawn ahead)"),
            ("drop_rate", 0.0 <= self.drop_rate < 0.5, "from 0 to below 0.5"),
            ("fps", 0 < self.fps <= 90, "from 1 to 90"),
            ("drift_ppm", abs(self.drift_ppm) <= 1e4, "from -10000 to 10000"),
            ("skew_ms", abs(self.skew_ms) <= 1e3, "from -1000 to 1000"),
            ("jitter_ms", 0.0 <= self.jitter_ms <= 10.0, "from 0 to 10"),
        ):
            if not good:
                raise ConfigError(f"the simulated rig needs {name} {wanted}, got {getattr(self, name)}.", "Correct it.")
        self.faults.check_devices(DEVICES)

    @property
    def frames(self) -> int:
        """Number of frames of each stream in a recording."""
        return max(round(self.seconds * self.fps), 2)


def open(config: Config) -> SimulatedRig:  # noqa: A001 - the device contract's name
    """Set the stage and open its three devices; nothing is rendered yet."""
    return SimulatedRig(config)


class EdgeSensor:
    """The 128x128 sensor: gray and edge images of one imager."""

    def __init__(self, streams: list[StreamInfo]) -> None:
        self.streams = streams
        self.failure: DeviceError | None = None
        """Why no more images will come; raised by `read`."""
        self._queue: queue.Queue[list[Frame]] = queue.Queue(256)

    def read(self, timeout_s: float) -> list[Frame]:
        """Wait for a pair of images; empty after the timeout.

        Raises:
            DeviceError: the rig has broken down.
        """
        if self.failure is not None:
            raise self.failure
        try:
            return self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return []

    def stop(self) -> None:
        """Release the sensor."""

    def deliver(self, frames: list[Frame]) -> None:
        """Hand a pair to the reader; the oldest is lost when nobody reads."""
        while True:
            try:
                self._queue.put_nowait(frames)
                return
            except queue.Full:
                self._queue.get_nowait()


@dataclass(frozen=True)
class _Drawn:
    """What moves in the images of one device at one frame; None where nothing does, or the device has no such image."""

    color: Patch | None = None
    """RGB."""
    depth: Patch | None = None
    """Ideal depth, m."""
    gray: U8 | None = None
    """(128, 128), the whole image before noise."""


class SimulatedRig:
    """Two software D435s and the sensor, played from one stage; a rig for the recorder."""

    name = "simulated"
    calibration = "simulated"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.whole = not config.live
        rng = np.random.default_rng([config.seed, 0])
        self.cameras = place_cameras(rng, config.calibration_error_px, config.calibration_error_m)
        self._clocks = _make_clocks(config, rng)
        lost = np.random.default_rng([config.seed, 2])
        count = 0 if config.live else config.frames
        self._drops = {name: choose_drops(lost, count, config.drop_rate) for name in DEVICES}
        self._banks = NoiseBanks(np.random.default_rng([config.seed, 3]))
        cast = choose_cast(config.seed, config.participant, config.object, config.side, config.unkind)
        self.stage = Stage(cast, self.cameras)
        self._base = {
            stream: _soften(still.color) if stream.endswith("/color") else still.color
            for stream, still in self.stage.stills.items()
        }
        self._moments = {name: self._moments_of(name) for name in DEVICES}
        self._drawn: dict[tuple[str, int], _Drawn] = {}
        self._start_host_ns = 0
        self._pushed = 0
        self._first = 0
        self._shown_at: list[int] = []
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._done = threading.Event()
        self._open_devices()

    @property
    def finished(self) -> bool:
        """Whether every frame has been pushed; never in live mode."""
        return self._done.is_set()

    @property
    def object_name(self) -> str:
        """Identifier of the object in the scene."""
        return self.stage.cast.play.model.name

    def prepare(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Render all frames ahead.

        Args:
            on_progress: called with the number of moments done and their total.
        """
        total = self.config.frames
        todo = [k for k in range(total) if (SENSOR, k) not in self._drawn]
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="render") as pool:
            for done, _ in enumerate(pool.map(self._draw, todo), total - len(todo) + 1):
                if on_progress is not None:
                    on_progress(done, total)
                if self._ending.is_set():
                    pool.shutdown(cancel_futures=True)
                    return

    def start(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Begin to deliver frames in real time; renders first unless in live mode."""
        if self._threads:
            return
        if self.config.live:
            self._spawn(self._draw_in_background, "draw")
        else:
            self.prepare(on_progress)
        self._spawn(self._play, "play")

    def rewind(self) -> None:
        """In live mode, begin the play anew with the next frame."""
        self._first = self._pushed

    def stop(self) -> None:
        """Stop playing and release the devices; does nothing the second time."""
        self._ending.set()
        for thread in self._threads:
            thread.join(timeout=10.0)
        self._threads = []
        for device in self.devices:
            device.stop()

    def __enter__(self) -> SimulatedRig:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def write_truth(self, sequence_dir: Path) -> None:
        """Write `truth.h5` into a sequence's folder: every frame that was played, at the times of `left/color`.

        In live mode, the frames that the folder's recording spans.
        """
        from hoi_core.sequence import write_truth

        numbers = self._recorded(sequence_dir) if self.config.live else np.arange(self.config.frames, dtype=np.int64)
        moments = _take(self._moments["left"], self._content(numbers))
        times = {name: self._clocks[name].true_ns(numbers) + self._start_host_ns for name in DEVICES}
        side = self.config.side
        streams = list(self.cameras.true)
        write_truth(
            sequence_dir,
            _truth.truth_revision(moments, times["left"], side, self.object_name),
            vertices_m=moments.vertices_m.astype(np.float32),
            cameras=self.cameras.true,
            clocks={stream: (numbers, times[stream.split("/")[0]]) for stream in streams},
            drops=[(s, n, "injected") for s in streams for n in sorted(self._drops[s.split("/")[0]])],
        )

    def simulated_clicks(self, sequence_dir: Path) -> Revision:
        """Revision r000 of a recording of this rig: clicks of a simulated person, nothing else."""
        from hoi_core.sequence import open_capture

        with open_capture(sequence_dir) as capture:
            t_ns = np.asarray(capture.sync.t_ns)
            frame_index = {v: np.asarray(capture.sync.index[f"{v}/color"], np.int64) for v in VIEWS}
            recorded = {v: np.asarray(capture.views[v].color.frame_number, np.int64) for v in VIEWS}
        moments = {}
        for view in VIEWS:
            numbers = recorded[view][np.maximum(frame_index[view], 0)]
            moments[view] = _take(self._moments[view], self._content(numbers))
        keypoints = _truth.click(self.stage, moments, frame_index, self.config.clicks, self.config.seed)
        every, sigma = self.config.clicks.every, self.config.clicks.sigma_px
        comment = f"The simulator plays the annotator: truth plus {sigma:g} px on every {every}th moment."
        return _truth.clicked_revision(t_ns, self.config.side, keypoints, frame_index, comment)

    def _recorded(self, sequence_dir: Path) -> I64:
        """Frame numbers from the first to the last frame of a recording's left view."""
        from hoi_core.sequence import open_capture

        with open_capture(sequence_dir) as capture:
            numbers = np.asarray(capture.views["left"].color.frame_number, np.int64)
        return np.arange(numbers[0], numbers[-1] + 1, dtype=np.int64)

    def _open_devices(self) -> None:
        self._context = rs.context()
        # A software device is listed only as long as somebody holds the notice of its arrival.
        self._notices: list[object] = []
        self._context.set_devices_changed_callback(lambda info: self._notices.append((info, info.get_new_devices())))
        self._software: dict[str, SoftwareD435] = {}
        self.devices: list[realsense.RealSense | EdgeSensor] = []
        true, fps = self.cameras.true, self.config.fps
        for view in VIEWS:
            device = SoftwareD435(
                _SERIALS[view], true[f"{view}/color"], true[f"{view}/depth"], self.cameras.T_color_depth, fps
            )
            device.add_to(self._context)
            self._software[view] = device
            self.devices.append(
                realsense.open(
                    realsense.Config(
                        serial=_SERIALS[view],
                        view=view,
                        fps=fps,
                        silence_s=120.0,
                        camera=self.cameras.calibrated[f"{view}/color"],
                    ),
                    self._context,
                )
            )
        self._sensor = EdgeSensor(
            [
                StreamInfo(s, "sensor", (128, 128), "uint8", float(fps), self.cameras.calibrated[s], _SERIALS[SENSOR])
                for s in (f"{SENSOR}/gray", f"{SENSOR}/edge")
            ]
        )
        self.devices.append(self._sensor)

    def _moments_of(self, name: str) -> Moments:
        """Hand and object at the true times of a device's frames, as far as they are drawn."""
        numbers = np.arange(self.config.frames, dtype=np.int64)
        return self.stage.cast.play.at(np.asarray(self._clocks[name].true_ns(numbers) * 1e-9, np.float64))

    def _content(self, numbers: I64) -> I64:
        """Which drawn frame was shown at a frame number: in live mode the play repeats, and waits for the renderer."""
        if self.config.live:
            return np.array(self._shown_at, np.int64)[numbers]
        return np.minimum(numbers, self.config.frames - 1)

    def _spawn(self, job: Callable[[], None], name: str) -> None:
        def run() -> None:
            try:
                job()
            except Exception as error:  # noqa: BLE001 - a thread that ends unseen would leave everybody waiting
                reason = f"{type(error).__name__}: {error}"
                self._sensor.failure = DeviceError(f"the simulated rig cannot {name}: {reason}.", "Report it.")

        thread = threading.Thread(target=run, name=f"simulated {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _draw(self, k: int) -> None:
        """Render what moves in frame `k` of every device."""
        for name in DEVICES:
            meshes = self.stage.meshes(self._moments[name], k)
            if name == SENSOR:
                self._drawn[name, k] = _Drawn(gray=self.stage.sensor(meshes))
                continue
            color = self.stage.color(name, meshes)
            soft = Patch(color.window, _soften(np.asarray(color.image, np.uint8)))
            self._drawn[name, k] = _Drawn(soft, self.stage.depth(name, meshes))

    def _draw_in_background(self) -> None:
        for k in range(self.config.frames):
            if self._ending.is_set():
                return
            self._draw(k)

    def _play(self) -> None:
        """Push every frame at its own true time."""
        # Frames arrive at mid-exposure: whoever fits a clock to arrivals cannot tell the least delay from an offset.
        self._start_host_ns = time.monotonic_ns() + 60_000_000
        order = sorted(DEVICES, key=lambda name: self._clocks[name].phase_ns)
        n = 0
        while not self._ending.is_set() and (self.config.live or n < self.config.frames):
            k = self._next(n)
            self._shown_at.append(k)
            # All images are ready before the first is due, so that none is late for the sake of another.
            images = {name: self._develop(name, k, n) for name in order if n not in self._drops[name]}
            for name, pair in images.items():
                true_ns = self._clocks[name].true_ns(np.array([n], np.int64))
                wait = (self._start_host_ns + int(true_ns[0]) - time.monotonic_ns()) * 1e-9
                if wait > 0 and self._ending.wait(wait):
                    return
                self._deliver(name, n, int(self._clocks[name].device_ns(true_ns)[0]), pair)
            n += 1
            self._pushed = n
        self._done.set()

    def _next(self, n: int) -> int:
        """The drawn frame to show as frame `n`; in live mode the last one that is ready."""
        k = (n - self._first) % self.config.frames
        while k > 0 and any((name, k) not in self._drawn for name in DEVICES):
            k -= 1
        return k

    def _develop(self, name: str, k: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Full images of frame `n`, noise included: colour and depth, or gray and edge."""
        rng = np.random.default_rng([self.config.seed, 4, DEVICES.index(name), n])
        drawn = self._drawn.get((name, k), _Drawn())
        if name == SENSOR:
            gray = drawn.gray if drawn.gray is not None else edges.gray(self._base[f"{SENSOR}/gray"])
            noisy = expose(gray, *_SENSOR_NOISE, self._banks, rng)
            return noisy, edges.sobel_edges(noisy)
        color = _composed(self._base[f"{name}/color"], drawn.color)
        depth_m = _composed(self.stage.empty_depth_m[f"{name}/depth"], drawn.depth)
        focal = self.cameras.true[f"{name}/depth"].fx
        return (
            expose(color, *_COLOR_NOISE, self._banks, rng),
            measure_depth(depth_m, focal, self.config.depth, self._banks, rng),
        )

    def _deliver(self, name: str, n: int, device_ns: int, images: tuple[np.ndarray, np.ndarray]) -> None:
        domain = self.config.clock_domain
        if name == SENSOR:
            host = time.monotonic_ns()
            self._sensor.deliver(
                [
                    Frame(info.name, n, device_ns, host, domain, image, 8000.0, 16.0)
                    for info, image in zip(self._sensor.streams, images, strict=True)
                ]
            )
            return
        self._software[name].push(Shot(n, device_ns * 1e-6, domain), images[0], images[1])


def _make_clocks(config: Config, rng: np.random.Generator) -> dict[str, DeviceClock]:
    """Clocks of the three devices; with `global_time` they all count the host's clock."""
    phases = {"left": 0.0, "right": config.skew_ms, SENSOR: 0.5 * config.skew_ms}
    drifts = {"left": 1.0, "right": -1.0, SENSOR: 0.5}
    own = config.clock_domain == "hardware_clock"
    now = time.time_ns()
    return {
        name: DeviceClock(
            fps=config.fps,
            phase_ns=round(phases[name] * 1e6),
            drift_ppm=config.drift_ppm * drifts[name] if own else 0.0,
            offset_ns=round(rng.uniform(100.0, 1000.0) * 1e9) if own else now,
            jitter_ns=round(config.jitter_ms * 1e6),
            seed=zlib.crc32(f"{config.seed} {name}".encode()),
        )
        for name in DEVICES
    }


def _soften(image: U8) -> U8:
    """The blur of lens and demosaicing."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _BLUR_PX), np.uint8)


def _composed(base: np.ndarray, patch: Patch | None) -> np.ndarray:
    """The still image with what moves laid over it."""
    image = base.copy()
    if patch is not None:
        x0, y0, x1, y1 = patch.window
        image[y0:y1, x0:x1] = patch.image
    return image


def _take(moments: Moments, index: I64) -> Moments:
    """Moments by index. `(M,)`."""

    def pick(values: F64) -> F64:
        return values[index]

    return Moments(
        pick(moments.orient),
        pick(moments.pose),
        moments.betas,
        pick(moments.trans_m),
        pick(moments.joints_m),
        pick(moments.vertices_m),
        pick(moments.T_world_obj),
    )
