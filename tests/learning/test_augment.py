"""Invented backgrounds keep the hand, and silhouettes cover it."""

from dataclasses import replace

import cv2
import numpy as np

from hoi_core.mano import ManoLayer
from learning.augment import (
    Augment,
    changed,
    invent_background,
    occlude,
    random_blur,
    random_colours,
    random_placement,
    silhouette,
)

STILL = Augment(brightness=0.0, contrast=0.0, tint=0.0, noise=0.0, blurred=0.0, occluders=0.0)


def test_silhouette_of_a_closed_box_is_its_outline():
    corners = np.array([[20, 30], [80, 30], [80, 90], [20, 90]] * 2, float)
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 6, 5], [4, 7, 6]])
    for turned in (faces, faces[:, ::-1]):
        mask = silhouette(corners, turned, 128)
        expected = np.zeros((128, 128), bool)
        expected[30:91, 20:81] = True
        assert (mask != expected).sum() < 150  # the rim is drawn or not
        assert mask[31:90, 21:80].all()


def test_silhouette_of_a_hand_is_the_union_of_its_triangles():
    layer = ManoLayer.stand_in("right")
    posed = layer(np.array([[0.4, 0.9, 0.2]]), np.full((1, 45), 0.2)).vertices_m[0]
    pixels = (posed[:, :2] - posed[:, :2].mean(0)) * 500.0 + 63.5
    mask = silhouette(pixels, layer.closed_faces, 128)
    fine = np.zeros((1024, 1024), np.uint8)
    for face in layer.closed_faces:
        cv2.fillConvexPoly(fine, np.rint((pixels[face] + 0.5) * 8.0 - 0.5).astype(np.int32), 1)
    share = fine.reshape(128, 8, 128, 8).mean((1, 3))  # of each pixel that is covered
    assert mask[share > 0.99].all()
    assert not mask[cv2.dilate(share, np.ones((3, 3))) == 0.0].any()
    assert 0.1 < mask.mean() < 0.8


def test_triangles_that_reach_behind_the_camera_are_left_out():
    pixels = np.array([[10.0, 10.0], [40.0, 10.0], [10.0, 40.0], [np.nan, np.nan]])
    assert not silhouette(pixels, np.array([[0, 1, 3], [3, 1, 2]]), 64).any()


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


def test_nothing_asked_for_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    np.testing.assert_array_equal(changed(image, None, STILL, np.random.default_rng(1)), image)


def test_tint_moves_the_colours_apart_within_its_bound():
    image = np.full((8, 8, 3), 228, np.uint8)
    found = []
    for seed in range(30):
        tinted = random_colours(image, replace(STILL, tint=0.15), np.random.default_rng(seed))
        assert (tinted == tinted[0, 0]).all()
        found.append(tinted[0, 0].astype(int))
    assert (np.abs(np.array(found) - 228) <= 16).all()
    assert np.ptp(found, axis=1).max() > 15  # one image's colours against each other


def test_noise_has_its_strength_and_is_never_the_same():
    image = np.full((128, 128, 3), 100, np.uint8)
    noisy = [random_colours(image, replace(STILL, noise=8.0), np.random.default_rng(seed)) for seed in range(40)]
    spreads = [n.std() for n in noisy]
    assert max(spreads) < 8.2
    assert max(spreads) > 6.5
    assert min(spreads) < 1.5
    assert len({n.tobytes() for n in noisy}) == 40
    neighbours = noisy[int(np.argmax(spreads))][..., 0].astype(float) - 100.0
    assert abs(np.mean(neighbours[:, 1:] * neighbours[:, :-1])) < 2.0  # independent from pixel to pixel


def test_a_blurred_dot_stays_in_place_and_spreads_as_far_as_said():
    dot = np.zeros((41, 41, 3), np.uint8)
    dot[20, 20] = 255
    y, x = np.mgrid[-20:21, -20:21]
    lines = 0
    for seed in range(60):
        spread = random_blur(dot, replace(STILL, largest_blur_px=2.0), np.random.default_rng(seed))[..., 0].astype(
            float
        )
        weight = spread / spread.sum()
        assert abs((weight * x).sum()) < 0.15
        assert abs((weight * y).sum()) < 0.15
        moments = np.array([[(weight * a * b).sum() for a in (x, y)] for b in (x, y)])
        least, most = np.sqrt(np.maximum(np.linalg.eigvalsh(moments), 0.0))
        assert most < 2.3
        lines += most > 1.5 * least + 0.2
    assert 10 < lines < 50


def test_blur_leaves_a_flat_picture_as_it_is():
    flat = np.full((32, 32, 3), 77, np.uint8)
    for seed in range(10):
        assert np.abs(random_blur(flat, Augment(), np.random.default_rng(seed)).astype(int) - 77).max() <= 1
