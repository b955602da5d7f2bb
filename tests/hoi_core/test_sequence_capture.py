"""capture.h5: round trips, killed, truncated and foreign files, full disks."""

import errno
import logging
import signal
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hoi_core.errors import SequenceError, StorageError
from hoi_core.sequence import (
    CaptureHeader,
    CaptureWriter,
    find_sequence,
    list_sequences,
    new_sequence_dir,
    next_name,
    open_capture,
    recover,
)
from hoi_core.sequence import writer as writer_module
from hoi_core.sequence._segment import StreamPart
from hoi_core.types import Camera, Frame, StreamInfo

CAMERA = Camera(64, 48, 61.5, 61.0, 31.8, 24.2, (0.1, -0.2, 0.001, 0.002, 0.05), "inverse_brown_conrady")
HEADER = CaptureHeader("seq_001", "p01", ("o01",), "s1", rig="simulated", edge_params={"threshold": 40})


def streams() -> list[StreamInfo]:
    depth = replace(CAMERA, fx=40.0, fy=40.0, distortion=(0.0,) * 5)
    return [
        StreamInfo("left/color", "camera", (48, 64, 3), "uint8", 30.0, CAMERA, "900001"),
        StreamInfo("left/depth", "camera", (48, 64), "uint16", 30.0, depth, "900001", 0.001, np.eye(4)),
        StreamInfo("edge128/gray", "sensor", (16, 16), "uint8", 30.0, CAMERA),
        StreamInfo("edge128/edge", "sensor", (16, 16), "uint8", 30.0, CAMERA),
    ]


def image(info: StreamInfo, n: int) -> np.ndarray:
    return np.random.default_rng([n, len(info.name)]).integers(0, np.iinfo(info.dtype).max, info.shape, info.dtype)


def record(path, frames: int, *, close: bool = True) -> CaptureWriter:
    writer = CaptureWriter.create(path, HEADER, streams())
    for n in range(frames):
        for info in streams():
            writer.append(
                Frame(info.name, n, n * 33_000_000, 7_000 + n * 33_000_000, "global_time", image(info, n), 8500.0, 16.0)
            )
        index = {info.name: n for info in streams()} | {"edge128/edge": -1}
        writer.sync(n * 33_000_000, index, {"left/depth": 5})
    writer.drop("left/color", frames, frames * 33_000_000, "not delivered")
    writer.clock("left/color", 7_000, 12.5, 300.0, reference_ns=1_000)
    if close:
        writer.close()
    return writer


def test_everything_written_is_read_back(tmp_path):
    path = tmp_path / "seq_001" / "capture.h5"
    record(path, 5)
    with open_capture(path.parent) as capture:
        assert capture.header == HEADER
        assert capture.complete
        assert list(capture.views) == ["left"]
        assert list(capture.sensors) == ["edge128"]
        for info in streams():
            stream = capture.streams[info.name]
            assert len(stream) == 5
            assert stream[3].dtype == info.dtype
            np.testing.assert_array_equal(stream[-1], image(info, 4))
            np.testing.assert_array_equal(stream.camera.T_world_cam, info.camera.T_world_cam)
            assert replace(stream.camera, T_world_cam=None) == replace(info.camera, T_world_cam=None)
        left = capture.views["left"]
        assert left.depth.scale_m == 0.001
        assert left.infrared is None
        assert left.color.info.serial == "900001"
        np.testing.assert_array_equal(left.color.t_host_ns, 7_000 + np.arange(5) * 33_000_000)
        frame = left.color.frame(2)
        assert (frame.frame_number, frame.clock_domain, frame.exposure_us) == (2, "global_time", 8500.0)
        np.testing.assert_array_equal(capture.sync.index["left/color"], np.arange(5))
        np.testing.assert_array_equal(capture.sync.index["edge128/edge"], [-1] * 5)
        np.testing.assert_array_equal(capture.sync.skew_ns["left/depth"], [5] * 5)
        assert not capture.sync.complete.any()
        assert [(d.stream, d.frame_number, d.reason) for d in capture.drops] == [("left/color", 5, "not delivered")]
        clock = capture.clocks["left/color"]
        assert clock.to_common_ns(np.array([1_000 + 10**9]))[0] == 1_000 + 10**9 + 7_000 + 12_500
        with pytest.raises(IndexError, match="5 frames"):
            left.color[5]


def test_images_are_kept_while_asked_for(tmp_path):
    record(tmp_path / "capture.h5", 4)
    with open_capture(tmp_path) as capture:
        stream = capture.views["left"].depth
        fresh = [stream[i] for i in range(4)]
        assert stream[1] is not stream[1]
        assert not stream.room
        with stream.keeping(2 * fresh[0].nbytes):
            assert stream.room
            for _ in range(2):
                for i in range(4):
                    np.testing.assert_array_equal(stream[i], fresh[i])
            assert stream[1] is stream[1 - len(stream)], "room for two"
            assert not stream.room
            assert stream[2] is not stream[2]
        assert stream[1] is not stream[1]


def test_moments_can_be_replaced_while_recording(tmp_path):
    writer = record(tmp_path / "capture.h5", 5, close=False)
    for moments in (7, 4):
        t_ns = np.arange(moments) * 10
        writer.extend_sync(t_ns, {"left/color": np.zeros(moments, int)}, {}, replace=True)
        writer.flush()
    writer.close()
    with open_capture(tmp_path) as capture:
        np.testing.assert_array_equal(capture.sync.t_ns, [0, 10, 20, 30])
        np.testing.assert_array_equal(capture.sync.index["left/color"], [0] * 4)
        np.testing.assert_array_equal(capture.sync.index["left/depth"], [-1] * 4)


def test_a_view_without_depth_says_which_streams_it_has(tmp_path):
    with CaptureWriter.create(tmp_path / "capture.h5", HEADER, streams()[:1]):
        pass
    with open_capture(tmp_path) as capture, pytest.raises(SequenceError, match="no depth stream, only color"):
        _ = capture.views["left"].depth


def test_depth_is_aligned_by_the_cameras_poses_where_the_file_has_no_transform(tmp_path):
    color, depth = streams()[:2]
    moved = np.eye(4)
    moved[0, 3] = 0.05
    infos = [color, replace(depth, camera=replace(depth.camera, T_world_cam=moved), T_depth_color=None)]
    infos[0] = replace(color, camera=replace(color.camera, distortion=(0.0,) * 5, cx=31.0))
    with CaptureWriter.create(tmp_path / "capture.h5", HEADER, infos) as writer:
        units = np.zeros((48, 64), np.uint16)
        units[24, 32] = 500
        writer.append(Frame("left/color", 0, 0, 0, "host", np.zeros((48, 64, 3), np.uint8)))
        writer.append(Frame("left/depth", 0, 0, 0, "host", units))
    with open_capture(tmp_path) as capture:
        v, u = np.nonzero(capture.views["left"].depth_in_color_m(0))
    # The depth imager stands 5 cm to the right: the point lies as much further right in the colour image.
    assert u.mean() == pytest.approx(61.5 * (0.05 + 0.5 * (32 - depth.camera.cx) / depth.camera.fx) / 0.5 + 31.0, abs=1)
    assert v.mean() == pytest.approx(24, abs=1)


def test_depth_without_a_unit_is_no_depth(tmp_path):
    infos = [streams()[0], replace(streams()[1], depth_scale_m=None)]
    with CaptureWriter.create(tmp_path / "capture.h5", HEADER, infos) as writer:
        writer.append(Frame("left/depth", 0, 0, 0, "host", image(infos[1], 0)))
    with open_capture(tmp_path) as capture, pytest.raises(SequenceError, match="how long its unit is"):
        capture.views["left"].depth_in_color_m(0)


@settings(max_examples=10)
@given(numbers=st.lists(st.integers(0, 2**40), min_size=1, max_size=6), depth=st.data())
def test_any_depth_image_and_time_survives(tmp_path_factory, numbers, depth):
    folder = tmp_path_factory.mktemp("any")
    info = streams()[1]
    images = [depth.draw(npst.arrays(np.uint16, info.shape, fill=st.integers(0, 65535))) for _ in numbers]
    with CaptureWriter.create(folder / "capture.h5", HEADER, [info]) as writer:
        for number, array in zip(numbers, images, strict=True):
            writer.append(Frame(info.name, number, number * 7, number, "hardware_clock", array))
    with open_capture(folder) as capture:
        stream = capture.views["left"].depth
        np.testing.assert_array_equal(stream.t_device_ns, np.array(numbers) * 7)
        np.testing.assert_array_equal(np.stack(list(stream)), np.stack(images))
        assert np.isnan(stream.exposure_us).all()


def test_the_content_hash_ignores_the_file_but_not_the_content(tmp_path):
    record(tmp_path / "a.h5", 3)
    record(tmp_path / "b.h5", 3)
    record(tmp_path / "c.h5", 4)
    with h5py.File(tmp_path / "a.h5") as old, h5py.File(tmp_path / "a2.h5", "w", libver="v114") as new:
        new.create_dataset("padding", data=np.zeros(1000))
        for name in old:
            old.copy(name, new)
        new.attrs.update(old.attrs)
    hashes = []
    for name in ("a", "b", "c", "a2"):
        with open_capture(tmp_path / f"{name}.h5") as capture:
            hashes.append(capture.content_hash())
    assert hashes[0] == hashes[1] == hashes[3] != hashes[2]


def test_a_recording_is_never_overwritten(tmp_path):
    record(tmp_path / "sequences" / "seq_001" / "capture.h5", 1)
    with pytest.raises(SequenceError, match="never overwritten"):
        record(tmp_path / "sequences" / "seq_001" / "capture.h5", 1)
    with pytest.raises(SequenceError, match="--sequence seq_002"):
        new_sequence_dir(tmp_path, "seq_001")
    assert next_name(tmp_path) == "seq_002"
    assert list_sequences(tmp_path) == ["seq_001"]


def test_unknown_sequences_name_the_near_ones(tmp_path):
    with pytest.raises(SequenceError, match="holds no recordings"):
        find_sequence(tmp_path, "seq_001")
    record(tmp_path / "sequences" / "seq_012" / "capture.h5", 1)
    with pytest.raises(SequenceError, match="Did you mean seq_012"):
        find_sequence(tmp_path, "seq_12")
    with pytest.raises(SequenceError, match="letters, digits"):
        find_sequence(tmp_path, "../etc")


def test_wrong_images_and_streams_are_refused(tmp_path):
    with CaptureWriter.create(tmp_path / "capture.h5", HEADER, streams()) as writer:
        with pytest.raises(SequenceError, match=r"takes uint8 \(48, 64, 3\), got uint16"):
            writer.append(Frame("left/color", 0, 0, 0, "host", np.zeros((48, 64), np.uint16)))
        with pytest.raises(SequenceError, match="no stream 'right/color'"):
            writer.append(Frame("right/color", 0, 0, 0, "host", np.zeros((48, 64, 3), np.uint8)))


def _broken(tmp_path, kind: str):
    path = tmp_path / "capture.h5"
    if kind == "missing":
        return path
    if kind == "text":
        path.write_text("not a recording\n" * 100)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "foreign":
        with h5py.File(path, "w") as file:
            file["x"] = 1
    else:
        record(path, 3)
        if kind == "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        else:
            with h5py.File(path, "a") as file:
                changes = {"newer": ("format_version", "2.0"), "older": ("format_version", "0.9")}
                changes |= {"other": ("format", "hoi-annotation"), "gutted": ("objects", "{")}
                file.attrs.update([changes[kind]])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "found none"),
        ("text", "not an HDF5 file"),
        ("empty", "not an HDF5 file"),
        ("foreign", "no hoi-capture file"),
        ("truncated", "truncated"),
        ("newer", "Update the program"),
        ("older", "older than the oldest"),
        ("other", "it is hoi-annotation"),
        ("gutted", "damaged"),
    ],
)
def test_bad_files_are_typed_errors(tmp_path, kind, message):
    with pytest.raises(SequenceError, match=message):
        open_capture(_broken(tmp_path, kind))


def test_a_folder_that_cannot_be_made_is_a_typed_error(tmp_path):
    (tmp_path / "sequences").write_text("a file")
    with pytest.raises(StorageError, match="cannot write"):
        new_sequence_dir(tmp_path, "seq_001")


def test_a_newer_minor_version_reads_with_a_warning(tmp_path, caplog):
    record(tmp_path / "capture.h5", 2)
    with h5py.File(tmp_path / "capture.h5", "a") as file:
        file.attrs["format_version"] = "1.9"
    with caplog.at_level(logging.WARNING), open_capture(tmp_path) as capture:
        assert len(capture.views["left"].color) == 2
    assert "newer than 1.1" in caplog.text


def record_forever(path: str) -> None:
    """Run in the process that gets killed: append, and say after each flush how many moments it has made safe."""
    infos = streams()
    writer = CaptureWriter.create(path, HEADER, infos)
    flush = writer.flush

    def flush_and_say() -> None:
        flush()
        sys.stdout.write(f"{min(writer.counts.values())}\n")
        sys.stdout.flush()

    writer.flush = flush_and_say
    for n in range(100_000):
        for info in infos:
            writer.append(Frame(info.name, n, n, n, "host", image(info, n)))
        writer.sync(n, {info.name: n for info in infos}, {})


@pytest.fixture
def killed(tmp_path):
    """A recording whose process was killed after its third flush, and how many moments had been flushed."""
    path = tmp_path / "seq_009" / "capture.h5"
    code = f"import runpy; runpy.run_path({__file__!r})['record_forever']({str(path)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    flushed = [int(process.stdout.readline()) for _ in range(3)]
    process.send_signal(signal.SIGKILL)
    flushed += map(int, process.stdout.read().split())
    process.wait()
    return path, flushed[-1]


def test_frames_are_flushed_before_half_a_second_has_passed(tmp_path, monkeypatch):
    now, flushed = [100.0], []
    monkeypatch.setattr(writer_module.time, "monotonic", lambda: now[0])
    writer = CaptureWriter.create(tmp_path / "capture.h5", HEADER, streams()[:1])
    flush = writer.flush
    monkeypatch.setattr(writer, "flush", lambda: (flushed.append(now[0]), flush()))
    info = streams()[0]
    for n in range(60):
        now[0] = 100.0 + n / 30
        writer.append(Frame(info.name, n, n, n, "host", image(info, n)))
    writer.close()
    assert len(flushed) >= 4
    assert np.diff([100.0, *flushed, now[0]]).max() < 0.5


def test_a_killed_recording_is_readable_and_recoverable(killed, caplog):
    path, flushed = killed
    with caplog.at_level(logging.WARNING), open_capture(path) as capture:
        assert not capture.complete
        stream = capture.streams["left/depth"]
        before = capture.content_hash()
        lengths = [len(s) for s in capture.streams.values()]
        assert min(lengths) >= flushed
        assert np.ptp(lengths) <= 1
        np.testing.assert_array_equal(stream[-1], image(stream.info, len(stream) - 1))
        assert capture.sync.index["left/depth"].max() < len(stream)
    assert "hoi-data recover seq_009" in caplog.text

    caplog.clear()
    report = recover(path.parent)
    assert report.needed
    assert not recover(path.parent).needed
    caplog.clear()
    with caplog.at_level(logging.WARNING), open_capture(path) as capture:
        assert not capture.complete
        assert capture.content_hash() == before
        assert {name: len(s) for name, s in capture.streams.items()} == report.frames
    assert "never closed" not in caplog.text
    assert list(path.parent.iterdir()) == [path]


def test_recover_refuses_a_recording_that_is_still_running(tmp_path):
    writer = record(tmp_path / "capture.h5", 3, close=False)
    writer.flush()
    from hoi_core.sequence import recover as recover_function

    original = sys.modules["hoi_core.sequence.recover"]._copy

    def copy_while_recording(*arguments):
        original(*arguments)
        info = streams()[0]
        writer.append(Frame(info.name, 9, 9, 9, "host", image(info, 9)))
        writer.flush()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["hoi_core.sequence.recover"], "_copy", copy_while_recording)
        with pytest.raises(SequenceError, match="still being recorded"):
            recover_function(tmp_path)
    writer.close()
    with open_capture(tmp_path) as capture:
        assert capture.complete


def test_a_nearly_full_disk_stops_before_anything_breaks(tmp_path, monkeypatch):
    path = tmp_path / "capture.h5"
    writer = record(path, 3, close=False)
    monkeypatch.setattr(writer_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1_000_000}))
    with pytest.raises(StorageError, match="only 1 MB are free"):
        writer.flush()
    writer.close(complete=False)
    with open_capture(path) as capture:
        assert len(capture.views["left"].color) == 3
        assert not capture.complete


FULL = """
import resource, runpy, sys
test = runpy.run_path(sys.argv[1])
path = sys.argv[2]
writer = test["record"](path, 4, close=False)
writer.flush()
import os
resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path) + 4096,) * 2)
from hoi_core.errors import StorageError
from hoi_core.types import Frame
try:
    for n in range(4, 400):
        for info in test["streams"]():
            writer.append(Frame(info.name, n, n, n, "host", test["image"](info, n)))
    writer.flush()
except StorageError as error:
    sys.stdout.write(str(error))
    sys.stdout.flush()
    writer.close()
"""


def test_a_full_disk_is_a_typed_error_and_keeps_what_was_recorded(tmp_path):
    path = tmp_path / "capture.h5"
    done = subprocess.run(
        [sys.executable, "-c", FULL, __file__, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "no space left" in done.stdout, done.stderr
    with open_capture(path) as capture:
        for info in streams():
            stream = capture.streams[info.name]
            assert len(stream) >= 4
            np.testing.assert_array_equal(stream[-1], image(info, len(stream) - 1))
    assert recover(path).needed
    with open_capture(path) as capture, h5py.File(path):
        assert min(len(stream) for stream in capture.streams.values()) >= 4


def test_disk_full_errors_of_the_system_become_storage_errors(tmp_path, monkeypatch):
    writer = record(tmp_path / "capture.h5", 1, close=False)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(StreamPart, "append", full)
        with pytest.raises(StorageError, match="no space left"):
            writer.append(Frame("left/color", 0, 0, 0, "host", image(streams()[0], 0)))
    writer.close(complete=False)


@pytest.mark.parametrize("part", ["sync", "sync/index", "drops", "clocks", "cameras/left/depth", "cameras", "sensors"])
def test_a_file_that_lacks_a_part_is_a_typed_error(tmp_path, part):
    path = tmp_path / "capture.h5"
    record(path, 3)
    with h5py.File(path, "a") as file:
        del file[part]
    with pytest.raises(SequenceError, match="is damaged"):
        open_capture(path)


@pytest.mark.parametrize(("name", "value"), [("fx", np.nan), ("distortion", np.zeros(3)), ("T_world_cam", np.inf)])
def test_a_camera_that_makes_no_sense_is_a_typed_error(tmp_path, name, value):
    path = tmp_path / "capture.h5"
    record(path, 2)
    with h5py.File(path, "a") as file:
        attrs = file["cameras/left/color"].attrs
        attrs[name] = np.full((4, 4), value) if name == "T_world_cam" else value
    with pytest.raises(SequenceError, match="is damaged"):
        open_capture(path)


def test_an_image_that_cannot_be_unpacked_is_a_typed_error(tmp_path):
    path = tmp_path / "capture.h5"
    record(path, 3)
    with h5py.File(path, "a") as file:
        file["cameras/left/color/frames"].id.write_direct_chunk((1, 0, 0, 0), b"not packed")
    with open_capture(path) as capture:
        assert capture.views["left"].color[0].shape == (48, 64, 3)
        with pytest.raises(SequenceError, match="hoi-data check"):
            capture.views["left"].color[1]
