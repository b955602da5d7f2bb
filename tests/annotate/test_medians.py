"""Medians of lists, rows and moments are those of numpy, whatever is missing."""

import numpy as np

from annotate.medians import medians, of_moments, of_rows


def test_rows_are_those_of_numpy_without_what_is_missing() -> None:
    values = np.random.default_rng(0).normal(size=(9, 6))
    values[0, :3], values[1, 2], values[2] = np.nan, np.inf, np.nan
    found = of_rows(values)
    assert np.isnan(found[2])
    for m in (0, 1, *range(3, 9)):
        assert found[m] == np.median(values[m][np.isfinite(values[m])])


def test_moments_in_any_order_and_without_values() -> None:
    moment, values = np.array([3, 0, 3, 0, 3, 1]), np.array([5.0, 1.0, 1.0, 2.0, 9.0, -4.0])
    found, count = of_moments(5, moment, values)
    np.testing.assert_array_equal(found, [1.5, -4.0, np.nan, 5.0, np.nan])
    np.testing.assert_array_equal(count, [2, 1, 0, 3, 0])


def test_no_values_at_all() -> None:
    assert np.isnan(medians(np.zeros(3, np.int64), np.zeros(0))).all()
