"""The stated uncertainty: draws agree with it, and what lasts over the sequence is counted where it is found."""

from dataclasses import replace

import numpy as np
import pytest

from annotate import fit as fitting
from annotate import lasting
from annotate.covariance import draw, joint_covariance, joint_slopes
from annotate.stage import SEQUENCE
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
