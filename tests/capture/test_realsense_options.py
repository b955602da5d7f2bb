"""Warm-up, locking, projector, sizes, reopening and resetting, on librealsense software devices that have options."""

import gc
import threading
from itertools import count

import numpy as np
import pyrealsense2 as rs
import pytest

from capture.devices import _realsense_find, _realsense_options, realsense
from hoi_core.errors import DeviceError

OPTION = rs.option


class AdaptingD435:
    """A software device with the options and modes of a D435; colour at 60 fps, exposure that settles slowly."""

    def __init__(self, serial: str = "911", *, alternates: bool = True) -> None:
        self.device = rs.software_device()
        for key, value in ((rs.camera_info.name, "Adapting D435"), (rs.camera_info.serial_number, serial)):
            if self.device.supports(key):
                self.device.update_info(key, value)
            else:
                self.device.register_info(key, value)
        self.device.register_info(rs.camera_info.usb_type_descriptor, "3.2")
        self.stereo = self.device.add_sensor("Stereo Module")
        self.color = self.device.add_sensor("RGB Camera")
        self.profiles = {
            "color": self.color.add_video_stream(stream(rs.stream.color, 64, 48, 60), True),
            "depth": self.stereo.add_video_stream(stream(rs.stream.depth, 32, 24, 30), True),
            "infrared": self.stereo.add_video_stream(stream(rs.stream.infrared, 32, 24, 30), True),
        }
        still = rs.extrinsics()
        still.rotation, still.translation = np.eye(3).ravel().tolist(), [0.0, 0.0, 0.0]
        for kind in ("depth", "infrared"):
            self.profiles[kind].register_extrinsics_to(self.profiles["color"], still)
        self.stereo.add_read_only_option(OPTION.depth_units, 0.001)
        for sensor, most in ((self.color, 10_000.0), (self.stereo, 165_000.0)):
            sensor.add_option(OPTION.enable_auto_exposure, limits(1.0, 1.0), True)
            sensor.add_option(OPTION.exposure, limits(most, 156.0), True)
            sensor.add_option(OPTION.gain, limits(248.0, 64.0), True)
        self.color.add_option(OPTION.enable_auto_white_balance, limits(1.0, 1.0), True)
        self.color.add_option(OPTION.white_balance, limits(6500.0, 4600.0), True)
        self.color.add_option(OPTION.auto_exposure_priority, limits(1.0, 1.0), True)
        self.stereo.add_option(OPTION.emitter_enabled, limits(2.0, 1.0), True)
        self.stereo.add_option(OPTION.laser_power, limits(360.0, 150.0), True)
        self.stereo.add_option(OPTION.inter_cam_sync_mode, limits(3.0, 0.0), True)
        if alternates:
            self.stereo.add_option(OPTION.emitter_on_off, limits(1.0, 0.0), True)

    def push(self, kind: str, n: int, exposure_us: int, gain: int = 20) -> None:
        sensor = self.color if kind == "color" else self.stereo
        profile = self.profiles[kind].as_video_stream_profile()
        shape, data, size = {
            "color": ((48, 64, 3), np.uint8, 3),
            "depth": ((24, 32), np.uint16, 2),
            "infrared": ((24, 32), np.uint8, 1),
        }[kind]
        sensor.set_metadata(rs.frame_metadata_value.actual_exposure, exposure_us)
        sensor.set_metadata(rs.frame_metadata_value.gain_level, gain)
        frame = rs.software_video_frame()
        frame.pixels = np.full(shape, n % 200, data)
        frame.stride, frame.bpp = shape[1] * size, size
        frame.timestamp, frame.domain, frame.frame_number = 1000.0 + n * 16.7, rs.timestamp_domain.hardware_clock, n
        frame.profile = profile
        if kind == "depth":
            frame.depth_units = 0.001
        sensor.on_video_frame(frame)


def limits(most: float, default: float) -> rs.option_range:
    found = rs.option_range()
    found.min, found.max, found.default, found.step = 0.0, most, default, 1.0
    return found


def stream(kind: rs.stream, width: int, height: int, fps: int) -> rs.video_stream:
    lens = rs.intrinsics()
    lens.width, lens.height, lens.fx, lens.fy = width, height, 60.0, 60.0
    lens.ppx, lens.ppy, lens.model, lens.coeffs = 0.5 * width, 0.5 * height, rs.distortion.none, [0.0] * 5
    made = rs.video_stream()
    made.type, made.fps, made.width, made.height, made.intrinsics = kind, fps, width, height, lens
    made.index = 1 if kind == rs.stream.infrared else 0
    uid, size, fmt = {
        rs.stream.color: (1, 3, rs.format.rgb8),
        rs.stream.depth: (2, 2, rs.format.z16),
        rs.stream.infrared: (3, 1, rs.format.y8),
    }[kind]
    made.uid, made.bpp, made.fmt = uid, size, fmt
    return made


class Bus:
    """A context with adapting cameras, and a thread that lets them stream until the end."""

    def __init__(self, *cameras: AdaptingD435) -> None:
        self.context, self._notices = rs.context(), []
        self.context.set_devices_changed_callback(lambda info: self._notices.append((info, info.get_new_devices())))
        for camera in cameras:
            camera.device.add_to(self.context)

    def unplug(self) -> None:
        self._notices.clear()
        gc.collect()

    def plug(self, camera: AdaptingD435) -> None:
        camera.device.add_to(self.context)


class Streaming:
    """Pushes frames in a thread: exposure halves its distance to the goal with every frame."""

    def __init__(self, camera: AdaptingD435, start_us: float, goal_us: float) -> None:
        self._camera, self._start, self._goal = camera, start_us, goal_us
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()

    def _run(self):
        exposure = self._start
        for n in count():
            if self._ending.wait(0.005):
                return
            if self._camera.color.get_active_streams():
                exposure = self._goal + 0.8 * (exposure - self._goal)
                self._camera.push("color", n, round(exposure))
                self._camera.push("depth", n, 8000, 16)


SMALL = {"width": 64, "height": 48, "fps": 60, "depth_width": 32, "depth_height": 24, "depth_fps": 30}


def test_exposure_settles_and_is_locked_and_stored():
    camera = AdaptingD435()
    bus = Bus(camera)
    # Before it: auto exposure from far too dark; the colour option counts 100 microseconds, stereo 1.
    with Streaming(camera, 300.0, 12_000.0), realsense.open(realsense.Config("911", **SMALL), bus.context) as device:
        assert camera.color.get_option(OPTION.enable_auto_exposure) == 0.0
        assert camera.color.get_option(OPTION.exposure) == pytest.approx(120.0, rel=0.04)
        assert camera.color.get_option(OPTION.gain) == 20.0
        assert camera.color.get_option(OPTION.enable_auto_white_balance) == 0.0
        assert camera.color.get_option(OPTION.white_balance) == 4600.0
        assert camera.color.get_option(OPTION.auto_exposure_priority) == 0.0
        assert camera.stereo.get_option(OPTION.exposure) == pytest.approx(8000.0)
        settings = device.settings
    assert settings["locked"] is True
    assert settings["color"]["auto_exposure"] is False
    assert settings["color"]["exposure_us"] == pytest.approx(12_000.0, rel=0.04)
    assert settings["color"]["white_balance_k"] == 4600.0
    assert settings["stereo"]["exposure_us"] == pytest.approx(8000.0)
    assert (settings["serial"], settings["usb"]) == ("911", "3.2")


def test_without_lock_the_camera_stays_automatic_and_nothing_waits():
    camera = AdaptingD435()
    bus = Bus(camera)
    with realsense.open(realsense.Config("911", **SMALL, lock=False), bus.context) as device:
        assert camera.color.get_option(OPTION.enable_auto_exposure) == 1.0
        assert device.settings["locked"] is False


def test_what_is_given_is_set_and_nothing_waits():
    camera = AdaptingD435()
    bus = Bus(camera)
    fixed = {"exposure_us": 8000.0, "gain": 50.0, "white_balance_k": 5000.0}
    config = realsense.Config("911", **SMALL, **fixed, depth_exposure_us=7000.0, depth_gain=30.0, warm_up_s=1e6)
    with realsense.open(config, bus.context):
        assert camera.color.get_option(OPTION.exposure) == 80.0
        assert camera.color.get_option(OPTION.gain) == 50.0
        assert camera.color.get_option(OPTION.white_balance) == 5000.0
        assert camera.stereo.get_option(OPTION.exposure) == 7000.0
        assert camera.stereo.get_option(OPTION.gain) == 30.0


def test_a_camera_that_never_settles_is_locked_as_it_is(caplog):
    camera = AdaptingD435()
    bus = Bus(camera)
    with realsense.open(realsense.Config("911", **SMALL, warm_up_s=0.05), bus.context):
        assert camera.color.get_option(OPTION.enable_auto_exposure) == 0.0
        assert camera.color.get_option(OPTION.exposure) == 156.0, "no frame came: what the option said"
    assert "had not settled" in caplog.text


@pytest.mark.parametrize(("emitter", "enabled", "alternates"), [("on", 1.0, 0.0), ("off", 0.0, 0.0)])
def test_the_projector_is_switched(emitter, enabled, alternates):
    camera = AdaptingD435()
    bus = Bus(camera)
    config = realsense.Config("911", **SMALL, lock=False, emitter=emitter, laser_mw=90.0, sync_mode=1)
    with realsense.open(config, bus.context) as device:
        assert camera.stereo.get_option(OPTION.emitter_enabled) == enabled
        assert camera.stereo.get_option(OPTION.emitter_on_off) == alternates
        assert camera.stereo.get_option(OPTION.inter_cam_sync_mode) == 1.0
        assert camera.stereo.get_option(OPTION.laser_power) == (90.0 if emitter == "on" else 150.0)
        assert device.settings["emitter"] == emitter


def test_the_projector_alternates_where_it_can():
    camera, old = AdaptingD435("911"), AdaptingD435("912", alternates=False)
    bus = Bus(camera, old)
    config = realsense.Config("911", **SMALL, lock=False, emitter="alternating")
    with realsense.open(config, bus.context) as device:
        assert camera.stereo.get_option(OPTION.emitter_on_off) == 1.0
        assert device.settings["stereo"]["emitter_alternates"] is True
    with pytest.raises(DeviceError, match=r"cannot alternate.*firmware 5.12"):
        realsense.open(realsense.Config("912", **SMALL, lock=False, emitter="alternating"), bus.context)


def test_each_stream_has_its_own_size_and_rate():
    camera = AdaptingD435()
    bus = Bus(camera)
    config = realsense.Config("911", "left", **SMALL, lock=False, infrared=True, readout_us=9000.0)
    with realsense.open(config, bus.context) as device:
        shapes = {info.name: (info.shape, info.fps, info.readout_us) for info in device.streams}
        assert shapes == {
            "left/color": ((48, 64, 3), 60.0, 9000.0),
            "left/depth": ((24, 32), 30.0, 0.0),
            "left/infrared": ((24, 32), 30.0, 0.0),
        }
        for n in range(2):
            for kind in ("color", "depth", "infrared"):
                camera.push(kind, n, 8000)
        assert sorted({frame.stream for frame in device.read(0.5)}) == ["left/color", "left/depth", "left/infrared"]


def test_a_camera_comes_back_with_the_same_streams_and_exposure():
    first = AdaptingD435()
    bus = Bus(first)
    with Streaming(first, 300.0, 9_000.0):
        device = realsense.open(realsense.Config("911", **SMALL), bus.context)
    first.push("color", 70, 9000)
    assert device.read(0.5)[-1].frame_number > 0
    streams = device.streams
    bus.unplug()
    with pytest.raises(DeviceError, match="was unplugged"):
        device.read(0.01)
    with pytest.raises(DeviceError, match="no RealSense camera"):
        device.reopen()
    second = AdaptingD435()
    bus.plug(second)
    device.reopen()
    assert device.streams is streams
    assert second.color.get_option(OPTION.enable_auto_exposure) == 0.0, "it was locked before: no second warm-up"
    assert second.color.get_option(OPTION.exposure) == pytest.approx(90.0, rel=0.04)
    second.push("color", 0, 9000)
    second.push("color", 1, 9000)
    assert [frame.frame_number for frame in device.read(0.5)] == [0, 1]
    assert device.duplicates == 0
    device.stop()


class Stubborn:
    """A device and its context: fails to start until it was reset, then leaves the bus and comes back."""

    def __init__(self, *, resets: bool = True) -> None:
        self.looks = 0
        self.reset = False
        self._resets = resets

    def hardware_reset(self):
        if not self._resets:
            raise RuntimeError("not supported")
        self.reset = True

    def supports(self, key):
        return key == rs.camera_info.serial_number

    def get_info(self, key):
        return "901"

    def query_devices(self):
        self.looks += self.reset
        return [] if 2 <= self.looks <= 3 else [self]


def test_a_reset_waits_until_the_camera_has_left_and_come_back(monkeypatch):
    monkeypatch.setattr(_realsense_find.time, "sleep", lambda _: None)
    camera = Stubborn()
    assert _realsense_find.reset(camera, "901", camera, 10.0) is camera
    assert camera.looks >= 4, "not the listing from before it left"
    with pytest.raises(DeviceError, match="cannot be reset: not supported"):
        _realsense_find.reset(Stubborn(resets=False), "901", camera, 10.0)
    gone = Stubborn()
    gone.query_devices = list
    now = iter(range(10**6))
    monkeypatch.setattr(_realsense_find.time, "monotonic", lambda: float(next(now)))
    with pytest.raises(DeviceError, match="did not come back"):
        _realsense_find.reset(gone, "901", gone, 10.0)


@pytest.mark.parametrize(
    ("message", "resets", "outcome"),
    [("failed to set power state", 1, "works"), ("errno=16, Device or resource busy", 0, "another program")],
)
def test_a_camera_that_does_not_start_is_reset_but_a_busy_one_is_left_alone(
    rigs, monkeypatch, message, resets, outcome
):
    rig = rigs.SoftwareRig(0)
    rig.devices[0].stop()
    tries, made = [], []
    started = realsense.RealSense._stream

    def stream_or_fail(self, chosen):
        tries.append(chosen)
        if len(tries) == 1:
            raise RuntimeError(message)
        started(self, chosen)

    monkeypatch.setattr(realsense.RealSense, "_stream", stream_or_fail)
    monkeypatch.setattr(realsense, "reset", lambda device, serial, *_: made.append(serial) or device)
    config = realsense.Config("901", "left", 64, 48)
    if outcome == "works":
        realsense.open(config, rig.context).stop()
    else:
        with pytest.raises(DeviceError, match=outcome):
            realsense.open(config, rig.context)
    assert made == ["901"] * resets
    rig.stop()


def test_settling_needs_frames_that_agree():
    class Raw:
        def __init__(self, exposure):
            self.exposure = exposure

        def supports_frame_metadata(self, field):
            return field == rs.frame_metadata_value.actual_exposure

        def get_frame_metadata(self, field):
            return self.exposure

    settling = _realsense_options.Settling()
    for k in range(12):
        settling.add(Raw(1000 + 100 * k))
    assert not settling.settled
    for _ in range(10):
        settling.add(Raw(2200))
    assert settling.settled
    assert settling.last == _realsense_options.Exposure(2200.0, 0.0)
