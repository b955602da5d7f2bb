"""Labels of a fit: what is known is said, and what is not is not made up."""

from dataclasses import replace

import numpy as np
import pytest

from annotate import covariance, labels
from annotate import fit as fitting
from annotate import hand as hands
from annotate.initialise import initialise
from hoi_core.mano import ManoLayer
from hoi_core.types import JOINT_SOURCES, PROBLEMS, STATUSES


@pytest.fixture(scope="module")
def fitted(scene):
    made = scene(0, 40)
    terms = fitting.load_terms()
    return made, fitting.fit(made.evidence, initialise(made.truth.hands.hand, made.evidence, terms), terms)


def test_every_moment_is_labelled_where_evidence_is(fitted) -> None:
    made, result = fitted
    found = labels.hand_labels(result, made.evidence, np.zeros((40, 21, 3, 3)))
    track, residuals = found.track, found.residuals
    assert track.valid.all()
    assert not found.problems.any()
    assert (track.joint_source == JOINT_SOURCES.index("fitted")).all()
    assert np.isfinite(residuals["reprojection_px"][::5]).all()
    assert np.isnan(residuals["reprojection_px"][1])
    assert labels.median(residuals["depth_m"]) < 0.002


def test_moments_far_from_evidence_have_no_label(fitted) -> None:
    made, result = fitted
    pixels = made.evidence.keypoints_px.copy()
    pixels[6:] = np.nan
    poor = replace(made.evidence, keypoints_px=pixels, clouds={})
    found = labels.hand_labels(result, poor, np.zeros((40, 21, 3, 3)))
    track, residuals = found.track, found.residuals
    # The last keypoints are those of moment 5, and half a second is 15 moments.
    assert track.valid[:20].all()
    assert not track.valid[21:].any()
    assert np.isnan(track.joints_m[21:]).all()
    assert (track.status[21:] == STATUSES.index("none")).all()
    assert (track.joint_source[21:] == JOINT_SOURCES.index("none")).all()
    assert (track.joint_source[6:20] == JOINT_SOURCES.index("interpolated")).all()
    assert np.isnan(residuals["depth_m"]).all()
    assert (found.problems[21:] == PROBLEMS.index("no evidence")).all()
    assert not found.problems[:20].any()


def test_covariance_grows_where_evidence_is_missing(fitted) -> None:
    made, result = fitted
    cov = covariance.joint_covariance(result)
    assert (np.linalg.eigvalsh(cov) > 0).all()
    pixels = made.evidence.keypoints_px.copy()
    pixels[10:31] = np.nan
    poor = replace(made.evidence, keypoints_px=pixels, clouds={})
    terms = fitting.load_terms()
    less = fitting.fit(poor, result.state, terms)
    wider = covariance.joint_covariance(less)
    assert np.trace(wider[20].mean(0)) > 4.0 * np.trace(cov[20].mean(0))


def test_left_hands_are_fitted_alike(build_scene) -> None:
    layer = ManoLayer.stand_in("left")
    made = build_scene(layer, hands.from_mano(layer.model), seed=3, moments=20)
    terms = fitting.load_terms()
    result = fitting.fit(made.evidence, initialise(made.truth.hands.hand, made.evidence, terms), terms)
    assert 1e3 * np.linalg.norm(result.state.hands.joints_m - made.joints_m, axis=-1).mean() < 1.5
