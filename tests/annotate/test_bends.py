"""One view alone: each finger's bend is chosen over all moments, from fits that start differently."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from annotate import fit as fitting
from annotate.bends import POSTURES_RAD, cheapest_way, choose_bends, look_again, reachable
from annotate.evidence import Evidence
from annotate.stage import SEQUENCE
from annotate.state import FitState
from annotate.terms.pose_prior import RELAXED_RAD
from hoi_core.biomechanics import LIMITS_RAD, angles_to_rotations

THUMB = [2, 3, 4]
"""Joints of `openpose21` that the thumb's bend moves."""
THUMB_ROWS = slice(13, 16)
"""Of a hand's sixteen rotations."""


def one_view(made) -> Evidence:
    """The left view's keypoints and depth points."""
    seen = made.evidence
    return replace(
        seen,
        views=seen.views[:1],
        cameras=seen.cameras[:1],
        keypoints_px=seen.keypoints_px[:, :1],
        confidence=seen.confidence[:, :1],
        lag_s=seen.lag_s[:, :1],
        clouds={0: seen.clouds[0]},
    )


def with_thumb(state: FitState, moments: np.ndarray, angles: np.ndarray) -> FitState:
    """The state with other angles (3, 3) of the thumb at some moments."""
    every = RELAXED_RAD.copy()
    every[-3:] = angles
    rotations = state.hands.rotations.copy()
    rotations[moments, THUMB_ROWS] = angles_to_rotations(every, state.hands.hand.anatomy)[-3:]
    return replace(state, hands=replace(state.hands, rotations=rotations), views=np.zeros((1, 8)))


def thumb_mm(state: FitState, made) -> np.ndarray:
    """(M,) mean error of the thumb's joints."""
    return 1e3 * np.linalg.norm(state.hands.joints_m - made.joints_m, axis=-1)[:, THUMB].mean(1)


@pytest.mark.parametrize("seed", range(5))
def test_no_way_is_cheaper(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, between = rng.uniform(size=(3, 5)), rng.uniform(size=(4, 3, 3))

    def price(way: tuple[int, ...]) -> float:
        turns = sum(between[m, way[m], way[m + 1]] for m in range(4))
        return float(sum(cost[c, m] for m, c in enumerate(way)) + turns)

    found = tuple(cheapest_way(cost, between).tolist())
    assert found == min(product(range(3), repeat=5), key=price)


def test_a_single_moment_has_the_cheapest_candidate() -> None:
    assert cheapest_way(np.array([[2.0], [1.0]]), np.zeros((0, 2, 2))).tolist() == [1]


def test_where_a_moment_cannot_tell_its_neighbours_do(scene) -> None:
    made = scene(0)
    key = np.arange(0, 40, 5)
    evidence = one_view(made).taken(key)
    pixels = evidence.keypoints_px.copy()
    pixels[4, :, [1, *THUMB]] = np.nan
    evidence = replace(evidence, keypoints_px=pixels)
    terms = fitting.load_terms()
    true = with_thumb(made.truth, np.zeros(0, dtype=int), RELAXED_RAD[-3:])
    true = replace(true, hands=true.hands.taken(key))
    # At the moment without keypoints a relaxed thumb is likelier; from it to the next ones it would have to jump.
    relaxed = with_thumb(true, np.array([4]), RELAXED_RAD[-3:])
    elsewhere = with_thumb(true, np.array([0, 1, 6]), LIMITS_RAD[-3:, :, 0])
    chosen = choose_bends([relaxed, elsewhere], evidence, terms)
    np.testing.assert_allclose(chosen.hands.rotations, true.hands.rotations, atol=1e-12)


def test_fingers_are_chosen_one_by_one(scene) -> None:
    made = scene(1)
    key = np.arange(0, 40, 5)
    evidence = one_view(made).taken(key)
    true = replace(made.truth, hands=made.truth.hands.taken(key), views=np.zeros((1, 8)))
    stiff = angles_to_rotations(POSTURES_RAD[0], true.hands.hand.anatomy)
    fists, points = true.hands.rotations.copy(), true.hands.rotations.copy()
    fists[:, 1:7], points[:, 7:] = stiff[:6], stiff[6:]  # one is wrong about two fingers, one about the others
    tried = [replace(true, hands=replace(true.hands, rotations=r)) for r in (fists, points)]
    chosen = choose_bends(tried, evidence, fitting.load_terms())
    np.testing.assert_allclose(chosen.hands.rotations, true.hands.rotations, atol=1e-12)


def test_a_second_look_turns_a_thumb_that_a_fit_bent_the_wrong_way(scene) -> None:
    made = scene(3)
    evidence = one_view(made)
    confidence = evidence.confidence.copy()
    confidence[:, :, [1, *THUMB]] *= 0.35
    evidence = replace(evidence, confidence=confidence)
    start = with_thumb(made.truth, np.arange(10, 26), 0.7 * LIMITS_RAD[-3:, :, 0])
    terms = fitting.load_terms()
    fitted = fitting.fit(evidence, start, terms, SEQUENCE).state
    before, after = thumb_mm(fitted, made), thumb_mm(look_again(fitted, evidence, terms), made)
    assert after[10:26].mean() < 0.6 * before[10:26].mean()
    assert after.mean() < before.mean()


def test_nobody_lifts_what_is_hidden_or_out_of_reach(scene) -> None:
    made = scene(0)
    evidence = one_view(made).taken(np.arange(0, 40, 5))
    joints_m = made.joints_m[::5].copy()
    joints_m[2, 8] += [0.0, 0.3, 0.0]  # the table, seen beside a fingertip
    confidence = evidence.confidence.copy()
    confidence[3, 0, 12] = 0.3
    kept = reachable(joints_m, replace(evidence, confidence=confidence), made.truth.hands.hand, np.zeros(10))
    lost = np.isnan(kept[..., 0])
    assert lost[2, 8]
    assert lost[3, 12]
    assert lost.sum() == 2
