"""Invented backgrounds keep the hand, and silhouettes cover it."""

import numpy as np

from learning.augment import Augment, invent_background, occlude, random_placement, silhouette


def test_silhouette_of_a_closed_box_is_its_outline():
    corners = np.array([[20, 30], [80, 30], [80, 90], [20, 90]] * 2, float)
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 6, 5], [4, 7, 6]])
    for turned in (faces, faces[:, ::-1]):
        mask = silhouette(corners, turned, 128)
        expected = np.zeros((128, 128), bool)
        expected[30:91, 20:81] = True
        assert (mask != expected).sum() < 150  # the rim is drawn or not
        assert mask[31:90, 21:80].all()


def test_points_far_off_the_crop_do_no_harm():
    far = np.array([[-1e9, 10.0], [1e9, 10.0], [64.0, 1e12]])
    assert silhouette(far, np.array([[0, 1, 2]]), 64).shape == (64, 64)


def test_background_changes_only_what_is_not_kept():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    keep = np.zeros((64, 64), bool)
    keep[20:40, 10:50] = True
    changed = invent_background(image, keep, rng)
    np.testing.assert_array_equal(changed[keep], image[keep])
    assert (changed[~keep] != image[~keep]).any(-1).mean() > 0.95


def test_occluders_are_small():
    image = np.full((128, 128, 3), 7, np.uint8)
    for seed in range(20):
        share = (occlude(image, np.random.default_rng(seed)) != 7).any(-1).mean()
        assert share < 0.15


def test_placements_stay_within_their_bounds():
    augment = Augment()
    for seed in range(50):
        place = random_placement(augment, np.random.default_rng(seed), mirror=True)
        assert abs(place.roll_rad) <= np.deg2rad(augment.roll_deg)
        assert 1.3 * 0.8 <= place.scale <= 1.3 * 1.2
        assert place.mirror
