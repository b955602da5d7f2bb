"""The streaming code on librealsense software devices."""

import gc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyrealsense2 as rs
import pytest

from capture.continuity import Continuity
from capture.devices import _realsense_frames, _realsense_options, realsense
from hoi_core.errors import DeviceError
from hoi_core.types import Frame, StreamInfo


@pytest.fixture
def rig(rigs):
    rig = rigs.SoftwareRig(0)
    yield rig
    rig.stop()
    gc.collect()


def drain(device) -> list:
    frames = []
    while new := device.read(0.2):
        frames += new
    return frames


def test_cameras_are_listed_with_serial_and_usb_speed(rig):
    found = realsense.find(rig.context)
    assert [(info.serial, info.usb) for info in found] == [("901", "3.2"), ("902", "3.2")]


def test_a_camera_that_does_not_answer_is_a_typed_error():
    class Locked:
        def query_devices(self):
            raise RuntimeError("failed to set power state")

    with pytest.raises(DeviceError, match="failed to set power state"):
        realsense.find(Locked())


def test_streams_describe_each_imager(rigs, rig):
    color, depth = rig.devices[0].streams
    assert (color.name, color.shape, color.dtype) == ("left/color", (48, 64, 3), "uint8")
    assert (depth.name, depth.shape, depth.dtype) == ("left/depth", (48, 64), "uint16")
    assert color.camera.distortion == pytest.approx(rigs.COLOR.distortion, abs=1e-7)
    assert color.camera.distortion_model == "inverse_brown_conrady"
    assert depth.depth_scale_m == pytest.approx(0.001)
    np.testing.assert_allclose(depth.T_depth_color @ rigs.T_COLOR_DEPTH, np.eye(4), atol=1e-6)
    np.testing.assert_allclose(depth.camera.T_world_cam, rigs.T_COLOR_DEPTH, atol=1e-6)


def test_a_calibrated_camera_replaces_the_factorys(rigs, rig):
    rig.devices[0].stop()
    calibrated = replace(rigs.COLOR, fx=62.25, T_world_cam=rigs.POSE)
    config = realsense.Config("901", "left", 64, 48, camera=calibrated)
    with realsense.open(config, rig.context) as device:
        color, depth = device.streams
        assert color.camera is calibrated
        np.testing.assert_allclose(depth.camera.T_world_cam, rigs.POSE @ rigs.T_COLOR_DEPTH, atol=1e-6)


def test_frames_carry_what_was_pushed_and_own_their_pixels(rigs, rig):
    for n in range(5):
        rigs.push(rig.cameras["left"], n, 1000.0 + n * 100.0)
    frames = drain(rig.devices[0])
    assert len(frames) == 10
    by_stream = {(f.stream, f.frame_number): f for f in frames}
    frame = by_stream["left/color", 3]
    np.testing.assert_array_equal(frame.image, rigs.color_image(3))
    np.testing.assert_array_equal(by_stream["left/depth", 4].image, rigs.depth_image(4))
    assert frame.t_device_ns == pytest.approx(1_300_000_000, abs=1000)
    assert frame.clock_domain == "global_time"
    assert (frame.exposure_us, frame.gain) == (8500.0, 16.0)
    assert frame.image.flags.owndata
    assert all(a.t_host_ns <= b.t_host_ns for a, b in pairwise(frames))


def test_repeated_frames_are_dropped_and_counted(rigs, rig):
    for n in (0, 1, 1, 2):
        rigs.push(rig.cameras["right"], n, 1000.0 + n * 33.0)
    assert len(drain(rig.devices[1])) == 6
    assert rig.devices[1].duplicates == 2


class _Raw:
    """A frame as far as the clock looks at it."""

    def __init__(self, stamp_ms: float, **metadata: int) -> None:
        self._stamp_ms = stamp_ms
        self._metadata = {getattr(rs.frame_metadata_value, name): value for name, value in metadata.items()}

    def get_timestamp(self) -> float:
        return self._stamp_ms

    def supports_frame_metadata(self, field) -> bool:
        return field in self._metadata

    def get_frame_metadata(self, field) -> int:
        return self._metadata[field]


def test_time_is_mid_exposure_on_the_clock_of_the_time_stamp():
    raw = _Raw(5_000.0, frame_timestamp=900_000, sensor_timestamp=895_750, actual_exposure=8500)
    assert _realsense_frames.mid_exposure_ns(raw) == 4_995_750_000
    assert _realsense_frames.mid_exposure_ns(_Raw(5_000.0, actual_exposure=8000)) == 4_996_000_000
    assert _realsense_frames.mid_exposure_ns(_Raw(5_000.0)) == 5_000_000_000


def test_the_hardware_clock_goes_on_when_its_counter_wraps(rigs):
    wrap, period_ns = 1 << 32, 33_333_000
    info = StreamInfo("left/color", "camera", (48, 64, 3), "uint8", 30.0, rigs.COLOR, "901")
    going_on, times = Continuity([info]), []
    for k in range(-30, 30):
        now = (wrap + k * 33_333) % wrap
        # The readout's stamp may have wrapped where the middle of the exposure has not.
        raw = _Raw(now / 1e3, frame_timestamp=now, sensor_timestamp=(now - 5_000) % wrap)
        t_device_ns = _realsense_frames.mid_exposure_ns(raw)
        image = np.zeros((48, 64, 3), np.uint8)
        frame = Frame(info.name, k + 30, t_device_ns, 10**12 + k * period_ns, "hardware_clock", image)
        times += [frame.t_device_ns for frame in going_on.continue_(frame)]
    np.testing.assert_allclose(np.diff(times), period_ns, atol=1000)


def test_a_counter_that_starts_anew_is_no_repetition(rigs, rig):
    for n, t_ms in ((40, 5000.0), (41, 5033.0), (0, 10.0), (1, 43.0)):
        rigs.push(rig.cameras["left"], n, t_ms)
    assert [f.frame_number for f in drain(rig.devices[0]) if f.stream == "left/color"] == [40, 41, 0, 1]
    assert rig.devices[0].duplicates == 0


def test_missing_cameras_are_typed_errors(rig):
    with pytest.raises(DeviceError, match="connected: 901, 902"):
        realsense.open(realsense.Config("77"), rig.context)
    with pytest.raises(DeviceError, match="several cameras"):
        realsense.open(realsense.Config(), rig.context)
    with pytest.raises(DeviceError, match="no RealSense camera"):
        realsense.open(realsense.Config(), type("Empty", (), {"query_devices": lambda self: []})())
    with pytest.raises(DeviceError, match="found none"):
        realsense.open(realsense.Config(file="missing.db3"), rig.context)


def test_a_stream_that_is_not_offered_names_those_that_are(rig):
    rig.devices[0].stop()
    with pytest.raises(
        DeviceError, match=r"901 \(USB 3.2\) has no color stream of 1280x720 at 30 fps; it offers: 64x48@30"
    ):
        realsense.open(realsense.Config("901", "left", 1280, 720), rig.context)
    with pytest.raises(DeviceError, match="no infrared stream"):
        realsense.open(realsense.Config("901", "left", 64, 48, infrared=True), rig.context)


def test_a_busy_camera_is_a_typed_error():
    info = realsense.DeviceInfo("D435", "901", "3.2", "5")
    busy = RuntimeError("xioctl(VIDIOC_S_FMT) failed, errno=16 Last Error: Device or resource busy")
    assert "another program" in str(realsense.open_error(info, busy))
    assert "does not start" in str(realsense.open_error(info, RuntimeError("out of power")))


def test_silence_and_unplugging_are_typed_errors(rigs, rig, monkeypatch):
    device = rig.devices[0]
    with monkeypatch.context() as patch:
        later = realsense.time.monotonic() + 3600.0
        patch.setattr(realsense.time, "monotonic", lambda: later)
        assert device.read(0.01) == [], "nobody read it before: that is no silence"
    device._last_seen.clear()
    assert device.read(0.01) == []
    seen = dict(device._last_seen)
    device._last_seen = {name: at - 60.0 for name, at in seen.items()}
    with pytest.raises(DeviceError, match="delivered no frame of left/color for 60 s"):
        device.read(0.01)
    # Colour goes on, depth has stopped.
    device._last_seen = seen | {"left/depth": seen["left/depth"] - 60.0}
    rigs.push(rig.cameras["left"], 0, 1000.0, {"depth"})
    with pytest.raises(DeviceError, match="delivered no frame of left/depth for 60 s"):
        device.read(0.2)
    monkeypatch.setattr(device, "_device", type("Gone", (), {"is_connected": lambda self: False})())
    with pytest.raises(DeviceError, match="left \\(901\\) was unplugged"):
        device.read(0.01)


def test_options_out_of_range_are_refused_and_unknown_ones_skipped():
    option = rs.option

    class Sensor:
        def __init__(self):
            self.values = {}

        def supports(self, name):
            return name in (option.exposure, option.enable_auto_exposure)

        def is_option_read_only(self, name):
            return False

        def get_option_range(self, name):
            return type("Range", (), {"min": 0.0, "max": 100.0, "step": 1.0})()

        def set_option(self, name, value):
            self.values[name] = value

    sensor = Sensor()
    _realsense_options.expose(sensor, _realsense_options.Exposure(8500.0, 16.0), is_color=True)
    assert sensor.values == {option.enable_auto_exposure: 0.0, option.exposure: 85.0}
    with pytest.raises(DeviceError, match="exposure takes 0 to 100, got 1000"):
        _realsense_options.expose(sensor, _realsense_options.Exposure(100_000.0), is_color=True)


def test_a_frame_that_waited_counts_from_its_arrival(monkeypatch):
    monkeypatch.setattr(_realsense_frames.time, "time", lambda: 1_000.250)
    monkeypatch.setattr(_realsense_frames.time, "monotonic_ns", lambda: 5_000_000_000)
    assert _realsense_frames.arrival_ns(_Raw(0.0, time_of_arrival=1_000_000)) == 4_750_000_000
    assert _realsense_frames.arrival_ns(_Raw(0.0, time_of_arrival=1_000_249)) == 5_000_000_000
    assert _realsense_frames.arrival_ns(_Raw(0.0)) == 5_000_000_000


def test_a_recorded_file_plays_through_the_same_code(rigs, rig, tmp_path):
    from capture.devices import playback

    path = tmp_path / "left.db3"
    rigs.record_left_to_file(rig, path, 12)
    with playback.open(playback.Config(str(path), "left", 64, 48)) as device:
        frames = []
        while not device.finished:
            frames += device.read(0.2)
        frames += device.read(0.1)
    numbers = {s: [f.frame_number for f in frames if f.stream == s] for s in ("left/color", "left/depth")}
    for found in numbers.values():
        # librealsense's recorder may lose what came just before it was stopped, but nothing at the start.
        assert len(found) >= 9
        assert found == list(range(len(found)))
    for frame in frames:
        source = rigs.color_image if frame.stream == "left/color" else rigs.depth_image
        np.testing.assert_array_equal(frame.image, source(frame.frame_number))
