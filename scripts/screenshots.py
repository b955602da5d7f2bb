"""Take the pictures of all windows and pages for the documentation, from recordings of the simulated rig.

    python scripts/screenshots.py [--out docs/images] [--seconds 6] [--only capture view annotate calibrate]

Starts a virtual screen (Xvfb) of its own where there is no display. Records, calibrates and fits in a temporary folder.
Every picture is dark; those in `ALSO_LIGHT` are taken in light colours too, as `<name>_light.png`.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hoi_core.errors import ConfigError, HoiError

if TYPE_CHECKING:
    from gui.capture_window import CaptureWindow
    from gui.qt import QtGui, QtWidgets

log = logging.getLogger("screenshots")
SEQUENCE, FAULTY = "seq_001", "seq_002"
MAX_BYTES = 400_000
ALSO_LIGHT = ("capture", "coverage", "view", "calibrate", "annotate")
WINDOWS = ("capture", "annotate", "view", "calibrate")
# Shots with which a calibration is worth a picture; the simulated person needs about a minute for them.
SHOTS = 12
WAIT_S = 300.0


@contextmanager
def screen() -> Iterator[None]:
    """A display: the one there is, or an Xvfb that ends with the block."""
    if os.environ.get("DISPLAY"):
        yield
        return
    if shutil.which("Xvfb") is None:
        raise ConfigError("pictures of windows need a display or Xvfb; neither is there.", "apt install xvfb")
    reader, writer = os.pipe()
    arguments = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1440x900x24", "-nolisten", "tcp"]
    server = subprocess.Popen(arguments, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        number = pipe.readline().strip()
    os.environ["DISPLAY"] = f":{number}"
    try:
        yield
    finally:
        del os.environ["DISPLAY"]
        server.terminate()
        server.wait()


def wait(app: QtWidgets.QApplication, until: Callable[[], bool], what: str) -> None:
    """Let the program run until something holds.

    Raises:
        HoiError: it took too long.
    """
    from gui.qt import QtCore

    start, loop, timer = time.monotonic(), QtCore.QEventLoop(app), QtCore.QTimer(app)
    timer.timeout.connect(lambda: loop.quit() if until() or time.monotonic() - start > WAIT_S else None)
    timer.start(20)
    loop.exec_()
    timer.stop()
    if not until():
        raise HoiError(f"waited {WAIT_S:.0f} s for {what}.", "Look at the log above.")


def pause(app: QtWidgets.QApplication, seconds: float) -> None:
    """Let the program run for a while."""
    end = time.monotonic() + seconds
    wait(app, lambda: time.monotonic() > end, "time to pass")


def save(window: QtWidgets.QWidget, path: Path, keep: Iterable[str]) -> None:
    """Write a picture of a window; with a palette, which has the colours to keep, where it would be too large."""
    shot = window.grab().toImage()
    shot.save(str(path))
    for colours in (256, 160, 96):
        if path.stat().st_size < MAX_BYTES:
            break
        with_palette(shot, colours, keep).save(str(path))
    log.info("%s: %d kB", path, path.stat().st_size // 1000)


def with_palette(image: QtGui.QImage, colours: int, keep: Iterable[str]) -> QtGui.QImage:
    """The image with few colours: those to keep, a few dozen that are frequent, and clusters of the rest."""
    from gui.qt import QtGui

    image = image.convertToFormat(QtGui.QImage.Format_RGB32)
    width, height = image.width(), image.height()
    pointer = image.constBits()
    pointer.setsize(image.byteCount())
    bgr = np.frombuffer(pointer, np.uint8).reshape(height, width, 4)[..., :3].reshape(-1, 3)
    packed = bgr.astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
    values, counts = np.unique(packed, return_counts=True)
    wanted = np.array([int(name[1:], 16) for name in keep], np.uint32)
    frequent = np.unique(np.concatenate([wanted, values[np.argsort(-counts)[: colours // 5]]]))
    exact = np.stack([frequent & 255, frequent >> 8 & 255, frequent >> 16], -1).astype(np.float32)
    rest = bgr[~np.isin(packed, frequent)].astype(np.float32)
    sample = np.random.default_rng(0).permutation(rest)[:20_000]
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    cv2.setRNGSeed(0)
    no_start = np.empty(0, np.int32)
    _, _, centres = cv2.kmeans(sample, colours - len(exact), no_start, stop, 1, cv2.KMEANS_PP_CENTERS)
    palette = np.concatenate([exact, np.asarray(centres, np.float32)]).round()
    # Nearest palette entry of each colour that occurs: |p|^2 - 2 p.c is enough to compare.
    found = np.stack([values & 255, values >> 8 & 255, values >> 16], -1).astype(np.float32)
    squares = (palette**2).sum(1)
    nearest = np.concatenate([np.argmin(squares - 2 * part @ palette.T, 1) for part in np.array_split(found, 50)])
    index = nearest[np.searchsorted(values, packed)].astype(np.uint8).reshape(height, width)
    out = QtGui.QImage(width, height, QtGui.QImage.Format_Indexed8)
    out.setColorTable([QtGui.qRgb(int(r), int(g), int(b)) for b, g, r in palette])
    bits = out.bits()
    bits.setsize(out.byteCount())
    np.frombuffer(bits, np.uint8).reshape(height, -1)[:, :width] = index
    return out


def shoot(window: Any, name: str, options: Any) -> None:
    """Write the pictures of a window that has a `toggle_theme`: dark, and light where that is asked for."""
    from gui import theme
    from gui.qt import application

    save(window, options.out / f"{name}.png", asdict(theme.DARK).values())
    if name in ALSO_LIGHT:
        app = application("screenshots")
        window.toggle_theme()
        pause(app, 0.7)
        save(window, options.out / f"{name}_light.png", asdict(theme.LIGHT).values())
        window.toggle_theme()
        pause(app, 0.3)


def open_capture_window(app: QtWidgets.QApplication, root: Path, rig_options: dict[str, Any]) -> CaptureWindow:
    """The recording window over a simulated rig with these options, once it shows images."""
    from capture.rig import open_rig
    from capture.session import CaptureSession
    from gui import theme
    from gui.capture_window import CaptureWindow, CaptureWindowConfig
    from gui.dataset_lab import DatasetLab

    def open_session(_rig: str) -> CaptureSession:
        rig: Any = open_rig("simulated", root, live=True, **rig_options)
        # Rendered ahead, the picture shows the recorder's own pace rather than the renderer's.
        rig.prepare()
        return CaptureSession(rig, root)

    window = CaptureWindow(DatasetLab(root, open_session), CaptureWindowConfig(root), theme.apply(app, "dark"))
    window.show()
    wait(app, lambda: window.host.session is not None and window.state == "ready", "the cameras")
    wait(app, lambda: all(view.has_image for view in window.record_page.views.small), "images")
    return window


def close(app: QtWidgets.QApplication, window: QtWidgets.QWidget) -> None:
    """Close a window and let what it had running end."""
    window.close()
    wait(app, lambda: not window.isVisible(), "the window to close")


def take_capture(app: QtWidgets.QApplication, root: Path, options: Any) -> None:
    """Record a take of the default protocol with the window: the pages, the recording, the report."""
    from capture.protocol import next_take, plan

    plan(root, catalogue="simulated")
    cell = next_take(root)
    if cell is None:
        raise HoiError("the protocol of the simulated rig proposes no take.", "Look at protocol.csv.")
    window = open_capture_window(app, root, {"object": cell.objects[0], "seconds": options.seconds})
    pause(app, 2.0)
    window.toggle_recording()
    pause(app, 0.5 * options.seconds)
    window.flow.mark()
    shoot(window, "capture", options)
    wait(app, lambda: window.flow.seconds >= options.seconds, "the recording")
    window.toggle_recording()
    wait(app, lambda: window.state == "ready" and bool(window.desk.now.takes), "the recording")
    window.banner.hide()
    for page in ("rig", "coverage"):
        window.show_page(page)
        pause(app, 1.0)
        shoot(window, page, options)
    window.show_page("record")
    window.show_report(SEQUENCE)
    wait(app, lambda: window.reviews.report.dialog is not None, "the report")
    pause(app, 0.5)
    save(window.reviews.report.dialog, options.out / "report.png", ())
    close(app, window)


def take_calibrate(app: QtWidgets.QApplication, root: Path, options: Any) -> None:
    """Calibrate the simulated rig, to which a person shows a board."""
    window = open_capture_window(app, root, {"scene": "board"})
    window.show_page("calibrate")
    page = window.calibrate_page.page
    if page is None:
        raise HoiError("the calibration page did not open.", "Look at the log above.")
    page.begin()
    step = page.capture_step
    wait(app, lambda: step.shots >= SHOTS, "shots of the board")
    shoot(window, "calibrate", options)
    wait(app, lambda: step.shots >= SHOTS and step.finish.isEnabled(), "enough shots")
    page.finish()
    wait(app, lambda: page.step == "result", "the calibration")
    pause(app, 0.5)
    shoot(window, "calibration", options)
    close(app, window)


def take_view(app: QtWidgets.QApplication, root: Path, options: Any) -> None:
    """Play a recording that has lost frames and was away for a while."""
    from gui import theme
    from gui.view_window import ViewWindow

    window = ViewWindow(root / "sequences" / FAULTY, theme.apply(app, "dark"))
    window.resize(1400, 850)
    window.show()
    wait(app, lambda: window.views.large[0].has_image, "the recording")
    window.go_to(round(0.33 * window.count))
    wait(app, lambda: window.shown_moment == window.moment, "the moment")
    pause(app, 0.5)
    shoot(window, "view", options)
    close(app, window)


def record_faulty(root: Path, seconds: float) -> None:
    """Record a take in which frames are lost and a camera is away for half a second."""
    from capture.recorder import record
    from capture.rig import open_rig
    from capture.simulation.faults import Faults, Unplug
    from hoi_core.sequence import CaptureHeader

    faults = Faults(unplugs=(Unplug("right", 0.55 * seconds, 0.08 * seconds),))
    rig = open_rig("simulated", root, seconds=seconds, drop_rate=0.008, faults=faults)
    record(rig, CaptureHeader(FAULTY, "p01", ("o01",), "s1", "pick up, turn, put back", rig.name), root, seconds)


def record_whole(root: Path, seconds: float) -> None:
    """Record a planned take at the rig's own pace: on a busy machine a live one would lack frames."""
    from capture.protocol import next_take, plan
    from capture.recorder import record
    from capture.rig import open_rig
    from hoi_core.sequence import CaptureHeader

    plan(root, catalogue="simulated")
    cell = next_take(root)
    if cell is None:
        raise HoiError("the protocol of the simulated rig proposes no take.", "Look at protocol.csv.")
    rig = open_rig("simulated", root, seconds=seconds, object=cell.objects[0])
    header = CaptureHeader(SEQUENCE, cell.participant, cell.objects, cell.scenario, cell.action, rig.name)
    record(rig, header, root, seconds)


def take_annotate(app: QtWidgets.QApplication, root: Path, options: Any) -> None:
    """Fit a recording in the window, review a part of it, choose a joint, and take the picture."""
    from annotate.session import AnnotationSession
    from gui import theme
    from gui.annotate_window import AnnotateWindow

    window = AnnotateWindow(AnnotationSession.open(root, SEQUENCE, "maria"), theme.apply(app, "dark"))
    window.resize(1400, 850)
    window.show()
    window.shop.fit()
    wait(app, lambda: not window.work.running, "the fit")
    count = window.session.n_frames
    window.session.set_status(range(count // 3), "accepted")
    window.session.set_comment(count // 2, "the thumb is blurred")
    window.edits.changed.emit()
    # The hand is about to grasp; the simulated annotator clicks every fifth frame.
    window.go_to(min(60, count // 10 * 5))
    window.selection.choose_joint(8)
    window.banner.hide()
    wait(app, lambda: not window.jobs.busy, "the measured points")
    pause(app, 1.0)
    shoot(window, "annotate", options)
    window.tabs.show_tab("joints")
    window.panes.show_pane("sensor")
    pause(app, 0.5)
    save(window, options.out / "annotate_joints.png", asdict(theme.DARK).values())
    window.mark_points()
    window.panes.step_point(1)
    pause(app, 0.5)
    save(window, options.out / "annotate_object.png", asdict(theme.DARK).values())
    window.shop.save("reviewed for the picture")
    wait(app, lambda: not window.work.running, "the revision")
    close(app, window)


def main() -> int:
    """Take all pictures, or some."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder of the pictures")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the recording, s")
    parser.add_argument("--only", nargs="+", choices=WINDOWS, default=WINDOWS, help="windows to take")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    with screen(), tempfile.TemporaryDirectory() as folder:
        from gui.qt import QtCore, application

        app = application("screenshots")
        # Neither the size of an earlier window nor this one's may be remembered.
        QtCore.QSettings.setPath(QtCore.QSettings.NativeFormat, QtCore.QSettings.UserScope, folder)
        options.out = options.out.resolve()
        # A short, plain path reads better in the picture.
        os.chdir(folder)
        root = Path("data")
        if "capture" in options.only:
            take_capture(app, root, options)
        if "annotate" in options.only:
            record_whole(Path("annotating"), options.seconds)
            take_annotate(app, Path("annotating"), options)
        if "view" in options.only:
            record_faulty(root, options.seconds)
            take_view(app, root, options)
        if "calibrate" in options.only:
            take_calibrate(app, Path("calibrating"), options)
        os.chdir(options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
