"""Rig files: defaults, device types of other people, errors that name the place; and the list for a picker."""

from importlib.metadata import EntryPoint
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture import rig as rig_module
from capture.devices import realsense
from capture.rig import list_rigs, open_rig
from capture.rig_file import attach_calibration, file_of_rig, load_type, read_rig
from hoi_core import plugins
from hoi_core.errors import ConfigError, DeviceError

EXAMPLES = Path(__file__).parents[2] / "examples" / "rigs"


def write(folder, text, name="lab.yaml"):
    path = folder / name
    path.write_text(text)
    return path


def test_defaults_hold_for_all_devices_of_a_type_and_a_devices_own_line_wins(tmp_path):
    path = write(
        tmp_path,
        "defaults:\n  realsense: {fps: 60, emitter: off}\ndevices:\n"
        "  - {type: realsense, view: left}\n  - {type: realsense, view: right, fps: 30, emitter: alternating}\n"
        "  - {type: video, source: '0'}\n",
    )
    left, right, sensor = (entry.config for entry in read_rig(path).entries)
    # An unquoted `off` is `false` to YAML.
    assert (left.fps, left.emitter) == (60, "off")
    assert (right.fps, right.emitter) == (30, "alternating")
    assert sensor.view == "edge128"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("devicez: []\n", r"no key in .*lab.yaml named 'devicez'.*'devices'"),
        ("devices:\n  - {type: realsense, wiew: left}\n", r"key in .*lab.yaml: device 1 \(realsense\) named 'wiew'"),
        ("devices:\n  - {type: video, source: 0}\n", r"source in .*lab.yaml: device 1 \(video\) takes a text"),
        ("devices:\n  - {type: realsense, emitter: dim}\n", r"emitter in .*device 1 \(realsense\) named 'dim'"),
        ("devices:\n  - {type: realsense}\ndefaults: 3\n", "expected `defaults` by device type"),
        ("devices:\n  - {type: realsense}\ndefaults: {video: {fps: 3}}\n", "defaults for video, but no such device"),
        ("devices:\n  - {type: realsense}\n  - {type: realsense}\n", "two devices have view 'left'"),
        (
            "devices:\n  - {type: realsense, serial: '1'}\n  - {type: realsense, view: right, serial: '1'}\n",
            "two devices have serial '1'",
        ),
        ("devices:\n  - {type: ./mine.py}\n", "expected a device type .*mine.py, found no such file"),
    ],
)
def test_mistakes_are_named_with_file_and_key(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        read_rig(write(tmp_path, text))


def test_a_device_type_may_be_a_file_beside_the_rig(tmp_path):
    code = (
        '"""Mine."""\nfrom dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    view: str = "me"\n'
    )
    write(tmp_path, code + "def open(config):\n    return config\n", "mine.py")
    (entry,) = read_rig(write(tmp_path, "devices:\n  - {type: mine.py, view: you}\n")).entries
    assert entry.module.open(entry.config).view == "you"
    assert entry.label == "mine you"
    write(tmp_path, code, "half.py")
    with pytest.raises(ConfigError, match=r"half\.py has no open"):
        load_type("half.py", tmp_path)
    write(tmp_path, "import no_such_driver\n", "broken.py")
    with pytest.raises(DeviceError, match=r"broken\.py does not load: ModuleNotFoundError"):
        load_type("broken.py", tmp_path)


def test_a_device_type_may_come_from_another_package(monkeypatch, tmp_path):
    monkeypatch.setattr(
        plugins, "entry_points", lambda **_: [EntryPoint("theirs", "capture.devices.video", "capture.devices")]
    )
    (entry,) = read_rig(write(tmp_path, "devices:\n  - {type: theirs, source: '0'}\n")).entries
    assert entry.config.source == "0"


def test_relative_files_start_at_the_rig_file(tmp_path):
    clip = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(clip, cv2.VideoWriter_fourcc(*"MJPG"), 50.0, (160, 120))
    writer.write(np.zeros((120, 160, 3), np.uint8))
    writer.write(np.zeros((120, 160, 3), np.uint8))
    writer.release()
    (tmp_path / "rigs").mkdir()
    (tmp_path / "clip.avi").rename(tmp_path / "rigs" / "clip.avi")
    write(tmp_path / "rigs", "devices:\n  - {type: video, source: clip.avi}\n")
    rig = open_rig("lab", tmp_path)
    assert [info.name for info in rig.devices[0].streams] == ["edge128/gray", "edge128/edge"]
    while not rig.finished:
        rig.devices[0].read(0.1)
    rig.stop()


def test_rigs_are_listed_with_what_is_wrong(tmp_path):
    (tmp_path / "rigs").mkdir()
    for name, text in (
        ("a", "devices:\n  - {type: realsense, serial: '77'}\n"),
        ("b", "devices:\n  - {type: kinect}\n"),
        ("c", "calibration: c9\ndevices:\n  - {type: video, source: '0'}\n"),
        ("e", "devices:\n  - {type: playback, file: gone.db3}\n"),
        ("d", "devices:\n  - {type: video, source: '0', view: edge128}\n"),
    ):
        write(tmp_path / "rigs", text, f"{name}.yaml")
    first, a, b, c, d, e = list_rigs(tmp_path)
    assert (first.name, first.path, first.problem) == ("simulated", None, "")
    assert (a.name, a.devices) == ("a", ("realsense left (77)",))
    assert a.problem == "not connected: realsense left (77)."
    assert "no device named 'kinect'" in b.problem
    assert "c9" in c.problem
    assert (d.devices, d.problem) == (("video edge128",), "")
    assert e.problem == "not found: gone.db3."
    assert list_rigs(tmp_path / "nothing") == [first]


def test_modes_that_do_not_fit_are_refused_before_anything_is_opened(tmp_path, monkeypatch):
    slow = realsense.DeviceInfo("D435", "77", "2.1", "5.16", port="2-1-3")
    monkeypatch.setattr(realsense, "find", lambda: [slow])
    monkeypatch.setattr(rig_module, "_open_entry", lambda *_: pytest.fail("opened"))
    path = write(tmp_path, "devices:\n  - {type: realsense, serial: '77'}\n")
    with pytest.raises(DeviceError, match=r"left color 640x480@30 \(18.4 MB/s\).*USB 3 port"):
        open_rig(str(path), tmp_path)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_valid_and_say_what_they_are(path):
    file = read_rig(path)
    assert file.name == path.stem
    assert path.read_text().startswith("# ")
    # A simulated laboratory brings its three views along; any other device says which one it is.
    assert all(entry.type == "simulated" or entry.config.view for entry in file.entries)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: a\n", 'name: a\ncalibration: "2026-01-02_01"\n'),
        ("calibration: old\nname: a\n", 'calibration: "2026-01-02_01"\nname: a\n'),
        ("# c\nname: a # x\ncalibration:\n", '# c\nname: a # x\ncalibration: "2026-01-02_01"\n'),
    ],
)
def test_naming_a_calibration_leaves_the_rest_of_a_rig_file(tmp_path, before, after):
    path = tmp_path / "a.yaml"
    path.write_text(before)
    attach_calibration(path, "2026-01-02_01")
    assert path.read_text() == after


def test_a_file_that_is_no_rig_is_left_alone(tmp_path):
    path = tmp_path / "a.yaml"
    for text in ("- one\n- two\n", "a: [\n"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="line into it yourself"):
            attach_calibration(path, "2026-01-02_01")
        assert path.read_text() == text


def test_a_rig_is_found_by_what_it_calls_itself_or_by_its_file(tmp_path):
    rigs = tmp_path / "rigs"
    rigs.mkdir()
    write(rigs, "a: [\n", "broken.yaml")
    write(rigs, "name: table\n", "lab.yaml")
    assert file_of_rig(tmp_path, "table") == file_of_rig(tmp_path, "lab") == rigs / "lab.yaml"
    assert file_of_rig(tmp_path, "simulated") is None
    assert file_of_rig(tmp_path / "nowhere", "table") is None
