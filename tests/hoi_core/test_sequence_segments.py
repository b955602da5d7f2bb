"""Recordings of several files, files of format 1.0, marks, epochs and settings."""

import shutil

import h5py
import numpy as np
import pytest

from hoi_core.errors import SequenceError
from hoi_core.sequence import (
    CaptureHeader,
    CaptureWriter,
    Clock,
    ClockPiece,
    Epoch,
    Mark,
    check_sequence,
    open_capture,
    recover,
    repair,
)
from hoi_core.sequence import writer as writer_module
from hoi_core.types import Camera, Frame, StreamInfo

CAMERA = Camera(64, 48, 61.5, 61.0, 31.8, 24.2)
HEADER = CaptureHeader("seq_001", "p01", ("o01",), "s1")
PERIOD_NS = 33_333_333
STREAMS = [
    StreamInfo("left/color", "camera", (48, 64, 3), "uint8", 30.0, CAMERA, "901", readout_us=12_000.0),
    StreamInfo("left/depth", "camera", (48, 64), "uint16", 30.0, CAMERA, "901", 0.001, np.eye(4)),
]


def image(info: StreamInfo, n: int) -> np.ndarray:
    return np.random.default_rng([n, len(info.name)]).integers(0, 250, info.shape).astype(info.dtype)


def fill(writer: CaptureWriter, clock: list[float], frames: range) -> None:
    """Append frames with the writer's idea of time at 30 frames per second."""
    for n in frames:
        clock[0] = n / 30
        for info in STREAMS:
            writer.append(Frame(info.name, n, n * PERIOD_NS, n * PERIOD_NS + 5, "hardware_clock", image(info, n)))
        writer.sync(n * PERIOD_NS, {info.name: n for info in STREAMS}, {})


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(writer_module.time, "monotonic", lambda: now[0])
    return now


def make(folder, clock, *, frames: int = 100, segment_s: float = 1.2, close: bool = True) -> CaptureWriter:
    writer = CaptureWriter.create(
        folder / "capture.h5", HEADER, STREAMS, segment_s=segment_s, settings={"left/color": {"exposure_us": 8000.0}}
    )
    fill(writer, clock, range(frames))
    writer.mark(7, "dropped the mug")
    if close:
        writer.close()
    return writer


def test_segments_read_as_one_recording(tmp_path, clock):
    make(tmp_path / "many", clock)
    make(tmp_path / "one", clock, segment_s=1e9)
    names = sorted(path.name for path in (tmp_path / "many").iterdir())
    assert names == ["capture.001.h5", "capture.002.h5", "capture.h5"]
    with open_capture(tmp_path / "many") as many, open_capture(tmp_path / "one") as one:
        assert many.content_hash() == one.content_hash()
        for info in STREAMS:
            stream = many.streams[info.name]
            assert len(stream) == 100
            assert min(stream.part_lengths) > 10
            np.testing.assert_array_equal(stream.frame_number, np.arange(100))
            for n in (0, stream.part_lengths[0] - 1, stream.part_lengths[0], 99, -1):
                np.testing.assert_array_equal(stream[n], image(info, n % 100))
        assert many.complete
        assert many.marks == [Mark(7, "dropped the mug")]
        assert many.streams["left/color"].settings == {"exposure_us": 8000.0}
        assert many.streams["left/color"].info.readout_us == 12_000.0
    assert check_sequence(tmp_path / "many") == []


def test_what_was_written_can_be_had_back_while_writing(tmp_path, clock):
    writer = make(tmp_path, clock, close=False)
    columns = writer.columns("left/depth")
    np.testing.assert_array_equal(columns["frame_number"], np.arange(100))
    np.testing.assert_array_equal(columns["t_host_ns"], np.arange(100) * PERIOD_NS + 5)
    assert writer.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    writer.close()


def test_a_missing_segment_is_named(tmp_path, clock):
    make(tmp_path, clock)
    (tmp_path / "capture.002.h5").unlink()
    with pytest.raises(SequenceError, match=r"goes on in capture\.002\.h5, which is missing"):
        open_capture(tmp_path)


def test_a_changed_image_in_a_later_segment_is_found(tmp_path, clock):
    make(tmp_path, clock)
    with h5py.File(tmp_path / "capture.001.h5", "a") as file:
        file["cameras/left/color/frames"][3] += 1
    with open_capture(tmp_path) as capture:
        changed = capture.streams["left/color"].part_lengths[0] + 3
    assert check_sequence(tmp_path) == [f"left/color: image {changed} is not what was recorded"]


@pytest.fixture
def killed(tmp_path, clock):
    """The files of a recorder that was killed in its third segment, as they were on the disk."""
    writer = make(tmp_path / "running", clock, close=False)
    writer.flush()
    folder = tmp_path / "seq_001"
    shutil.copytree(tmp_path / "running", folder)
    writer.close()
    (folder / "capture.003.h5.new").write_bytes(b"half made")
    return folder


def test_recover_cleans_all_segments(killed):
    with open_capture(killed) as capture:
        assert capture.never_closed
        before = capture.content_hash()
    report = recover(killed)
    assert report.needed
    assert report.frames == {"left/color": 100, "left/depth": 100}
    assert sorted(path.name for path in killed.iterdir()) == ["capture.001.h5", "capture.002.h5", "capture.h5"]
    with open_capture(killed) as capture:
        assert not capture.never_closed
        assert capture.content_hash() == before
        assert capture.marks == [Mark(7, "dropped the mug")]
    assert not recover(killed).needed
    assert check_sequence(killed) == []


def test_repair_leaves_what_may_be_running_or_has_labels(killed):
    assert repair(killed, quiet_s=3600.0) is None
    (killed / "annotation.h5").write_bytes(b"labels")
    assert repair(killed, quiet_s=0.0) is None
    (killed / "annotation.h5").unlink()
    assert repair(killed, quiet_s=0.0).frames["left/color"] == 100
    assert repair(killed, quiet_s=0.0) is None


def test_epochs_and_clock_pieces_survive_recording_and_recovery(tmp_path, clock):
    writer = make(tmp_path, clock, close=False)
    model = Clock((ClockPiece(0, 0, 7, 1.0, 2.0), ClockPiece(50 * PERIOD_NS, 50 * PERIOD_NS, 9, -3.0, 4.0)), 100, 30.0)
    epoch = Epoch("left/color", 50, 48, 10**9, "unplugged")
    writer.set_clock("left/color", model)
    writer.extend_epochs([epoch])
    writer.flush()
    shutil.copytree(tmp_path, tmp_path / "copy")
    writer.close()
    recover(tmp_path / "copy")
    for folder in (tmp_path, tmp_path / "copy"):
        with open_capture(folder) as capture:
            assert capture.clocks["left/color"] == model
            assert capture.epochs == [epoch]
            # At frame 60: the second line, and what the images' motion adds to it.
            t = np.array([60 * PERIOD_NS])
            assert capture.clocks["left/color"].to_common_ns(t)[0] == t[0] + 9 - round(3e-6 * 10 * PERIOD_NS) + 100


def test_a_mark_that_is_too_long_is_cut_between_characters(tmp_path, clock):
    writer = CaptureWriter.create(tmp_path / "capture.h5", HEADER, STREAMS)
    writer.mark(1, "a" + "\u00e9" * 200)
    writer.close()
    with open_capture(tmp_path) as capture:
        assert capture.marks == [Mark(1, "a" + "\u00e9" * 127)]


def test_a_file_of_format_1_0_reads_as_it_always_did(tmp_path, caplog, write_capture_1_0):
    colors = np.stack([image(STREAMS[0], n) for n in range(4)])
    depths = np.stack([image(STREAMS[1], n) for n in range(4)])
    write_capture_1_0(tmp_path / "capture.h5", colors, depths)
    with open_capture(tmp_path) as capture:
        left = capture.views["left"]
        np.testing.assert_array_equal(np.stack(list(left.color)), colors)
        np.testing.assert_array_equal(np.stack(list(left.depth)), depths)
        assert left.depth.scale_m == 0.001
        assert left.color.info.readout_us == 0.0
        assert left.color.settings == {}
        assert (capture.marks, capture.epochs) == ([], [])
        assert capture.clocks["left/depth"].to_common_ns(np.array([10**9]))[0] == 10**9 + 77 + 10_000
        assert [(d.stream, d.frame_number, d.reason) for d in capture.drops] == [("left/depth", 9, "not delivered")]
        assert len(capture.sync) == 4
    assert caplog.text == ""
    assert check_sequence(tmp_path) == []
    assert not recover(tmp_path).needed


def test_two_streams_cut_at_different_places_keep_their_indices(tmp_path, clock):
    """A stream that ends early in one segment goes on at the right index in the next."""
    writer = CaptureWriter.create(tmp_path / "capture.h5", HEADER, STREAMS, segment_s=1.0)
    color, depth = STREAMS
    for n in range(90):
        clock[0] = n / 30
        writer.append(Frame(color.name, n, n, n, "host", image(color, n)))
        if n % 3 == 0:
            writer.append(Frame(depth.name, n, n, n, "host", image(depth, n)))
    writer.close()
    with open_capture(tmp_path) as capture:
        assert len(capture.files) > 1
        stream = capture.streams[depth.name]
        for k in range(len(stream)):
            np.testing.assert_array_equal(stream[k], image(depth, 3 * k))
