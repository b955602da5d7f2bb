"""What is left of a recording whose recorder is killed, or whose disk fills up.

The simulated rig is recorded by `hoi-capture --headless` in a process of its own. Killed (SIGKILL) at random moments,
each recording must open, and the last frames on the disk must be at most half a second older than the kill. Then one
is recorded onto a file system that is too small (a limit on the size of files where no small one can be mounted):
what was recorded must be readable, and the message must name the space needed.

Example: python benchmarks/kill.py --kills 20 --json kill.json
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from capture.sync import realign
from hoi_core.sequence import check_sequence, open_capture, recover, sequence_dir

_COMMAND = [sys.executable, "-c", "import sys; from hoi_cli.capture import main; sys.exit(main())", "--headless"]
_LONGEST_START_S = 120.0


@dataclass(frozen=True)
class Config:
    """How often, and when."""

    kills: int = 20
    """Number of recorders that are killed."""
    latest_s: float = 4.0
    """They are killed between one second and this long after their first frame, s."""
    limit_mb: int = 120
    """Size at which the disk is full."""
    seed: int = 0
    """Decides when."""
    folder: Path | None = None
    """Where to write; a temporary folder by default."""
    json: Path | None = None
    """Also write the figures to this file."""


def kill_one(root: Path, name: str, after_s: float) -> dict[str, object]:
    """Record, kill, and say what is left."""
    folder = sequence_dir(root, name)
    process = subprocess.Popen(
        [*_COMMAND, "--data", str(root), "--sequence", name, "--seconds", "60"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _wait_for_frames(folder / "capture.h5", process)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    killed_ns = time.monotonic_ns()
    process.wait()
    with open_capture(folder) as capture:
        # The newest frame of each stream; frames arrive on the clock that `monotonic` reads.
        lost_s = max((killed_ns - int(s.t_host_ns[-1])) * 1e-9 for s in capture.streams.values())
        frames = sum(len(stream) for stream in capture.streams.values())
    recover(folder, realign)
    problems = check_sequence(folder)
    shutil.rmtree(folder)
    return {"after_s": after_s, "opened": True, "frames": frames, "lost_s": lost_s, "problems": problems}


def _wait_for_frames(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until frames reach the file: the rig is drawn first."""
    deadline = time.monotonic() + _LONGEST_START_S
    while not path.exists() or path.stat().st_size < 4_000_000:
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the recorder did not start")
        time.sleep(0.02)


def fill_up(root: Path, limit_mb: int) -> dict[str, object]:
    """Record until no more bytes can be written, and say what is left."""
    name, limit = "seq_full", limit_mb * 1_000_000

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [*_COMMAND, "--data", str(root), "--sequence", name, "--seconds", "30"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small_disk,
    )
    folder = sequence_dir(root, name)
    message = " ".join((done.stderr + done.stdout).split())
    with open_capture(folder) as capture:
        frames = {name: len(stream) for name, stream in capture.streams.items()}
        megabytes = sum(path.stat().st_size for path in capture.paths) * 1e-6
    recover(folder, realign)
    return {
        "exit_code": done.returncode,
        "frames": frames,
        "megabytes": megabytes,
        "names_the_space": re.search(r"need [\d.]+ [MG]B, [\d.]+ [MG]B are free", message) is not None,
        "message": message[-400:],
        "problems": check_sequence(folder),
    }


def main(config: Config) -> None:
    """Run, show, clean up; exit with 1 when something was lost that should not be."""
    rng = np.random.default_rng(config.seed)
    root = Path(tempfile.mkdtemp(prefix="kill_", dir=config.folder))
    try:
        moments = rng.uniform(1.0, config.latest_s, config.kills)
        rows = [kill_one(root, f"seq_{k:03d}", float(after_s)) for k, after_s in enumerate(moments)]
        full = fill_up(root, config.limit_mb)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    lost = [float(row["lost_s"]) for row in rows]  # type: ignore[arg-type]
    table = Table("killed after, s", "frames", "lost, s", "problems after recovery")
    for row in rows:
        table.add_row(f"{row['after_s']:.2f}", str(row["frames"]), f"{row['lost_s']:.3f}", str(row["problems"]))
    console = Console()
    console.print(table)
    worst = max(lost, default=0.0)
    console.print(f"{len(rows)} of {config.kills} opened; at most {worst:.3f} s lost (at most 0.5)")
    console.print(f"full disk: {full}")
    figures = {"kills": rows, "opened": len(rows), "worst_lost_s": worst, "full": full}
    if config.json is not None:
        config.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf8")
    if worst > 0.5 or not full["names_the_space"] or full["problems"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main(tyro.cli(Config))
