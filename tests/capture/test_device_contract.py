"""Every device type of the folder and the worked example keep the contract; and the check notices who does not."""

import importlib.util
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.device import BaseDevice, StagedRig, image_streams, streams_of
from capture.device_contract import device_problems, module_problems
from capture.devices import playback, video
from capture.rig import DeviceRig, open_rig
from capture.rig_file import DEVICES, load_type
from hoi_core import plugins
from hoi_core.errors import DeviceError
from hoi_core.types import Camera, Frame, StreamInfo

EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE = EXAMPLES / "devices" / "line_sensor.py"


def gather(device, each: int = 3) -> list[Frame]:
    """Frames until there are some of each stream."""
    frames: list[Frame] = []
    for _ in range(200):
        frames += device.read(0.2)
        if all(sum(frame.stream == info.name for frame in frames) >= each for info in device.streams):
            return frames
    return frames


@pytest.fixture
def simulator():
    path = EXAMPLES / "devices" / "line_sensor_simulator.py"
    spec = importlib.util.spec_from_file_location("line_sensor_simulator", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    simulator = module.Simulator(fps=200.0)
    simulator.image = module.image
    simulator.packet = module.packet
    yield simulator
    simulator.close()


def test_streams_say_what_they_belong_to():
    camera = Camera(4, 4, 1, 1, 0, 0)
    streams = [
        StreamInfo("pad/edge", "sensor", (4, 4), "uint8", 30.0, camera),
        StreamInfo("pad/gray", "sensor", (4, 4), "uint8", 30.0, camera),
        StreamInfo("right/depth", "camera", (4, 4), "uint16", 30.0, camera, "77", 0.001),
        StreamInfo("right/color", "camera", (4, 4, 3), "uint8", 30.0, camera, "77"),
        StreamInfo("left/gray", "camera", (4, 4), "uint8", 30.0, camera),
        StreamInfo("left/color", "camera", (4, 4, 3), "uint8", 30.0, camera),
    ]
    assert [(info.view, info.content, info.device) for info in streams[1:4]] == [
        ("pad", "gray", "pad"),
        ("right", "depth", "77"),
        ("right", "color", "77"),
    ]
    shown = {view: info.name for view, info in image_streams(streams).items()}
    assert list(shown.items()) == [("left", "left/color"), ("right", "right/color"), ("pad", "pad/gray")]


def test_real_rigs_know_no_truth(rigs):
    assert not isinstance(rigs.SoftwareRig(0), StagedRig)
    assert not isinstance(DeviceRig("lab", "", []), StagedRig)


@pytest.mark.parametrize("name", [*plugins.names(DEVICES), str(EXAMPLE)])
def test_every_device_type_keeps_the_contract_of_modules(name):
    assert module_problems(load_type(name, Path())) == []


def test_realsense_and_playback_keep_the_contract(rigs, tmp_path):
    rig = rigs.SoftwareRig(0)
    for n in range(3):
        rigs.push(rig.cameras["right"], n, 1000.0 + n * 33.0)
    assert device_problems(rig.devices[1], gather(rig.devices[1])) == []
    path = tmp_path / "left.db3"
    rigs.record_left_to_file(rig, path, 8)
    with playback.open(playback.Config(str(path), "left", 64, 48)) as device:
        assert device_problems(device, gather(device)) == []
        assert not device.live
    rig.stop()


@pytest.mark.slow
def test_the_simulated_rig_keeps_the_contract(tmp_path):
    rig = open_rig("simulated", tmp_path, seconds=0.5, drawn_s=0.5)
    assert isinstance(rig, StagedRig)
    assert set(rig.true_cameras) == {info.name for info in streams_of(rig)}
    rig.start()
    for device in rig.devices:
        assert device_problems(device, gather(device)) == []
    rig.stop()


def test_video_keeps_the_contract(tmp_path):
    path = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 100.0, (160, 120))
    for n in range(8):
        writer.write(np.full((120, 160, 3), 20 * n, np.uint8))
    writer.release()
    for kind in ("sensor", "color"):
        with video.open(video.Config(path, kind=kind)) as device:
            assert device_problems(device, gather(device)) == []


def test_the_example_runs_and_keeps_the_contract(simulator):
    module = load_type(str(EXAMPLE), Path())
    with module.open(module.Config(simulator.address, fps=200.0)) as device:
        frames = gather(device, 5)
        assert device_problems(device, frames) == []
        grays = [frame for frame in frames if frame.stream == "edge128/gray"]
        np.testing.assert_array_equal(grays[3].image, simulator.image(grays[3].frame_number))
        # 5 ms between images, mid-exposure 4 ms after the start at 1 s.
        assert grays[0].t_device_ns == 1_004_000_000 + grays[0].frame_number * 5_000_000
        assert grays[0].clock_domain == "hardware_clock"


def test_the_example_comes_back_after_it_was_unplugged(simulator):
    module = load_type(str(EXAMPLE), Path())
    device = module.open(module.Config(simulator.address, fps=200.0))
    streams = device.streams
    gather(device)
    simulator.unplug()
    with pytest.raises(DeviceError, match=r"was unplugged|failed"):
        gather(device, 10**6)
    device.reopen()
    assert device.streams is streams
    assert gather(device)[0].frame_number == 0, "its counter starts anew"
    device.stop()
    device.stop()
    simulator.close()
    with pytest.raises(DeviceError, match="does not answer"):
        device.reopen()


def test_the_example_skips_damaged_packets(simulator):
    module = load_type(str(EXAMPLE), Path())
    device = module.open(module.Config(simulator.address))
    good, bad = simulator.packet(1, 0), bytearray(simulator.packet(2, 0))
    bad[500] ^= 1
    device._received = b"rubbish" + good + bytes(bad) + simulator.packet(3, 0)[:1000]
    assert [module.HEADER.unpack_from(body)[0] for body in device._bodies()] == [1]
    assert device.bad_packets == 1
    device._received += simulator.packet(3, 0)[1000:]
    assert [module.HEADER.unpack_from(body)[0] for body in device._bodies()] == [3]
    device.stop()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 40_000), max_size=12), st.binary(max_size=300))
def test_the_example_finds_its_packets_however_they_are_cut(simulator, cuts, rubbish):
    module = load_type(str(EXAMPLE), Path())
    sensor = module.LineSensor.__new__(module.LineSensor)
    sensor._received, sensor.bad_packets = b"", 0
    line = b"".join(rubbish.replace(b"H", b"h") + simulator.packet(n, 1000 * n) for n in range(5))
    found = []
    for begin, end in pairwise([0, *sorted(min(cut, len(line)) for cut in cuts), len(line)]):
        sensor._received += line[begin:end]
        found += [module.HEADER.unpack_from(body)[0] for body in sensor._bodies()]
    assert found == [0, 1, 2, 3, 4]


def test_a_rig_file_names_the_example_by_its_path(simulator, tmp_path):
    (tmp_path / "lab.yaml").write_text(
        f"devices:\n  - {{type: {EXAMPLE}, view: touch, address: '{simulator.address}', fps: 200}}\n"
    )
    rig = open_rig(str(tmp_path / "lab.yaml"), tmp_path)
    assert isinstance(rig, DeviceRig)
    assert [info.name for info in rig.devices[0].streams] == ["touch/gray", "touch/edge"]
    assert len(gather(rig.devices[0])) >= 6
    rig.stop()


def test_a_device_that_breaks_its_promises_is_told_so():
    camera = Camera(4, 4, 1.0, 1.0, 1.5, 1.5)

    class Sloppy(BaseDevice):
        streams = (StreamInfo("s/gray", "sensor", (4, 4), "uint8", 30.0, camera),)
        settings = MappingProxyType({"driver": object()})

        def read(self, timeout_s):
            return []

    good = Frame("s/gray", 0, 0, 0, "host", np.zeros((4, 4), np.uint8))
    device = Sloppy()
    assert any("not plain" in text for text in device_problems(device, []))
    device.settings = {}
    assert device_problems(device, [good, replace(good, frame_number=1, t_device_ns=1)]) == []
    for change, words in (
        ({"frame_number": 0, "t_device_ns": 1}, "frame_number does not increase"),
        ({"frame_number": 1, "t_device_ns": 0}, "t_device_ns does not increase"),
        ({"frame_number": 1, "t_device_ns": 1.5}, "must be a whole number"),
        ({"frame_number": 1, "t_device_ns": 1, "image": np.zeros((4, 5), np.uint8)}, "delivered"),
        ({"frame_number": 1, "t_device_ns": 1, "stream": "s/odd"}, "not among `streams`"),
        ({"frame_number": 1, "t_device_ns": 1, "image": np.frombuffer(bytes(16), np.uint8).reshape(4, 4)}, "copy them"),
    ):
        found = device_problems(device, [good, replace(good, **change)])
        assert any(words in text for text in found), (change, found)
    with pytest.raises(DeviceError, match="cannot be opened again"):
        device.reopen()
    assert "it has no `reopen`." in device_problems(object(), [])
    assert module_problems(sys) != []


def test_the_example_is_recorded_and_taken_back(simulator, tmp_path):
    """Through the recorder: the sensor is unplugged once, its counter starts anew, and the recording goes on."""
    from capture.recorder import record
    from hoi_core.sequence import CaptureHeader, capture_path, open_capture

    text = f"devices:\n  - {{type: {EXAMPLE}, address: '{simulator.address}', fps: 200}}\n"
    (tmp_path / "lab.yaml").write_text(text)
    rig = open_rig(str(tmp_path / "lab.yaml"), tmp_path)
    recording = capture_path(tmp_path, "seq_001")

    def pull():
        while not recording.is_file():
            threading.Event().wait(0.02)
        threading.Event().wait(0.5)
        simulator.unplug()

    puller = threading.Thread(target=pull)
    puller.start()
    report = record(rig, CaptureHeader("seq_001", "p01", ("o01",)), tmp_path, 2.5)
    puller.join()
    assert report.losses == 1
    missed = {drop.reason for drop in report.drops}
    assert "unplugged" in missed
    with open_capture(report.path.parent) as capture:
        gray = capture.streams["edge128/gray"]
        numbers = np.asarray(gray.frame_number)
        assert (np.diff(numbers) > 0).all()
        lost = sum(drop.stream == "edge128/gray" for drop in report.drops)
        assert len(numbers) + lost == numbers[-1] - numbers[0] + 1, "every gap is in the ledger"
        assert gray.settings["protocol"] == "HOI1"
