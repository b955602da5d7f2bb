"""A long recording of the simulated rig while things go wrong, against what is known to have gone wrong.

Frames are lost by chance, a camera stalls for two seconds, another is unplugged and plugged in again. Afterwards the
drop table must be exactly what the simulator withheld: every frame that it delivered is in the file, every frame that
it did not is listed. Memory is sampled all the while. What is written is deleted (about 2.4 GB a minute).

Example: python benchmarks/soak.py --minutes 10 --json soak.json
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from capture.devices import simulated
from capture.recorder import RecordReport, record
from capture.rig import make_header
from capture.simulation.faults import Faults, Stall, Unplug
from hoi_core.sequence import CaptureHeader, check_sequence, open_capture, open_truth, sequence_dir

_SAMPLE_S = 1.0
_SETTLED, _ENDING = 0.1, 0.9
_MOST_GROWTH_MB = 64.0
"""Memory counts as flat if it is so much higher at the end, after all faults, than after the start."""


@dataclass(frozen=True)
class Config:
    """How long, and what goes wrong."""

    minutes: float = 10.0
    """Length of the recording."""
    drop_rate: float = 0.01
    """Share of frames that each device loses."""
    stall_s: float = 2.0
    """How long the left camera delivers nothing."""
    unplug_s: float = 6.0
    """How long the right camera is unplugged."""
    segment_minutes: float = 5.0
    """Length of the files."""
    seed: int = 0
    """Decides what is lost."""
    check_images: bool = False
    """Read every image again and compare its checksum (a tenth of the recording's length)."""
    folder: Path | None = None
    """Where to write; a temporary folder by default."""
    json: Path | None = None
    """Also write the figures to this file."""


class Memory(threading.Thread):
    """Resident memory of this process over time."""

    def __init__(self) -> None:
        super().__init__(name="memory", daemon=True)
        self.megabytes: list[tuple[float, float]] = []
        self._ending = threading.Event()

    def run(self) -> None:
        """Sample until `end`."""
        begin = time.monotonic()
        while not self._ending.wait(_SAMPLE_S):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.megabytes.append((time.monotonic() - begin, pages * 4096e-6))

    def end(self) -> None:
        """Stop sampling."""
        self._ending.set()
        self.join()

    def figures(self) -> dict[str, float]:
        """Megabytes after the start (median of the second tenth), at the end (of the last) and at most; slope."""
        t, size = np.array(self.megabytes).T
        share = t / t[-1]
        begun = (share > _SETTLED) & (share < 2.0 * _SETTLED)
        after = share > _SETTLED
        return {
            "memory_begun_mb": float(np.median(size[begun])),
            "memory_ended_mb": float(np.median(size[share > _ENDING])),
            "memory_most_mb": float(size.max()),
            "memory_slope_mb_per_minute": float(np.polyfit(t[after] / 60.0, size[after], 1)[0]),
        }


def soak(config: Config, root: Path) -> dict[str, object]:
    """Record, compare with the truth, and say what was found."""
    seconds = config.minutes * 60.0
    faults = Faults(
        stalls=(Stall("left", 0.3 * seconds, config.stall_s),),
        unplugs=(Unplug("right", 0.55 * seconds, config.unplug_s),),
    )
    rig = simulated.open(
        simulated.Config(seed=config.seed, seconds=seconds, drop_rate=config.drop_rate, faults=faults, noise="cached")
    )
    rig.prepare()
    memory = Memory()
    memory.start()
    header = make_header(rig, CaptureHeader("seq_001", "p01", ("o01",), "s1"))
    report = record(rig, header, root, seconds, segment_s=config.segment_minutes * 60.0)
    memory.end()
    figures = compare(root, report)
    figures |= memory.figures()
    figures["flat"] = figures["memory_ended_mb"] - figures["memory_begun_mb"] < _MOST_GROWTH_MB  # type: ignore[operator]
    figures["memory_mb"] = [round(size, 1) for _, size in memory.megabytes[:: max(len(memory.megabytes) // 20, 1)]]
    if config.check_images:
        figures["problems"] = check_sequence(sequence_dir(root, "seq_001"))
    return figures


def compare(root: Path, report: RecordReport) -> dict[str, object]:
    """The ledger against the truth, and the frames against both."""
    folder = sequence_dir(root, "seq_001")
    with open_capture(folder) as capture, open_truth(folder) as truth:
        injected = {(drop.stream, drop.frame_number): drop.reason for drop in truth.drops}
        listed = {(drop.stream, drop.frame_number): drop.reason for drop in capture.drops}
        played = {(name, int(number)) for name in capture.streams for number in truth.clocks[name][0]}
        recorded = {(name, int(n)) for name, stream in capture.streams.items() for n in stream.frame_number}
        errors_ms = [
            np.abs(
                capture.clocks[name].to_common_ns(stream.t_device_ns)
                - truth.clocks[name][1][np.searchsorted(truth.clocks[name][0], stream.frame_number)]
            ).max()
            * 1e-6
            for name, stream in capture.streams.items()
        ]
        return {
            "seconds": report.seconds,
            "megabytes": report.megabytes,
            "files": len(capture.files),
            "losses": report.losses,
            "frames": dict(report.frames),
            "injected": dict(Counter(injected.values())),
            "listed": dict(Counter(listed.values())),
            "lost_by_us": len(played - recorded - injected.keys()),
            "not_listed": sorted(injected.keys() - listed.keys())[:20],
            "listed_wrongly": sorted(listed.keys() - injected.keys())[:20],
            "exact": listed.keys() == injected.keys(),
            "worst_time_error_ms": max(errors_ms),
            "duplicates": report.duplicates,
        }


def show(figures: dict[str, object]) -> None:
    """Print the table."""
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
    Console().print(table)


def main(config: Config) -> None:
    """Run, show, clean up; exit with 1 when the ledger is not the truth, or memory grows."""
    root = Path(tempfile.mkdtemp(prefix="soak_", dir=config.folder))
    try:
        figures = soak(config, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    show(figures)
    if config.json is not None:
        config.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf8")
    if not figures["exact"] or figures["lost_by_us"] or not figures["flat"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main(tyro.cli(Config))
