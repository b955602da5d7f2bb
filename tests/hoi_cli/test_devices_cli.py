"""hoi-devices, with cameras that are only described."""

import json

from capture.devices import realsense
from hoi_cli import devices

SLOW = realsense.DeviceInfo(
    "Intel RealSense D435", "901", "2.1", "5.16.0.1", {"color": ("640x480@30", "640x480@15"), "depth": ("640x480@30",)}
)


def test_cameras_are_listed_with_advice_modes_and_the_truth_about_sync(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(realsense, "find", lambda **_: [SLOW])
    assert devices.main(["--modes", "--json", str(tmp_path / "d.json")]) == 0
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "901 USB 2.1 Intel RealSense D435, firmware 5.16.0.1" in out
    assert "WARNING" in out
    assert "Use a USB 3 port" in out
    assert "color 640x480@30, 640x480@15" in out
    assert "their colour imagers cannot" in out
    (found,) = json.loads((tmp_path / "d.json").read_text())
    assert (found["serial"], found["usb_ok"], found["modes"]["depth"]) == ("901", False, ["640x480@30"])
    assert "USB 2" in found["advice"]


def test_without_cameras_it_says_so(capsys):
    assert devices.main([]) == 0
    assert "No RealSense camera is connected" in capsys.readouterr().out
