"""What is left of a recording whose recorder is killed, or whose disk fills up.

The simulated rig is recorded by `hoi-capture --headless` in a process of its own. Killed (SIGKILL) at random moments,
each recording must open, and the last frames on the disk must be at most half a second older than the kill. Then one
is recorded onto a disk that fills up: what was recorded must be readable, and the message must name the space needed.
It fills up by a limit on the size of files, and, for whoever may mount one, as a file system in memory that shrinks.

Example: python benchmarks/kill.py --kills 20 --json kill.json
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from capture.sync import realign
from hoi_core.sequence import check_sequence, open_capture, recover, sequence_dir

_CODE = "import sys; from hoi_cli.capture import main; sys.exit(main())"
_LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); "
_RIG = "name: kill\ndevices:\n  - type: simulated\n    seconds: 60\n    drawn_s: 1.0\n"
"""A second of the play is drawn, so that each recorder soon begins."""
_LONGEST_START_S = 120.0
_ROOM_MB = 2000


@dataclass(frozen=True)
class Config:
    """How often, and when."""

    kills: int = 20
    """Number of recorders that are killed."""
    latest_s: float = 4.0
    """They are killed between one second and this long after their first frame, s."""
    limit_mb: int = 120
    """Size at which the disk is full, where that is a limit on the size of files."""
    free_mb: tuple[int, ...] = (100, 2)
    """Where it is a small file system: room that is left when it shrinks, MB. The recorder leaves 67 MB free, if it
    finds them."""
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
        [*_command(root), "--sequence", name, "--seconds", "60"],
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


def _command(root: Path, limit: int = 0) -> list[str]:
    rig = root / "rigs" / "kill.yaml"
    rig.parent.mkdir(parents=True, exist_ok=True)
    rig.write_text(_RIG, encoding="utf8")
    code = (_LIMIT.format(limit) if limit else "") + _CODE
    return [sys.executable, "-c", code, "--headless", "--data", str(root), "--rig", str(rig)]


@contextmanager
def disk_in_memory(folder: Path) -> Iterator[Callable[[int], None] | None]:
    """Mount a file system on a folder; yields how to leave so many MB of it free, None for who may not mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8g", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False

    def leave(free_mb: int) -> None:
        size = shutil.disk_usage(folder).used + free_mb * 1_000_000
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)

    try:
        yield leave if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def fill_up(
    root: Path, limit: int = 0, leave: Callable[[int], None] | None = None, free_mb: int = 0
) -> dict[str, object]:
    """Record until no more bytes can be written, and say what is left.

    Args:
        root: the dataset.
        limit: on the size of its files, bytes; 0 for none.
        leave: leaves so many MB free; called when frames are on the disk, and to make room again for mending.
        free_mb: how many.
    """
    name = "seq_full"
    folder = sequence_dir(root, name)
    process = subprocess.Popen(
        [*_command(root, limit), "--sequence", name, "--seconds", "30"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if leave is not None:
        _wait_for_frames(folder / "capture.h5", process)
        time.sleep(1.0)
        leave(free_mb)
    message = " ".join(process.communicate()[0].decode().split())
    with open_capture(folder) as capture:
        frames = {name: len(stream) for name, stream in capture.streams.items()}
        megabytes = sum(path.stat().st_size for path in capture.paths) * 1e-6
    if leave is not None:
        leave(_ROOM_MB)
    recover(folder, realign)
    return {
        "exit_code": process.returncode,
        "frames": frames,
        "megabytes": megabytes,
        "names_the_space": re.search(r"need [\d.]+ [MG]B, [\d.]+ [MG]B are free", message) is not None,
        "message": message[-400:],
        "problems": check_sequence(folder),
    }


def full_disks(config: Config, root: Path) -> dict[str, dict[str, object]]:
    """Every way of running out of space that this user may try."""
    found = {f"files of {config.limit_mb} MB": fill_up(root, limit=config.limit_mb * 1_000_000)}
    for free_mb in config.free_mb:
        with disk_in_memory(root / f"disk_{free_mb}") as leave:
            if leave is not None:
                folder = root / f"disk_{free_mb}"
                found[f"disk with {free_mb} MB left"] = fill_up(folder, leave=leave, free_mb=free_mb)
    return found


def main(config: Config) -> None:
    """Run, show, clean up; exit with 1 when something was lost that should not be."""
    rng = np.random.default_rng(config.seed)
    root = Path(tempfile.mkdtemp(prefix="kill_", dir=config.folder))
    try:
        moments = rng.uniform(1.0, config.latest_s, config.kills)
        rows = [kill_one(root, f"seq_{k:03d}", float(after_s)) for k, after_s in enumerate(moments)]
        full = full_disks(config, root)
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
    for how, left in full.items():
        console.print(f"{how}: {left}")
    figures = {"kills": rows, "opened": len(rows), "worst_lost_s": worst, "full": full}
    if config.json is not None:
        config.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf8")
    if worst > 0.5 or any(not left["names_the_space"] or left["problems"] for left in full.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main(tyro.cli(Config))
