"""Recording through librealsense software devices, and what happens when something breaks."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from capture import ledger as ledger_module
from capture import recorder as recorder_module
from capture import writing as writing_module
from capture.recorder import record
from capture.sync import realign
from capture.timekeeper import Timekeeper
from capture.writing import Recorder
from hoi_core.errors import DeviceError, SequenceError, StorageError
from hoi_core.sequence import (
    UNPLUGGED,
    CaptureHeader,
    CaptureWriter,
    capture_path,
    check_sequence,
    open_capture,
    read_table,
    recover,
    sequence_dir,
)

HEADER = CaptureHeader("seq_001", "p01", ("o01",), "s1")
FRAMES = 120


def deliver(recorder: Recorder, timekeeper: Timekeeper, frame) -> bool:
    timekeeper.add(frame)
    return recorder.put(frame)


def test_every_frame_is_paired_and_none_is_doubled(rigs, tmp_path):
    report = record(rigs.SoftwareRig(FRAMES), HEADER, tmp_path, 1.0)
    assert (report.paired, report.moments, report.duplicates, list(report.drops)) == (FRAMES, FRAMES, 0, [])
    assert report.skew_ms == pytest.approx(4.0, abs=0.1)
    with open_capture(capture_path(tmp_path, "seq_001")) as capture:
        assert capture.complete
        for name, stream in capture.streams.items():
            np.testing.assert_array_equal(stream.frame_number, np.arange(FRAMES))
            np.testing.assert_array_equal(capture.sync.index[name], np.arange(FRAMES))
            expected = rigs.color_image(7) if name.endswith("color") else rigs.depth_image(7)
            np.testing.assert_array_equal(stream[7], expected)
        np.testing.assert_allclose(np.diff(capture.sync.t_ns), rigs.PERIOD_NS, atol=2000)
    assert read_table(tmp_path, "protocol").loc[0, "status"] == "recorded"


def test_a_rig_that_ends_by_itself_is_recorded_to_its_last_frame_however_long_it_takes(rigs, tmp_path):
    rig = rigs.SoftwareRig(300)  # three quarters of a second; a machine under load may double it
    report = record(rig, HEADER, tmp_path, 0.1)
    assert report.moments == report.paired == 300


def test_injected_drops_are_exactly_the_ledger(rigs, tmp_path):
    rng = np.random.default_rng(5)
    names = ["left/color", "left/depth", "right/color", "right/depth"]
    lost = {(name, int(n)) for name in names for n in np.flatnonzero(rng.random(FRAMES) < 0.03)}
    lost |= {("left/color", 0), ("right/depth", FRAMES - 1), ("left/depth", 50), ("left/depth", 51)}
    report = record(rigs.SoftwareRig(FRAMES, lost), HEADER, tmp_path, 1.0)
    assert {(d.stream, d.frame_number) for d in report.drops} == lost
    with open_capture(capture_path(tmp_path, "seq_001")) as capture:
        assert sorted((d.stream, d.frame_number) for d in capture.drops) == sorted(lost)
        assert len(capture.sync) == FRAMES
        for name in names:
            missing = {n for stream, n in lost if stream == name}
            assert set(np.flatnonzero(capture.sync.index[name] < 0)) == missing


def test_the_others_go_on_when_a_camera_is_gone_for_good(rigs, tmp_path):
    unplugged = DeviceError("camera right was unplugged.", "Plug it in.")
    rig = rigs.FakeRig(rigs.FakeDevice("left", 120), rigs.FakeDevice("right", 40, unplugged))
    rig.devices[1].begin_ns = rig.devices[0].begin_ns
    report = record(rig, HEADER, tmp_path, 60.0)
    assert all(device.stopped for device in rig.devices)
    assert report.frames == {"left/color": 120, "right/color": 40}
    # To the end of the recording, each frame that it would have taken.
    assert [(d.stream, d.frame_number, d.reason) for d in report.drops] == [
        ("right/color", n, UNPLUGGED) for n in range(40, 120)
    ]
    with open_capture(capture_path(tmp_path, "seq_001")) as capture:
        assert not capture.complete
        assert [(d.frame_number, d.reason) for d in capture.drops] == [(n, UNPLUGGED) for n in range(40, 120)]
        assert len(capture.sync) == 120
        np.testing.assert_array_equal(capture.sync.index["right/color"][40:], -1)
    assert check_sequence(sequence_dir(tmp_path, "seq_001")) == []
    assert read_table(tmp_path, "protocol").loc[0, "status"] == "incomplete"


def test_moments_go_on_when_the_reference_is_gone(rigs, tmp_path):
    rig = rigs.FakeRig(rigs.FakeDevice("left", 40, DeviceError("unplugged.")), rigs.FakeDevice("right", 120))
    rig.devices[1].begin_ns = rig.devices[0].begin_ns
    report = record(rig, HEADER, tmp_path, 60.0)
    assert report.moments == 120
    with open_capture(capture_path(tmp_path, "seq_001")) as capture:
        np.testing.assert_array_equal(capture.sync.index["right/color"], np.arange(120))
        np.testing.assert_array_equal(capture.sync.index["left/color"][40:], -1)


def test_a_rig_that_is_gone_altogether_is_an_error_and_keeps_what_was_recorded(rigs, tmp_path):
    rig = rigs.FakeRig(rigs.FakeDevice("left", 10, RuntimeError("frame is gone")), whole=False)
    rig.devices[0].live = False
    with pytest.raises(DeviceError, match=r"reader left/color failed: RuntimeError: frame is gone"):
        record(rig, HEADER, tmp_path, 60.0)
    with open_capture(capture_path(tmp_path, "seq_001")) as capture:
        assert not capture.complete
        assert len(capture.views["left"].color) == 10
    assert read_table(tmp_path, "protocol").loc[0, "status"] == "incomplete"


def test_a_stop_keeps_the_take_and_marks_it_as_cut_short(rigs, tmp_path):
    rig, stop = rigs.FakeRig(rigs.FakeDevice("left", 10_000)), threading.Event()
    report = record(
        rig, HEADER, tmp_path, 60.0, lambda progress: stop.set() if progress.frames > 20 else None, stop=stop
    )
    assert report.stopped_early
    assert report.frames["left/color"] > 20
    with open_capture(capture_path(tmp_path, "seq_001")) as capture:
        assert (capture.complete, capture.never_closed) == (False, False)
        assert len(capture.sync) == len(capture.views["left"].color)
    assert read_table(tmp_path, "protocol").loc[0, "status"] == "incomplete"


def test_a_writer_that_breaks_ends_the_recording_as_incomplete(rigs, tmp_path, monkeypatch):
    append = CaptureWriter.append

    def broken(self, frame):
        if frame.frame_number == 5:
            raise RuntimeError("can't extend dataset")
        return append(self, frame)

    monkeypatch.setattr(CaptureWriter, "append", broken)
    with pytest.raises(StorageError, match="can't extend dataset"):
        record(rigs.FakeRig(rigs.FakeDevice("left", 10_000)), HEADER, tmp_path, 60.0)
    with open_capture(capture_path(tmp_path, "seq_001")) as capture:
        assert not capture.complete
        assert len(capture.views["left"].color) == 5
    assert read_table(tmp_path, "protocol").loc[0, "status"] == "incomplete"


def test_moments_that_cannot_be_worked_out_leave_the_mark_of_an_incomplete_recording(rigs, tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_module.sync, "align", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        record(rigs.FakeRig(rigs.FakeDevice("left", 5)), HEADER, tmp_path, 1.0)
    with open_capture(capture_path(tmp_path, "seq_001")) as capture:
        assert not capture.complete


def test_files_are_recorded_from_their_first_frame(rigs, tmp_path):
    devices = rigs.FakeDevice("left", 20), rigs.FakeDevice("right", 20)
    for device in devices:
        device.live = False

    class Files(rigs.FakeRig):
        finished = property(lambda self: all(device.n >= 20 for device in self.devices))

    report = record(Files(*devices, whole=False), HEADER, tmp_path, 60.0)
    assert report.frames == {"left/color": 20, "right/color": 20}


def test_a_rig_that_delivers_nothing_is_an_error(rigs, tmp_path):
    with pytest.raises(DeviceError, match="expected frames of left/color, none arrived"):
        record(rigs.FakeRig(rigs.FakeDevice("left", 0)), HEADER, tmp_path, 1.0)
    assert not capture_path(tmp_path, "seq_001").parent.exists()


def test_a_recording_without_frames_leaves_nothing_behind(rigs, tmp_path):
    rig = rigs.FakeRig(rigs.FakeDevice("left", 0, DeviceError("camera left is silent.")))
    with pytest.raises(DeviceError, match="silent"):
        record(rig, HEADER, tmp_path, 1.0)
    assert not capture_path(tmp_path, "seq_001").parent.exists()
    record(rigs.FakeRig(rigs.FakeDevice("left", 5)), HEADER, tmp_path, 1.0)
    with pytest.raises(SequenceError, match="--sequence seq_002"):
        record(rigs.FakeRig(rigs.FakeDevice("left", 5)), HEADER, tmp_path, 1.0)


def test_a_live_rig_records_for_the_time_asked_once_all_cameras_deliver(rigs, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "_WARM_UP_S", 0.1)
    rig = rigs.FakeRig(rigs.FakeDevice("left", 10**6), rigs.FakeDevice("right", 10**6), whole=False)
    seen = []
    report = record(rig, HEADER, tmp_path, 0.3, seen.append)
    assert report.frames["left/color"] > 10
    assert seen[-1].frames > 0
    with open_capture(capture_path(tmp_path, "seq_001")) as capture:
        assert capture.views["left"].color.frame_number[0] > 0
        assert capture.drops == []


def test_cameras_that_never_start_are_named(rigs, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "_START_TIMEOUT_S", 0.1)
    rig = rigs.FakeRig(rigs.FakeDevice("left", 10**6), rigs.FakeDevice("right", 0), whole=False)
    with pytest.raises(DeviceError, match="no frame from right/color"):
        record(rig, HEADER, tmp_path, 0.1)


def test_a_slow_disk_is_in_the_ledger(rigs, tmp_path, monkeypatch):
    device = rigs.FakeDevice("left", 20, pause_s=0.0)
    writer = CaptureWriter.create(tmp_path / "capture.h5", HEADER, device.streams)
    going = threading.Event()
    append = writer.append

    def slow(frame):
        going.wait()
        return append(frame)

    monkeypatch.setattr(writer, "append", slow)
    timekeeper = Timekeeper(device.streams)
    recorder = Recorder(writer, [device.streams], timekeeper, ring_s=4 / 30)
    taken = [deliver(recorder, timekeeper, frame) for _ in range(20) for frame in device.read(0.0)]
    going.set()
    recorder.close()
    report = recorder.report()
    refused = [n for n, ok in enumerate(taken) if not ok]
    assert 14 <= len(refused) <= 16
    assert [(d.frame_number, d.reason) for d in report.drops] == [(n, "queue full") for n in refused]
    assert report.drops[0].t_ns - report.drops[-1].t_ns == pytest.approx(
        (refused[0] - refused[-1]) * rigs.PERIOD_NS, abs=1_000_000
    )


def test_a_full_disk_ends_the_recording_with_a_typed_error(rigs, tmp_path, monkeypatch):
    flush = CaptureWriter.flush

    def full_after_some(self):
        flush(self)
        if self.counts["left/color"] > 30:
            raise StorageError("no space left.", "Free some.")

    monkeypatch.setattr(CaptureWriter, "flush", full_after_some)
    with pytest.raises(StorageError, match="no space left"):
        record(rigs.FakeRig(rigs.FakeDevice("left", 10_000, pause_s=0.005)), HEADER, tmp_path, 60.0)
    with open_capture(capture_path(tmp_path, "seq_001")) as capture:
        assert len(capture.views["left"].color) > 30
        assert not capture.complete


def test_moments_and_drops_are_on_the_disk_while_recording(rigs, tmp_path, monkeypatch):
    monkeypatch.setattr(writing_module, "_TICK_S", 0.0)
    device = rigs.FakeDevice("left", 100, pause_s=0.0)
    writer = CaptureWriter.create(tmp_path / "capture.h5", HEADER, device.streams)
    timekeeper = Timekeeper(device.streams)
    recorder = Recorder(writer, [device.streams], timekeeper)
    for n in range(100):
        (frame,) = device.read(0.0)
        if n != 40:
            deliver(recorder, timekeeper, frame)
    while recorder.counts["left/color"] < 99:
        threading.Event().wait(0.01)
    writer.flush()
    with open_capture(tmp_path / "capture.h5") as capture:
        assert 85 <= len(capture.sync) <= 92
        assert [d.frame_number for d in capture.drops] == [40]
        assert capture.sync.index["left/color"][40] == -1
    recorder.close()


KILLED = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("rigs", sys.argv[1])
rigs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rigs)
from capture.recorder import record
from hoi_core.sequence import CaptureHeader, CaptureWriter

flush = CaptureWriter.flush

def flush_and_say(self):
    flush(self)
    sys.stdout.write(f"{min(self.counts.values())}\\n")
    sys.stdout.flush()

CaptureWriter.flush = flush_and_say
devices = [rigs.FakeDevice(view, 10**6, pause_s=0.01) for view in ("left", "right")]
record(rigs.FakeRig(*devices), CaptureHeader("seq_001"), Path(sys.argv[2]), 60.0)
"""


def test_a_killed_recorder_leaves_frames_moments_and_a_way_back(rigs, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, rigs.__file__, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    flushed = 0
    while flushed < 150:
        flushed = int(process.stdout.readline())
    process.kill()
    flushed = max([flushed, *map(int, process.stdout.read().split())])
    process.wait()
    folder = sequence_dir(tmp_path, "seq_001")
    with open_capture(folder) as capture:
        kept = len(capture.views["left"].color)
        assert kept >= flushed
        assert len(capture.sync) > 0
    assert recover(folder, realign).needed
    with open_capture(folder) as capture:
        # Every frame that reached the disk is in a moment again, also those the killed recorder had not paired yet.
        assert (capture.sync.index["left/color"] == np.arange(kept)).all()
        assert len(capture.views["left"].color) == kept
        np.testing.assert_array_equal(capture.views["left"].color[-1], rigs.color_image(kept - 1))
    assert check_sequence(folder) == []  # cut short, but whole as far as it goes
