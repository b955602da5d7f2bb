"""The offset between depth cameras, on a bumpy ball whose images are made by a formula of their own."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from capture.depth_motion import DepthFilm, shift_between
from capture.motion import MotionTrack, estimate
from hoi_core.camera import look_at
from hoi_core.sequence import Clock
from hoi_core.types import Camera, StreamInfo

STEP = 4
RADIUS_M, BALLS = 0.06, 4


def camera(angle: float) -> Camera:
    eye = 0.6 * np.array([np.sin(angle), -np.cos(angle), 0.6])
    pose = look_at(eye, np.zeros(3), np.array([0.0, 0.0, 1.0]))
    return Camera(640, 480, 384.0, 384.0, 319.5, 239.5, T_world_cam=pose)


def centres(t: float, speed: float) -> np.ndarray:
    """Four balls that swing together, each about its own place. `(4, 3)` m."""
    k = np.arange(BALLS)[:, None] + np.arange(3) * 1.7
    place = np.array([[-0.07, 0.0, 0.0], [0.07, 0.0, 0.0], [0.0, 0.03, 0.07], [0.0, -0.03, -0.07]])
    return place + 0.05 * np.sin(speed * (2.0 + 0.6 * k) * t + k) * (1.0 if speed else 0.0)


@cache
def rays(angle: float) -> np.ndarray:
    """Of the pixels of a camera. `(120, 160, 3)`, z = 1."""
    view = camera(angle)
    v, u = np.mgrid[0 : view.height : STEP, 0 : view.width : STEP]
    return np.stack([(u - view.cx) / view.fx, (v - view.cy) / view.fy, np.ones(u.shape)], -1)


def depth_mm(angle: float, at_m: np.ndarray, rng) -> np.ndarray:
    """Nearest crossing of each ray with a ball, or the wall behind. `(120, 160)` mm."""
    view, ray = camera(angle), rays(angle)
    centre = at_m @ view.T_cam_world[:3, :3].T + view.T_cam_world[:3, 3]
    a, b, c = np.einsum("vui,vui->vu", ray, ray)[..., None], ray @ centre.T, (centre**2).sum(-1) - RADIUS_M**2
    inside = b**2 - a * c
    z = np.where(inside > 0.0, (b - np.sqrt(np.maximum(inside, 0.0))) / a, np.inf)
    out = np.minimum(z.min(-1), 1.1)
    return np.rint(1000.0 * out + rng.normal(0.0, 1.5, out.shape)).astype(np.uint16)


@cache
def images(angle: float, speed: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Times `(N,)` s, and what a camera sees of the balls then `(N, 120, 160)` mm."""
    rng = np.random.default_rng(round(1000 * (angle + 1.0)))
    t = np.arange(0.0, seconds, 1.0 / 30.0) + 0.011 * angle
    return t, np.stack([depth_mm(angle, centres(float(s), speed), rng) for s in t])


def film(angle: float, late_s: float, speed: float = 1.0, seconds: float = 6.0) -> DepthFilm:
    """What a camera sees of the balls, its clock late."""
    t, seen = images(angle, speed, seconds)
    view = f"{'left' if angle < 0 else 'right'}/depth"
    info = StreamInfo(view, "camera", (480, 640), "uint16", 30.0, camera(angle), "1")
    return DepthFilm(replace(info, depth_scale_m=1e-3), t + late_s, seen, STEP)


@pytest.mark.parametrize(("late_s", "near_s"), [(0.0073, 0.004), (-0.031, -0.036)])
def test_the_offset_between_two_depth_cameras_is_found_to_a_millisecond(late_s, near_s):
    shift_s, sigma_s = shift_between([film(-0.6, 0.0)], [film(0.6, late_s)], near_s)
    assert shift_s == pytest.approx(late_s, abs=1e-3)
    assert sigma_s < 1e-3


def test_a_calibration_that_is_a_little_wrong_does_not_move_the_offset():
    right = film(0.6, 0.0073)
    pose = right.info.camera.T_world_cam.copy()
    pose[:3, 3] += [0.0015, -0.001, 0.001]
    wrong = replace(right, info=replace(right.info, camera=replace(right.info.camera, T_world_cam=pose)))
    assert shift_between([film(-0.6, 0.0)], [wrong], 0.004)[0] == pytest.approx(0.0073, abs=1e-3)


def test_what_does_not_move_and_a_first_guess_far_off_tell_nothing():
    assert np.isinf(shift_between([film(-0.6, 0.0, 0.0)], [film(0.6, 0.0, 0.0)], 0.0)[1])
    assert np.isinf(shift_between([film(-0.6, 0.0)], [film(0.6, 0.07)], 0.0)[1])


def test_a_track_keeps_depth_of_calibrated_cameras_only_and_little_of_it():
    infos = [film(-0.6, 0.0).info, film(0.6, 0.0073).info]
    uncalibrated = [replace(info, camera=replace(info.camera, T_world_cam=np.eye(4))) for info in infos]
    images = np.zeros((480, 640), np.uint16), np.zeros((480, 640, 3), np.uint8)
    for given, kept in ((infos, 4), (uncalibrated, 0), ((), 0)):
        track = MotionTrack(given)
        for k in range(0, 30 * 80, 5):
            for view in ("left", "right"):
                track.add(f"{view}/depth", k * 33_333_333, images[0])
                track.add(f"{view}/color", k * 33_333_333, images[1])
        assert sum(bool(block.depth) for block in track.blocks()) == kept
        assert all(z.shape == (120, 160) for block in track.blocks() for own in block.depth.values() for z in own)


def test_depth_makes_a_short_recording_sure():
    late_s = 0.0213
    films = {"left": film(-0.6, 0.0, seconds=12.0), "right": film(0.6, late_s, seconds=12.0)}
    track = MotionTrack([own.info for own in films.values()])
    for k in range(len(films["left"].t_s)):
        for view, own in films.items():
            t_ns = round(own.t_s[k] * 1e9)
            # The track thins by four what was made thin.
            track.add(f"{view}/depth", t_ns, own.depth[k].repeat(STEP, 0).repeat(STEP, 1))
            track.add(f"{view}/color", t_ns, np.clip((1100.0 - own.depth[k]) * 0.3, 0, 255).astype(np.uint8))
    clocks = {f"{view}/{kind}": Clock.line(0, 10**12, 0.0) for view in films for kind in ("color", "depth")}
    found = estimate(track, clocks, "left/color")["right/color"]
    assert found.sure
    assert found.offset_ns * 1e-9 == pytest.approx(-late_s, abs=1.5e-3)
