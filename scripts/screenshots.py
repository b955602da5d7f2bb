"""Take the pictures of both windows for the documentation, from a recording of the simulated rig.

    python scripts/screenshots.py [--out docs/images] [--seconds 6] [--theme dark]

Starts a virtual screen (Xvfb) of its own where there is no display. Records and fits in a temporary folder.
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
    from gui.qt import QtGui, QtWidgets

log = logging.getLogger("screenshots")
SEQUENCE = "seq_001"
MAX_BYTES = 500_000
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


def take_capture(app: QtWidgets.QApplication, root: Path, seconds: float, options: Any) -> None:
    """Record with the window, and take its picture in the middle of the recording."""
    from capture.rig import open_rig
    from capture.session import CaptureSession
    from gui import theme
    from gui.capture_window import CaptureWindow, CaptureWindowConfig
    from gui.dataset_lab import DatasetLab

    config = CaptureWindowConfig(root, action="pick up, turn, put back", objects=("o03",), seconds=seconds)

    def open_session(_rig: str) -> CaptureSession:
        rig = open_rig("simulated", root, object="o03", live=True, seconds=seconds)
        # Rendered ahead, the picture shows the recorder's own pace rather than the renderer's.
        rig.prepare()
        return CaptureSession(rig, root)

    colours = theme.apply(app, options.theme)
    window = CaptureWindow(DatasetLab(root, open_session), config, colours)
    window.show()
    wait(app, lambda: window.state != "opening", "the cameras")
    wait(app, lambda: all(view.has_image for view in window.views.small), "images")
    pause(app, 2.0)
    window.toggle_recording()
    pause(app, 0.6 * seconds)
    save(window, options.out / "capture.png", asdict(colours).values())
    wait(app, lambda: window.state == "ready", "the recording")
    window.close()
    wait(app, lambda: not window.isVisible(), "the window to close")


def take_annotate(app: QtWidgets.QApplication, root: Path, options: Any) -> None:
    """Fit the recording in the window, review a part of it, and take the picture."""
    from annotate.session import AnnotationSession
    from gui import theme
    from gui.annotate_window import AnnotateWindow

    colours = theme.apply(app, options.theme)
    window = AnnotateWindow(AnnotationSession.open(root, SEQUENCE), colours)
    window.show()
    window.start_fit()
    wait(app, window.actions_by_id["label.fit"].isEnabled, "the fit")
    window.banner.hide()
    count = window.session.n_frames
    for _ in range(count // 3):
        window.judge("accepted")
    # The hand is about to grasp; the simulated annotator clicks every fifth frame.
    window.go_to(min(50, count // 10 * 5))
    window.actions_by_id["view.keypoints"].trigger()
    pause(app, 0.5)
    save(window, options.out / "annotate.png", asdict(colours).values())
    window.session.save("reviewed for the picture")
    window.close()
    wait(app, lambda: not window.isVisible(), "the window to close")


def main() -> int:
    """Take both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder of the pictures")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the recording, s")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark", help="colours of the windows")
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
        take_capture(app, Path("data"), options.seconds, options)
        take_annotate(app, Path("data"), options)
        os.chdir(options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
