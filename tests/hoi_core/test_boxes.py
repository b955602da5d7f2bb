"""Boxes overlap as areas do, and objects are found by pose, mask and depth."""

import numpy as np
import pytest

from hoi_core import boxes
from hoi_core import camera as cameras
from hoi_core.types import Camera

CAMERA = Camera(320, 240, 250.0, 250.0, 159.5, 119.5, distortion_model="none")


def test_overlap_is_the_common_share_of_both():
    a = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
    b = np.array([[5.0, 0.0, 15.0, 10.0], [0.0, 0.0, 10.0, 10.0]])
    np.testing.assert_allclose(boxes.overlap(a, b), [[50 / 150, 1.0], [0.0, 0.0]])


def test_what_lies_within_is_covered_whole_however_small_it_is():
    a = np.array([[2.0, 2.0, 4.0, 4.0], [0.0, 0.0, 10.0, 10.0]])
    b = np.array([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0]])
    np.testing.assert_allclose(boxes.covered(a, b), [[1.0, 0.0], [1.0, 0.5]])


def test_the_box_of_a_pose_is_that_of_its_projection_cut_at_the_border():
    cube = np.array([[x, y, z] for x in (-0.05, 0.05) for y in (-0.05, 0.05) for z in (-0.05, 0.05)])
    pose = cameras.rigid(np.eye(3), np.array([0.0, 0.0, 1.05]))
    # The near face at 1 m: 250 * 0.05 = 12.5 px to either side.
    np.testing.assert_allclose(boxes.of_pose(CAMERA, pose, cube), (147.0, 107.0, 172.0, 132.0))
    pose[0, 3] = 0.64  # the near face reaches from 307 to 332 px
    np.testing.assert_allclose(boxes.of_pose(CAMERA, pose, cube)[2], 319.5)
    pose[0, 3] = 2.0
    assert boxes.of_pose(CAMERA, pose, cube) is None
    pose[:3, 3] = 0.0, 0.0, -1.0
    assert boxes.of_pose(CAMERA, pose, cube) is None


def test_the_box_of_a_mask_goes_to_the_outer_edges_of_its_pixels():
    mask = np.zeros((20, 30), np.bool_)
    assert boxes.of_mask(mask) is None
    mask[4:7, 10] = True
    assert boxes.of_mask(mask) == (9.5, 3.5, 10.5, 6.5)


def table(thing=(100, 60, 140, 110)):
    """A tilted table 0.6 to 0.9 m away, with noise and holes, and things 4 cm high on it. `(240, 320)` m."""
    rng = np.random.default_rng(0)
    v = np.mgrid[0:240, 0:320][0]
    depth = 1.0 / (1.1 + 0.0023 * v)
    for x0, y0, x1, y1 in (thing, (200, 150, 290, 230)):
        depth[y0 : y1 + 1, x0 : x1 + 1] -= 0.04
    depth += rng.normal(0.0, 0.002, depth.shape)
    depth[rng.random(depth.shape) < 0.03] = 0.0
    return depth.astype(np.float32)


def test_depth_shows_what_stands_on_the_table():
    found = boxes.of_depth(table())
    np.testing.assert_allclose(found, (199.5, 149.5, 290.5, 230.5), atol=4)


def test_hands_are_not_taken_for_the_object():
    found = boxes.of_depth(table(), beside=[(190.0, 140.0, 300.0, 235.0)])
    np.testing.assert_allclose(found, (99.5, 59.5, 140.5, 110.5), atol=4)


@pytest.mark.parametrize("depth", [np.zeros((240, 320), np.float32), np.full((240, 320), np.nan, np.float32)])
def test_no_depth_no_object(depth):
    assert boxes.of_depth(depth) is None


def test_an_empty_table_has_no_object():
    v = np.mgrid[0:240, 0:320][0]
    assert boxes.of_depth((1.0 / (1.1 + 0.0023 * v)).astype(np.float32)) is None
