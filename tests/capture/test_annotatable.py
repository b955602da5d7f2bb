from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.annotatable import (
    Reading,
    Tally,
    Verdict,
    Watcher,
    judge_drops,
    judge_sensor,
    judge_skew,
    judge_view,
)
from capture.hand_blob import BlobDetector, HandRegion
from capture.view_figures import blur, edge_share
from hoi_core import camera as cam
from hoi_core.types import Camera, Frame, StreamInfo

REAL = Path(__file__).resolve().parents[3] / "shared" / "real_data" / "realsense_rgbd"
LENS = Camera(640, 480, 384.0, 384.0, 320.0, 240.0)
COLOR = Camera(640, 480, 615.0, 615.0, 320.0, 240.0)
T_DEPTH_COLOR = cam.rigid(np.eye(3), np.array([-0.015, 0.0, 0.0]))
INFOS = {
    "left/depth": StreamInfo("left/depth", "camera", (480, 640), "uint16", 30, LENS, "1", 0.001, T_DEPTH_COLOR),
    "left/color": StreamInfo("left/color", "camera", (480, 640, 3), "uint8", 30, COLOR, "1"),
    "edge128/gray": StreamInfo("edge128/gray", "sensor", (128, 128), "uint8", 30, Camera(128, 128, 138, 138, 64, 64)),
    "edge128/edge": StreamInfo("edge128/edge", "sensor", (128, 128), "uint8", 30, Camera(128, 128, 138, 138, 64, 64)),
}


DRAWN = {}


def blocks(rng, shape, size):
    """Print-like texture: plain cells with sharp edges, as seen through a lens."""
    cells = rng.normal(0, 35, (-(-shape[0] // size), -(-shape[1] // size)))
    return cv2.GaussianBlur(np.kron(cells, np.ones((size, size)))[: shape[0], : shape[1]], (0, 0), 0.6)


def window(lens, centre, radius):
    """Rows and columns that a ball can be seen in, and some around them."""
    reach = 2.0 * lens.fx * radius / (centre[2] - radius)
    at = lens.cx + lens.fx * centre[0] / centre[2], lens.cy + lens.fy * centre[1] / centre[2]
    x, y = (slice(max(0, int(a - reach)), max(0, int(a + reach) + 2)) for a in at)
    return y, x


class Scene:
    """A table seen from above at a slant, an arm of capsules that reaches in from the far side, and a box.

    Rays are cut with plane and spheres by formulas of their own: nothing of the project draws here.
    """

    def __init__(self, seed=0, arm=True, hand_at=(0.02, 0.02, 0.62), wall_m=1.6):
        self.rng = np.random.default_rng(seed)
        self.arm, self.hand_at, self.wall_m = arm, np.array(hand_at), wall_m

    def _balls(self):
        shoulder = np.array([-0.25, -0.42, 1.05])
        balls = [(self.hand_at + s * (shoulder - self.hand_at), 0.03 + 0.015 * s) for s in np.linspace(0.15, 1, 60)]
        for finger in range(4):  # four fingers beyond the palm
            for s in np.linspace(0, 0.08, 12):
                balls.append((self.hand_at + np.array([0.018 * (finger - 1.5) + 0.3 * s, 0.02 + s, -0.2 * s]), 0.009))
        balls.append((self.hand_at, 0.035))
        return balls if self.arm else []

    def depth_m(self, lens):
        key = (lens.fx, self.arm, tuple(self.hand_at), self.wall_m)
        if key not in DRAWN:
            DRAWN[key] = self._draw(lens)
        return DRAWN[key]

    def _draw(self, lens):
        v, u = np.mgrid[: lens.height, : lens.width].astype(np.float64)
        rays = np.stack([(u - lens.cx) / lens.fx, (v - lens.cy) / lens.fy, np.ones_like(u)], -1)
        normal, offset = np.array([0.0, 0.766, 0.643]), 0.62  # table: n . x = offset
        table = offset / np.maximum(rays @ normal, 1e-3)
        z = np.minimum(table, self.wall_m)
        boxes = [np.array([0.12, 0.20, 0.66])]
        for centre, radius in [*self._balls(), *((c, 0.03) for c in boxes)]:
            there = window(lens, centre, radius)
            A, B = (rays[there] ** 2).sum(-1), rays[there] @ centre
            root = B**2 - A * (centre @ centre - radius**2)
            hit = np.where(root > 0, (B - np.sqrt(np.maximum(root, 0))) / A, np.inf)
            z[there] = np.minimum(z[there], hit)
        return z

    def depth(self, holes=0.0):
        z = self.depth_m(LENS)
        z = z * (1 + self.rng.normal(0, 0.002, z.shape))
        if holes:
            spots = cv2.GaussianBlur(self.rng.normal(0, 1, z.shape), (0, 0), 4)
            z[spots > np.quantile(spots, 1 - holes)] = 0
        z[self.rng.random(z.shape) < 0.003] = 0
        return np.round(z * 1000).astype(np.uint16)

    def color(self, gain=1.0, smear=0):
        moved = Camera(640, 480, 615.0, 615.0, 320.0 - 0.0, 240.0)
        z = self.depth_m(moved)
        texture = blocks(self.rng, z.shape, 45)
        shade = cv2.Laplacian(z.astype(np.float32), cv2.CV_32F)
        gray = 120 + texture - 900 * np.clip(shade, -0.02, 0.02)
        if smear:
            gray = cv2.GaussianBlur(gray, (0, 0), smear)
        gray = gray * gain + self.rng.normal(0, 1.5, z.shape)
        return np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[..., None], 3, axis=2)

    def hand_px(self):
        """(u, v) of the palm in the colour image, whose eye is 15 mm right of the depth camera's."""
        x, y, z = self.hand_at + np.array([0.015, 0.0, 0.0])
        return COLOR.fx * x / z + COLOR.cx, COLOR.fy * y / z + COLOR.cy


def levels(readings):
    return {reading.name: reading.level for reading in readings}


def detector():
    return BlobDetector(INFOS["left/depth"], INFOS["left/color"])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hand_at", [(0.02, 0.02, 0.62), (-0.08, -0.02, 0.7), (0.1, 0.05, 0.58)])
def test_a_hand_over_a_table_is_found_where_it_is(seed, hand_at):
    scene = Scene(seed, hand_at=hand_at)
    region = detector().find(scene.color(), scene.depth(), 0.001)
    u, v = scene.hand_px()
    x, y, width, height = region.box
    assert x < u < x + width
    assert y < v < y + height
    assert max(width, height) < 320
    assert region.inside > 0.85


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("wall_m", [0.95, 1.2, 3.0])
def test_a_table_with_a_thing_on_it_before_a_wall_is_no_hand(seed, wall_m):
    scene = Scene(seed, arm=False, wall_m=wall_m)
    assert levels(judge_view(scene.color(), scene.depth(), 0.001, detector()))["hand"] == "bad"


def test_a_good_image_is_good():
    scene = Scene()
    found = judge_view(scene.color(), scene.depth(), 0.001, detector())
    assert levels(found) == {"hand": "good", "blur": "good", "exposure": "good", "depth_holes": "good"}
    assert Verdict({"left": found}).level == "good"
    assert Verdict({"left": found}).words == ()


@pytest.mark.parametrize(
    ("what", "make", "level"),
    [
        ("blur", lambda s: (s.color(smear=6), s.depth()), "bad"),
        ("exposure", lambda s: (s.color(gain=0.15), s.depth()), "bad"),
        ("exposure", lambda s: (s.color(gain=0.33), s.depth()), "warn"),
        ("exposure", lambda s: (s.color(gain=2.6), s.depth()), "bad"),
        ("depth_holes", lambda s: (s.color(), s.depth(holes=0.3)), "warn"),
    ],
)
def test_each_fault_is_told_and_no_other(what, make, level):
    color, depth = make(Scene())
    found = levels(judge_view(color, depth, 0.001, detector()))
    assert found.pop(what) == level
    assert set(found.values()) == {"good"}


def test_a_hand_at_the_border_is_cut_off():
    scene = Scene(hand_at=(-0.36, 0.02, 0.62))
    reading = judge_view(scene.color(), scene.depth(), 0.001, detector())[0]
    assert reading.level in ("warn", "bad")
    assert "out of view" in reading.text or "cuts off" in reading.text


def test_what_never_moves_is_scenery_and_what_moves_is_not():
    still, hand = detector(), detector()
    image = Scene().color()
    depths = [Scene(seed, hand_at=(0.02 + 0.03 * (seed % 3), 0.02, 0.62)).depth() for seed in range(3)]
    for k in range(95):
        seen = still.find(image, depths[0], 0.001)
        moving = hand.find(image, depths[k % 3], 0.001)
    assert seen is None
    assert moving is not None


def test_without_depth_sharpness_and_light_are_still_judged():
    found = levels(judge_view(Scene().color(), None, 0.0))
    assert found == {"hand": "unknown", "blur": "good", "exposure": "good", "depth_holes": "unknown"}


def test_another_detector_takes_the_place_of_depth():
    class Fixed:
        def find(self, color, depth, depth_scale_m):
            return HandRegion((200, 150, 30, 20), 0.9)

    found = judge_view(Scene().color(), None, 0.0, Fixed())
    assert found[0].level == "bad"
    assert "small (30 px)" in found[0].text
    assert levels(found)["blur"] == "unknown"


@settings(max_examples=20)
@given(seed=st.integers(0, 100), width=st.integers(3, 25), gain=st.floats(0.4, 1.5))
def test_blurring_always_raises_the_measure_and_light_hardly_changes_it(seed, width, gain):
    rng = np.random.default_rng(seed)
    image = 110 + blocks(rng, (120, 140), 11)
    sharp = np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    smeared = cv2.blur(sharp, (width, 1))
    assert blur(sharp) < blur(smeared) <= 1.0
    lit = np.clip(sharp * gain, 0, 255).astype(np.uint8)
    assert blur(lit) == pytest.approx(blur(sharp), abs=0.06)


def test_the_sensor_wants_sparse_edges():
    rng = np.random.default_rng(0)
    gray = np.full((128, 128), 120, np.uint8)
    few, many = np.zeros((128, 128), np.uint8), np.full((128, 128), 90, np.uint8)
    sparse = np.where(rng.random((128, 128)) < 0.12, 90, 0).astype(np.uint8)
    assert edge_share(sparse) == pytest.approx(0.12, abs=0.02)
    assert [levels(judge_sensor(gray, e))["edges"] for e in (few, sparse, many)] == ["bad", "good", "bad"]
    assert levels(judge_sensor(np.zeros((128, 128), np.uint8)))["exposure"] == "bad"


def test_skew_and_drops():
    assert [judge_skew(ms).level for ms in (0.3, -8.0, 12.0, 25.0, float("nan"))] == [
        "good",
        "good",
        "warn",
        "bad",
        "unknown",
    ]
    assert [judge_drops(n, 1000).level for n in (0, 9, 10)] == ["good", "warn", "bad"]
    assert judge_drops(3, 0).level == "warn"
    assert "1 frame lost (0.1%)" in judge_drops(1, 1000).text


def test_the_worst_is_said_first():
    views = {"left": (Reading("blur", "warn", 0.7, "blurred"),), "right": (Reading("hand", "bad", 0.0, "no hand"),)}
    verdict = Verdict(views, (judge_skew(1.0),))
    assert verdict.level == "bad"
    assert verdict.words == ("right: no hand", "left: blurred")


@given(st.lists(st.sampled_from(["good", "warn", "bad", "unknown"]), min_size=1, max_size=40))
def test_a_take_is_judged_by_how_often_it_was_good(marks):
    tally = Tally()
    for mark in marks:
        tally.add(Reading("blur", mark, 1.0, mark))
    known = [mark for mark in marks if mark != "unknown"]
    reading = tally.reading()
    if not known:
        assert reading.level == "unknown"
        return
    share = known.count("good") / len(known)
    assert tally.share == pytest.approx(share)
    expected = "good" if share >= 0.8 else "warn" if share >= 0.5 or "bad" not in known else "bad"
    assert reading.level == expected


def frames(number, scene, t_s):
    t = round(t_s * 1e9)
    images = {
        "left/depth": scene.depth(),
        "left/color": scene.color(),
        "edge128/edge": np.where(np.random.default_rng(number).random((128, 128)) < 0.1, 99, 0).astype(np.uint8),
        "edge128/gray": np.full((128, 128), 120, np.uint8),
    }
    return [Frame(name, number, t, t, "host", image) for name, image in images.items()]


def test_the_watcher_counts_over_the_take():
    watcher = Watcher(list(INFOS.values()))
    assert watcher.verdict().level == "unknown"
    for k in range(10):
        scene = Scene(k, arm=k >= 4)
        for frame in frames(k, scene, k * 0.25):
            watcher.add(frame)
        if k == 3:
            assert watcher.verdict(3.0, 0).level == "bad"
            watcher.begin_take()
    now = watcher.verdict(3.0, 1)
    assert now.shares["left/hand"] == 1.0
    assert now.level == "bad"  # one of 24 frames lost
    assert {r.name for r in now.views["edge128"]} == {"edges", "exposure"}
    take = watcher.take_verdict(3.0, 0)
    assert take.level == "good"
    assert levels(take.views["left"])["hand"] == "good"


def test_the_watcher_looks_no_more_often_than_asked():
    watcher = Watcher(list(INFOS.values()), {"left": (spy := Spy())}, every_s=0.2)
    scene = Scene()
    shared = frames(0, scene, 0.0)
    for k in range(30):
        for frame in shared:
            watcher.add(Frame(frame.stream, k, 0, round(k / 30 * 1e9), "host", frame.image))
    assert spy.calls == 5


class Spy:
    calls = 0

    def find(self, color, depth, depth_scale_m):
        self.calls += 1


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.exists(), reason="the real images are not beside the project")
def test_a_real_frame_with_a_hand_that_holds_a_box():
    color = np.ascontiguousarray(cv2.imread(str(REAL / "rgb.png"))[..., ::-1])
    depth = cv2.imread(str(REAL / "depth.png"), cv2.IMREAD_UNCHANGED)
    found = levels(judge_view(color, depth, 0.001))
    assert found["hand"] == "good"
    assert found["blur"] == "good"
    assert found["depth_holes"] == "good"
    smeared = levels(judge_view(cv2.blur(color, (25, 1)), depth, 0.001))
    assert smeared["blur"] != "good"
    dark = levels(judge_view((color * 0.2).astype(np.uint8), depth, 0.001))
    assert dark["exposure"] == "bad"
    empty = np.broadcast_to(np.linspace(900, 500, 480).astype(np.uint16)[:, None], (480, 640))
    assert levels(judge_view(color, np.ascontiguousarray(empty), 0.001))["hand"] == "bad"
