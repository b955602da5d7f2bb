"""How late a 5 ms timer of the recording window fires while it records the simulated rig in real time.

python benchmarks/gui_latency.py --seconds 20 [--size 1920x1080] [--platform offscreen] [--json FILE]

Under `xvfb-run -a` with `--platform xcb` it draws to a screen. The interval between two firings is what a person feels
as a delay of the interface; the goal is a 99th percentile below 20 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gui.capture_window import CaptureWindow

_TIMER_MS = 5
_LIMIT_S = 120.0


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

    def open_session(rig: str) -> CaptureSession:
        opened = open_rig(rig, root, live=True, seconds=6.0)
        opened.prepare()  # type: ignore[attr-defined]
        return CaptureSession(opened, root)

    config = CaptureWindowConfig(root, participant="p01", objects=("o01",), seconds=seconds)
    window = CaptureWindow(DatasetLab(root, open_session), config, theme.DARK)
    window.resize(*size)
    window.show()
    return window


def measure(window: CaptureWindow) -> tuple[dict[str, float], dict[str, float], int]:
    """Latency of the preview and of a recording, and the frames that the recording lost."""
    from gui.qt import Qt, QtCore

    wait(lambda: window.state == "ready" and all(view.has_image for view in window.record_page.views.views))
    stamps: list[float] = []
    timer = QtCore.QTimer()
    timer.setTimerType(Qt.PreciseTimer)
    timer.timeout.connect(lambda: stamps.append(time.perf_counter()))
    timer.start(_TIMER_MS)
    begin = time.monotonic()
    wait(lambda: time.monotonic() - begin > 3.0)
    preview = percentiles(stamps)
    stamps.clear()
    reports: list[object] = []
    window.flow.saved.connect(lambda report, _request: reports.append(report))
    window.toggle_recording()
    wait(lambda: bool(reports))
    timer.stop()
    return preview, percentiles(stamps), len(reports[0].drops)  # type: ignore[attr-defined]


def main() -> int:
    """Record once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the recording, s")
    parser.add_argument("--size", default="1280x800", help="of the window, px")
    parser.add_argument("--platform", default="offscreen", help="Qt's platform")
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
        preview, recording, drops = measure(window)
        window.close()
        wait(lambda: not window.isVisible())
    for name, figures in (("preview", preview), ("recording", recording)):
        print(
            f"{name:<10} p50 {figures['p50_ms']:5.1f} ms   p99 {figures['p99_ms']:5.1f} ms   "
            f"max {figures['max_ms']:6.1f} ms   {figures['firings']:.0f} firings of a {_TIMER_MS} ms timer"
        )
    print(f"{drops} frames dropped, {given.size}, {given.platform}, load average {os.getloadavg()[0]:.1f}")
    if given.json is not None:
        given.json.write_text(json.dumps({"preview": preview, "recording": recording, "drops": drops}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
