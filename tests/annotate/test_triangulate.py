"""Triangulation of perfect, noisy, wrong, late and missing keypoints."""

from dataclasses import replace

import numpy as np

from annotate.epipolar import fundamental
from annotate.lifting import BEHIND_SURFACE_M, Noise
from annotate.triangulate import at_moments_px, triangulate, triangulate_frame
from hoi_core import camera as cameras
from hoi_core.types import Camera


def every_frame(made):
    """The scene's evidence with a perfect keypoint at every moment."""
    pixels = np.stack([seen(camera, made.joints_m) for camera in made.evidence.cameras], axis=1)
    return replace(made.evidence, keypoints_px=pixels, confidence=np.ones(pixels.shape[:-1]))


def seen(camera: Camera, points_m: np.ndarray) -> np.ndarray:
    return cameras.project(camera, cameras.transform(camera.T_cam_world, points_m))


def across(evidence, moment: int, view: int, joint: int) -> np.ndarray:
    """(2,) unit vector in a view's image, across the epipolar line of the joint's other keypoint."""
    other = 1 - view
    F = fundamental(evidence.cameras[other], evidence.cameras[view])
    line = F @ [*evidence.keypoints_px[moment, other, joint], 1.0]
    return line[:2] / np.linalg.norm(line[:2])


def surface_depth_m(made) -> np.ndarray:
    """(M, V, 21) m where the skin before each joint would be."""
    z = [cameras.transform(c.T_cam_world, made.joints_m)[..., 2] for c in made.evidence.cameras]
    return np.stack(z, axis=1) - BEHIND_SURFACE_M


def test_perfect_keypoints_give_the_joints(scene) -> None:
    made = scene(0, 6)
    found = triangulate(made.evidence)
    np.testing.assert_allclose(found.joints_m[::5], made.joints_m[::5], atol=1e-9)
    assert np.isnan(found.joints_m[1]).all()
    assert np.isnan(found.cov_m2[1]).all()
    np.testing.assert_allclose(found.epipolar_px[::5], 0.0, atol=1e-6)
    assert not found.lifted.any()
    assert not found.wrong.any()


def test_a_point_that_misses_its_keypoints_is_no_point(scene) -> None:
    made = scene(0, 6)
    pixels = made.evidence.keypoints_px.copy()
    pixels[0, 0, 3, 1] += 120.0
    found = triangulate(replace(made.evidence, keypoints_px=pixels))
    assert np.isnan(found.joints_m[0, 3]).all()
    assert np.isfinite(found.joints_m[0, 4]).all()
    assert found.epipolar_px[0, 3] > 25.0


def test_one_view_and_depth_take_over(scene) -> None:
    made = scene(1, 6)
    pixels = made.evidence.keypoints_px.copy()
    pixels[:, 0] = np.nan
    found = triangulate(replace(made.evidence, keypoints_px=pixels, keypoint_depth_m=surface_depth_m(made)))
    np.testing.assert_allclose(found.joints_m[0], made.joints_m[0], atol=1e-6)
    assert found.lifted[0].all()
    # Its uncertainty is long along the ray.
    camera = made.evidence.cameras[1]
    ray = made.joints_m[0] - camera.T_world_cam[:3, 3]
    spread, axes = np.linalg.eigh(found.cov_m2[0])
    along = np.abs((axes[..., 2] * ray).sum(-1)) / np.linalg.norm(ray, axis=-1)
    thick = np.isin(np.arange(21), (0, 1, 5, 9, 13, 17))
    assert (along[thick] > 0.95).all()
    assert (spread[:, 2] > 0).all()


def test_the_covariance_is_that_of_the_errors(scene) -> None:
    evidence = every_frame(scene(2, 300))
    rng = np.random.default_rng(0)
    confidence = rng.choice([0.25, 1.0], size=evidence.confidence.shape)
    noise = rng.normal(size=evidence.keypoints_px.shape) * 2.5 / np.sqrt(confidence)[..., None]
    blurred = replace(evidence, keypoints_px=evidence.keypoints_px + noise, confidence=confidence)
    found = triangulate(blurred, noise=Noise(turn_rad=0.0, shift_m=0.0))
    error_m = found.joints_m - triangulate(evidence).joints_m
    squared = np.einsum("mji,mjik,mjk->mj", error_m, np.linalg.inv(found.cov_m2), error_m)
    squared = squared[np.isfinite(squared)]
    # 90 % of a chi-square with three degrees of freedom lie below 6.251.
    assert 0.88 < (squared < 6.251).mean() < 0.92
    assert 2.8 < squared.mean() < 3.2


def test_confidence_weighs_the_views(scene) -> None:
    evidence = every_frame(scene(0, 4))
    pixels = evidence.keypoints_px.copy()
    pixels[:, 0] += [0.0, 6.0]

    def miss_of_second(confidence: float) -> float:
        weights = np.ones(evidence.confidence.shape)
        weights[:, 0] = confidence
        found = triangulate(replace(evidence, keypoints_px=pixels, confidence=weights))
        return float(np.abs(seen(evidence.cameras[1], found.joints_m) - pixels[:, 1]).max())

    assert miss_of_second(0.1) < 0.5 * miss_of_second(1.0)


def test_neighbours_in_time_say_which_view_is_wrong(scene) -> None:
    made = scene(3, 9)
    evidence = replace(every_frame(made), keypoint_depth_m=surface_depth_m(made))
    for wrong in (0, 1):
        pixels = evidence.keypoints_px.copy()
        pixels[4, wrong, 8] += 80.0 * across(evidence, 4, wrong, 8)
        found = triangulate(replace(evidence, keypoints_px=pixels))
        assert found.lifted[4, 8]
        np.testing.assert_allclose(found.joints_m[4, 8], made.joints_m[4, 8], atol=1e-3)
        assert np.argwhere(found.wrong).tolist() == [[4, wrong, 8]]


def test_bones_say_which_view_is_wrong_where_time_does_not(scene) -> None:
    made = scene(3, 40)
    depth_m = surface_depth_m(made)
    evidence = every_frame(made)
    pixels = evidence.keypoints_px.copy()
    # The fingertip is wrong for longer than its neighbours in time could tell.
    pixels[12:, 0, 8] += 80.0 * across(evidence, 12, 0, 8)
    found = triangulate(replace(evidence, keypoints_px=pixels, keypoint_depth_m=depth_m))
    late = found.wrong[30:, :, 8]
    assert late[:, 0].mean() > 0.7
    assert not late[:, 1].any()


def test_without_any_neighbour_nobody_is_blamed(scene) -> None:
    made = scene(3, 1)
    evidence = replace(every_frame(made), keypoint_depth_m=surface_depth_m(made))
    pixels = evidence.keypoints_px.copy()
    pixels[:, 0] += [0.0, 90.0]
    found = triangulate(replace(evidence, keypoints_px=pixels))
    contradicted = found.epipolar_px > 50.0
    assert contradicted.sum() > 15
    assert np.isnan(found.joints_m[contradicted]).all()
    assert not found.wrong.any()


def test_two_of_three_views_outvote_the_third(scene) -> None:
    made = scene(0, 4)
    eye = np.array([0.1, -0.2, 0.7])
    third = replace(made.evidence.cameras[0], T_world_cam=cameras.look_at(eye, np.zeros(3), np.array([0.0, 1.0, 0.0])))
    views = (*made.evidence.cameras, third)
    pixels = np.stack([seen(camera, made.joints_m) for camera in views], axis=1)
    pixels[2, 1, 5] += [80.0, 80.0]
    evidence = replace(
        made.evidence,
        views=("left", "right", "top"),
        cameras=views,
        keypoints_px=pixels,
        confidence=np.ones((4, 3, 21)),
        lag_s=np.zeros((4, 3)),
    )
    found = triangulate(evidence)
    np.testing.assert_allclose(found.joints_m, made.joints_m, atol=1e-6)
    assert np.argwhere(found.wrong).tolist() == [[2, 1, 5]]


def test_late_keypoints_are_brought_to_their_moment(scene) -> None:
    made = scene(4, 30)
    evidence = every_frame(made)
    t_s = evidence.t_s
    lag_s = np.zeros((30, 2))
    lag_s[:, 1] = 0.012
    # The second view looks later: interpolated linearly between the moments, for hands that move smoothly.
    later = np.stack(
        [np.interp(t_s + 0.012, t_s, column) for column in evidence.keypoints_px[:, 1].reshape(30, -1).T], axis=-1
    ).reshape(30, 21, 2)
    pixels = np.stack([evidence.keypoints_px[:, 0], later], axis=1)
    late = replace(evidence, keypoints_px=pixels, lag_s=lag_s)
    inner = slice(2, 28)
    before = np.abs(pixels - evidence.keypoints_px)[inner, 1].mean()
    after = np.abs(at_moments_px(late) - evidence.keypoints_px)[inner, 1].mean()
    assert after < 0.2 * before
    np.testing.assert_array_equal(at_moments_px(late)[:, 0], pixels[:, 0])


def test_one_frame_of_distorted_images(scene) -> None:
    made = scene(0, 1)
    bent = [replace(c, distortion=(0.1, -0.2, 0.001, 0.0, 0.0)) for c in made.evidence.cameras]
    points = np.stack([seen(camera, made.joints_m[0]) for camera in bent])
    np.testing.assert_allclose(triangulate_frame(bent, points), made.joints_m[0], atol=1e-6)
    points[0, 7] = np.nan
    found = triangulate_frame(bent, np.concatenate([points, np.ones((2, 21, 1))], axis=-1))
    assert np.isnan(found[7]).all()
    assert np.isfinite(np.delete(found, 7, axis=0)).all()
