"""The board that is shown for calibration: its images agree with OpenCV's projection of its true pose."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from capture.calibrate.board import Board
from capture.calibrate.detect import make_detector
from capture.devices import simulated
from capture.simulation.board_motion import STILL_S
from capture.simulation.noise import DepthNoise
from hoi_core import camera as cam
from hoi_core.sequence import open_truth

COLORS = {"left": "left/color", "right": "right/color", "edge128": "edge128/gray"}
EXACT = DepthNoise(
    disparity_sigma_px=0.0, disparity_step_px=1e-4, bias_m=0.0, bias_wave_m=0.0, flying=0.0, edge_hole=0.0,
    hole_share=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def rig():
    config = simulated.Config(seed=3, scene="board", seconds=40.0, jitter_ms=0.0, depth=EXACT)
    with simulated.open(config) as opened:
        yield opened


def still_frames(rig) -> list[int]:
    """A frame in the middle of each still moment of 40 s."""
    starts = rig.scene.motion.start_s
    return [int((s + 0.5 * STILL_S) * 30.0) for s in starts[starts < 39.0]]


def opencv_pixels(camera, T_world_board, points_m) -> np.ndarray:
    """Where OpenCV projects points of the board; it, too, counts pixel centres as integers."""
    T = np.linalg.inv(camera.T_world_cam) @ T_world_board
    rotation, _ = cv2.Rodrigues(T[:3, :3])
    pixels, _ = cv2.projectPoints(points_m, rotation, T[:3, 3], camera.K, np.array(camera.distortion))
    return pixels[:, 0]


@pytest.mark.parametrize(("name", "zoom", "typical_px"), [("left", 1, 0.12), ("right", 1, 0.12), ("edge128", 4, 0.22)])
def test_detected_corners_lie_where_opencv_projects_them(rig, name, zoom, typical_px):
    detector = make_detector(rig.scene.board)
    camera = rig.cameras.true[COLORS[name]]
    errors = []
    for n in still_frames(rig)[::2]:
        image = rig.scene.develop(name, n, n)[0]
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        # The sensor's markers have too few pixels for OpenCV; pixel centres stay at integers.
        large = cv2.resize(gray, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC) if zoom > 1 else gray
        found, ids, _, _ = detector.detectBoard(large)
        if ids is None or len(ids) < 8:
            continue
        expected = opencv_pixels(camera, rig.scene.poses(name, np.array([n]))[0], rig.scene.board.corners_m[ids[:, 0]])
        errors.append((found.reshape(-1, 2) + 0.5) / zoom - 0.5 - expected)
    error = np.concatenate(errors)
    assert len(errors) >= (15 if zoom == 1 else 4)
    assert np.median(np.linalg.norm(error, axis=1)) < typical_px
    # Half a pixel's shift, or the wrong row as the time of the exposure, would stand out here.
    assert np.abs(np.median(error, axis=0)).max() < 0.03


def test_depth_is_the_plane_s_where_the_board_is_seen(rig):
    scene, camera = rig.scene, rig.cameras.true["left/depth"]
    seen = 0
    for n in still_frames(rig)[:8]:
        pose = scene.poses("left", np.array([n]))[0]
        depth_m = scene.develop("left", n, n)[1] * 0.001
        inner = np.array([[x, y, 0.0] for x in (0.04, 0.1, 0.15) for y in (0.05, 0.13, 0.2)])
        local = cam.transform(np.linalg.inv(camera.T_world_cam) @ pose, inner)
        u, v = np.rint(cam.project(camera, local)).astype(int).T
        ok = (u > 30) & (u < 639) & (v > 0) & (v < 479)
        normal = (np.linalg.inv(camera.T_world_cam) @ pose)[:3, 2]
        ray = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(len(u))], -1)
        plane_m = (local @ normal) / (ray @ normal)
        measured = np.array([depth_m[b, a] if good else 0.0 for a, b, good in zip(u, v, ok, strict=True)])
        hit = measured > 0
        seen += int(hit.sum())
        # Whole millimetres.
        np.testing.assert_allclose(measured[hit], plane_m[hit], atol=0.0007)
    assert seen > 30


def test_it_is_held_still_often_and_moves_without_a_jump(rig):
    motion = rig.scene.motion
    t = np.arange(0.0, 40.0, 1 / 300)
    poses = motion.at(t)
    middle = cam.transform(poses, motion.centre_m[None])[:, 0]
    speed = np.linalg.norm(np.diff(middle, axis=0), axis=1) * 300
    assert speed.max() < 1.2
    still = motion.still(t)[:-1]
    assert speed[still].max() < 0.02
    assert np.median(speed[~still]) > 0.05
    assert (motion.start_s < 40.0).sum() >= 30
    begin, end = motion.at(np.array([0.0, motion.period_s - 1e-9]))
    np.testing.assert_allclose(begin, end, atol=1e-6)


def test_every_camera_sees_it_everywhere_and_tilted(rig):
    frames = np.array(still_frames(rig))
    for name, least in (("left", 12), ("right", 12), ("edge128", 10)):
        camera = rig.cameras.true[COLORS[name]]
        T = np.linalg.inv(camera.T_world_cam) @ rig.scene.poses(name, frames)
        pixels = cam.project(camera, cam.transform(T, rig.scene.board.corners_m))
        inside = cam.inside(camera, pixels)
        cells = np.floor((pixels[inside] + 0.5) / [camera.width, camera.height] * 4).astype(int)
        assert len({(int(x), int(y)) for x, y in cells}) >= least
        tilt_deg = np.degrees(np.arccos(np.clip(T[:, 2, 2], -1, 1)))
        assert tilt_deg.min() < 20.0
        assert tilt_deg.max() > 45.0


def test_motion_blurs_the_image(rig):
    t = np.arange(0.0, 40.0, 1 / 30)
    moving = np.linalg.norm(np.diff(rig.scene.motion.at(t)[:, :3, 3], axis=0), axis=1)
    fast, slow = int(np.argmax(moving)), still_frames(rig)[3]

    def sharpness(n: int) -> float:
        scene, camera = rig.scene, rig.cameras.true["left/color"]
        gray = cv2.cvtColor(scene.develop("left", n, n)[0], cv2.COLOR_RGB2GRAY).astype(np.float32)
        pixels = cam.project(
            camera, cam.transform(camera.T_cam_world @ scene.poses("left", np.array([n]))[0], scene.board.corners_m)
        )
        u, v = np.rint(pixels[cam.inside(camera, pixels)]).astype(int).T
        gradient = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
        return float(np.median(gradient[v, u]))

    assert sharpness(fast) < 0.8 * sharpness(slow)


def test_another_board_is_shown_as_asked_and_its_truth_is_an_object(tmp_path):
    board = Board(5, 7, 0.03, 0.022, "4X4_50")
    with simulated.open(simulated.Config(seed=1, scene="board", seconds=2.0, board=board)) as rig:
        detector = make_detector(board)
        ids = [detector.detectBoard(rig.scene.develop(view, 6, 6)[0])[1] for view in ("left", "right")]
        assert max(0 if found is None else len(found) for found in ids) > board.count // 2
        rig.write_truth(tmp_path)
        assert rig.object_name == "board"
    with open_truth(tmp_path) as truth:
        revision = truth.load()
    assert not revision.hands
    np.testing.assert_allclose(revision.objects["board"].T_world_obj[7], rig.scene.poses("left", np.array([7]))[0])
