"""How late a 5 ms timer of the recording window fires while it records the simulated rig in real time.

python benchmarks/gui_latency.py --seconds 20 [--size 1920x1080] [--platform offscreen] [--trace] [--json FILE]

Under `xvfb-run -a` with `--platform xcb` it draws to a screen. The interval between two firings is what a person feels
as a delay of the interface; the goal is a 99th percentile below 20 ms while recording. Preview, recording and saving
are told apart. `--trace` prints what every thread was doing in each interval of more than 30 ms.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gui.capture_window import CaptureWindow

_TIMER_MS = 5
_LIMIT_S = 120.0


class GapTrace(threading.Thread):
    """Notes what all threads do while the interface is late.

    Args:
        stamps_s: when the timer fired; grows meanwhile.
        limit_s: what counts as late.
    """

    def __init__(self, stamps_s: list[float], limit_s: float = 0.03) -> None:
        super().__init__(daemon=True)
        self._stamps_s, self._limit_s = stamps_s, limit_s
        self._window = threading.get_ident()
        self._collects_since = 0.0
        self.found: list[str] = []
        gc.callbacks.append(self.collecting)

    def collecting(self, phase: str, info: dict[str, int]) -> None:
        """Note a collection of garbage that takes long: no thread runs meanwhile."""
        now = time.perf_counter()
        if phase == "start":
            self._collects_since = now
        elif now - self._collects_since > 0.01:
            took_ms = 1e3 * (now - self._collects_since)
            self.found.append(f"garbage of generation {info['generation']} was collected for {took_ms:.0f} ms")

    def run(self) -> None:
        """Look every few milliseconds; a look that is late itself tells of a lock that no thread could get."""
        before, told = time.perf_counter(), 0.0
        while True:
            time.sleep(0.004)
            now = time.perf_counter()
            last = self._stamps_s[-1] if self._stamps_s else now
            if now - last > self._limit_s and last != told:
                told = last
                self.found.append(self._words(1e3 * (now - last), 1e3 * (now - before)))
            before = now

    def _words(self, late_ms: float, look_ms: float) -> str:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        stacks = []
        for ident, frame in sys._current_frames().items():
            if ident == threading.get_ident():
                continue
            depth = 12 if ident == self._window else 3
            calls = " < ".join(
                f"{Path(f.filename).name}:{f.lineno} {f.name}"
                for f in traceback.extract_stack(frame)[: -depth - 1 : -1]
            )
            stacks.append(f"    {'INTERFACE' if ident == self._window else names.get(ident, '?')}: {calls}")
        return "\n".join([f"late by {late_ms:.0f} ms so far; this look came after {look_ms:.0f} ms", *sorted(stacks)])


def percentiles(stamps_s: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum of the time between firings, ms."""
    gaps_ms = np.diff(np.array(stamps_s)) * 1e3
    p50, p99 = np.percentile(gaps_ms, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99), "max_ms": float(gaps_ms.max()), "firings": float(len(gaps_ms))}


def wait(until: Callable[[], bool]) -> None:
    """Run the interface until something holds.

    Raises:
        TimeoutError: it never did.
    """
    from gui.qt import QtCore

    loop, timer, start = QtCore.QEventLoop(), QtCore.QTimer(), time.monotonic()
    timer.timeout.connect(lambda: loop.quit() if until() or time.monotonic() - start > _LIMIT_S else None)
    timer.start(50)
    loop.exec_()
    timer.stop()
    if not until():
        raise TimeoutError(f"nothing happened for {_LIMIT_S:.0f} s")


def make_window(root: Path, seconds: float, size: tuple[int, int]) -> CaptureWindow:
    """The real window over the simulated rig, drawn ahead so that rendering takes no part."""
    from capture.rig import open_rig
    from capture.session import CaptureSession
    from gui import theme
    from gui.capture_window import CaptureWindow, CaptureWindowConfig
    from gui.dataset_lab import DatasetLab
    from gui.smooth import keep_smooth

    def open_session(rig: str) -> CaptureSession:
        opened = open_rig(rig, root, live=True, seconds=6.0)
        opened.prepare()  # type: ignore[attr-defined]
        return CaptureSession(opened, root)

    config = CaptureWindowConfig(root, participant="p01", objects=("o01",), seconds=seconds)
    window = CaptureWindow(DatasetLab(root, open_session), config, theme.DARK)
    keep_smooth(window.host)
    window.resize(*size)
    window.show()
    return window


def measure(window: CaptureWindow, *, trace: bool = False) -> tuple[dict[str, dict[str, float]], int]:
    """Latency of the preview, a recording and its saving, and the frames that the recording lost."""
    from gui.qt import Qt, QtCore

    wait(lambda: window.state == "ready" and all(view.has_image for view in window.record_page.views.views))
    stamps: list[float] = []
    timer = QtCore.QTimer()
    timer.setTimerType(Qt.PreciseTimer)
    timer.timeout.connect(lambda: stamps.append(time.perf_counter()))
    timer.start(_TIMER_MS)
    found: list[str] = []
    if trace:
        tracer = GapTrace(stamps)
        tracer.start()
        found = tracer.found
    begin = time.monotonic()
    wait(lambda: time.monotonic() - begin > 3.0)
    changes = [("preview", 0)]
    reports: list[object] = []
    window.flow.saved.connect(lambda report, _request: reports.append(report))
    window.flow.changed.connect(lambda: changes.append((window.state, len(stamps))))
    window.toggle_recording()
    wait(lambda: bool(reports))
    timer.stop()
    starts = dict(reversed(changes))
    parts = {
        "preview": stamps[: starts["countdown"]],
        "recording": stamps[starts["countdown"] : starts["saving"]],
        "saving": stamps[starts["saving"] : starts["ready"] + 2],
    }
    for words in found:
        print(words)
    return {name: percentiles(part) for name, part in parts.items()}, len(reports[0].drops)  # type: ignore[attr-defined]


def main() -> int:
    """Record once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the recording, s")
    parser.add_argument("--size", default="1280x800", help="of the window, px")
    parser.add_argument("--platform", default="offscreen", help="Qt's platform")
    parser.add_argument("--trace", action="store_true", help="print what ran in each interval of more than 30 ms")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = given.platform
    width, height = (int(part) for part in given.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        from gui import theme
        from gui.qt import QtCore, application

        app = application("gui-latency")
        theme.apply(app, "dark")
        QtCore.QSettings.setPath(QtCore.QSettings.NativeFormat, QtCore.QSettings.UserScope, folder)
        window = make_window(Path(folder) / "data", given.seconds, (width, height))
        figures, drops = measure(window, trace=given.trace)
        window.close()
        wait(lambda: not window.isVisible())
    for name, part in figures.items():
        print(
            f"{name:<10} p50 {part['p50_ms']:5.1f} ms   p99 {part['p99_ms']:5.1f} ms   "
            f"max {part['max_ms']:6.1f} ms   {part['firings']:.0f} firings of a {_TIMER_MS} ms timer"
        )
    print(f"{drops} frames dropped, {given.size}, {given.platform}, load average {os.getloadavg()[0]:.1f}")
    if given.json is not None:
        given.json.write_text(json.dumps({**figures, "drops": drops}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
