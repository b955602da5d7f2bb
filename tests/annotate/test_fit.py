"""The fit finds the hand again, also an unkind one, and with evidence missing or wrong."""

from dataclasses import replace

import numpy as np
import pytest

from annotate import fit as fitting
from annotate.evidence import Anchors
from annotate.initialise import initialise
from hoi_core import camera as cameras
from hoi_core.biomechanics import DOF_MASK, rotations_to_angles
from hoi_core.errors import ConfigError, FitError


def run(made, **settings):
    terms = fitting.load_terms(settings)
    start = initialise(made.truth.hands.hand, made.evidence, terms)
    return fitting.fit(made.evidence, start, terms)


def error_mm(result, made) -> float:
    return 1e3 * float(np.linalg.norm(result.state.hands.joints_m - made.joints_m, axis=-1).mean())


@pytest.mark.parametrize("seed", [0, 1])
def test_kind_hand_is_found_within_a_millimetre(seed: int, scene) -> None:
    made = scene(seed)
    assert error_mm(run(made), made) < 1.0


@pytest.mark.parametrize("seed", [0, 1])
def test_unkind_hand_is_found_within_five_millimetres(seed: int, scene, unkind) -> None:
    made = scene(seed, unkind=unkind)
    assert error_mm(run(made), made) < 5.0


def test_one_view_with_depth_is_enough(scene, unkind) -> None:
    made = scene(2, unkind=unkind)
    pixels = made.evidence.keypoints_px.copy()
    pixels[:, 1] = np.nan
    clouds = {0: made.evidence.clouds[0]}
    camera = made.evidence.cameras[0]
    depth_m = np.full((40, 2, 21), np.nan)
    depth_m[::5, 0] = cameras.transform(camera.T_cam_world, made.joints_m[::5])[..., 2] - 0.011
    one = replace(made.evidence, keypoints_px=pixels, clouds=clouds, keypoint_depth_m=depth_m)
    made = replace(made, evidence=one)
    assert error_mm(run(made), made) < 6.0


def test_outliers_do_not_pull(scene, unkind) -> None:
    made = scene(4, unkind=unkind)
    rng = np.random.default_rng(0)
    pixels = made.evidence.keypoints_px.copy()
    wrong = rng.uniform(size=pixels.shape[:3]) < 0.1
    pixels[wrong] += rng.choice([-50.0, 50.0], size=(int(wrong.sum()), 2))
    made = replace(made, evidence=replace(made.evidence, keypoints_px=pixels))
    assert error_mm(run(made), made) < 6.0


def test_a_time_offset_of_one_camera_is_modelled(scene) -> None:
    made = scene(5)
    lag = np.zeros((40, 2))
    lag[:, 1] = 0.016
    speed = np.gradient(made.joints_m, made.evidence.t_s, axis=0)
    camera = made.evidence.cameras[1]
    later = cameras.project(camera, cameras.transform(camera.T_cam_world, made.joints_m + 0.016 * speed))
    pixels = made.evidence.keypoints_px.copy()
    pixels[::5, 1] = later[::5]
    clouds = {0: made.evidence.clouds[0]}
    told = replace(made, evidence=replace(made.evidence, keypoints_px=pixels, clouds=clouds, lag_s=lag))
    untold = replace(told, evidence=replace(told.evidence, lag_s=0 * lag))
    assert error_mm(run(told), told) < 1.0
    assert error_mm(run(told), told) < error_mm(run(untold), untold)


def test_no_keypoints_is_an_error_that_says_what_to_do(scene) -> None:
    made = scene(0, 5)
    empty = replace(made.evidence, keypoints_px=np.full_like(made.evidence.keypoints_px, np.nan))
    with pytest.raises(FitError, match="Click"):
        initialise(made.truth.hands.hand, empty, fitting.load_terms())


def test_unknown_term_is_named() -> None:
    with pytest.raises(ConfigError, match="depth"):
        fitting.load_terms({"deph": {"weight": 1.0}})


def test_anchored_moments_stay_and_the_rest_is_fitted_around_them(scene) -> None:
    made = scene(0)
    moments = np.array([10, 11, 25])
    held = made.truth.hands.taken(moments)
    # An anchor beside the truth: only the term keeps the fit there.
    held = replace(held, trans_m=held.trans_m + 0.002)
    anchors = Anchors(moments, held, np.full(3, 1e-5))
    anchored = replace(made, evidence=replace(made.evidence, anchors=anchors))
    hands = run(anchored).state.hands
    np.testing.assert_allclose(hands.joints_m[moments], held.joints_m, atol=5e-5)
    np.testing.assert_allclose(hands.betas, held.betas, atol=1e-3)
    others = np.setdiff1d(np.arange(40), np.arange(5, 31))
    assert 1e3 * np.linalg.norm(hands.joints_m - made.joints_m, axis=-1)[others].mean() < 2.0


def test_six_joints_clicked_in_both_views_of_one_moment_are_a_start(scene) -> None:
    made = scene(0)
    pixels = np.full_like(made.evidence.keypoints_px, np.nan)
    clicked = [0, 1, 5, 9, 13, 17]
    pixels[10][:, clicked] = made.evidence.keypoints_px[10][:, clicked]
    few = replace(made.evidence, keypoints_px=pixels)
    start = initialise(made.truth.hands.hand, few, fitting.load_terms()).hands
    miss_mm = 1e3 * np.linalg.norm(start.joints_m[10] - made.joints_m[10], axis=-1)
    assert miss_mm[clicked].mean() < 5.0


def test_a_hand_of_23_angles_turns_no_finger_as_fingers_do_not(scene, unkind) -> None:
    made = scene(2, unkind=unkind)
    most = {}
    for dof in (23, 45):
        result = run(made, limits={"dof": dof})
        hands = result.state.hands
        angles = rotations_to_angles(hands.rotations[:, 1:], hands.hand.anatomy)
        most[dof] = float(np.abs(angles[:, ~DOF_MASK]).max())
        assert error_mm(result, made) < 6.0
    assert most[23] < 0.005 < most[45]


def test_a_hand_has_23_angles_or_45() -> None:
    with pytest.raises(ConfigError, match="dof"):
        fitting.load_terms({"limits": {"dof": 24}})
