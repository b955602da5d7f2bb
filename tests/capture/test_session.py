"""The session behind the window: preview, record twice, health, errors."""

import threading
import time

import pytest

from capture.session import CaptureSession
from hoi_core.errors import DeviceError, StorageError
from hoi_core.sequence import CaptureHeader, CaptureWriter, list_sequences, open_capture, sequence_dir


def until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("waited too long")
        threading.Event().wait(0.01)


@pytest.fixture
def session(rigs, tmp_path):
    rig = rigs.FakeRig(rigs.FakeDevice("left", 10**6), rigs.FakeDevice("right", 10**6), whole=False)
    session = CaptureSession(rig, tmp_path)
    yield session
    session.stop()


def test_preview_and_two_recordings(session, tmp_path):
    session.start()
    until(lambda: session.latest("left/color") and session.latest("right/color"))
    for name in ("seq_001", "seq_002"):
        session.start_recording(CaptureHeader(name))
        assert session.recording
        with pytest.raises(DeviceError, match="running already"):
            session.start_recording(CaptureHeader("seq_009"))
        until(lambda: session.counts["right/color"] > 20)
        assert session.recorded_s > 0.0
        report = session.stop_recording()
        assert report.frames["left/color"] > 20
        assert report.drops == []
    assert list_sequences(tmp_path) == ["seq_001", "seq_002"]
    with pytest.raises(DeviceError, match="nothing is being recorded"):
        session.stop_recording()
    with open_capture(sequence_dir(tmp_path, "seq_002")) as capture:
        assert capture.complete


def test_health_tells_rates_skew_disk_and_image_quality(session):
    session.start()
    until(lambda: all(len(live.stamps) > 60 for live in session._live.values()))
    health = session.health()
    # The fakes stamp their frames 33 ms apart, whatever the real time.
    assert health.fps["left/color"] > 0.0
    skew_ms = abs(session.rig.devices[0].begin_ns - session.rig.devices[1].begin_ns) * 1e-6
    assert health.skew_ms == pytest.approx(skew_ms % 33.3, abs=1.0)
    assert health.disk_minutes > 0.0
    assert health.exposure_us == {"left/color": 8500.0, "right/color": 8500.0}
    assert health.dropped == 0


def test_stopping_the_session_ends_the_recording(rigs, tmp_path):
    session = CaptureSession(rigs.FakeRig(rigs.FakeDevice("left", 10**6), whole=False), tmp_path)
    session.start()
    session.start_recording(CaptureHeader("seq_001"))
    until(lambda: session.counts["left/color"] > 3)
    session.stop()
    assert not session.recording
    with open_capture(sequence_dir(tmp_path, "seq_001")) as capture:
        assert capture.complete


def test_a_recording_started_first_has_the_rig_from_its_first_frame(rigs, tmp_path):
    session = CaptureSession(rigs.SoftwareRig(30, {("left/color", 0)}), tmp_path)
    session.start_recording(CaptureHeader("seq_001"))
    session.start()
    until(lambda: session.finished)
    report = session.stop_recording()
    session.stop()
    assert (report.moments, report.paired) == (30, 29)
    assert [(d.stream, d.frame_number) for d in report.drops] == [("left/color", 0)]


def test_an_error_of_a_camera_shows_and_keeps_the_recording(rigs, tmp_path):
    broken = rigs.FakeDevice("left", 10, DeviceError("camera left was unplugged."))
    session = CaptureSession(rigs.FakeRig(broken, whole=False), tmp_path)
    session.start_recording(CaptureHeader("seq_001"))
    session.start()
    until(lambda: session.error is not None)
    assert "unplugged" in str(session.take_error())
    session.stop_recording()
    session.stop()
    with open_capture(sequence_dir(tmp_path, "seq_001")) as capture:
        assert not capture.complete
        assert len(capture.views["left"].color) == 10


def test_a_full_disk_still_releases_the_cameras(rigs, tmp_path, monkeypatch):
    def full(self):
        raise StorageError("no space left.", "Free some.")

    session = CaptureSession(rigs.FakeRig(rigs.FakeDevice("left", 10**6), whole=False), tmp_path)
    session.start()
    session.start_recording(CaptureHeader("seq_001"))
    monkeypatch.setattr(CaptureWriter, "flush", full)
    until(lambda: session.error is not None)
    assert not session.recording
    assert session.take_error() is not None
    assert session.take_error() is None
    with pytest.raises(StorageError, match="no space left"):
        session.stop()
    assert session.rig.devices[0].stopped
    with open_capture(sequence_dir(tmp_path, "seq_001")) as capture:
        assert not capture.complete
