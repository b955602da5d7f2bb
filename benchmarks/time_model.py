"""How far modelled times lie from the truth, and how well the motion in images shows what arrival times cannot.

python benchmarks/time_model.py                                        (some two minutes)
python benchmarks/time_model.py --offsets 16                           (the table of docs/time.md: seven minutes)
python benchmarks/time_model.py --recordings 8                         (a minute more for each; needs a quiet machine)

The first table is of arrival series made by formulas of their own: offset, drift, two kinds of 2 ms jitter, stalls of
the host, a clock that is reset in the middle. A constant least delay cannot be seen in arrivals; it is left out there.

The second is of the offset between views that the images' motion shows: two plays of 6 s, of two objects, in a
simulated rig whose clocks are 50 ms apart at most. Seeds from 100 on are held out: nothing was tuned on them.

The third is of recordings of the simulated rig: drift of 100 ppm, 2 ms of jitter, two clock resets, and two of the
three devices deliver 10 to 50 ms late, which only the motion in the images shows.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capture.continuity import Continuity
from capture.simulation.clocks import DeviceClock
from capture.simulation.develop import Lab
from capture.simulation.film import Reel
from capture.simulation.noise import DepthNoise
from capture.simulation.play_scene import PlayScene
from capture.simulation.twin import VIEWS, Cameras, Stage, choose_cast, place_cameras
from hoi_core.conventions import Side
from hoi_core.scene.unkind import Unkindness
from hoi_core.sequence import Clock
from hoi_core.types import F64, I64, Camera, Frame, StreamInfo

_PERIOD_NS = 33_333_333
_HELD_OUT = 100
"""Seeds below were used to choose the numbers in `capture.motion` and `capture.depth_motion`."""
_PLAY_FRAMES = 180
_APART_NS = 6_700_000_000
"""Begin to begin of two plays; the jump between them falls between two blocks of the track."""
_IMAGE = np.zeros((2, 2), np.uint8)
_INFO = StreamInfo("left/color", "camera", (2, 2), "uint8", 30.0, Camera(2, 2, 1.0, 1.0, 0.0, 0.0), "1")


def delays_ns(kind: str, count: int, rng: np.random.Generator) -> F64:
    """Jitter of 2 ms, and a host that stalls for one frame in twenty."""
    jitter = rng.normal(0.0, 2e6, count)
    late = (rng.random(count) < 0.05) * rng.uniform(0.0, 80e6, count)
    return np.asarray((np.abs(jitter) if kind == "delivery" else jitter) + late, dtype=np.float64)


def series(
    seconds: float, offset_ms: float, drift_ppm: float, kind: str, reset: bool, seed: int
) -> tuple[I64, list[Frame]]:
    """True times of the frames of a camera, and the frames as they arrive."""
    rng = np.random.default_rng(seed)
    count = int(seconds * 30)
    true = 10**12 + np.arange(count, dtype=np.int64) * _PERIOD_NS
    device = np.rint((true - true[0]) * (1.0 + drift_ppm * 1e-6)).astype(np.int64) + round(offset_ms * 1e6)
    if reset:
        half = count // 2
        device[half:] -= device[half] - int(rng.integers(0, 10**9))
    host = true + np.rint(delays_ns(kind, count, rng)).astype(np.int64)
    frames = [
        Frame(_INFO.name, k, int(d), int(h), "hardware_clock", _IMAGE)
        for k, (d, h) in enumerate(zip(device, host, strict=True))
    ]
    return true, frames


def worst_ms(true: I64, frames: list[Frame]) -> tuple[float, float]:
    """Worst and median distance of modelled from true times, of all frames, ms."""
    continuity = Continuity([_INFO])
    out = [frame for raw in frames for frame in continuity.continue_(raw)] + continuity.flush()
    clock = continuity.clock(exact=True)
    if clock is None or len(out) != len(true):
        return float("inf"), float("inf")
    modelled = clock.to_common_ns(np.array([frame.t_device_ns for frame in out], dtype=np.int64))
    error = np.abs(modelled - true) * 1e-6
    return float(error.max()), float(np.median(error))


def clock_rows(seeds: int) -> Iterator[dict[str, object]]:
    """The grid of the clock models."""
    grid = itertools.product((6.0, 60.0), ("delivery", "two-sided"), (False, True), (-100.0, 0.0, 100.0))
    for seconds, kind, reset, drift_ppm in grid:
        found = [
            worst_ms(*series(seconds, offset_ms, drift_ppm, kind, reset, seed))
            for seed in range(seeds)
            for offset_ms in (-50.0, 50.0)
        ]
        yield {
            "seconds": seconds,
            "jitter": kind,
            "reset": reset,
            "drift_ppm": drift_ppm,
            "worst_ms": max(worst for worst, _ in found),
            "median_ms": float(np.median([middle for _, middle in found])),
        }


def offset_rows(seeds: int) -> Iterator[dict[str, object]]:
    """Offsets between views as the motion of two plays shows them, from rendered images without any recording."""
    from capture.motion import MotionTrack, estimate

    for seed in range(_HELD_OUT, _HELD_OUT + seeds):
        rng = np.random.default_rng([seed, 7])
        late_ns = {name: int(rng.uniform(-50e6, 50e6)) for name in ("left", "right", "edge128")}
        cameras = place_cameras(np.random.default_rng([seed, 0]), error_px=0.3, error_m=0.001)
        track = MotionTrack([_depth_info(cameras, view) for view in VIEWS])
        for name, t_ns, image in itertools.chain(_play(seed, 0, cameras), _play(seed, 1, cameras)):
            track.add(name, t_ns, image)
        names = {*track.streams, *(f"{view}/depth" for view in VIEWS)}
        clocks = {name: Clock.line(0, late_ns[name.split("/", 1)[0]], 0.0) for name in names}
        for name, found in sorted(estimate(track, clocks, "left/color").items()):
            true_ns = late_ns["left"] - late_ns[name.split("/", 1)[0]]
            yield {
                "seed": seed,
                "view": name,
                "error_ms": (found.offset_ns - true_ns) * 1e-6,
                "sigma_ms": found.sigma_ns * 1e-6,
                "sure": found.sure,
            }


def _depth_info(cameras: Cameras, view: str) -> StreamInfo:
    camera = cameras.calibrated[f"{view}/depth"]
    return StreamInfo(f"{view}/depth", "camera", (480, 640), "uint16", 30.0, camera, view, depth_scale_m=1e-3)


def _play(seed: int, take: int, cameras: Cameras) -> Iterator[tuple[str, int, NDArray[np.generic]]]:
    """Images of one play before a rig with their true times; takes follow each other."""
    side: Side = "left" if seed % 3 == 2 else "right"
    chosen = [choose_cast(s, "p01", f"o{1 + s % 8:02d}", side, Unkindness()) for s in (seed, seed + 51)]
    # Another object and another motion, in the same room.
    stage = Stage(replace(chosen[0], play=chosen[take].play), cameras)
    late_ms = {"left": 0.0, "right": float(np.random.default_rng([seed, 8]).uniform(-15.0, 15.0)), "edge128": 5.0}
    clocks = {
        name: DeviceClock(30.0, phase_ns=round(ms * 1e6), drift_ppm=0.0, offset_ns=0, jitter_ns=20_000, seed=seed + k)
        for k, (name, ms) in enumerate(late_ms.items())
    }
    focal_px = {view: cameras.true[f"{view}/depth"].fx for view in VIEWS}
    lab = Lab(seed, tuple(late_ms), focal_px, DepthNoise())
    scene = PlayScene(stage, Reel(_PLAY_FRAMES, loop=False, fps=30.0), clocks, lab)
    for k in range(_PLAY_FRAMES):
        scene.draw(k)
        for name, clock in clocks.items():
            t_ns = int(clock.true_ns(np.array([k]))[0]) + take * _APART_NS
            kinds = ("color", "depth") if name in VIEWS else ("gray",)
            for kind, image in zip(kinds, scene.develop(name, k, k + take * _PLAY_FRAMES), strict=False):
                yield f"{name}/{kind}", t_ns, image


def recorded_rows(seeds: int, seconds: float) -> Iterator[dict[str, object]]:
    """Recordings of the simulated rig in real time, everything injected at once, against its truth."""
    from capture.devices import simulated
    from capture.recorder import record
    from capture.simulation.faults import ClockReset, Faults
    from hoi_core.sequence import CaptureHeader, open_capture, open_truth

    for seed in range(_HELD_OUT, _HELD_OUT + seeds):
        rng = np.random.default_rng([seed, 99])
        fast = str(rng.choice(["left", "right", "edge128"]))
        latency_ms = {name: float(rng.uniform(10.0, 50.0)) for name in ("left", "right", "edge128") if name != fast}
        resets = (ClockReset("left", 0.35 * seconds), ClockReset("right", 0.6 * seconds))
        faults = Faults(latency_ms=latency_ms, delay_jitter_ms=2.0, clock_resets=resets)
        config = simulated.Config(seed=seed, seconds=seconds, drift_ppm=100.0, faults=faults)
        with tempfile.TemporaryDirectory() as root, simulated.open(config) as rig:
            rig.prepare()
            folder = record(rig, CaptureHeader("seq_001"), Path(root), seconds + 5.0).path.parent
            rig.write_truth(folder)
            with open_capture(folder) as capture, open_truth(folder) as truth:
                for name in ("left/color", "right/color", "edge128/gray"):
                    stream, clock = capture.streams[name], capture.clocks[name]
                    numbers, true_ns = truth.clocks[name]
                    at = true_ns[np.searchsorted(numbers, stream.frame_number)]
                    error = (clock.to_common_ns(stream.t_device_ns) - at) * 1e-6
                    yield {
                        "seed": seed,
                        "stream": name,
                        "injected_ms": latency_ms.get(name.split("/", 1)[0], 0.0),
                        "motion_ms": clock.motion_offset_ns * 1e-6,
                        "sigma_ms": clock.motion_sigma_ns * 1e-6,
                        "median_ms": float(np.median(error)),
                        "worst_ms": float(np.abs(error).max()),
                    }


def main() -> None:
    """Show and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="series for each row of the clock table")
    parser.add_argument("--offsets", type=int, default=4, help="rigs of the table of offsets between views")
    parser.add_argument("--recordings", type=int, default=0, help="recordings of the simulated rig")
    parser.add_argument("--seconds", type=float, default=24.0, help="length of each")
    parser.add_argument("--json", type=Path, help="write the rows here")
    given = parser.parse_args()
    rows: list[dict[str, object]] = []
    clocks = clock_rows(given.seeds) if given.seeds else ()
    tables = (clocks, offset_rows(given.offsets), recorded_rows(given.recordings, given.seconds))
    for row in itertools.chain(*tables):
        rows.append(row)
        shown = (f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
        sys.stdout.write("  ".join(shown) + "\n")
        sys.stdout.flush()
    for what, key in (("series", "jitter"), ("recordings", "stream")):
        worst = [float(str(row["worst_ms"])) for row in rows if key in row]
        if worst:
            good = sum(value < 2.0 for value in worst)
            sys.stdout.write(f"{what}: worst {max(worst):.2f} ms of all frames; {good} of {len(worst)} below 2 ms\n")
    for which in ("right/color", "edge128/gray"):
        found = [row for row in rows if row.get("view") == which]
        sure = [abs(float(str(row["error_ms"]))) for row in found if row["sure"]]
        if found:
            wrong, worst_sure = sum(error >= 2.0 for error in sure), max(sure, default=0.0)
            sys.stdout.write(
                f"{which}: sure {len(sure)} of {len(found)}; {wrong} of them wrong by 2 ms, worst {worst_sure:.2f}\n"
            )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf8")


if __name__ == "__main__":
    main()
