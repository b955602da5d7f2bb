"""The calibration wizard over images of a board between two cameras with known poses."""

import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml

from capture.calibrate import Board, Calibration, read_calibration
from gui import board_watch, theme
from gui.calibrate_page import CalibratePage
from gui.panels import calibrate_result
from hoi_core.camera import look_at
from hoi_core.errors import CalibrationError, DeviceError
from hoi_core.types import Camera, Frame, StreamInfo

pytestmark = pytest.mark.gui
BOARD = Board()
BASELINE_M = 0.3


def camera(x_m):
    T = look_at(np.array([x_m, 0.0, 0.0]), np.array([0.0, 0.0, 0.6]), np.array([0.0, -1.0, 0.0]))
    return Camera(640, 480, 600.0, 600.0, 319.5, 239.5, T_world_cam=T)


CAMERAS = {"left": camera(-BASELINE_M / 2), "right": camera(BASELINE_M / 2)}


def poses(count):
    """Board poses that fill the views. `-> (count, 4, 4)` board to world, m."""
    rng, out = np.random.default_rng(3), []
    for n in range(count):
        T = np.eye(4)
        T[:3, :3] = cv2.Rodrigues(rng.uniform(-0.45, 0.45, 3))[0]
        middle = np.array([(n % 3 - 1) * 0.09, (n // 3 % 3 - 1) * 0.06, 0.55 + 0.12 * (n % 2)])
        T[:3, 3] = middle - T[:3, :3] @ [BOARD.size_m[0] / 2, BOARD.size_m[1] / 2, 0.0]
        out.append(T)
    return np.stack(out)


def picture(view, T_world_board, square_px=48):
    """What a camera sees of the board, by the homography of its plane. `-> (480, 640, 3)` RGB."""
    cam = CAMERAS[view]
    T = cam.T_cam_world @ T_world_board
    metres = BOARD.square_m / square_px
    to_board = np.array([[metres, 0, 0.5 * metres], [0, metres, 0.5 * metres], [0, 0, 1.0]])
    H = cam.K @ np.stack([T[:3, 0], T[:3, 1], T[:3, 3]], axis=-1) @ to_board
    large = cv2.warpPerspective(
        BOARD.image(square_px), np.diag([2.0, 2.0, 1.0]) @ H, (1280, 960), flags=cv2.INTER_AREA, borderValue=110
    )
    gray = cv2.resize(large, (640, 480), interpolation=cv2.INTER_AREA)
    return np.repeat(gray[..., None], 3, -1)


class Session:
    """Shows each pose of the board for a few images, then keeps the last."""

    rig_name = "table"

    def __init__(self, count):
        self.poses, self.looks = poses(count), 0
        self.streams = tuple(
            StreamInfo(f"{view}/color", "camera", (480, 640, 3), "uint8", 30.0, cam) for view, cam in CAMERAS.items()
        )
        self.shown = [{view: picture(view, T) for view in CAMERAS} for T in self.poses]

    def latest(self, stream):
        view = stream.split("/")[0]
        if view == "left":
            self.looks += 1
        n = min(self.looks // 2, len(self.poses) - 1)
        return Frame(stream, self.looks, self.looks, self.looks, "host", self.shown[n][view])


@pytest.fixture(scope="module")
def session():
    return Session(18)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "rigs").mkdir()
    (tmp_path / "rigs" / "table.yaml").write_text("# the rig on the table\nname: table\ncalibration: old  # first\n")
    return tmp_path


@pytest.fixture
def page(qtbot, session, root, monkeypatch):
    monkeypatch.setattr(board_watch, "_PERIOD_S", 0.0)
    # What an earlier test had running must not count in this one.
    qtbot.waitUntil(lambda: all(thread.name != "board" for thread in threading.enumerate()))
    session.looks = 0
    made = CalibratePage(theme.DARK, lambda: session, root)
    qtbot.addWidget(made, before_close_func=lambda page: page.stop())
    made.resize(1100, 700)
    made.show()
    made.start()
    return made


def to_result(qtbot, page, session):
    page.begin_step.begin.click()
    qtbot.waitUntil(lambda: session.looks > 2 * len(session.poses) + 2, timeout=30_000)
    page.capture_step.finish.click()
    assert page.step in ("busy", "result")
    qtbot.waitUntil(lambda: page.step == "result", timeout=30_000)


def test_a_rig_is_calibrated_saved_and_named_in_its_file(qtbot, page, session, root):
    assert page.begin_step.views.text() == "Cameras: left, right."
    to_result(qtbot, page, session)
    result = page.result_step
    assert isinstance(result.calibration, Calibration)
    assert result.calibration.figures.baseline_mm == pytest.approx(1e3 * BASELINE_M, abs=1.5)
    assert result.heading.text() == "A good calibration"
    assert result.attach.isChecked()
    result.save.click()
    qtbot.waitUntil(lambda: "Saved" in result.save.text())
    identifier = result.calibration.id
    cameras = read_calibration(root, identifier)
    between = np.linalg.inv(cameras["left"].T_world_cam) @ cameras["right"].T_world_cam
    true = np.linalg.inv(CAMERAS["left"].T_world_cam) @ CAMERAS["right"].T_world_cam
    np.testing.assert_allclose(between[:3, 3], true[:3, 3], atol=2e-3)
    text = (root / "rigs" / "table.yaml").read_text()
    assert text.startswith("# the rig on the table\n")
    assert yaml.safe_load(text)["calibration"] == identifier
    assert page.begin_step.known.itemText(0) == identifier


def test_shots_are_taken_by_themselves_and_shown(qtbot, page, session):
    page.begin_step.begin.click()
    step = page.capture_step
    qtbot.waitUntil(lambda: page._collector is not None and len(page._collector.shots) >= 2, timeout=15_000)
    qtbot.waitUntil(lambda: int(step.count.text().split()[0]) >= 2)
    assert set(step.views) == {"left", "right"}
    assert step.views["left"].has_image
    assert "corners" in step.views["left"].note
    assert step.words.text()
    assert step.views["left"]._coverage.sum() > 0
    step.pause.click()
    qtbot.waitUntil(lambda: not page._watch._go.is_set())
    seen = len(page._collector.shots)
    qtbot.wait(150)
    assert len(page._collector.shots) <= seen + 1
    step.back.click()
    assert page.step == "start"
    assert page._watch is None


def test_too_few_shots_are_refused_with_what_to_do(qtbot, page, session, monkeypatch):
    def refuse(*_args):
        raise CalibrationError("expected 8 shots of each view, got 2 of right.", "Show the board to right.")

    monkeypatch.setattr("capture.calibrate.calibrate", refuse)
    page.begin_step.begin.click()
    qtbot.waitUntil(lambda: len(page._collector.shots) >= 1, timeout=15_000)
    page.capture_step.finished.emit()
    qtbot.waitUntil(lambda: page.step == "result")
    result = page.result_step
    assert result.calibration is None
    assert result.refusal.title.text() == "Expected 8 shots of each view, got 2 of right."
    assert result.refusal.hint.text() == "Show the board to right."
    assert result.save.isHidden()
    shots = len(page._collector.shots)
    result.again.click()
    assert page.step == "capture"
    assert len(page._collector.shots) >= shots


@pytest.mark.parametrize("moved_mm", [0.0, 40.0])
def test_the_daily_check_tells_whether_a_camera_was_moved(qtbot, page, session, root, moved_mm):
    from capture.calibrate import write_calibration
    from capture.calibrate.result import Figures

    right = CAMERAS["right"]
    T = right.T_world_cam.copy()
    T[0, 3] += 1e-3 * moved_mm
    cameras = {"left": CAMERAS["left"], "right": replace(right, T_world_cam=T)}
    nan = float("nan")
    written = write_calibration(root, Calibration("", cameras, BOARD, Figures({}, nan, nan, nan, nan)))
    page.start()
    page.begin_step.check.click()
    finish = page.capture_step.finish
    assert finish.text() == "Check now"
    qtbot.waitUntil(finish.isEnabled, timeout=15_000)
    finish.click()
    qtbot.waitUntil(lambda: page.step == "start", timeout=15_000)
    assert written.id
    assert ("no longer" in page.banner.title.text()) == (moved_mm > 0)


def test_leaving_the_page_stops_looking_and_keeps_the_shots(qtbot, page, session):
    page.begin_step.begin.click()
    qtbot.waitUntil(lambda: len(page._collector.shots) >= 1, timeout=15_000)
    watch = page._watch
    page.stop()
    qtbot.waitUntil(lambda: watch.ended)
    looks, shots = session.looks, len(page._collector.shots)
    qtbot.wait(100)
    assert session.looks == looks
    page.start()
    qtbot.waitUntil(lambda: session.looks > looks)
    assert len(page._collector.shots) >= shots


def test_a_rig_that_is_not_there_is_told(qtbot, root):
    def broken():
        raise DeviceError("no rig is open.", "Open one.")

    page = CalibratePage(theme.LIGHT, broken, root)
    qtbot.addWidget(page)
    page.start()
    assert not page.banner.isHidden()
    page.begin_step.begin.click()
    assert page.step == "start"


def test_other_boards_are_read_and_bad_ones_refused(qtbot, page, tmp_path):
    good, bad = tmp_path / "board.toml", tmp_path / "bad.toml"
    good.write_text(
        "board_x = 5\nboard_y = 7\nsquare_length = 30\nmarker_length = 22\nmarker_bits = 4\ndict_size = 50\n"
    )
    bad.write_text("board_x = 5\n")
    page.read_board(good)
    assert "5 × 7 squares of 30 mm" in page.begin_step.board_words.text()
    page.read_board(bad)
    assert "lacks" in page.banner.title.text()
    assert "5 × 7" in page.begin_step.board_words.text()


def test_every_figure_is_judged(qtbot):
    from capture.calibrate.result import Figures

    known = Figures({"left": 0.3, "right": 1.4}, 0.4, 300.0, float("nan"), 3.0, depth_scale={"left": 1.02})
    rows = {
        name: level for name, _, level, _ in calibrate_result.figures(Calibration("", CAMERAS, BOARD, figures=known))
    }
    assert rows["left: lens only"] == "good"
    assert rows["right: lens only"] == "bad"
    assert rows["Held-out shots"] == "idle"
    assert rows["Loop closure"] == "warn"
    assert rows["left: depth scale"] == "warn"
