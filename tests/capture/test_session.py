"""The session behind the window: preview, record twice, health, errors."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from capture import disk, readers
from capture.session import CaptureSession
from hoi_core.errors import DeviceError, StorageError
from hoi_core.sequence import UNPLUGGED, CaptureHeader, CaptureWriter, list_sequences, open_capture, sequence_dir


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


def test_a_camera_that_comes_back_goes_on_and_what_it_missed_is_listed(rigs, tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "_REOPEN_S", 0.01)
    left, right = rigs.FakeDevice("left", 150, pause_s=0.005), rigs.FakeDevice("right", 10**6, pause_s=0.005)
    right.begin_ns = left.begin_ns
    read, lost = right.read, threading.Event()

    def unplugged_at_40(timeout_s):
        if right.n >= 40 and not lost.is_set():
            raise DeviceError("camera right was unplugged.")
        if right.n >= 150:
            return []
        return read(timeout_s)

    def reopen():
        if left.n < 80:
            raise DeviceError("not there yet.")
        lost.set()
        # It counts and keeps time from zero, as a camera that was plugged in again.
        skipped = left.n - right.n
        right.n += skipped
        plain = right.read

        def anew(timeout_s):
            return [
                replace(f, frame_number=f.frame_number - left_at, t_device_ns=f.t_device_ns - shift)
                for f in plain(timeout_s)
            ]

        left_at, shift = right.n, right.n * rigs.PERIOD_NS + right.begin_ns - 800_000_000
        right.read = anew

    right.read, right.reopen = unplugged_at_40, reopen
    rig = rigs.FakeRig(left, right, whole=False)
    session = CaptureSession(rig, tmp_path)
    session.start_recording(CaptureHeader("seq_001"))
    session.start()
    until(lambda: session.devices()[1].state == "lost")
    assert session.devices()[0].state == "ok"
    assert "unplugged" in session.devices()[1].detail
    assert session.recording
    until(lambda: right.n >= 150 and left.n >= 150)
    assert session.devices()[1].state == "ok"
    report = session.stop_recording()
    session.stop()
    assert report.losses == 1
    with open_capture(sequence_dir(tmp_path, "seq_001")) as capture:
        numbers = capture.views["right"].color.frame_number
        missed = np.setdiff1d(np.arange(150), numbers)
        assert missed[0] == 40
        assert len(missed) >= 40
        assert [(d.stream, d.frame_number, d.reason) for d in capture.drops] == [
            ("right/color", n, UNPLUGGED) for n in missed
        ]
        # The image says which frame it really was.
        n = int(numbers[-1])
        np.testing.assert_array_equal(capture.views["right"].color[-1], rigs.color_image(n))
        assert [epoch.reason for epoch in capture.epochs] == ["unplugged"]


def test_marks_lie_in_the_recording_at_their_time(session, tmp_path):
    session.start()
    until(lambda: session.latest("left/color") and session.latest("right/color"))
    session.mark("before the take")
    session.start_recording(CaptureHeader("seq_001"))
    begin_ns = time.monotonic_ns()
    session.mark("dropped the mug")
    end_ns = time.monotonic_ns()
    until(lambda: min(session.counts.values()) > 5)
    session.stop_recording()
    with open_capture(sequence_dir(tmp_path, "seq_001")) as capture:
        (mark,) = capture.marks
        assert mark.text == "dropped the mug"
        assert begin_ns <= mark.t_ns <= end_ns


def test_a_verdict_is_there_once_frames_were_looked_at(session):
    session.start()
    assert session.verdict().views == {}
    until(lambda: session.verdict().views)
    assert set(session.verdict().views) <= {"left", "right"}


def test_a_take_that_does_not_fit_is_refused_before_it_begins(session, tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "free_bytes", lambda _: 1_000_000)
    with pytest.raises(StorageError, match="1 MB are free"):
        session.start_recording(CaptureHeader("seq_001"))
    assert not session.recording
    assert list_sequences(tmp_path) == []


def test_frames_held_back_after_a_reset_are_written_when_the_take_stops_right_then(rigs, tmp_path):
    left, right = rigs.FakeDevice("left", 10**6), rigs.FakeDevice("right", 10**6, pause_s=0.005)
    right.begin_ns = left.begin_ns
    plain, resets_at, held = right.read, threading.Event(), []

    def restarted(timeout_s):
        """From some moment on it counts anew, delivers a few frames, and then nothing for now."""
        if len(held) >= 5:
            threading.Event().wait(0.005)
            return []
        frames = plain(timeout_s)
        if not resets_at.is_set():
            return frames
        held.extend(frames)
        return [replace(f, frame_number=n, t_device_ns=n * rigs.PERIOD_NS) for n, f in enumerate(held, 1)][-1:]

    right.read = restarted
    session = CaptureSession(rigs.FakeRig(left, right, whole=False), tmp_path)
    session.start()
    until(lambda: session.latest("left/color") and right.n > 70)
    session.start_recording(CaptureHeader("seq_001"))
    until(lambda: session.counts["right/color"] > 20)
    resets_at.set()
    until(lambda: len(held) == 5)
    session.stop_recording()
    session.stop()
    with open_capture(sequence_dir(tmp_path, "seq_001")) as capture:
        images = capture.views["right"].color
        np.testing.assert_array_equal(images[-1], held[-1].image)
        assert images.frame_number[-5:].tolist() == [f.frame_number for f in held]


def test_a_camera_lost_before_the_take_is_in_the_drop_table_from_the_take_s_start(rigs, tmp_path):
    left = rigs.FakeDevice("left", 10**6, pause_s=0.005)
    right = rigs.FakeDevice("right", 30, DeviceError("camera right was unplugged."), pause_s=0.005)
    right.begin_ns = left.begin_ns
    session = CaptureSession(rigs.FakeRig(left, right, whole=False), tmp_path)
    session.start()
    until(lambda: session.devices()[1].state == "lost" and left.n > 60)
    session.start_recording(CaptureHeader("seq_001"))
    until(lambda: session.counts["left/color"] > 40)
    report = session.stop_recording()
    session.stop()
    assert report.losses == 1
    assert report.frames["right/color"] == 0
    with open_capture(sequence_dir(tmp_path, "seq_001")) as capture:
        numbers = capture.views["left"].color.frame_number.tolist()
        # Both count alike: what the left camera has, the right one misses.
        assert [(d.stream, d.frame_number, d.reason) for d in capture.drops] == [
            ("right/color", n, UNPLUGGED) for n in numbers
        ]
        assert len(capture.sync) == len(numbers)
        assert not capture.complete


def test_a_disk_so_full_that_not_even_the_table_fits_names_the_space_needed(rigs, tmp_path, monkeypatch):
    def full(*_, **__):
        raise StorageError("no space left.", "Free some.")

    session = CaptureSession(rigs.FakeRig(rigs.FakeDevice("left", 10**6), whole=False), tmp_path)
    session.start()
    session.start_recording(CaptureHeader("seq_001"))
    monkeypatch.setattr(CaptureWriter, "flush", full)
    monkeypatch.setattr("capture.writing.register_recording", full)
    until(lambda: session.error is not None)
    with pytest.raises(StorageError, match="a further minute need"):
        session.stop_recording()
    session.stop()
