"""Ctrl-C and SIGTERM in the middle of a take: a real window over the simulated rig, in a process of its own."""

import signal
import subprocess
import sys

import pytest

from hoi_core.sequence import open_capture
from hoi_core.sequence.tables import read_table

pytestmark = [pytest.mark.gui, pytest.mark.slow]

PROGRAM = """
import sys
from pathlib import Path

from capture.rig import open_rig
from capture.session import CaptureSession
from gui.capture_window import CaptureWindow, CaptureWindowConfig, main
from gui.qt import QtCore, application

root = Path(sys.argv[1])


def open_session(_rig):
    return CaptureSession(open_rig("simulated", root, live=True, seconds=60.0, drawn_s=0.5, noise="cached"), root)


def watch():
    window = next((w for w in app.topLevelWidgets() if isinstance(w, CaptureWindow)), None)
    if window is not None and window.state == "ready":
        window.toggle_recording()
    elif window is not None and window.flow.seconds > 0.5:
        timer.stop()
        print("recording", flush=True)


app = application("test")
QtCore.QSettings.setPath(QtCore.QSettings.NativeFormat, QtCore.QSettings.UserScope, sys.argv[1])
timer = QtCore.QTimer()
timer.timeout.connect(watch)
timer.start(50)
raise SystemExit(main(open_session, CaptureWindowConfig(root)))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window_with_its_take_complete(tmp_path, number):
    arguments = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "recording\n"
            child.send_signal(number)
            assert child.wait(timeout=60) == 0
        finally:
            child.kill()
    with open_capture(tmp_path / "sequences" / "seq_001") as capture:
        assert capture.complete
        assert all(len(stream) >= 10 for stream in capture.streams.values())
    assert list(read_table(tmp_path, "protocol")["sequence"]) == ["seq_001"]
