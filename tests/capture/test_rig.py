"""Rig files and calibrations."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from capture import rig as rig_module
from capture import rig_file
from capture.calibrate import read_calibration
from capture.rig import make_header, open_rig
from hoi_core.errors import CalibrationError, ConfigError, DeviceError
from hoi_core.sequence import CaptureHeader

CAMERA = {"width": 64, "height": 48, "fx": 61.5, "fy": 61.0, "cx": 31.8, "cy": 24.2, "distortion": [0.1, 0, 0, 0, 0]}


class NoOptions:
    @dataclass(frozen=True)
    class Config:
        pass

    @staticmethod
    def open(config):
        raise NotImplementedError


def calibrate(root, **changes):
    pose = np.diag([1.0, -1.0, -1.0, 1.0]).tolist()
    (root / "calibrations").mkdir()
    views = {"cameras": {"left": CAMERA | {"T_world_cam": pose} | changes}}
    (root / "calibrations" / "c01.json").write_text(json.dumps(views))


def test_a_rig_file_opens_its_devices_with_their_calibration(rigs, tmp_path, monkeypatch):
    calibrate(tmp_path)
    opened = []

    class Plugin:
        @staticmethod
        def open(config):
            opened.append(config)
            return rigs.FakeDevice(config.view, 3)

    from capture.devices import realsense

    Plugin.Config = realsense.Config
    monkeypatch.setattr(rig_file, "load_type", lambda name, folder: Plugin)
    (tmp_path / "rigs").mkdir()
    text = "calibration: c01\ndevices:\n  - {type: realsense, serial: '1'}\n  - {type: realsense, view: right}\n"
    (tmp_path / "rigs" / "lab.yaml").write_text(text)
    rig = open_rig("lab", tmp_path)
    assert (rig.name, rig.calibration) == ("lab", "c01")
    assert [config.view for config in opened] == ["left", "right"]
    assert opened[0].camera.fx == 61.5
    np.testing.assert_array_equal(opened[0].camera.T_world_cam, np.diag([1.0, -1.0, -1.0, 1.0]))
    assert opened[1].camera is None
    header = make_header(rig, CaptureHeader("seq_001", "p01", ("o01",)))
    assert (header.rig, header.calibration, header.objects) == ("lab", "c01", ("o01",))
    assert header.edge_params
    assert header.created
    rig.stop()
    assert all(device.stopped for device in rig.devices)


def test_a_device_that_fails_releases_those_before_it(rigs, tmp_path, monkeypatch):
    first = rigs.FakeDevice("left", 3)
    entries = iter([first, ConfigError("broken.")])

    def open_entry(*_):
        entry = next(entries)
        if isinstance(entry, ConfigError):
            raise entry
        return entry

    monkeypatch.setattr(rig_module, "_open_entry", open_entry)
    monkeypatch.setattr(rig_file, "load_type", lambda name, folder: NoOptions)
    (tmp_path / "lab.yaml").write_text("devices:\n  - {type: a}\n  - {type: b}\n")
    with pytest.raises(ConfigError, match="broken"):
        open_rig(str(tmp_path / "lab.yaml"), tmp_path)
    assert first.stopped


def test_rigs_among_the_devices_of_a_file_are_started_and_stopped(rigs, tmp_path, monkeypatch):
    inner, single = rigs.FakeRig(rigs.FakeDevice("left", 2)), rigs.FakeDevice("right", 2)

    class Plugin:
        @staticmethod
        def open(config):
            return inner if config.view == "left" else single

    from capture.devices import realsense

    Plugin.Config = realsense.Config
    monkeypatch.setattr(rig_file, "load_type", lambda name, folder: Plugin)
    (tmp_path / "both.yaml").write_text("devices:\n  - {type: a}\n  - {type: b, view: right}\n")
    rig = open_rig(str(tmp_path / "both.yaml"), tmp_path)
    assert rig.devices == [*inner.devices, single]
    rig.start()
    assert inner.started
    assert not rig.finished
    rig.stop()
    assert all(device.stopped for device in rig.devices)
    (tmp_path / "one.yaml").write_text("devices:\n  - {type: a}\n")
    assert open_rig(str(tmp_path / "one.yaml"), tmp_path) is inner


def test_bad_rig_files_are_typed_errors(tmp_path):
    with pytest.raises(ConfigError, match="no rig named 'lab'"):
        open_rig("lab", tmp_path)
    (tmp_path / "empty.yaml").write_text("name: lab\n")
    with pytest.raises(ConfigError, match="names no devices"):
        open_rig(str(tmp_path / "empty.yaml"), tmp_path)
    (tmp_path / "odd.yaml").write_text("devices:\n  - {type: kinect}\n")
    with pytest.raises(ConfigError, match="no device named 'kinect'"):
        open_rig(str(tmp_path / "odd.yaml"), tmp_path)
    for text in ("- realsense", "- {view: left}"):
        (tmp_path / "odd.yaml").write_text(f"devices:\n  {text}\n")
        with pytest.raises(ConfigError, match="expected a device with its `type`"):
            open_rig(str(tmp_path / "odd.yaml"), tmp_path)
    (tmp_path / "odd.yaml").write_text("devices:\n  - {type: realsense, serial: 923322071108}\n")
    with pytest.raises(ConfigError, match="takes a text"):
        open_rig(str(tmp_path / "odd.yaml"), tmp_path)


def test_bad_calibrations_are_typed_errors(tmp_path):
    with pytest.raises(CalibrationError, match="found none"):
        read_calibration(tmp_path, "c01")
    calibrate(tmp_path, T_world_cam=[1, 2])
    with pytest.raises(CalibrationError, match="malformed"):
        read_calibration(tmp_path, "c01")


def test_the_example_of_two_d435s_only_lacks_the_cameras(tmp_path):
    example = Path(__file__).parents[2] / "examples" / "rigs" / "two_d435.yaml"
    with pytest.raises(DeviceError, match=r"no RealSense camera is connected|000000000001"):
        open_rig(str(example), tmp_path)
