"""Our recorder beside librealsense's own, on the same frames: CPU, by thread, and bytes a minute.

Two software D435s (640x480 colour and depth, 30 fps, noise as real imagers have) are pushed in real time. Each case
runs in a process of its own, in turn: nobody records (what pushing costs), librealsense records (`rs.recorder`, one
.db3 for each camera), we record (both cameras and a 128x128 sensor, one capture.h5). What a recorder costs is the CPU
time of its process, from the first frame until its files are closed, minus that of the process in which nobody
recorded. Ratios are taken within each round, and of them the median: what else a machine does changes from minute to
minute. Frames that did not reach a file are counted: on a busy machine librealsense leaves some out, and its figures
are then of less work.

Example: python benchmarks/recorder.py --seconds 30 --rounds 3 --json recorder.json
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pyrealsense2 as rs
import tyro
from rich.console import Console
from rich.table import Table

from capture.device import BaseDevice
from capture.devices import realsense, simulated
from capture.session import CaptureSession
from capture.simulation.software_d435 import Shot, SoftwareD435
from capture.simulation.twin import place_cameras
from hoi_core.sequence import CaptureHeader
from hoi_core.types import Camera, Frame, StreamInfo

VIEWS = ("left", "right")
CASES = ("nobody", "librealsense", "ours")
FPS = 30
_FRAMES = 24
_LET_GO_S = 1.0
_STEADY_S = 0.3


@dataclass(frozen=True)
class Config:
    """What to measure."""

    seconds: float = 30.0
    """Length of each recording, s."""
    rounds: int = 1
    """How often each case is run."""
    folder: Path | None = None
    """Where to write; a temporary folder by default. What is written is deleted."""
    json: Path | None = None
    """Also write the figures to this file."""


def draw(path: Path) -> None:
    """Write noisy frames of the simulated rig: `<view>/<kind>` (N, H, W[, 3]) and `gray`, `edge` (N, 128, 128)."""
    rig = simulated.open(simulated.Config(seconds=2.0))
    found: dict[str, list[np.ndarray]] = {}
    rig.start()
    try:
        while not rig.finished:
            for device in rig.devices:
                for frame in device.read(0.01):
                    if frame.frame_number % 2 == 0:
                        found.setdefault(frame.stream, []).append(np.asarray(frame.image))
    finally:
        rig.stop()
    np.savez(path, **{name.replace("/", "_"): np.stack(images[:_FRAMES]) for name, images in found.items()})


class Sensor(BaseDevice):
    """The 128x128 sensor, handed its frames."""

    def __init__(self) -> None:
        camera = Camera(128, 128, 120.0, 120.0, 63.5, 63.5)
        self.streams = [
            StreamInfo(f"edge128/{kind}", "sensor", (128, 128), "uint8", FPS, camera, "edge128")
            for kind in ("gray", "edge")
        ]
        self._waiting: list[Frame] = []
        self._come = threading.Condition()

    def push(self, n: int, t_ns: int, images: tuple[np.ndarray, np.ndarray]) -> None:
        """Deliver a pair."""
        with self._come:
            self._waiting += [
                Frame(info.name, n, t_ns, t_ns, "host", image) for info, image in zip(self.streams, images, strict=True)
            ]
            self._come.notify()

    def read(self, timeout_s: float) -> list[Frame]:
        """Wait for a pair."""
        with self._come:
            if not self._waiting:
                self._come.wait(timeout_s)
            out, self._waiting = self._waiting, []
            return out


class Stand:
    """Two software D435s and a sensor, and the frames that are pushed through them; a rig for our session."""

    name, calibration, whole, finished = "bench", "", False, False

    def __init__(self, drawn: Path) -> None:
        with np.load(drawn) as stored:
            self._images = {name: stored[name] for name in stored.files}
        cameras = place_cameras(np.random.default_rng(0), 0.0, 0.0)
        self.context = rs.context()
        # A software device is listed only as long as somebody holds the notice of its arrival.
        self._notices: list[object] = []
        self.context.set_devices_changed_callback(lambda info: self._notices.append((info, info.get_new_devices())))
        self.cameras = {
            view: SoftwareD435(
                f"90000{k}",
                cameras.true[f"{view}/color"],
                cameras.true[f"{view}/depth"],
                cameras.T_color_depth,
                FPS,
            )
            for k, view in enumerate(VIEWS)
        }
        for camera in self.cameras.values():
            camera.add_to(self.context)
        self.sensor = Sensor()
        self.devices: list[realsense.RealSense | Sensor] = []

    def open(self) -> None:
        """Open the devices through our own streaming code."""
        cameras = [
            realsense.open(realsense.Config(camera.serial, view, 640, 480, FPS), self.context)
            for view, camera in self.cameras.items()
        ]
        self.devices = [*cameras, self.sensor]

    def start(self) -> None:
        """Nothing to start: `play` pushes."""

    def stop(self) -> None:
        """Release the devices."""
        for device in self.devices:
            device.stop()

    def play(self, frames: int) -> None:
        """Push in real time, from this thread."""
        begin = time.monotonic()
        count = len(self._images["left_color"])
        for n in range(frames):
            k = n % count
            t_ms = 1000.0 + n * 1000.0 / FPS
            for view, camera in self.cameras.items():
                camera.push(Shot(n, t_ms), self._images[f"{view}_color"][k], self._images[f"{view}_depth"][k])
            gray, edge = (self._images[f"edge128_{kind}"][k] for kind in ("gray", "edge"))
            self.sensor.push(n, time.monotonic_ns(), (gray, edge))
            wait = begin + (n + 1) / FPS - time.monotonic()
            if wait > 0:
                time.sleep(wait)


def cpu_by_thread() -> dict[int, float]:
    """CPU seconds of every thread of this process."""
    tick, out = os.sysconf("SC_CLK_TCK"), {}
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
        out[int(task.name)] = (int(fields[11]) + int(fields[12])) / tick
    return out


def run_case(case: str, drawn: Path, folder: Path, seconds: float) -> dict[str, object]:
    """Push for some seconds while one of the recorders runs, and say what it cost."""
    stand = Stand(drawn)
    close = {"nobody": _drop_all, "librealsense": _record_librealsense, "ours": _record_ours}[case](stand, folder)
    stand.play(FPS)  # what happens once, such as compiling, is not measured
    pushed = 2 * len(VIEWS) * (FPS + round(seconds * FPS))
    cpu, threads, begin = time.process_time(), cpu_by_thread(), time.monotonic()
    written = _size(folder)
    stand.play(round(seconds * FPS))
    elapsed = time.monotonic() - begin
    _wait_until_written(folder)
    cpu = time.process_time() - cpu
    names = {thread.native_id: thread.name.split(" ")[0] for thread in threading.enumerate()}
    spent: dict[str, float] = {}
    for task, after in cpu_by_thread().items():
        name = names.get(task, "librealsense")
        spent[name] = spent.get(name, 0.0) + (after - threads.get(task, 0.0)) / elapsed
    written = _size(folder) - written
    closing = time.process_time()
    kept = close()
    closing = time.process_time() - closing
    figures = {"case": case, "cpu": (cpu + closing) / elapsed, "threads": spent, "bytes_per_s": written / seconds}
    return figures | {"pushed": pushed, "kept": kept, "closing_cpu_s": closing}


def _wait_until_written(folder: Path) -> None:
    """Wait for what is queued: a recorder that lags behind is not cheaper for it."""
    before, steady = -1, 0
    while steady < 3:
        time.sleep(_STEADY_S)
        now = _size(folder)
        steady = steady + 1 if now == before else 0
        before = now


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _stream(device: rs.device) -> list[rs.sensor]:
    sensors = list(device.query_sensors())
    for sensor in sensors:
        sensor.open(list(sensor.get_stream_profiles()))
        sensor.start(rs.frame_queue(4))
    return sensors


def _devices(stand: Stand) -> dict[str, rs.device]:
    return {device.get_info(rs.camera_info.serial_number): device for device in stand.context.query_devices()}


def _drop_all(stand: Stand, folder: Path) -> Callable[[], int]:
    kept = [_stream(device) for device in _devices(stand).values()]
    return lambda: 0 * len(kept)


def _record_librealsense(stand: Stand, folder: Path) -> Callable[[], int]:
    recorders = [rs.recorder(str(folder / f"{serial}.db3"), device) for serial, device in _devices(stand).items()]
    kept = [_stream(recorder) for recorder in recorders]

    def close() -> int:
        """End; what reached the files is counted when this process has let go of them."""
        for sensor in (sensor for sensors in kept for sensor in sensors):
            sensor.stop()
            sensor.close()
        kept.clear()
        recorders.clear()
        gc.collect()
        time.sleep(_LET_GO_S)
        return 0

    return close


def _count_db3(folder: Path) -> int:
    """Images that reached librealsense's files; it says nothing of those that it leaves out."""
    count = 0
    for path in folder.glob("*.db3"):
        with sqlite3.connect(path) as file:
            topics = "select id from topics where name like '%/image/data%'"
            found = file.execute(f"select count(*) from messages where topic_id in ({topics})")
            count += int(found.fetchone()[0])
    return count


def _record_ours(stand: Stand, folder: Path) -> Callable[[], int]:
    stand.open()
    session = CaptureSession(stand, folder)
    session.start()
    session.begin(CaptureHeader("seq_001"), None)

    def close() -> int:
        report = session.stop_recording()
        session.stop()
        return sum(count for name, count in report.frames.items() if name.split("/")[0] in VIEWS)

    return close


def main(config: Config) -> None:
    """Run the cases in turn and print the table."""
    base = Path(tempfile.mkdtemp(prefix="recorder_", dir=config.folder))
    try:
        drawn = base / "drawn.npz"
        draw(drawn)
        rows: dict[str, list[dict]] = {case: [] for case in CASES}
        for k in range(config.rounds):
            for case in CASES:
                out, folder = base / f"{case}.json", base / f"{case}_{k}"
                folder.mkdir()
                code = "import sys, os, json, recorder; from pathlib import Path;"
                code += "r = recorder.run_case(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]));"
                code += "Path(sys.argv[5]).write_text(json.dumps(r)); os._exit(0)"
                arguments = [case, str(drawn), str(folder), str(config.seconds), str(out)]
                # One thread, as `hoi_cli` sets it for every command.
                environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONPATH": str(Path(__file__).parent)}
                subprocess.run([sys.executable, "-c", code, *arguments], check=True, env=environment)
                row = json.loads(out.read_text())
                row["kept"] += _count_db3(folder)
                rows[case].append(row)
                shutil.rmtree(folder)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    figures = summary(rows)
    show(figures)
    if config.json is not None:
        config.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf8")


def summary(rows: dict[str, list[dict]]) -> dict[str, object]:
    """Medians over the rounds."""
    floors = [row["cpu"] for row in rows["nobody"]]
    figures: dict[str, object] = {"pushing_cpu": median(floors)}
    cost = {case: [row["cpu"] - floor for row, floor in zip(rows[case], floors, strict=True)] for case in CASES[1:]}
    for case in CASES[1:]:
        figures[case] = {
            "cpu": median(cost[case]),
            "mb_per_minute": median(row["bytes_per_s"] for row in rows[case]) * 60e-6,
            "threads": {
                name: median(row["threads"].get(name, 0.0) for row in rows[case])
                for name in sorted({name for row in rows[case] for name in row["threads"]})
            },
            "closing_cpu_s": median(row["closing_cpu_s"] for row in rows[case]),
            "lost": sum(row["pushed"] - row["kept"] for row in rows[case]),
        }
    ours, theirs = figures["ours"], figures["librealsense"]
    threads = ours["threads"]  # type: ignore[index]
    figures["recorder_threads_cpu"] = threads.get("reader", 0.0) + threads.get("writer", 0.0)
    ratios = [mine / other for mine, other in zip(cost["ours"], cost["librealsense"], strict=True)]
    figures["cpu_ratios"], figures["cpu_ratio"] = ratios, median(ratios)
    figures["bytes_ratio"] = ours["mb_per_minute"] / theirs["mb_per_minute"]  # type: ignore[index]
    return figures


def show(figures: dict[str, object]) -> None:
    """Print the table."""
    table = Table("recorder", "CPU, share of a core", "MB a minute", "frames lost", "by thread")
    for case in CASES[1:]:
        row = figures[case]
        threads = ", ".join(f"{name} {share:.3f}" for name, share in row["threads"].items() if share > 0.002)  # type: ignore[index]
        table.add_row(case, f"{row['cpu']:.3f}", f"{row['mb_per_minute']:.0f}", str(row["lost"]), threads)  # type: ignore[index]
    console = Console()
    console.print(table)
    console.print(f"pushing alone: {figures['pushing_cpu']:.3f} of a core, taken off both")
    closing = ", ".join(f"{case} {figures[case]['closing_cpu_s']:.1f} s" for case in CASES[1:])  # type: ignore[index]
    console.print(f"CPU time to close the recording, in the table but not in the threads' figures: {closing}")
    console.print(f"our reader and writer threads: {figures['recorder_threads_cpu']:.3f} of a core (at most 0.4)")
    each = ", ".join(f"{ratio:.2f}" for ratio in figures["cpu_ratios"])  # type: ignore[attr-defined]
    console.print(f"CPU ours / librealsense: {figures['cpu_ratio']:.2f} (at most 0.5), by round {each}")
    console.print(f"bytes ours / librealsense: {figures['bytes_ratio']:.2f} (at most 1)")


if __name__ == "__main__":
    main(tyro.cli(Config))
