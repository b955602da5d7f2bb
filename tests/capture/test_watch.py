"""Plug and unplug, seen on a librealsense context with software devices and a folder like the kernel's."""

import queue
import types
from importlib.metadata import EntryPoint

import pyrealsense2 as rs

from capture import watch as watch_module
from capture.simulation.software_d435 import SoftwareD435
from capture.watch import DeviceWatch, video_devices


def test_a_camera_that_comes_and_goes_is_told(rigs):
    context, notices = rs.context(), []
    context.set_devices_changed_callback(lambda info: notices.append((info, info.get_new_devices())))
    told = queue.Queue()
    watch = DeviceWatch(told.put, context, poll_s=0.02)
    assert watch.devices() == []
    camera = SoftwareD435("901", rigs.COLOR, rigs.DEPTH, rigs.T_COLOR_DEPTH)
    camera.add_to(context)
    (info,) = told.get(timeout=5.0)
    assert (info.serial, info.usb, info.usb_ok, info.advice) == ("901", "3.2", True, "")
    notices.clear()
    watch.look()
    assert told.get(timeout=5.0) == []
    watch.close()
    watch.close()
    SoftwareD435("902", rigs.COLOR, rigs.DEPTH, rigs.T_COLOR_DEPTH).add_to(context)
    assert told.empty()


def test_video_cameras_are_those_of_the_kernel_without_realsense_nodes(tmp_path, monkeypatch):
    for node, name, index in (
        ("video0", "Intel(R) RealSense(TM) Depth Ca", "0"),
        ("video10", "HD Webcam", "0"),
        ("video11", "HD Webcam", "1"),
        ("video2", "Grabber", "0"),
    ):
        (tmp_path / node).mkdir()
        (tmp_path / node / "name").write_text(f"{name}\n")
        (tmp_path / node / "index").write_text(f"{index}\n")
    usb = tmp_path / "usb" / "1-4"
    (usb / "1-4:1.0").mkdir(parents=True)
    (usb / "version").write_text(" 2.00\n")
    (tmp_path / "video10" / "device").symlink_to(usb / "1-4:1.0")
    grabber, webcam = video_devices(tmp_path)
    assert (grabber.product, grabber.serial, grabber.usb) == ("Grabber", "/dev/video2", "")
    assert (webcam.serial, webcam.usb, webcam.usb_ok) == ("/dev/video10", "2.00", True)
    assert video_devices(tmp_path / "none") == []


def test_a_camera_that_does_not_answer_yet_keeps_the_watch_alive(monkeypatch):
    watch = DeviceWatch(lambda _: None, poll_s=60.0)

    def refuse(*_, **__):
        raise watch_module.DeviceError("failed to set power state")

    monkeypatch.setattr(watch_module, "find", refuse)
    assert watch.devices() == video_devices()
    watch.close()


def test_other_packages_find_their_own_devices(monkeypatch, caplog):
    mine = watch_module.DeviceInfo("Mine", "m1", "", "1.0")
    good, broken = types.ModuleType("good"), types.ModuleType("broken")
    good.find, broken.find = lambda: [mine], lambda: 1 // 0
    modules = {"good": good, "broken": broken, "quiet": types.ModuleType("quiet")}
    points = [EntryPoint(name, name, watch_module.DEVICES) for name in modules]
    monkeypatch.setattr(watch_module, "entry_points", lambda **_: points)
    monkeypatch.setattr(watch_module.plugins, "load", lambda _, name: modules[name])
    assert watch_module.plugin_devices() == [mine]
    assert "broken cannot look" in caplog.text
