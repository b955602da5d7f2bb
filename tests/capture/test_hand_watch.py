"""Whether a view shows a hand: where the network looks, what it says, and that the recorder goes first."""

import threading
import time

import numpy as np
import pytest

from capture.hand_watch import HandWatch, NetworkEye, sight
from capture.session import CaptureSession
from hoi_core.detect import Detection
from hoi_core.errors import AssetError
from hoi_core.live import Reading
from hoi_core.sequence import CaptureHeader
from hoi_core.types import Camera, Frame, StreamInfo

CAMERA = Camera(160, 120, 140.0, 140.0, 79.5, 59.5)
STREAMS = [StreamInfo(f"{view}/color", "camera", (120, 160, 3), "uint8", 30.0, CAMERA) for view in ("left", "right")]
HAND = (60.0, 40.0, 100.0, 80.0)


class Marked:
    """Reads a left hand surely where most of a box is bright, and finds the boxes that it was told of."""

    least_confidence = 0.4
    in_space = False

    def __init__(self, *found):
        self.found = [Detection("right", box, 0.9) for box in found]
        self.asked, self.looks = [], 0

    def detect(self, rgb):
        self.looks += 1
        return self.found

    def read(self, rgb, camera, box, side):
        self.asked.append((box, side))
        x0, y0, x1, y1 = (max(round(v), 0) for v in box)
        bright = float((rgb[y0:y1, x0:x1, 0] > 0).mean())
        corners = np.array(HAND).reshape(2, 2)
        joints = corners[0] + np.linspace(0.0, 1.0, 21)[:, None] * (corners[1] - corners[0])
        return Reading(joints, np.full(21, bright * (0.9 if side == "left" else 0.6)))


def image(hand=True):
    rgb = np.zeros((120, 160, 3), np.uint8)
    if hand:
        rgb[40:80, 60:100] = 255
    return rgb


def test_a_hand_is_looked_for_where_it_was_then_where_depth_has_it_then_with_the_detector():
    network = Marked(HAND)
    eye = NetworkEye(network, network)
    far = (0.0, 0.0, 30.0, 30.0)
    assert eye.look(image(), CAMERA, far) == pytest.approx(0.9)
    assert [box for box, _ in network.asked] == [far, far, HAND, HAND]
    network.asked.clear()
    # From then on where it was, as the hand that it was, and nobody else is asked.
    assert eye.look(image(), CAMERA, far) == pytest.approx(0.9)
    assert network.asked == [(HAND, "left")]
    assert network.looks == 1
    assert eye.look(image(hand=False), CAMERA, None) == 0.0
    network.asked.clear()
    assert eye.look(image(), CAMERA, HAND) == pytest.approx(0.9)
    assert network.asked[0][0] == HAND
    assert network.looks == 2


def test_words_go_with_the_confidence():
    marks = [(found.level, found.mark) for found in map(sight, (0.82, 0.45, 0.2))]
    assert marks == [("good", "hand 82 %"), ("warn", "hand? 45 %"), ("warn", "no hand")]


class Glance:
    """An eye that counts, and takes its time."""

    def __init__(self, calls, sure=0.8, wait_s=0.0):
        self.calls, self.sure, self.wait_s = calls, sure, wait_s

    def look(self, rgb, camera, near):
        self.calls.append((threading.current_thread().name, near))
        time.sleep(self.wait_s)
        return self.sure


def frame(stream, number):
    return Frame(stream, number, 0, 0, "host", np.zeros((120, 160, 3), np.uint8))


def wait_until(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("waited too long")


def watching(eye, latest, busy=lambda: 0.0):
    watch = HandWatch(STREAMS, latest, busy, eye, per_s=100.0)
    watch.start()
    return watch


def test_each_new_image_of_each_view_is_looked_at_once_on_a_thread_of_its_own():
    calls, numbers = [], {"left/color": 1, "right/color": 1}
    watch = watching(lambda: Glance(calls), lambda stream: frame(stream, numbers[stream]))
    wait_until(lambda: len(watch.seen) == 2)
    time.sleep(0.1)
    assert len(calls) == 2
    numbers["left/color"] = 2
    wait_until(lambda: len(calls) == 3)
    watch.end()
    assert {name for name, _ in calls} == {"hand watch"}
    assert {view: found.mark for view, found in watch.seen.items()} == {"left": "hand 80 %", "right": "hand 80 %"}


def test_nothing_is_looked_at_while_the_recorder_is_behind():
    calls, fill = [], [0.9]
    watch = watching(lambda: Glance(calls), lambda stream: frame(stream, time.monotonic_ns()), lambda: fill[0])
    time.sleep(0.1)
    assert calls == []
    fill[0] = 0.0
    wait_until(lambda: calls)
    watch.end()


def broken():
    raise AssetError("there is no network.", "Name one.")


@pytest.mark.parametrize(("eye", "word"), [("Real hands need another network.", "Real hands"), (broken, "no network")])
def test_who_cannot_look_says_why_for_every_view(eye, word):
    watch = watching(eye, lambda stream: frame(stream, 1))
    wait_until(lambda: len(watch.seen) == 2)
    watch.end()
    for found in watch.seen.values():
        assert (found.level, found.mark) == ("unknown", "hand not looked for")
        assert word in found.text


def test_a_slow_look_costs_no_recorded_frame(rigs, tmp_path):
    calls = []
    rig = rigs.FakeRig(rigs.FakeDevice("left", 10**6), rigs.FakeDevice("right", 10**6), whole=False)
    session = CaptureSession(rig, tmp_path, eye=lambda: Glance(calls, 0.9, wait_s=0.05))
    try:
        session.start()
        wait_until(session.hands)
        looks = len(calls)
        session.start_recording(CaptureHeader("seq_001"))
        wait_until(lambda: session.counts["left/color"] > 10)
        report = session.stop_recording()
        assert report.drops == []
        assert len(calls) > looks
        assert session.hands()["left"].level == "good"
    finally:
        session.stop()


def test_without_an_eye_nothing_is_said(rigs, tmp_path):
    rig = rigs.FakeRig(rigs.FakeDevice("left", 5))
    session = CaptureSession(rig, tmp_path)
    assert session.hands() == {}
    session.stop()
