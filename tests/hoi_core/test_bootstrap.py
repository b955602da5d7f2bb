"""Confidence intervals: as wide as theory says, honest about samples that err alike."""

import numpy as np
import pytest

from hoi_core.bootstrap import difference, intervals


def test_a_mean_of_independent_numbers_has_the_interval_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(10.0, 2.0, 900)
    low, high = intervals({"a": values}, [str(n) for n in range(900)])["a"]
    half = 1.96 * values.std() / 30.0
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.1 * half)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)


def test_copies_of_a_sample_tell_nothing_new():
    few = np.random.default_rng(2).normal(0.0, 1.0, 100)
    alone = intervals({"a": few}, [str(n) for n in range(100)])["a"]
    copied = intervals({"a": np.repeat(few, 9)}, [str(n) for n in range(100) for _ in range(9)])["a"]
    assert copied == pytest.approx(alone, abs=1e-9)
    believed = intervals({"a": np.repeat(few, 9)}, [str(n) for n in range(900)])["a"]
    assert believed[1] - believed[0] == pytest.approx((alone[1] - alone[0]) / 3, rel=0.15)


def test_it_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        # Twenty groups of five, half of whose variance is common.
        values = (rng.normal(0, 1, (40, 1)) + rng.normal(0, 1, (40, 5))).reshape(-1)
        low, high = intervals({"a": values}, [str(n // 5) for n in range(200)], resamples=200, seed=trial)["a"]
        hits += low < 0.0 < high
    assert 0.88 <= hits / 200 <= 0.99


def test_points_count_alike_however_often_they_are_known():
    values = np.full((50, 2), 1.0)
    values[:, 1] = 3.0
    values[:40, 1] = np.nan
    assert intervals({"a": values}, [str(n) for n in range(50)])["a"] == pytest.approx((2.0, 2.0))


def test_of_one_group_or_none_nothing_is_said():
    for values, groups in ((np.ones(3), ["a"] * 3), (np.ones(0), []), (np.full(3, np.nan), ["a", "b", "c"])):
        assert np.isnan(intervals({"a": values}, groups)["a"]).all()


def test_a_difference_of_the_same_samples_forgets_what_they_share():
    rng = np.random.default_rng(4)
    hard, groups = rng.normal(10.0, 5.0, 400), [str(n) for n in range(400)]
    a, b = hard + rng.normal(0.3, 0.1, 400), hard
    mean, (low, high) = difference(a, b, groups)
    assert mean == pytest.approx(0.3, abs=0.02)
    assert low < mean < high
    assert high - low < 0.03
    assert difference(a, b, groups) == difference(a, b, groups)
