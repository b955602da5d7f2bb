"""How long after a move of the pointer the dragged hand is on the screen, in the annotation window itself.

python benchmarks/drag_latency.py ROOT SEQUENCE [--drags 8] [--moves 40] [--size 1280x800] [--platform xcb] [--json F]

Works on a copy of the sequence, which must have labels. For each drag a joint of a frame is pressed and moved 60 times
a second, as a mouse does; the newest place wins. Counted is the time from the move that was fitted to the end of the
paint of both views, waits for the fit before included. The goal is a 95th percentile of 100 ms on a 30 s sequence. The
processor's time of an update counts all of it: the fit, the drawing, and the moves of the pointer between two fits.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gui.annotate_window import AnnotateWindow

_LIMIT_S = 180.0
_PERIOD_S = 1 / 60
_LOOK_MS = 4


def wait(until: Callable[[], bool], what: str) -> None:
    """Let the window work until something holds.

    Raises:
        TimeoutError: it took too long.
    """
    from gui.qt import QtCore

    # A loop that sleeps between events, as the program's own does: one that spins would take time from the fit.
    end, loop, timer = time.monotonic() + _LIMIT_S, QtCore.QEventLoop(), QtCore.QTimer()
    timer.setTimerType(QtCore.Qt.PreciseTimer)
    timer.timeout.connect(lambda: loop.quit() if until() or time.monotonic() > end else None)
    timer.start(_LOOK_MS)
    if not until():
        loop.exec_()
    timer.stop()
    if not until():
        raise TimeoutError(f"waited {_LIMIT_S:.0f} s for {what}")


def copied(root: Path, sequence: str, into: Path) -> Path:
    """A copy of the dataset with this sequence alone."""
    shutil.copytree(
        root, into, ignore=lambda folder, _names: [] if folder != str(root / "sequences") else _others(folder, sequence)
    )
    return into


def _others(folder: str, sequence: str) -> list[str]:
    return [name for name in os.listdir(folder) if name != sequence]


def drag_once(window: AnnotateWindow, frame: int, joint: int, moves: int) -> tuple[list[float], float]:
    """Drag a joint in a spiral of about 20 px.

    Returns:
        The seconds from each fitted move to its paint, and those of the processor from the first move to the last.
    """
    from gui.annotate.grab import Hold

    window.go_to(frame)
    window.selection.choose_joint(joint)
    wait(lambda: not window._redraw.isActive() and not window._settled.isActive(), "the frame")
    wait(lambda: not window.jobs.busy, "what a drag needs")
    chosen, grab = window.selection, window.gripper
    at_px = window.pair.joint_px(chosen.view, chosen.side, joint)
    if at_px is None:
        return [], 0.0
    grab.latencies_s.clear()
    grab.grip(Hold(chosen.side, joint, chosen.view, frame), at_px)
    start_s = time.process_time()
    for n in range(moves):
        due = time.monotonic() + _PERIOD_S
        angle, reach = 0.35 * n, 0.5 * n
        grab.move(at_px[0] + reach * np.cos(angle), at_px[1] + reach * np.sin(angle))
        wait(lambda due=due: time.monotonic() >= due, "the next move")
    wait(lambda: bool(grab.latencies_s), "the first fit")
    cpu_s = time.process_time() - start_s
    grab.release()
    return list(grab.latencies_s), cpu_s


def measure(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Drag in a window over a sequence; figures in ms."""
    from annotate.session import AnnotationSession
    from gui import theme
    from gui.annotate_window import AnnotateWindow
    from gui.qt import application

    app = application("drag_latency")
    window = AnnotateWindow(AnnotationSession.open(root, options.sequence, "benchmark"), theme.apply(app, "dark"))
    width, _, height = options.size.partition("x")
    window.resize(int(width), int(height))
    window.show()
    # After the window's own part, so that the paint is within the time that the grab counts.
    window.gripper.followed.connect(lambda _: [canvas.repaint() for canvas in window.views.values()])
    hand = window.session.revision.hands[window.selection.side]
    frames = np.flatnonzero(hand.valid)
    rng = np.random.default_rng(0)
    # The first drag compiles and warms what every later one uses.
    drag_once(window, int(frames[len(frames) // 2]), 8, 5)
    found: list[float] = []
    cpu_s, count = 0.0, window.session.n_frames
    for frame in rng.choice(frames, options.drags).tolist():
        seconds, used_s = drag_once(window, frame, int(rng.integers(21)), options.moves)
        found, cpu_s = found + seconds, cpu_s + used_s
    window.ask_before_closing = lambda: "later"  # type: ignore[method-assign]
    window.close()
    wait(lambda: not window.isVisible(), "the window to close")
    ms = 1e3 * np.array(found)
    return {
        "frames": count,
        "fits": len(ms),
        "median_ms": float(np.median(ms)),
        "p95_ms": float(np.percentile(ms, 95)),
        "max_ms": float(ms.max()),
        "cpu_ms": 1e3 * cpu_s / len(ms),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("root", type=Path, help="dataset with a labelled sequence")
    parser.add_argument("sequence", help="such as seq_000")
    parser.add_argument("--drags", type=int, default=8, help="how many joints are dragged")
    parser.add_argument("--moves", type=int, default=40, help="moves of the pointer in each")
    parser.add_argument("--size", default="1280x800", help="of the window, px")
    parser.add_argument("--platform", default="offscreen", help="Qt's platform; xcb under xvfb-run draws to a screen")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = options.platform
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(copied(options.root, options.sequence, Path(folder) / "data"), options)
    print(
        f"{figures['frames']} frames, {figures['fits']} fits shown: median {figures['median_ms']:.0f} ms, "
        f"p95 {figures['p95_ms']:.0f} ms, max {figures['max_ms']:.0f} ms (goal: p95 <= 100 ms); "
        f"{figures['cpu_ms']:.0f} ms of the processor for each"
    )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
