"""Cameras against OpenCV and against themselves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoi_core import camera as cam
from hoi_core.rotation import exp_so3
from hoi_core.types import Camera

D435 = (0.12, -0.25, 0.0007, -0.0004, 0.08)


def make(model: str = "brown_conrady", distortion: tuple = D435, **changes: object) -> Camera:
    base = {"width": 640, "height": 480, "fx": 611.3, "fy": 609.8, "cx": 322.4, "cy": 238.1}
    return Camera(**{**base, "distortion": distortion, "distortion_model": model, **changes})


def points(seed: int = 0, n: int = 200) -> np.ndarray:
    """In the field of view, 0.3 to 1 m away."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(0.3, 1.0, n)
    return np.stack([rng.uniform(-0.5, 0.5, n) * z, rng.uniform(-0.38, 0.38, n) * z, z], axis=-1)


def test_project_against_opencv():
    x = points()
    expected, _ = cv2.projectPoints(x, np.zeros(3), np.zeros(3), make().K, np.array(D435))
    np.testing.assert_allclose(cam.project(make(), x), expected[:, 0], atol=1e-9)


def test_rays_against_opencv():
    px = np.random.default_rng(1).uniform([0, 0], [640, 480], (300, 2))
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-14)
    expected = cv2.undistortPointsIter(px[:, None], make().K, np.array(D435), None, None, criteria)[:, 0]
    np.testing.assert_allclose(cam.rays(make(), px)[:, :2], expected, atol=1e-8)


def test_inverse_model_is_opencv_backwards():
    """`inverse_brown_conrady` applies Brown's polynomial when it removes distortion."""
    camera = make("inverse_brown_conrady")
    px = np.random.default_rng(2).uniform([0, 0], [640, 480], (100, 2))
    distorted = np.concatenate([(px - [camera.cx, camera.cy]) / [camera.fx, camera.fy], np.ones((100, 1))], axis=1)
    forward, _ = cv2.projectPoints(distorted, np.zeros(3), np.zeros(3), np.eye(3), np.array(D435))
    np.testing.assert_allclose(cam.rays(camera, px)[:, :2], forward[:, 0], atol=1e-12)


@pytest.mark.parametrize("model", ["none", "brown_conrady", "inverse_brown_conrady"])
@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), strength=st.floats(-1, 1))
def test_project_unproject_round_trip(model, seed, strength):
    camera = make(model, tuple(strength * d for d in D435))
    x = points(seed, 30)
    px = cam.project(camera, x)
    np.testing.assert_allclose(cam.unproject(camera, px, x[:, 2]), x, atol=1e-9)
    np.testing.assert_allclose(cam.project(camera, cam.unproject(camera, px, x[:, 2])), px, atol=1e-6)


def test_behind_the_camera_is_nan():
    px = cam.project(make(), np.array([[0.0, 0.0, -0.5], [0.0, 0.0, 0.0], [0.0, 0.0, 0.5]]))
    assert np.isnan(px[:2]).all()
    np.testing.assert_allclose(px[2], [322.4, 238.1])
    assert cam.inside(make(), px).tolist() == [False, False, True]


def test_inside_uses_pixel_centres():
    edge = np.array([[-0.5, 0.0], [-0.51, 0.0], [639.49, 479.49], [639.5, 0.0], [0.0, 479.5]])
    assert cam.inside(make(), edge).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize("model", ["brown_conrady", "inverse_brown_conrady"])
def test_crop_then_resize_follows_the_pixels(model):
    camera, x = make(model), points()
    px = cam.project(camera, x)
    cut = cam.crop(camera, 100.0, -20.0, 256, 256)
    np.testing.assert_allclose(cam.project(cut, x), px - [100.0, -20.0], atol=1e-9)
    small = cam.resize(cut, 128, 64)
    # A pixel's edges, half a pixel from its centre, scale with the image.
    expected = (px - [100.0, -20.0] + 0.5) * [0.5, 0.25] - 0.5
    np.testing.assert_allclose(cam.project(small, x), expected, atol=1e-9)
    assert (small.width, small.height) == (128, 64)


def test_resize_agrees_with_opencvs_image_resize():
    """A blob's centre of mass moves as the intrinsics say."""
    camera = make(distortion=(0.0,) * 5)
    v, u = np.mgrid[:480, :640]
    image = np.exp(-((u - 301.3) ** 2 + (v - 207.6) ** 2) / (2 * 9.0**2))
    half = cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA)
    v2, u2 = np.mgrid[:240, :320]
    centre = np.array([(half * u2).sum(), (half * v2).sum()]) / half.sum()
    ray = cam.rays(camera, np.array([301.3, 207.6]))
    np.testing.assert_allclose(cam.project(cam.resize(camera, 320, 240), ray), centre, atol=1e-6)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_rigid_transforms(seed):
    rng = np.random.default_rng(seed)
    T = cam.rigid(exp_so3(rng.normal(size=(4, 3))), rng.normal(size=(4, 3)))
    np.testing.assert_allclose(cam.inverse_rigid(T), np.linalg.inv(T), atol=1e-12)
    x = rng.normal(size=(4, 9, 3))
    there = cam.transform(T, x)
    homogeneous = np.concatenate([x, np.ones((4, 9, 1))], axis=-1)
    np.testing.assert_allclose(there, (homogeneous @ T.swapaxes(1, 2))[..., :3], atol=1e-12)
    np.testing.assert_allclose(cam.transform(cam.inverse_rigid(T), there), x, atol=1e-12)
    np.testing.assert_allclose(cam.transform(T[0], x[0]), there[0], atol=1e-15)


def test_look_at():
    T = cam.look_at(np.array([0.3, -0.6, 0.4]), np.array([0.0, 0.0, 0.1]), np.array([0.0, 0.0, 1.0]))
    camera = make(distortion=(0.0,) * 5, T_world_cam=T)
    np.testing.assert_allclose(np.linalg.det(T), 1.0)
    world = np.array([[0.0, 0.0, 0.1], [0.0, 0.0, 0.2]])
    px = cam.project(camera, cam.transform(camera.T_cam_world, world))
    np.testing.assert_allclose(px[0], [camera.cx, camera.cy], atol=1e-9)
    np.testing.assert_allclose(px[1, 0], camera.cx, atol=1e-9)
    assert px[1, 1] < px[0, 1], "up in the world is up in the image"


def rig(n: int = 3, model: str = "brown_conrady") -> list[Camera]:
    eyes = [(0.5, -0.5, 0.4), (-0.5, -0.5, 0.4), (0.0, -0.7, 0.6)][:n]
    up = np.array([0.0, 0.0, 1.0])
    return [make(model, T_world_cam=cam.look_at(np.array(e), np.zeros(3), up)) for e in eyes]


@pytest.mark.parametrize("model", ["brown_conrady", "inverse_brown_conrady"])
@pytest.mark.parametrize("n", [2, 3])
def test_triangulate_exact(n, model):
    world = np.random.default_rng(3).normal(0, 0.06, (5, 21, 3))
    cameras = rig(n, model)
    px = np.stack([cam.project(c, cam.transform(c.T_cam_world, world)) for c in cameras])
    np.testing.assert_allclose(cam.triangulate(cameras, px), world, atol=1e-8)


def test_triangulate_with_missing_views_and_weights():
    world = np.random.default_rng(4).normal(0, 0.06, (21, 3))
    cameras = rig(3)
    px = np.stack([cam.project(c, cam.transform(c.T_cam_world, world)) for c in cameras])
    px[0, 0], px[1, 1], px[:2, 2] = np.nan, np.nan, np.nan
    out = cam.triangulate(cameras, px)
    assert np.isnan(out[2]).all()
    keep = np.arange(21) != 2
    np.testing.assert_allclose(out[keep], world[keep], atol=1e-8)
    px[2, 5:] += 40.0  # a view that is wrong and known to be
    weights = np.ones((3, 21))
    weights[2, 5:] = 0.0
    np.testing.assert_allclose(cam.triangulate(cameras, px, weights)[5:], world[5:], atol=1e-8)


def test_triangulate_noise_is_what_geometry_predicts():
    """At 0.75 m and f = 610 px, one pixel is 1.2 mm; two views average it over a baseline of 90 degrees or so."""
    world = np.zeros((4000, 3))
    cameras = rig(2)
    rng = np.random.default_rng(5)
    px = np.stack([cam.project(c, cam.transform(c.T_cam_world, world)) for c in cameras])
    error = cam.triangulate(cameras, px + rng.normal(0, 1.0, px.shape))
    rms = np.sqrt((error**2).mean(0))
    distance = np.linalg.norm([0.5, 0.5, 0.4])
    assert (rms < 2.0 * distance / 610).all()
    assert (rms > 0.4 * distance / 610).all()
