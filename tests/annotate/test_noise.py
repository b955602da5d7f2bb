"""Noise levels come out of what a fit leaves over, whatever they were taken for at first."""

from dataclasses import replace

import numpy as np
import pytest

from annotate import fit as fitting
from annotate import noise
from annotate.stage import SEQUENCE
from annotate.terms.pose_prior import RELAXED_RAD
from hoi_core import camera as cameras
from hoi_core.biomechanics import angles_to_rotations

MOMENTS = 60


@pytest.fixture(scope="module")
def noisy(scene):
    """Builds a fit to keypoints of every moment with errors of a known kind: `noisy(seed, px, alike, confidence)`."""

    def build(seed: int, px: float, alike: float = 0.0, confidence: float = 1.0):
        made = scene(seed, MOMENTS)
        rng = np.random.default_rng(seed)
        pixels = np.empty((MOMENTS, 2, 21, 2))
        for v, camera in enumerate(made.evidence.cameras):
            error = rng.normal(size=(21, 2))
            for m in range(MOMENTS):
                error = alike * error + np.sqrt(1.0 - alike**2) * rng.normal(size=(21, 2))
                local = cameras.transform(camera.T_cam_world, made.joints_m[m])
                pixels[m, v] = cameras.project(camera, local) + px * error
        seen = np.full((MOMENTS, 2, 21), confidence)
        evidence = replace(made.evidence, keypoints_px=pixels, confidence=seen)
        terms = fitting.load_terms()
        return evidence, terms, fitting.fit(evidence, made.truth, terms, SEQUENCE[-4:]), made

    return build


@pytest.mark.parametrize("px", [1.0, 4.0])
def test_size_of_the_errors_of_keypoints(px: float, noisy) -> None:
    evidence, terms, result, _ = noisy(0, px)
    config = noise.calibrate(result, evidence, terms)["keypoints2d"].config
    assert config.sigmas_px[-1] == pytest.approx(px, rel=0.15)
    assert config.weight > 0.8


def test_errors_that_stay_alike_count_less(noisy) -> None:
    evidence, terms, result, _ = noisy(1, 2.0, alike=0.8)
    weight = noise.calibrate(result, evidence, terms)["keypoints2d"].config.weight
    assert 0.05 < weight < 0.4  # (1 - 0.8) / (1 + 0.8) = 0.11


def test_each_level_of_confidence_has_its_own_error(noisy) -> None:
    evidence, terms, result, _ = noisy(2, 3.0, confidence=0.3)
    sigmas_px = noise.calibrate(result, evidence, terms)["keypoints2d"].config.sigmas_px
    assert sigmas_px[1] == pytest.approx(3.0, rel=0.15)
    assert sigmas_px[4] == pytest.approx(2.5 / np.sqrt(0.9))  # nothing seen of it: as assumed


def test_wild_keypoints_are_no_part_of_the_error(noisy) -> None:
    evidence, terms, result, _ = noisy(3, 2.0)
    rng = np.random.default_rng(0)
    pixels = evidence.keypoints_px.copy()
    wild = rng.uniform(size=pixels.shape[:3]) < 0.1
    pixels[wild] += rng.choice([-50.0, 50.0], size=(int(wild.sum()), 2))
    spoilt = replace(evidence, keypoints_px=pixels)
    result = fitting.fit(spoilt, result.state, terms, SEQUENCE[-4:])
    sigmas_px = noise.calibrate(result, spoilt, terms)["keypoints2d"].config.sigmas_px
    assert sigmas_px[-1] == pytest.approx(2.0, rel=0.35)


def test_error_of_depth(noisy) -> None:
    evidence, terms, result, _ = noisy(4, 1.0)
    rng = np.random.default_rng(0)
    clouds = {}
    for v, cloud in evidence.clouds.items():
        rays = (cloud.points_m - cloud.eye_m) / np.linalg.norm(cloud.points_m - cloud.eye_m, axis=-1, keepdims=True)
        facing = np.abs((rays * cloud.normals).sum(-1, keepdims=True))
        error = rng.normal(size=(len(rays), 1)) * 0.003 / np.maximum(facing, 0.3)
        clouds[v] = replace(cloud, points_m=cloud.points_m + rays * error)
    rough = replace(evidence, clouds=clouds)
    result = fitting.fit(rough, result.state, terms, SEQUENCE[-4:])
    config = noise.calibrate(result, rough, terms)["depth"].config
    assert config.sigma_m == pytest.approx(0.003, rel=0.3)
    assert config.weight < 0.3  # points of one region are never quite independent


def test_a_hand_that_jerks_at_one_time_may_accelerate_there(noisy) -> None:
    evidence, terms, result, _ = noisy(5, 1.0)
    hands = result.state.hands
    jerk = np.exp(-(((np.arange(MOMENTS) - 30) / 1.5) ** 2))[:, None] * [0.03, 0.0, 0.0]
    shaken = replace(result, state=replace(result.state, hands=replace(hands, trans_m=hands.trans_m + jerk)))
    config = noise.calibrate(shaken, evidence, terms)["smooth"].config
    factors = np.asarray(config.factors)[:, 0]
    assert factors[26:31].min() > 2.0 * factors[:15].max()
    assert fitting.fit(evidence, result.state, {**terms, "smooth": replace(terms["smooth"], config=config)}).cost > 0


@pytest.mark.parametrize(("lasts", "least", "most"), [(True, 0.0, 0.05), (False, 0.5, 1.0)])
def test_a_pose_that_lasts_is_held_against_a_relaxed_hand_once(lasts: bool, least: float, most: float, noisy) -> None:
    evidence, terms, result, _ = noisy(7, 1.0)
    rng = np.random.default_rng(0)
    bent = rng.normal(size=(1 if lasts else MOMENTS, 15, 3)) * 0.3
    hands = result.state.hands
    rotations = hands.rotations.copy()
    rotations[:, 1:] = angles_to_rotations(np.broadcast_to(RELAXED_RAD + bent, (MOMENTS, 15, 3)), hands.hand.anatomy)
    posed = replace(result, state=replace(result.state, hands=replace(hands, rotations=rotations)))
    weight = noise.calibrate(posed, evidence, terms)["pose_prior"].config.weight
    assert least < weight < most


def test_terms_that_are_off_stay_off(noisy) -> None:
    evidence, terms, result, _ = noisy(6, 1.0)
    off = {**terms, **{n: t for n, t in fitting.load_terms({"depth": {"weight": 0.0}}).items() if n == "depth"}}
    assert noise.calibrate(result, evidence, off)["depth"].config.weight == 0.0
