"""The stated uncertainty: draws agree with it, and what lasts over the sequence is counted where it is found."""

from dataclasses import replace

import numpy as np
import pytest

from annotate import covariance, lasting
from annotate import fit as fitting
from annotate.covariance import draw, joint_covariance, joint_slopes
from annotate.equations import DOF
from annotate.fit import FitResult
from annotate.stage import SEQUENCE
from annotate.terms import keypoints2d
from hoi_core import camera as cameras
from hoi_core.conventions import N_BETAS

MOMENTS = 60


def fitted(made, seed: int, px: float):
    """A fit to independent errors of a known size, and the evidence and terms."""
    rng = np.random.default_rng(seed)
    pixels = np.stack(
        [cameras.project(c, cameras.transform(c.T_cam_world, made.joints_m)) for c in made.evidence.cameras], axis=1
    )
    pixels += rng.normal(size=pixels.shape) * px
    evidence = replace(made.evidence, keypoints_px=pixels, confidence=np.ones(pixels.shape[:-1]))
    terms = fitting.load_terms({"keypoints2d": {"sigma_px": px}})
    return evidence, terms, fitting.fit(evidence, made.truth, terms, SEQUENCE[-5:])


def test_draws_spread_as_the_covariance_says(scene) -> None:
    _, _, result = fitted(scene(0, MOMENTS), 0, 2.0)
    draws = draw(result, 400)
    slopes, by_shape = joint_slopes(result.state.hands)
    moved = np.einsum("mjau,mud->mjad", slopes, draws.moments)
    moved += np.einsum("mjas,sd->mjad", by_shape, draws.shared[:N_BETAS])
    spread = (moved**2).mean(-1).sum(-1)
    stated = np.trace(joint_covariance(result), axis1=-2, axis2=-1)
    assert spread.mean() == pytest.approx(stated.mean(), rel=0.1)


def test_ellipsoids_of_the_models_own_hand_hold_the_truth(scene) -> None:
    held = []
    for seed in range(3):
        made = scene(seed, MOMENTS)
        evidence, terms, result = fitted(made, seed, 2.0)
        cov = joint_covariance(result, evidence, terms)
        error = result.state.hands.joints_m - made.joints_m
        held.append(np.einsum("mja,mjab,mjb->mj", error, np.linalg.inv(cov), error) < 6.251389)
    assert np.mean(held) > 0.85


def test_lasting_errors_are_found_where_the_hand_is_not_the_models(scene, unkind) -> None:
    sizes = []
    for made in (scene(1, MOMENTS), scene(1, MOMENTS, replace(unkind, pixels=0.0, surface_m=0.003, tips_m=0.003))):
        evidence, terms, result = fitted(made, 1, 1.0)
        cov = lasting.lasting_covariance(result, evidence, terms, *joint_slopes(result.state.hands))
        assert np.isfinite(cov).all()
        assert np.linalg.eigvalsh(cov).min() > -1e-12
        sizes.append(np.sqrt(np.trace(cov, axis1=-2, axis2=-1).mean()))
    assert sizes[1] > 3.0 * sizes[0]


def test_skin_is_cut_into_regions_that_leave_nothing_out(hand) -> None:
    region = lasting.regions(hand)
    assert region.shape == (778,)
    assert set(region) == set(range(40))


def test_what_only_priors_hold_says_nothing_of_the_model() -> None:
    """Five directions that the evidence knows to 0.1 mm, one that it knows to 5 mm and in which the priors err."""
    known = np.diag([1e8] * 5 + [4e4])
    quiet = np.array([0.5, -0.8, 0.3, 0.1, -0.6])
    only_weak = np.r_[1e4 * quiet, 10.0 * 2e2]
    off = np.r_[1e8 * 1e-3 * quiet, 10.0 * 2e2]
    sizes_m = [np.sqrt(lasting.expected_products(known, slope)[:5, :5].trace() / 5) for slope in (only_weak, off)]
    assert sizes_m[0] < 1e-4
    assert sizes_m[1] == pytest.approx(1e-3 * np.sqrt((quiet**2).mean()), rel=0.1)


def test_size_of_a_lasting_error_that_priors_and_other_errors_hide() -> None:
    """Slopes drawn from `Q + tau^2 Q^2` tell tau; those of a hand of the model's own, from `Q`, say next to nothing."""
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(40, 40)))
    values = np.geomspace(1e5, 2e8, 40)
    known = (q * values) @ q.T
    for tau_m, least, most in ((0.8e-3, 0.6e-3, 1.05e-3), (0.0, 0.0, 1e-4)):
        slopes = rng.normal(size=(20, 40)) * np.sqrt(values + (tau_m * values) ** 2)
        found_m = [np.sqrt(lasting.expected_square(known, q @ slope)) for slope in slopes]
        assert least < np.median(found_m) <= most
    assert lasting.expected_square(np.eye(40), np.ones(40)) == 0.0


def test_skin_that_the_evidence_cannot_place_is_as_unsure_as_its_errors_are_large(scene, unkind) -> None:
    """With errors of the size found, a hand moved by them lies where the stated spread has it."""
    made = scene(1, MOMENTS, replace(unkind, pixels=0.0, surface_m=0.003, tips_m=0.003))
    evidence, terms, result = fitted(made, 1, 1.0)
    offsets = lasting.skin_offsets(result, evidence, terms["depth"])
    ((moved, shared),) = lasting.followed(result, [offsets])
    known = offsets.own - np.einsum("mue,muf->ef", offsets.by_moment, moved) - offsets.by_shared.T @ shared
    slopes, by_shape = joint_slopes(result.state.hands)
    drawn_m = np.random.default_rng(0).normal(size=(len(known), 2000))
    drawn_m *= np.sqrt(lasting.expected_square(known, offsets.slope))
    through = np.einsum("mjau,mue->mjae", slopes, moved) + by_shape @ shared[:N_BETAS]
    expected = ((through @ drawn_m) ** 2).mean(-1).sum(-1)
    without = {**terms, "keypoints2d": replace(terms["keypoints2d"], config=keypoints2d.Config(weight=0.0))}
    stated = lasting.lasting_covariance(result, evidence, without, slopes, by_shape)
    np.testing.assert_allclose(np.trace(stated, axis1=-2, axis2=-1), expected, rtol=0.2)


def test_normal_errors_tell_more_than_their_robust_weights(scene) -> None:
    """With `w = (1 + s/16)^-2` and `s` the squared length of two normal numbers, integrals by hand give 1.164."""
    made = scene(0, MOMENTS)
    evidence, terms, _ = fitted(made, 0, 2.0)
    config = terms["keypoints2d"].config
    found = keypoints2d.pull(config, evidence, made.truth, 4.0)
    s = np.linspace(0.0, 60.0, 60001)
    density, w = 0.5 * np.exp(-s / 2.0) * (s[1] - s[0]), (1.0 + s / 16.0) ** -2
    slope = w - 2.0 * s / 16.0 * (1.0 + s / 16.0) ** -3
    square = (density @ (w**2 * s)) / 2.0
    expected = (density @ slope) ** 2 / (square * (density @ w))
    assert expected == pytest.approx(1.164, abs=0.002)
    assert found.information == pytest.approx(expected, abs=0.06)
    assert found.slope == pytest.approx((density @ slope) / square, rel=0.06)


def test_a_fit_that_stops_early_does_not_take_the_rest_of_its_way_for_skin(scene) -> None:
    made = scene(0, MOMENTS)
    evidence, terms, result = fitted(made, 0, 1.0)
    step = np.zeros((MOMENTS, DOF))
    step[:, :3] = 3e-4
    early = result.state.moved(step, np.zeros_like(result.equations.gs))
    equations, cost = fitting.evaluate(fitting.prepare(terms, evidence, early, SEQUENCE[-1]), evidence, early)
    slopes, by_shape = joint_slopes(result.state.hands)
    stopped = FitResult(early, equations, cost, 1)
    sizes = [
        np.trace(lasting.lasting_covariance(found, evidence, terms, slopes, by_shape), axis1=-2, axis2=-1).mean()
        for found in (result, stopped)
    ]
    assert np.sqrt(sizes[1] / sizes[0]) < 1.5


def test_a_biased_depth_moves_a_hand_of_one_view_as_far_as_is_said(scene) -> None:
    made, bias_m = scene(2, 12), 1e-3
    both, terms, _ = fitted(made, 2, 1.0)
    seen = both.confidence.copy()
    seen[:, 1] = 0.0
    evidence = replace(both, confidence=seen, clouds={0: both.clouds[0]})
    assert not evidence.two_views
    cloud = evidence.clouds[0]
    rays = (cloud.points_m - cloud.eye_m) / np.linalg.norm(cloud.points_m - cloud.eye_m, axis=-1, keepdims=True)
    farther = replace(evidence, clouds={0: replace(cloud, points_m=cloud.points_m + bias_m * rays)})
    result = fitting.fit(evidence, made.truth, terms, SEQUENCE[-9:], tolerance=1e-9)
    moved = fitting.fit(farther, result.state, terms, SEQUENCE[-9:], tolerance=1e-9)
    moved_m = np.linalg.norm(moved.state.hands.joints_m - result.state.hands.joints_m, axis=-1)
    slopes, by_shape = joint_slopes(result.state.hands)
    stated = covariance.bias_covariance(result, bias_m, slopes, by_shape)
    assert np.sqrt(np.trace(stated, axis1=-2, axis2=-1)).mean() == pytest.approx(moved_m.mean(), rel=0.25)
    assert (joint_covariance(result, evidence, terms) - joint_covariance(result)).trace(axis1=-2, axis2=-1).min() > 0


def test_spreads_that_are_widened_for_the_fit_do_not_widen_its_uncertainty(scene) -> None:
    made = scene(3, 12)
    evidence, terms, result = fitted(made, 3, 2.0)
    found = []
    for tails in (1.0, 2.0):
        config = replace(terms["smooth"].config, tails=tails)
        own = {**terms, "smooth": replace(terms["smooth"], config=config)}
        prepared = fitting.prepare(own, evidence, result.state, SEQUENCE[-1])
        equations, _ = fitting.evaluate(prepared, evidence, result.state)
        there = FitResult(result.state, equations, result.cost, 1, prepared=prepared)
        found.append((equations, covariance.information(there, evidence, own)))
    (narrow, plain), (wide, widened) = found
    assert np.abs(wide.near).max() == pytest.approx(np.abs(narrow.near).max() / 4.0)
    for name in ("H", "near", "far", "C", "Hs"):
        np.testing.assert_allclose(getattr(widened, name), getattr(plain, name), rtol=1e-6, atol=1e-6)
