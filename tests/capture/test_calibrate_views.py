from dataclasses import replace

import capture_test_board_views as bv
import numpy as np
import pytest

from capture.calibrate import Board, Collector, Options, Shot, calibrate, check_calibration, detect
from capture.calibrate.coarse.align import align
from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.errors import CalibrationError

BOARD = Board()
TRUE = bv.cameras(1)
POSES = bv.board_poses(BOARD, 14, 1)


@pytest.fixture(scope="module")
def coarse_images():
    camera = TRUE["edge128"]
    return [bv.draw(BOARD, camera, camera.T_cam_world @ T, seed=k) for k, T in enumerate(POSES)]


def unplaced(view: str):
    return replace(TRUE[view], T_world_cam=np.eye(4))


def test_corners_are_where_the_lens_puts_them():
    camera = TRUE["left"]
    T = camera.T_cam_world @ POSES[0]
    found = detect(BOARD, bv.draw(BOARD, camera, T, fine=2))
    expected = cam.project(camera, cam.transform(T, BOARD.corners_m))[found.ids]
    assert len(found.ids) > 40
    assert np.abs(found.corners_px - expected).mean() < 0.2
    assert detect(BOARD, np.full((480, 640), 127, np.uint8)) is None


def test_a_coarse_sensor_finds_its_place(coarse_images):
    T_ref_board = np.stack([TRUE["left"].T_cam_world @ T for T in POSES])
    found = align(BOARD, coarse_images, T_ref_board, unplaced("edge128"), fixed_lens=False)
    mm, degrees = bv.pose_error({"left": unplaced("left"), "edge128": found.camera}, TRUE, "edge128")
    assert mm < 1.0
    assert degrees < 0.1
    assert found.rms_px < 0.1
    assert len(found.shots) >= 12
    assert found.blur_px == pytest.approx(0.5, abs=0.15)


@pytest.mark.slow
def test_a_coarse_sensor_is_calibrated_with_the_others(coarse_images):
    fine = {view: TRUE[view] for view in ("left", "right")}
    shots = [
        replace(shot, images={"edge128": image})
        for shot, image in zip(bv.shots(BOARD, fine, POSES), coarse_images, strict=True)
    ]
    factory = {view: unplaced(view) for view in TRUE}
    found = calibrate(BOARD, shots, factory)
    assert list(found.cameras) == ["left", "right", "edge128"]
    for view, most_mm, most_degrees in (("right", 1.0, 0.1), ("edge128", 3.0, 0.3)):
        mm, degrees = bv.pose_error(found.cameras, TRUE, view)
        assert mm < most_mm
        assert degrees < most_degrees
    with pytest.raises(CalibrationError, match="lens of edge128"):
        calibrate(BOARD, shots, {view: factory[view] for view in fine})
    small = [replace(shot, images={"edge128": shot.images["edge128"][:64]}) for shot in shots]
    with pytest.raises(CalibrationError, match="128x128 px, got 128x64"):
        calibrate(BOARD, small, factory)


def test_images_without_a_board_are_refused():
    rng = np.random.default_rng(0)
    few = POSES[:7]  # enough to look for a board in; each image of noise takes a second
    images = [rng.integers(90, 120, (128, 128)).astype(np.uint8) for _ in few]
    T_ref_board = np.stack([TRUE["left"].T_cam_world @ T for T in few])
    with pytest.raises(CalibrationError, match="coarse sensor"):
        align(BOARD, images, T_ref_board, unplaced("edge128"), fixed_lens=False)


class TestCollector:
    def images(self, k: int, seed: int = 0):
        return {
            view: bv.draw(BOARD, TRUE[view], TRUE[view].T_cam_world @ POSES[k], fine=2, seed=seed)
            for view in ("left", "right")
        }

    def test_takes_what_is_still_and_new(self):
        collector = Collector(BOARD, ("left", "right"))
        first, again, moved = self.images(0), self.images(0, seed=1), self.images(2)
        assert not collector.add(first).accepted  # nothing to compare with yet
        guidance = collector.add(again)
        assert guidance.accepted
        assert guidance.shots == 1
        assert 0 < guidance.progress < 1
        assert not guidance.ready
        left = guidance.views["left"]
        assert left.coverage.sum() == left.corners == len(left.corners_px)
        repeated = collector.add(first)
        assert not repeated.accepted
        assert not collector.add(moved).accepted
        assert "still" in collector.add(first).text
        assert len(collector.shots) == 1

    def test_says_who_does_not_see_the_board(self):
        collector = Collector(BOARD, ("left", "right"))
        images = self.images(0)
        guidance = collector.add({"left": images["left"], "right": np.full((480, 640), 99, np.uint8)})
        assert "right" in guidance.text
        assert not guidance.accepted


class TestDailyCheck:
    def test_a_rig_that_stands_still_passes_and_a_bumped_one_does_not(self):
        images = {
            view: bv.draw(BOARD, TRUE[view], TRUE[view].T_cam_world @ POSES[2], fine=2) for view in ("left", "right")
        }
        cameras = {view: TRUE[view] for view in images}
        good = check_calibration(cameras, BOARD, images)
        assert good.ok
        assert good.disagreement_mm < 3
        bump = cam.rigid(rotation.exp_so3(np.array([0.0, 0.02, 0.0])), np.zeros(3))
        bumped = {**cameras, "right": replace(TRUE["right"], T_world_cam=TRUE["right"].T_world_cam @ bump)}
        bad = check_calibration(bumped, BOARD, images)
        assert not bad.ok
        # Turned by 0.02 rad at 0.6 m: 12 mm.
        assert bad.disagreement_mm == pytest.approx(12, abs=4)
        assert "Calibrate again" in bad.text
        with pytest.raises(CalibrationError, match="two views"):
            check_calibration(cameras, BOARD, {"left": images["left"]})
        with pytest.raises(CalibrationError, match="1280x960"):
            check_calibration({**cameras, "left": replace(TRUE["left"], width=1280, height=960)}, BOARD, images)


def test_options_are_kept():
    shots = bv.shots(BOARD, {view: TRUE[view] for view in ("left", "right")}, POSES)
    options = Options(free_k3=True, free_tangential=True)
    found = calibrate(BOARD, shots, {view: unplaced(view) for view in ("left", "right")}, options)
    assert found.options == options
    assert all(found.cameras["left"].distortion)
    assert isinstance(shots[0], Shot)
