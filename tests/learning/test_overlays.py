"""Pictures of what a network was shown: its pixels as they were, and points on them where they belong."""

import numpy as np
import pytest

from hoi_core.edges import EdgeParams
from hoi_core.network_input import network_input, pixels_of
from learning.overlays import enlarged, overlay, picture_of


@pytest.mark.parametrize(("low", "high"), [(0, 256), (200, 256), (0, 20)])
def test_colours_come_back_however_bright_they_are(low, high):
    crop = np.random.default_rng(0).integers(low, high, (8, 8, 3)).astype(np.uint8)
    image = network_input(pixels_of(crop, "rgb", EdgeParams())[None], "rgb")[0]
    np.testing.assert_array_equal(picture_of(image, "rgb"), crop)


def test_of_edges_the_strongest_is_shown():
    maps = np.zeros((1, 2, 2, 2), np.uint8)
    maps[0, :, 0, 0], maps[0, :, 1, 1] = (40, 255), (90, 0)
    expected = np.array([[255, 0], [0, 90]])
    np.testing.assert_array_equal(picture_of(network_input(maps, "edges")[0], "edges"), np.dstack([expected] * 3))


def test_points_stay_on_what_they_mark():
    """Pixel (5, 3) becomes columns 10 and 11, rows 6 and 7: its middle lies between them."""
    image = np.zeros((16, 16, 3), np.uint8)
    image[3, 5] = 255
    large, points = enlarged(image, np.array([[5.0, 3.0], [np.nan, np.nan]]))
    rows, columns = np.nonzero(large[..., 0])
    np.testing.assert_allclose(points[0], [columns.mean(), rows.mean()])
    assert np.isnan(points[1]).all()


def test_an_overlay_has_a_skeleton_and_crosses():
    black, away = np.zeros((32, 32, 3), np.uint8), np.full((21, 2), np.nan)
    places = np.random.default_rng(1).uniform(4, 28, (21, 2))
    assert overlay(black, away, away).shape == (64, 64, 3)
    assert not overlay(black, away, away).any()
    found, true = overlay(black, places, away), overlay(black, away, places)
    assert found.any()
    assert true.any()
    assert (found != true).any()
