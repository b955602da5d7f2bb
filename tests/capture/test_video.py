"""Video files written by OpenCV, and a stand-in for the camera that OpenCV would open."""

import time

import cv2
import numpy as np
import pytest

from capture.devices import video
from hoi_core import edges
from hoi_core.errors import DeviceError
from hoi_core.types import Camera


def scene(n: int, width: int = 320, height: int = 240) -> np.ndarray:
    """A bright square that moves to the right over a ramp, BGR."""
    image = np.repeat(np.linspace(20, 90, width, dtype=np.float32)[None], height, 0)
    image[80:160, 100 + 4 * n : 180 + 4 * n] = 220
    return np.dstack([image * 0.5, image, image * 0.8]).astype(np.uint8)


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), 25.0, (320, 240))
    assert writer.isOpened()
    for n in range(12):
        writer.write(scene(n))
    writer.release()
    return path


def drain(device) -> list:
    frames = []
    while not device.finished:
        frames += device.read(0.5)
    return frames


def test_a_file_becomes_the_gray_and_edge_sensor(clip):
    with video.open(video.Config(str(clip))) as device:
        gray_info, edge_info = device.streams
        assert (gray_info.name, gray_info.kind, gray_info.shape) == ("edge128/gray", "sensor", (128, 128))
        assert (edge_info.name, edge_info.fps, device.live) == ("edge128/edge", 25.0, False)
        frames = drain(device)
    grays = [frame for frame in frames if frame.stream == "edge128/gray"]
    assert [frame.frame_number for frame in grays] == list(range(12))
    assert len(frames) == 24
    # 25 frames a second, by the file's own times.
    np.testing.assert_allclose(np.diff([frame.t_device_ns for frame in grays]), 40_000_000, atol=1000)
    # Independent reduction: the mean of each 240/128 px cell by exact area, on the lossless frame.
    square = scene(5)[:, 40:280].astype(np.float64) @ [0.114, 0.587, 0.299]
    cells = np.add.reduceat(np.repeat(np.repeat(square, 8, 0), 8, 1), np.arange(0, 1920, 15), 0)
    mean = np.add.reduceat(cells, np.arange(0, 1920, 15), 1) / 225.0
    np.testing.assert_allclose(grays[5].image, mean, atol=2.0)
    edge = next(frame for frame in frames if frame.stream == "edge128/edge" and frame.frame_number == 5)
    np.testing.assert_array_equal(edge.image, edges.sobel_edges(grays[5].image))


def test_the_readout_of_a_rolling_shutter_is_that_of_the_configuration(clip):
    for kind, names in (("sensor", ["edge128/gray", "edge128/edge"]), ("color", ["edge128/color"])):
        with video.open(video.Config(str(clip), kind=kind, readout_us=11_000.0)) as device:
            assert [(info.name, info.readout_us) for info in device.streams] == [(name, 11_000.0) for name in names]


def test_a_file_plays_at_its_own_pace(clip):
    with video.open(video.Config(str(clip))) as device:
        arrivals = [frame.t_host_ns for frame in drain(device) if frame.stream.endswith("/gray")]
    # Unpaced, all twelve would come at once; paced, in eleven times 40 ms, less what a busy machine loses at the start.
    assert arrivals[-1] - arrivals[0] > 6 * 40_000_000


def test_a_file_as_a_colour_view_with_its_calibration(clip):
    camera = Camera(320, 240, 300.0, 301.0, 160.0, 119.0)
    with video.open(video.Config(str(clip), view="top", kind="color", camera=camera)) as device:
        (info,) = device.streams
        assert (info.name, info.kind, info.shape, info.camera) == ("top/color", "camera", (240, 320, 3), camera)
        frame = device.read(0.5)[0]
    np.testing.assert_allclose(frame.image, scene(0)[..., ::-1], atol=2)


def test_a_chosen_square(clip):
    with video.open(video.Config(str(clip), crop_x=100, crop_y=80, crop_side=64)) as device:
        image = device.read(0.5)[0].image
    assert image.min() > 150, "the square lies within the bright patch"
    with pytest.raises(DeviceError, match=r"square of 64 px at \(300, 80\) lies outside the 320x240"):
        video.open(video.Config(str(clip), crop_x=300, crop_y=80, crop_side=64))


def test_what_cannot_be_opened_is_a_typed_error(tmp_path, clip):
    with pytest.raises(DeviceError, match="found none"):
        video.open(video.Config(str(tmp_path / "no.mp4")))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DeviceError, match="cannot be read as a video"):
        video.open(video.Config(str(tmp_path / "text.mp4")))
    with pytest.raises(DeviceError, match="is no camera"):
        video.open(video.Config("/dev/video97"))
    wrong = Camera(64, 64, 60.0, 60.0, 31.5, 31.5)
    with pytest.raises(DeviceError, match="delivers 128x128, its calibration is for 64x64"):
        video.open(video.Config(str(clip), camera=wrong))
    device = video.open(video.Config(str(clip)))
    with pytest.raises(DeviceError, match="cannot be plugged in again"):
        device.reopen()


class FakeCamera:
    """As much of `cv2.VideoCapture` on V4L2 as is used; stamps the start of each exposure."""

    there = True
    stamped = True

    def __init__(self, source, backend) -> None:
        self.values = {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_EXPOSURE: 80.0, cv2.CAP_PROP_WB_TEMPERATURE: 4600.0}
        self.n = 0

    def isOpened(self):
        return self.there

    def getBackendName(self):
        return "V4L2"

    def get(self, which):
        if which == cv2.CAP_PROP_POS_MSEC:
            return self.stamp_ms if self.stamped else 0.0
        return self.values.get(which, 0.0)

    def set(self, which, value):
        self.values[which] = value
        return True

    def read(self):
        if not self.there:
            return False, None
        self.n += 1
        self.stamp_ms = time.monotonic_ns() * 1e-6 - 12.0
        return True, scene(self.n % 10)

    def release(self):
        pass


@pytest.fixture
def fake(monkeypatch):
    kind = type("Fake", (FakeCamera,), {})
    monkeypatch.setattr(video.cv2, "VideoCapture", kind)
    return kind


def test_a_cameras_frames_count_from_the_drivers_stamp(fake):
    with video.open(video.Config("0")) as device:
        frame = device.read(0.5)[0]
    assert frame.clock_domain == "host"
    assert frame.exposure_us == pytest.approx(8000.0)
    # Stamped 12 ms before arrival, the middle of the exposure 4 ms after that.
    assert frame.t_host_ns - frame.t_device_ns == pytest.approx(8_000_000, abs=1_000_000)


def test_without_a_monotonic_stamp_arrival_counts(fake):
    fake.stamped = False
    with video.open(video.Config("0")) as device:
        frame = device.read(0.5)[0]
    assert frame.t_device_ns == frame.t_host_ns


def test_exposure_is_locked_where_the_camera_arrived(fake):
    with video.open(video.Config("0")) as device:
        assert device.settings["locked"] is True
        assert device.settings["exposure_us"] == pytest.approx(8000.0)
        assert device._capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 1.0
        assert device._capture.values[cv2.CAP_PROP_AUTO_WB] == 0.0
    with video.open(video.Config("0", exposure_us=5000.0, gain=7.0)) as device:
        assert device._capture.values[cv2.CAP_PROP_EXPOSURE] == pytest.approx(50.0)
        assert device.settings["gain"] == 7.0


def test_an_unplugged_camera_is_an_error_and_comes_back(fake):
    device = video.open(video.Config("0"))
    streams = device.streams
    fake.there = False
    device.read(0.1)  # the image that was there already
    with pytest.raises(DeviceError, match="was unplugged"):
        device.read(0.1)
    with pytest.raises(DeviceError, match="is no camera"):
        device.reopen()
    fake.there = True
    device.reopen()
    assert device.streams is streams
    assert len(device.read(0.1)) == 2


def test_a_gap_in_time_is_a_gap_in_numbers(fake):
    device = video.open(video.Config("0", lock=False))
    numbers = [device._number(round(k * 1e9 / 30.0) + jitter) for k, jitter in ((0, 0), (1, 4e6), (2, -4e6), (6, 0))]
    assert numbers == [0, 1, 2, 6]
