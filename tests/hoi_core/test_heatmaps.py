import numpy as np
import pytest
from scipy.special import log_softmax

from hoi_core.heatmaps import locate, probabilities, to_input_px

SHAPE = (24, 32)


def gaussian(row: float, column: float, height: float = 1.0, sigma: float = 1.3):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return height * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))


def test_probabilities_are_the_spatial_softmax():
    logits = np.random.default_rng(0).normal(size=(3, 4, 5))
    expected = np.exp(log_softmax(logits.reshape(3, -1), axis=1)).reshape(3, 4, 5)
    np.testing.assert_allclose(probabilities(logits, "softmax"), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["softmax", "squared"])
def test_a_gaussian_is_found_between_pixels(kind):
    places = [(5.3, 7.8), (12.0, 20.49), (18.51, 2.0)]
    maps = np.stack([gaussian(*place) for place in places])
    # A constant in the logarithm, as a network may add, changes no probability.
    found = locate(np.log(maps) + 7.0 if kind == "softmax" else maps, kind)
    np.testing.assert_allclose(found[:, 1::-1], places, atol=1e-6)
    assert (found[:, 2] > 0.8).all()


def test_at_the_border_the_peak_stays_inside():
    found = locate(np.stack([gaussian(-0.8, 31.7), gaussian(0.0, 0.0)]), "squared")
    np.testing.assert_allclose(found[:, :2], [[31.0, 0.0], [0.0, 0.0]])


def test_confidence_is_the_probability_around_the_peak():
    p = np.full(SHAPE, 0.0)
    p[10:15, 10:15] = 0.6 / 25
    p[12, 12] += 0.1
    p[20, 30] = 0.3
    with np.errstate(divide="ignore"):
        column, row, confidence = locate(np.log(p)[None], "softmax")[0]
    assert (column, row) != (12, 12)  # the single highest pixel wins, however little lies around it
    assert confidence == pytest.approx(0.3)
    p[20, 30], p[12, 12] = 0.1, p[12, 12] + 0.2
    with np.errstate(divide="ignore"):
        *_, confidence = locate(np.log(p)[None], "softmax")[0]
    assert confidence == pytest.approx(0.9)


@pytest.mark.parametrize("kind", ["softmax", "squared"])
def test_an_unsure_joint_lies_at_the_high_peak_nearest_to_the_sure_ones(kind):
    sure = [gaussian(18, 25), gaussian(20, 28)]
    near, far = gaussian(19, 20, 0.38), gaussian(4, 4, 0.42)
    maps = np.stack([*sure, np.maximum(near, far)])
    told = np.log(np.maximum(maps, 1e-9)) if kind == "softmax" else maps
    # Of the softmax map 0.42^... of the mass lies around each peak, so it is below the threshold too.
    found = locate(told, kind, sure=0.6)
    np.testing.assert_allclose(found[2, :2], [20, 19], atol=0.05)
    # Believed as it is, the highest peak wins.
    np.testing.assert_allclose(locate(told, kind, sure=0.2)[2, :2], [4, 4], atol=0.05)


def test_a_peak_far_below_the_highest_is_no_candidate():
    maps = np.stack([gaussian(18, 25), np.maximum(gaussian(19, 20, 0.05), gaussian(4, 4, 0.4))])
    np.testing.assert_allclose(locate(maps, "squared")[1, :2], [4, 4], atol=0.01)


def test_without_a_sure_joint_the_highest_peaks_stand():
    maps = np.stack([np.maximum(gaussian(18, 25, 0.3), gaussian(4, 4, 0.2)), gaussian(6, 6, 0.3)])
    np.testing.assert_allclose(locate(maps, "squared")[0, :2], [25, 18], atol=0.01)


def test_pixels_of_maps_and_input_have_the_same_edges():
    # The centre of the first of 4x4 pixels lies between the second and the third of them.
    np.testing.assert_allclose(to_input_px(np.array([[0.0, 31.0, 0.7]]), 4.0), [[1.5, 125.5, 0.7]])
