"""Epipolar lines against points whose place is known."""

from dataclasses import replace

import numpy as np
import pytest

from annotate.epipolar import epipolar_line, epipolar_miss_px, fundamental
from hoi_core import camera as cameras
from hoi_core.errors import CalibrationError
from hoi_core.types import Camera

UP = np.array([0.0, 0.0, 1.0])


def pair(**lens) -> tuple[Camera, Camera]:
    out = []
    for eye in ([-0.4, -0.4, 0.3], [0.4, -0.4, 0.35]):
        T = cameras.look_at(np.array(eye), np.zeros(3), UP)
        out.append(Camera(640, 480, 610.0, 612.0, 322.0, 238.0, T_world_cam=T, **lens))
    return out[0], out[1]


def seen(camera: Camera, points_m: np.ndarray) -> np.ndarray:
    return cameras.project(camera, cameras.transform(camera.T_cam_world, points_m))


def distance_to_polyline(point: np.ndarray, line: np.ndarray) -> float:
    a, b = line[:-1], line[1:]
    along = b - a
    share = np.clip(((point - a) * along).sum(-1) / (along**2).sum(-1), 0, 1)
    return float(np.linalg.norm(a + share[:, None] * along - point, axis=-1).min())


LENSES = [
    {},
    {"distortion": (0.12, -0.25, 0.001, -0.0005, 0.05)},
    {"distortion": (0.12, -0.25, 0.001, -0.0005, 0.05), "distortion_model": "inverse_brown_conrady"},
]


@pytest.mark.parametrize("lens", LENSES)
def test_the_point_lies_on_its_line(lens) -> None:
    a, b = pair(**lens)
    for point in np.random.default_rng(0).uniform(-0.08, 0.08, size=(20, 3)):
        line = epipolar_line(a, seen(a, point[None])[0], b, 0.2, 1.2)
        assert len(line) > 10
        # The curve is drawn by chords: at most a tenth of a pixel away from them.
        assert distance_to_polyline(seen(b, point[None])[0], line) < 0.1


def test_distortion_bends_the_line() -> None:
    lens = {"distortion": (0.3, 0.0, 0.0, 0.0, 0.0)}
    a, b = pair(**lens)
    line = epipolar_line(a, np.array([200.0, 120.0]), b, 0.2, 1.5)
    middle = line[len(line) // 2]
    assert distance_to_polyline(middle, line[[0, -1]]) > 0.5


def test_the_line_runs_from_near_to_far_and_is_cut_at_the_image() -> None:
    a, b = pair()
    line = epipolar_line(a, np.array([322.0, 238.0]), b, 0.01, 50.0)
    assert (line > -0.11 * np.array([640, 480])).all()
    assert (line < 1.11 * np.array([640, 480])).all()
    near = seen(b, cameras.transform(a.T_world_cam, cameras.unproject(a, np.array([[322.0, 238.0]]), np.array([0.4]))))
    far = seen(b, cameras.transform(a.T_world_cam, cameras.unproject(a, np.array([[322.0, 238.0]]), np.array([0.8]))))
    order = [np.linalg.norm(line - end, axis=-1).argmin() for end in (near, far)]
    assert order[0] < order[1]


def test_a_ray_behind_the_other_camera_has_no_line() -> None:
    a, b = pair()
    away = replace(b, T_world_cam=cameras.look_at(b.T_world_cam[:3, 3], np.array([1.2, -1.2, 0.7]), UP))
    assert epipolar_line(a, np.array([322.0, 238.0]), away, 0.3, 1.0).shape == (0, 2)


def test_cameras_at_one_place_are_refused() -> None:
    camera = Camera(640, 480, 600.0, 600.0, 320.0, 240.0)
    with pytest.raises(CalibrationError, match="same"):
        epipolar_line(camera, np.array([10.0, 10.0]), camera, 0.3, 1.0)
    with pytest.raises(ValueError, match="near_m"):
        epipolar_line(*pair()[:1], np.array([10.0, 10.0]), pair()[1], 1.0, 0.5)


def test_the_miss_is_the_distance_in_pixels() -> None:
    a, b = pair()
    points = np.random.default_rng(1).uniform(-0.08, 0.08, size=(7, 3))
    at_a, at_b = seen(a, points), seen(b, points)
    np.testing.assert_allclose(epipolar_miss_px(a, at_a, b, at_b), 0.0, atol=1e-6)
    line = np.concatenate([at_a, np.ones((7, 1))], axis=-1) @ fundamental(a, b).T
    normal = line[:, :2] / np.linalg.norm(line[:, :2], axis=-1, keepdims=True)
    moved = epipolar_miss_px(a, at_a, b, at_b + 9.0 * normal)
    assert (moved >= 9.0 - 1e-6).all()
    assert (moved < 15.0).all()
    along = epipolar_miss_px(a, at_a, b, at_b + 9.0 * normal[:, ::-1] * [1, -1])
    np.testing.assert_allclose(along, 0.0, atol=1e-6)
    at_a[0] = np.nan
    assert np.isnan(epipolar_miss_px(a, at_a, b, at_b)[0])
