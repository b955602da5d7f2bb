"""Windows open on Qt's offscreen platform, over sessions that live in memory."""

import importlib.util
import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from capture.annotatable import Verdict
from gui.lab import Consent, Desk, Take
from hoi_core.camera import look_at
from hoi_core.errors import DeviceError, FitError, SequenceError
from hoi_core.types import STATUSES, Camera, Frame, HandKeypoints, HandTrack, Revision, StreamInfo

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
        self.judged = Verdict()
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


N_MOMENTS = 40


def revision(m=N_MOMENTS):
    rng = np.random.default_rng(0)
    joints = rng.uniform(-0.08, 0.08, (m, 21, 3))
    hand = HandTrack(
        orient=np.zeros((m, 3)),
        pose=np.zeros((m, 45)),
        betas=np.zeros(10),
        trans_m=np.zeros((m, 3)),
        joints_m=joints,
        joint_cov_m2=np.tile(np.eye(3) * 4e-6, (m, 21, 1, 1)),
        valid=np.arange(m) != 7,
        status=np.where(np.arange(m) == 7, STATUSES.index("none"), STATUSES.index("auto")).astype(np.uint8),
        joint_source=np.full((m, 21), 4, np.uint8),
    )
    points = np.concatenate([rng.uniform(5, 40, (m, 21, 2)), np.ones((m, 21, 1))], -1)
    return Revision(
        t_ns=np.arange(m, dtype=np.int64) * 33_333_333,
        hands={"right": hand},
        objects={},
        keypoints={"right": HandKeypoints({"left": points, "right": points})},
        frame_index={"left": np.arange(m), "right": np.arange(m)},
        residuals={"reprojection_px": np.linspace(0.5, 9.0, m), "depth_m": np.full(m, 0.002)},
        author="auto",
        parent="r000",
    )


class FakeAnnotation:
    """A sequence of gray images with a flat quad for a hand."""

    sequence, n_frames, views, sides = "seq_001", N_MOMENTS, ("left", "right"), ("right",)

    def __init__(self):
        self.revision, self.revisions, self.revision_name = revision(), ["r000", "r001"], "r001"
        self.dirty, self.recovered, self.closed, self.fail_fit = False, False, False, False
        self.steps = []

    def image(self, view, frame):
        return None if (view, frame) == ("right", 9) else np.full((48, 64, 3), 60 + frame, np.uint8)

    def depth_m(self, view, frame):
        return np.full((48, 64), 0.6, np.float32)

    def camera(self, view):
        eye = np.array([-0.3 if view == "left" else 0.3, -0.4, 0.4])
        return replace(CAMERA, T_world_cam=look_at(eye, np.zeros(3), np.array([0.0, 0.0, 1.0])))

    def vertices_m(self, side, frame):
        if frame == 7:
            return None
        return np.array([[-0.05, -0.05, 0.0], [0.05, -0.05, 0.0], [0.05, 0.05, 0.0], [-0.05, 0.05, 0.0]])

    def faces(self, side):
        return np.array([[0, 1, 2], [0, 2, 3]])

    def _write(self, frames, values):
        hand = self.revision.hands["right"]
        status = hand.status.copy()
        status[list(frames)] = [STATUSES.index(v) for v in values]
        self.revision = replace(self.revision, hands={"right": replace(hand, status=status)})
        self.dirty = True

    def set_status(self, frames, status):
        before = tuple(STATUSES[i] for i in self.revision.hands["right"].status[list(frames)])
        self._write(frames, [status] * len(frames))
        return before

    def restore_status(self, frames, statuses):
        self._write(frames, statuses)

    def save(self, comment="", human_seconds=0.0):
        self.revision_name = f"r{len(self.revisions):03d}"
        self.revisions.append(self.revision_name)
        self.dirty = False
        return self.revision_name

    def fit(self, progress, cancelled):
        for n in range(4):
            progress(n / 4, "fitting")
            if cancelled():
                break
        if self.fail_fit:
            raise FitError("too few keypoints: 3.", "Click more.")
        return replace(self.revision, comment="fitted again")

    def adopt(self, new):
        self.revision, self.dirty = new, True

    def close(self):
        self.closed = True


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


@pytest.fixture
def annotation_session():
    return FakeAnnotation()


@pytest.fixture(scope="session")
def recordings():
    """The module that writes small real recordings: `recordings.record(folder)`."""
    spec = importlib.util.spec_from_file_location("gui_test_recordings", Path(__file__).with_name("recordings.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
