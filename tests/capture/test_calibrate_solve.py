from dataclasses import replace
from itertools import pairwise

import capture_test_board_views as bv
import cv2
import numpy as np
import pytest

from capture.calibrate import Board, Detection, Options, Shot, calibrate
from capture.calibrate import lens as optics
from capture.calibrate.bundle import Corners, Scene, _derivatives, errors_px
from hoi_core import camera as cam
from hoi_core.errors import CalibrationError
from hoi_core.types import Camera

BOARD = Board()
TRUE = {view: camera for view, camera in bv.cameras(0).items() if view != "edge128"}
POSES = bv.board_poses(BOARD, 20, 0)
FACTORY = {view: replace(camera, T_world_cam=np.eye(4), fx=camera.fx * 1.002) for view, camera in TRUE.items()}


@pytest.fixture(scope="module")
def result():
    return calibrate(BOARD, bv.shots(BOARD, TRUE, POSES), FACTORY)


def test_poses_are_near_the_truth(result):
    mm, degrees = bv.pose_error(result.cameras, TRUE, "right")
    assert mm < 1.0
    assert degrees < 0.1
    np.testing.assert_array_equal(result.cameras["left"].T_world_cam, np.eye(4))


def test_figures_say_how_large_the_noise_is(result):
    figures = result.figures
    # RMS of a distance with two independent components.
    assert figures.stereo_rms_px == pytest.approx(0.15 * np.sqrt(2), rel=0.05)
    assert figures.holdout_px == pytest.approx(0.15 * np.sqrt(2), rel=0.15)
    assert figures.loop_mm < 2.0
    assert set(figures.rms_px) == {"left", "right"}
    true_mm = 1e3 * np.linalg.norm(TRUE["left"].T_world_cam[:3, 3] - TRUE["right"].T_world_cam[:3, 3])
    assert figures.baseline_mm == pytest.approx(true_mm, abs=1.0)


def test_without_noise_everything_is_exact():
    shots = bv.shots(BOARD, TRUE, POSES[:12], noise_px=0.0)
    found = calibrate(BOARD, shots, options=Options(intrinsics="joint"))
    mm, degrees = bv.pose_error(found.cameras, TRUE, "right")
    assert mm < 1e-3
    assert degrees < 1e-3
    assert found.cameras["left"].fx == pytest.approx(615.0, abs=1e-2)


def test_lens_alone_is_opencvs():
    shots = bv.shots(BOARD, TRUE, POSES)
    found = calibrate(BOARD, shots, options=Options(intrinsics="alone", outlier_rounds=0))
    seen = [shot.detections["left"] for shot in shots if "left" in shot.detections]
    rms, K, _, _, _ = cv2.calibrateCamera(
        [BOARD.corners_m[d.ids].astype(np.float32) for d in seen],
        [d.corners_px.astype(np.float32) for d in seen],
        (640, 480),
        np.eye(3),
        np.zeros(5),
        flags=cv2.CALIB_FIX_K3 | cv2.CALIB_ZERO_TANGENT_DIST,
    )
    assert found.figures.rms_px["left"] == pytest.approx(rms, rel=1e-3)
    assert found.cameras["left"].fx == pytest.approx(K[0, 0], rel=1e-3)
    assert found.cameras["left"].distortion[2:] == (0.0, 0.0, 0.0)


def test_wrong_corners_are_left_out():
    shots = bv.shots(BOARD, TRUE, POSES)
    seen = shots[3].detections["right"]
    wrong = seen.corners_px.copy()
    wrong[:4] += [25.0, -18.0]
    shots[3] = replace(shots[3], detections={**shots[3].detections, "right": replace(seen, corners_px=wrong)})
    found = calibrate(BOARD, shots, FACTORY, Options(max_holdout_px=99))
    assert found.figures.left_out["right"] == 4
    assert bv.pose_error(found.cameras, TRUE, "right")[0] < 1.0


def test_three_cameras_are_chained_over_pairs():
    top = replace(
        TRUE["left"], T_world_cam=cam.look_at(np.array([0.05, -0.35, 0.55]), np.zeros(3), np.array([0.0, 0.0, 1.0]))
    )
    true = {**TRUE, "top": top}
    # Left and top never see the board together: the tree goes over the right camera.
    missing = {(k, "left" if k % 2 else "top") for k in range(20)}
    shots = bv.shots(BOARD, true, POSES, missing=missing)
    factory = {view: replace(camera, T_world_cam=np.eye(4)) for view, camera in true.items()}
    found = calibrate(BOARD, shots, factory)
    for view in ("right", "top"):
        mm, degrees = bv.pose_error(found.cameras, true, view)
        assert mm < 2.0
        assert degrees < 0.2
    assert np.isfinite(found.figures.loop_mm)
    everywhere = calibrate(BOARD, bv.shots(BOARD, true, POSES), factory)
    assert 0 < everywhere.figures.loop_mm < 3.0


def test_derivatives_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    lens = np.array([[600.0, 610.0, 320.0, 240.0, 0.1, -0.2, 0.003, -0.002, 0.05]])
    scene = Scene(lens, rng.normal(0, 0.2, (1, 6)), np.array([[0.2, -0.1, 2.9, 0.05, -0.04, 0.7]]))
    count = 5
    corners = Corners(
        np.zeros(count, int),
        np.zeros(count, int),
        BOARD.corners_m[:: BOARD.count // count][:count],
        np.zeros((count, 2)),
    )
    found = _derivatives(scene, corners)
    parts = [("lenses", 9), ("cameras", 6), ("boards", 6)]
    column = 0
    for name, width in parts:
        for k in range(width):
            step = 1e-6
            ends = []
            for sign in (1, -1):
                values = getattr(scene, name).copy()
                values[0, k] += sign * step
                ends.append(errors_px(replace(scene, **{name: values}), corners))
            np.testing.assert_allclose(found[:, :, column], (ends[0] - ends[1]) / (2 * step), rtol=2e-4, atol=2e-3)
            column += 1


def test_inverse_lens_becomes_the_same_forward_lens():
    inverse = Camera(640, 480, 610.0, 610.0, 318.0, 242.0, (0.08, -0.12, 0.001, -0.0005, 0.03), "inverse_brown_conrady")
    forward = optics.as_brown(inverse)
    points = np.stack([*np.meshgrid(np.linspace(-0.4, 0.4, 9), np.linspace(-0.3, 0.3, 9)), np.ones((9, 9))], axis=-1)
    np.testing.assert_allclose(cam.project(forward, points), cam.project(inverse, points), atol=0.05)


def test_board_on_the_table_becomes_the_world():
    found = calibrate(BOARD, bv.shots(BOARD, TRUE, POSES), FACTORY, Options(table_shot="4"))
    # The middle of that board is the origin, its plane z = 0, the cameras above it.
    middle = POSES[4] @ np.array([*np.array(BOARD.size_m) / 2, 0.0, 1.0])
    for view, camera in found.cameras.items():
        expected = cam.transform(TRUE[view].T_cam_world, middle[None, :3])[0]
        np.testing.assert_allclose(cam.transform(camera.T_cam_world, np.zeros((1, 3)))[0], expected, atol=2e-3)
        assert camera.T_world_cam[2, 3] > 0.2
    with pytest.raises(CalibrationError, match="no shot is called"):
        calibrate(BOARD, bv.shots(BOARD, TRUE, POSES), FACTORY, Options(table_shot="99"))


def test_fixed_lenses_stay():
    found = calibrate(BOARD, bv.shots(BOARD, TRUE, POSES), FACTORY, Options(intrinsics="fixed"))
    assert found.cameras["right"].fx == FACTORY["right"].fx


class TestRefusals:
    def refuse(self, match, shots, factory=None, board=BOARD, **options):
        with pytest.raises(CalibrationError, match=match):
            calibrate(board, shots, FACTORY if factory is None else factory, Options(**options))

    def test_one_view(self):
        self.refuse("two views", bv.shots(BOARD, {"left": TRUE["left"]}, POSES), {})
        self.refuse("two views", [Shot({})], {})

    def test_too_few_shots(self):
        self.refuse("at least 8 images", bv.shots(BOARD, TRUE, POSES[:5]))

    def test_views_that_never_see_the_board_together(self):
        missing = {(k, "left" if k % 2 else "right") for k in range(20)}
        self.refuse("in two views at once", bv.shots(BOARD, TRUE, POSES, missing=missing))

    def test_the_same_camera_twice(self):
        twin = {"left": TRUE["left"], "right": TRUE["left"]}
        self.refuse("different places", bv.shots(BOARD, twin, POSES), dict.fromkeys(twin, FACTORY["left"]))

    def test_images_of_another_size(self):
        shots = bv.shots(BOARD, TRUE, POSES)
        seen = shots[2].detections["left"]
        shots[2] = replace(shots[2], detections={**shots[2].detections, "left": replace(seen, size=(1280, 960))})
        self.refuse("640x480 px, got 1280x960 in 2|640x480 px, got 1280x960", shots)
        self.refuse("got 1280x960", shots, {})

    def test_shots_that_are_not_of_the_same_instant(self):
        shots = bv.shots(BOARD, TRUE, POSES[:12])
        late = [
            Shot({"left": a.detections["left"], "right": b.detections["right"]}, name=a.name)
            for a, b in pairwise(shots)
            if "left" in a.detections and "right" in b.detections
        ]
        self.refuse("contradict each other|in two views", late)

    def test_a_board_of_another_size_than_depth_says(self):
        small = replace(BOARD, square_m=0.024 * 0.95, marker_m=0.01875 * 0.95)
        shots = [with_depth(shot, k) for k, shot in enumerate(bv.shots(BOARD, TRUE, POSES))]
        assert calibrate(BOARD, shots, FACTORY).figures.plane_mm["left"] < 3.0
        self.refuse(r"depth camera of left .*\+5\.", shots, board=small)

    def test_a_board_of_another_size_than_the_known_baseline_says(self):
        small = replace(BOARD, square_m=0.024 * 0.9, marker_m=0.01875 * 0.9)
        true_mm = 1e3 * np.linalg.norm(TRUE["left"].T_world_cam[:3, 3] - TRUE["right"].T_world_cam[:3, 3])
        self.refuse("baseline of about", bv.shots(BOARD, TRUE, POSES), board=small, known_baseline_mm=float(true_mm))

    def test_a_low_rms_with_a_bad_loop(self):
        # A small board far away, always facing the cameras: its images fit any distance.
        far = [pose @ np.eye(4) for pose in bv.board_poses(BOARD, 1, 3)] * 12
        rng = np.random.default_rng(0)
        far = [cam.rigid(pose[:3, :3], pose[:3, 3] + rng.normal(0, 0.01, 3)) for pose in far]
        shots = bv.shots(BOARD, TRUE, far, noise_px=0.4)
        few = [replace(shot, detections={v: first(d) for v, d in shot.detections.items()}) for shot in shots]
        self.refuse(r"loop error .* though the RMS is 0\.[0-9]+ px", few, {}, max_holdout_px=99)


def first(found: Detection) -> Detection:
    return replace(found, ids=found.ids[:14], corners_px=found.corners_px[:14])


def with_depth(shot: Shot, seed: int) -> Shot:
    """Depth on the true board with 1 mm of noise."""
    from capture.calibrate import DepthPoints

    rng = np.random.default_rng(seed)
    T = TRUE["left"].T_cam_world @ POSES[seed]
    on_board = np.zeros((200, 3))
    on_board[:, :2] = rng.uniform(0.2, 0.8, (200, 2)) * BOARD.size_m
    points = cam.transform(T, on_board)
    points *= 1 + rng.normal(0, 1e-3, (200, 1)) / points[:, 2:]
    return replace(shot, depth={"left": DepthPoints(points, np.zeros((200, 2)))})
