"""Windows open on Qt's offscreen platform, over sessions that live in memory."""

import importlib.util
import os
import sys

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from capture.annotatable import Verdict
from gui.lab import Consent, Desk, Take
from hoi_core.errors import DeviceError, SequenceError
from hoi_core.types import Camera, Frame, StreamInfo

CAMERA = Camera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)


def _stream(name, shape, dtype="uint8", scale=None):
    kind = "sensor" if "edge128" in name else "camera"
    return StreamInfo(name, kind, shape, dtype, 30.0, CAMERA, depth_scale_m=scale)


STREAMS = (
    _stream("left/color", (48, 64, 3)),
    _stream("left/depth", (48, 64), "uint16", 0.001),
    _stream("right/color", (48, 64, 3)),
    _stream("right/depth", (48, 64), "uint16", 0.001),
    _stream("edge128/gray", (128, 128)),
    _stream("edge128/edge", (128, 128)),
)


@dataclass
class FakeHealth:
    fps: dict = field(default_factory=lambda: {info.name: 30.0 for info in STREAMS})
    skew_ms: float = 3.2
    dropped: int = 0
    buffer_share: float = 0.04
    disk_minutes: float = 95.0
    depth_fill: dict = field(default_factory=lambda: {"left": 0.93, "right": 0.9})
    exposure_us: dict = field(default_factory=lambda: {"left/color": 6000.0})


class FakeCapture:
    """Counts calls; a frame number rises at each look."""

    rig_name = "simulated"
    streams = STREAMS

    def __init__(self, fail_open=False):
        self.fail_open, self.recording, self.recorded_s = fail_open, False, 0.0
        self.calls, self.request, self.error, self.figures = [], None, None, FakeHealth()
        self.taken = {"seq_001"}
        self.device_states = {"left": "ok", "right": "ok", "edge128": "ok"}
        self.judged, self.sights = Verdict(), {}
        self.counter = 0

    def start(self):
        self.calls.append("start")
        if self.fail_open:
            raise DeviceError("no D435 found.", "Plug one in.")

    def stop(self):
        self.calls.append("stop while recording" if self.recording else "stop")
        self.recording = False

    def latest(self, stream):
        self.counter += 1
        info = next(s for s in STREAMS if s.name == stream)
        return Frame(
            stream, self.counter, 0, 0, "host", np.full(info.shape, 500 if info.depth_scale_m else 99, info.dtype)
        )

    def next_sequence(self):
        return f"seq_{len(self.taken) + 1:03d}"

    def start_recording(self, request, seconds=None):
        self.calls.append("record")
        if request.sequence in self.taken:
            raise SequenceError(f"{request.sequence} exists.", "Choose another name.")
        self.request, self.recording = request, True

    def stop_recording(self):
        self.calls.append("save")
        self.recording = False
        self.taken.add(self.request.sequence)
        path = Path("data/sequences") / self.request.sequence / "capture.h5"
        return SimpleNamespace(path=path, seconds=6.0, moments=180, paired=180, drops=[], verdict=self.judged)

    def health(self):
        return self.figures

    def take_error(self):
        error, self.error = self.error, None
        return error

    def devices(self):
        return tuple(
            SimpleNamespace(name=n, serial=f"00{n}", state=s, detail="") for n, s in self.device_states.items()
        )

    def mark(self, text=""):
        self.calls.append("mark")

    def verdict(self):
        return self.judged

    def hands(self):
        return self.sights


class FakeLab:
    """Two rigs, a protocol of three cells, and tables that are lists."""

    def __init__(self, session, root=Path("data")):
        self.session, self.root, self.calls = session, root, []
        self.opened, self.on_change, self.refused = [], None, {}
        self.problem = "left is away."
        self.cells = [
            cell("p01", "o01", "kitchen", "recorded", "seq_001"),
            cell("p01", "o02", "office"),
            cell("p02", "o01", "kitchen"),
        ]
        self.takes = (take("seq_001", "p01", "o01"),)

    def rigs(self):
        return [
            SimpleNamespace(name="simulated", path=None, devices=("left", "right", "edge128"), problem=""),
            SimpleNamespace(name="bench", path=Path("bench.yaml"), devices=("realsense left",), problem=self.problem),
        ]

    def watch(self, on_change):
        self.on_change = on_change
        on_change([])
        return SimpleNamespace(close=lambda: self.calls.append("unwatch"))

    def open(self, rig):
        self.opened.append(rig)
        return self.session

    def desk(self, participant=None):
        waiting = [c for c in self.cells if c.status != "recorded"]
        own = [c for c in waiting if c.participant == participant]
        coverage = SimpleNamespace(cells=tuple(self.cells), done=len(self.cells) - len(waiting))
        proposal = next(iter(own or waiting), None)
        return Desk(coverage, proposal, self.takes, {"o01": "mug"}, self.session.next_sequence())

    def plan(self, catalogue):
        self.calls.append(f"plan {catalogue}")
        self.cells = [cell("p09", "o09", "kitchen")]

    def reject(self, sequence, reason):
        self.calls.append(f"reject {sequence}")

    def consent(self, participant):
        error = self.refused.get(participant)
        return Consent(participant, "bad" if error else "good", "ended" if error else "consent given", error)

    def bandwidth(self, streams):
        return f"{len(streams)} streams fit."


def cell(participant, item, scenario, status="planned", sequence=""):
    action = f"use {item}"
    return SimpleNamespace(
        participant=participant,
        objects=(item,),
        scenario=scenario,
        action=action,
        status=status,
        sequence=sequence,
        takes=int(bool(sequence)),
    )


def take(sequence, participant="p01", item="o01", status="recorded", drops=0):
    return Take(sequence, participant, (item,), "kitchen", "lift", 6.0, drops, status)


@pytest.fixture(autouse=True)
def _own_settings(tmp_path):
    """No test reads or writes the person's own settings."""
    from gui.qt import QtCore

    QtCore.QSettings.setPath(QtCore.QSettings.NativeFormat, QtCore.QSettings.UserScope, str(tmp_path))


@pytest.fixture(autouse=True)
def _same_colours(qapp):
    """Every test begins with the same colours and font, whichever an earlier one left."""
    from gui import theme

    if qapp.property("hoi_theme") != "dark":
        theme.apply(qapp, "dark")


@pytest.fixture
def capture_session():
    return FakeCapture()


@pytest.fixture
def lab(capture_session):
    return FakeLab(capture_session)


def load(name):
    """A module of fakes or data beside this one."""
    spec = importlib.util.spec_from_file_location(f"gui_test_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def annotation_session():
    return load("annotation_fake").FakeAnnotation()


@pytest.fixture(scope="session")
def recordings():
    """The module that writes small real recordings: `recordings.record(folder)`."""
    return load("recordings")


@pytest.fixture
def annotate_in(qtbot):
    """Opens an annotation window over a session, `annotate_in(session)`; closed with the test, whatever runs in it."""
    from gui import theme
    from gui.annotate_window import AnnotateWindow

    def close(window):
        window.close()
        qtbot.waitUntil(lambda: not window.isVisible(), timeout=60_000)

    def opened(session, colours=theme.DARK, guesser=None):
        window = AnnotateWindow(session, colours, guesser)
        window.ask_before_closing = lambda: "later"
        window.resize(1280, 800)
        qtbot.addWidget(window, before_close_func=close)
        window.show()
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        return window

    return opened
