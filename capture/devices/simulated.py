"""The simulated rig: a twin of the laboratory whose cameras are librealsense software devices.

A hand takes an object between two virtual D435s and a 128x128 edge sensor, or a person shows them a board. Images are
pushed in real time; everything after that is the code that records a real D435.
"""

from __future__ import annotations

import threading
import time
import zlib
from array import array
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from capture.calibrate.board import Board
from capture.simulation.board_scene import BoardScene
from capture.simulation.clocks import DeviceClock, choose_drops, dropper
from capture.simulation.develop import Images, Lab
from capture.simulation.faults import Faults
from capture.simulation.film import Reel
from capture.simulation.noise import DepthNoise
from capture.simulation.outlets import DEVICES, Outlets
from capture.simulation.play_scene import PlayScene
from capture.simulation.player import Player
from capture.simulation.props import write_mesh
from capture.simulation.timeline import Timeline
from capture.simulation.truth import ClickNoise
from capture.simulation.turntable_scene import TurntableScene
from capture.simulation.twin import SENSOR, VIEWS, Stage, choose_cast, place_cameras
from hoi_core.conventions import Side
from hoi_core.errors import ConfigError, DeviceError
from hoi_core.scene.unkind import Unkindness
from hoi_core.types import I64, Camera, Revision

_WORKERS = 2
_LONGEST_S = 86_400.0
_MOST_DRAWN_S = 60.0
_REWIND_S = 1.0


@dataclass(frozen=True)
class Config:
    """What the simulated rig plays and how unkind it is."""

    seed: int = 0
    """Decides motion, light, room and noise: the same seed gives the same images and the same truth."""
    seconds: float = 6.0
    """Length of a recording; what lasts longer than `drawn_s` is shown forwards and backwards."""
    drawn_s: float = 6.0
    """How much of the play is drawn and kept in memory, about 0.1 GB for each second; the play itself takes 6 s."""
    object: str = "o03"
    """Object, `o01` ... `o08` or its kind, such as `mug`."""
    participant: str = "p01"
    """Decides the hand: shape, deviation from the model, skin."""
    side: Side = "right"
    """Which hand plays."""
    hands: Literal["one", "both"] = "one"
    """`both`: the other hand hovers beside, and moves."""
    pace: float = 1.0
    """How fast it plays: at 2.0 the play of 6 s takes 3 s."""
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
    scene: Literal["play", "board", "turntable"] = "play"
    """`play`: a hand takes an object. `board`: a person shows a ChArUco board to the cameras, for calibration.
    `turntable`: the object stands on that board, which turns once around in 11.5 s, for a scan."""
    board: Board = field(default_factory=Board)
    """The board that is shown."""
    noise: Literal["fresh", "cached"] = "fresh"
    """`cached` keeps images of the play with their noise: little work per frame, for long recordings under load."""
    live: bool = False
    """Play without end, for previews; rendering goes on in the background."""
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    """Calibrated cameras by view or sensor, as a calibration found them; those missing come from the simulator."""
    calibration: str = "simulated"
    """Name of the calibration that `cameras` come from."""
    depth: DepthNoise = field(default_factory=DepthNoise)
    """Errors of the depth cameras."""
    unkind: Unkindness = field(default_factory=Unkindness)
    """How far the true hand lies off the model."""
    clicks: ClickNoise = field(default_factory=ClickNoise)
    """Errors of the simulated annotator."""

    def __post_init__(self) -> None:
        # Written so that NaN fails too.
        for name, good, wanted in (
            ("seed", self.seed >= 0, "0 or more"),
            ("seconds", 0.0 < self.seconds <= _LONGEST_S, f"above 0 and at most {_LONGEST_S:g}"),
            ("drawn_s", 0.5 <= self.drawn_s <= _MOST_DRAWN_S, f"from 0.5 to {_MOST_DRAWN_S:g} (it stays in memory)"),
            ("drop_rate", 0.0 <= self.drop_rate < 0.5, "from 0 to below 0.5"),
            ("pace", 0.1 <= self.pace <= 10.0, "from 0.1 to 10"),
            ("fps", 0 < self.fps <= 90, "from 1 to 90"),
            ("drift_ppm", abs(self.drift_ppm) <= 1e4, "from -10000 to 10000"),
            ("skew_ms", abs(self.skew_ms) <= 1e3, "from -1000 to 1000"),
            ("jitter_ms", 0.0 <= self.jitter_ms <= 10.0, "from 0 to 10"),
        ):
            if not good:
                raise ConfigError(f"the simulated rig needs {name} {wanted}, got {getattr(self, name)}.", "Correct it.")
        self.faults.check_devices(DEVICES)
        last = self.faults.last_s
        if not self.live and last > self.seconds - 2.0 / self.fps:
            raise ConfigError(
                f"a fault lasts until {last:g} s of a recording of {self.seconds:g} s: frames must come after it.",
                "Record longer, or end the fault earlier.",
            )

    @property
    def frames(self) -> int:
        """Number of frames of each stream in a recording."""
        return max(round(self.seconds * self.fps), 2)


def open(config: Config) -> SimulatedRig:  # noqa: A001 - the device contract's name
    """Set the stage and open its three devices; nothing is rendered yet."""
    return SimulatedRig(config)


class SimulatedRig:
    """Two software D435s and the sensor, played from one stage; a rig for the recorder."""

    name = "simulated"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.calibration = config.calibration
        self.whole = not config.live
        rng = np.random.default_rng([config.seed, 0])
        self.cameras = place_cameras(rng, config.calibration_error_px, config.calibration_error_m)
        self.cameras = self.cameras.recalibrated(config.cameras)
        loop = config.scene != "board" and (config.live or config.seconds > config.drawn_s)
        drawn = max(round(min(config.seconds, config.drawn_s) * config.fps), 2)
        reel = Reel(drawn, loop, float(config.fps))
        self.clocks = _make_clocks(config, rng, reel)
        """Device -> when it exposes, and what its clock says then."""
        self.timelines = self._make_timelines()
        """Device -> which of its frames come."""
        focal_px = {view: self.cameras.true[f"{view}/depth"].fx for view in VIEWS}
        lab = Lab(config.seed, DEVICES, focal_px, config.depth)
        cast = choose_cast(
            config.seed, config.participant, config.object, config.side, config.unkind, both=config.hands == "both"
        )
        self.stage = Stage(cast, self.cameras)
        self.scene: PlayScene | BoardScene | TurntableScene
        if config.scene == "board":
            path = np.random.default_rng([config.seed, 5])
            self.scene = BoardScene(self.stage, config.board, self.clocks, lab, path)
        elif config.scene == "turntable":
            path = np.random.default_rng([config.seed, 6])
            self.scene = TurntableScene(self.stage, config.board, reel, self.clocks, lab, path)
        else:
            self.scene = PlayScene(
                self.stage, reel, self.clocks, lab, stocked=config.noise == "cached", pace=config.pace
            )
        """What the devices see."""
        self._outlets = Outlets(self.cameras, config.fps, config.clock_domain)
        self.devices = self._outlets.devices
        self._shown = array("q")
        self._slot = -1
        order = sorted(DEVICES, key=lambda name: self.clocks[name].phase_ns)
        frames = None if config.live else config.frames
        self._player = Player({n: self.timelines[n] for n in order}, self._develop, self._outlets, frames)
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def finished(self) -> bool:
        """Whether every frame has been pushed; never in live mode."""
        return self._player.finished.is_set()

    @property
    def object_name(self) -> str:
        """Identifier of the object in the scene."""
        return self.scene.object_name

    @property
    def true_cameras(self) -> Mapping[str, Camera]:
        """Stream -> its true camera."""
        return self.cameras.true

    def prepare(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Render all frames ahead.

        Args:
            on_progress: called with the number of moments done and their total.
        """
        slots = self.scene.slots_to_draw()
        todo = [slot for slot in slots if not self.scene.ready(slot)]
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="render") as pool:
            for done, _ in enumerate(pool.map(self.scene.draw, todo), len(slots) - len(todo) + 1):
                if on_progress is not None:
                    on_progress(done, len(slots))
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
        self._spawn(self._expose, "expose")
        self._spawn(self._player.deliver, "play")

    def rewind(self) -> None:
        """In live mode, begin the play anew; returns when all frames of what went on before are delivered."""
        self._player.at_next_frame(self._restart_film, _REWIND_S)

    def stop(self) -> None:
        """Stop playing and release the devices; does nothing the second time."""
        self._ending.set()
        self._player.end()
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

        In live mode, the frames that the folder's recording spans. Frame numbers go on where a device's counter began
        anew, as they do in the recording.
        """
        from hoi_core.sequence import write_truth

        numbers = self._recorded(sequence_dir) if self.config.live else np.arange(self.config.frames, dtype=np.int64)
        times = {name: self.clocks[name].true_ns(numbers) + self._player.start_host_ns for name in DEVICES}
        revision, vertices_m = self.scene.truth(self._slots(numbers), times["left"])
        more = self.scene.other_vertices_m(self._slots(numbers)) if isinstance(self.scene, PlayScene) else {}
        streams = list(self.cameras.true)
        span = range(int(numbers[0]), int(numbers[-1]) + 1)
        lost = {name: sorted((n, why) for n, why in t.lost.items() if n in span) for name, t in self.timelines.items()}
        write_truth(
            sequence_dir,
            revision,
            vertices_m=vertices_m,
            more_vertices_m=more,
            cameras=self.cameras.true,
            clocks={stream: (numbers, times[stream.split("/")[0]]) for stream in streams},
            drops=[(stream, n, why) for stream in streams for n, why in lost[stream.split("/")[0]]],
        )

    def write_meshes(self, root: Path) -> None:
        """Give a dataset the mesh of the object that is played with; what is to be scanned gets none."""
        if isinstance(self.scene, PlayScene):
            write_mesh(root, self.stage.cast.play.model)

    def simulated_clicks(self, sequence_dir: Path) -> Revision:
        """Revision r000 of a recording of this rig: clicks of a simulated person, nothing else."""
        from hoi_core.sequence import open_capture

        with open_capture(sequence_dir) as capture:
            t_ns = np.asarray(capture.sync.t_ns)
            frame_index = {v: np.asarray(capture.sync.index[f"{v}/color"], np.int64) for v in VIEWS}
            recorded = {v: np.asarray(capture.views[v].color.frame_number, np.int64) for v in VIEWS}
        slots = {view: self._slots(recorded[view][np.maximum(frame_index[view], 0)]) for view in VIEWS}
        return self.scene.clicks(t_ns, slots, frame_index, self.config.clicks, self.config.seed)

    def _recorded(self, sequence_dir: Path) -> I64:
        """Frame numbers from the first to the last frame of a recording's left view."""
        from hoi_core.sequence import open_capture

        with open_capture(sequence_dir) as capture:
            numbers = np.asarray(capture.views["left"].color.frame_number, np.int64)
        return np.arange(numbers[0], numbers[-1] + 1, dtype=np.int64)

    def _slots(self, numbers: I64) -> I64:
        """Slots of the film that were shown at frame numbers `(N,)`."""
        if self.config.live:
            return np.array(self._shown, np.int64)[numbers]
        return np.array([self.scene.reel.slot(int(n)) for n in numbers], np.int64)

    def _make_timelines(self) -> dict[str, Timeline]:
        config = self.config
        rng = np.random.default_rng([config.seed, 2])
        timelines = {}
        for k, name in enumerate(DEVICES):
            if config.live:
                dropped = dropper([config.seed, 2, k], config.drop_rate)
            else:
                dropped = choose_drops(rng, config.frames, config.drop_rate).__contains__
            own = config.clock_domain == "hardware_clock"
            timelines[name] = Timeline(name, self.clocks[name], config.faults, dropped, own)
        return timelines

    def _spawn(self, job: Callable[[], None], name: str) -> None:
        def run() -> None:
            try:
                job()
            except Exception as error:  # noqa: BLE001 - a thread that ends unseen would leave everybody waiting
                reason = f"{type(error).__name__}: {error}"
                self._outlets.fail(DeviceError(f"the simulated rig cannot {name}: {reason}.", "Report it."))

        thread = threading.Thread(target=run, name=f"simulated {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _draw_in_background(self) -> None:
        for slot in self.scene.slots_to_draw():
            if self._ending.is_set():
                return
            self.scene.draw(slot)

    def _expose(self) -> None:
        # Compiled code is loaded with the first images: they shall not be late for it.
        for name in DEVICES:
            self.scene.develop(name, 0, 0)
        self._player.begin()
        self._player.make()

    def _restart_film(self) -> None:
        self._slot = -1

    def _develop(self, name: str, n: int) -> Images:
        """The images of a device's frame."""
        return self.scene.develop(name, self._slot_of(n), n)

    def _slot_of(self, n: int) -> int:
        if not self.config.live:
            return self.scene.reel.slot(n)
        while len(self._shown) <= n:
            # Where the next slot is not drawn yet, the scene stands still until it is.
            following = self.scene.reel.slot(self._slot + 1)
            if self._slot < 0 or self.scene.ready(following):
                self._slot = following
            self._shown.append(self._slot)
        return self._shown[n]


def _make_clocks(config: Config, rng: np.random.Generator, reel: Reel) -> dict[str, DeviceClock]:
    """Clocks of the three devices; with `global_time` they all count the host's clock."""
    phases = {"left": 0.0, "right": config.skew_ms, SENSOR: 0.5 * config.skew_ms}
    drifts = {"left": 1.0, "right": -1.0, SENSOR: 0.5}
    own = config.clock_domain == "hardware_clock"
    now = time.time_ns()
    loop = {"jitter_period": reel.slots} if reel.loop else {}
    return {
        name: DeviceClock(
            fps=config.fps,
            phase_ns=round(phases[name] * 1e6),
            drift_ppm=config.drift_ppm * drifts[name] if own else 0.0,
            offset_ns=round(rng.uniform(100.0, 1000.0) * 1e9) if own else now,
            jitter_ns=round(config.jitter_ms * 1e6),
            seed=zlib.crc32(f"{config.seed} {name}".encode()),
            # What is shown again and again must be seen at the same times each time.
            paced=not (reel.loop or config.live),
            **loop,
        )
        for name in DEVICES
    }
