"""Triangulation of perfect, wrong and missing keypoints."""

from dataclasses import replace

import numpy as np

from annotate.initialise import kabsch
from annotate.triangulate import triangulate
from hoi_core import camera as cameras
from hoi_core import rotation


def test_perfect_keypoints_give_the_joints(scene) -> None:
    made = scene(0, 6)
    found = triangulate(made.evidence)
    np.testing.assert_allclose(found.joints_m[::5], made.joints_m[::5], atol=1e-9)
    assert np.isnan(found.joints_m[1]).all()
    assert not found.lifted.any()


def test_a_point_that_misses_its_keypoints_is_no_point(scene) -> None:
    made = scene(0, 6)
    pixels = made.evidence.keypoints_px.copy()
    pixels[0, 0, 3, 1] += 120.0
    found = triangulate(replace(made.evidence, keypoints_px=pixels))
    assert np.isnan(found.joints_m[0, 3]).all()
    assert np.isfinite(found.joints_m[0, 4]).all()


def test_one_view_and_depth_take_over(scene) -> None:
    made = scene(1, 6)
    pixels = made.evidence.keypoints_px.copy()
    pixels[:, 0] = np.nan
    camera = made.evidence.cameras[1]
    surface_m = cameras.transform(camera.T_cam_world, made.joints_m)[..., 2] - 0.009
    depth_m = np.full((6, 2, 21), np.nan)
    depth_m[:, 1] = surface_m
    found = triangulate(replace(made.evidence, keypoints_px=pixels, keypoint_depth_m=depth_m))
    np.testing.assert_allclose(found.joints_m[0], made.joints_m[0], atol=1e-6)
    assert found.lifted[0].all()


def test_kabsch_undoes_a_motion() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(6, 3))
    R, t = rotation.exp_so3(rng.normal(size=3)), rng.normal(size=3)
    found_R, found_t = kabsch(points, points @ R.T + t, np.ones(6))
    np.testing.assert_allclose(found_R, R, atol=1e-9)
    np.testing.assert_allclose(found_t, t, atol=1e-9)
