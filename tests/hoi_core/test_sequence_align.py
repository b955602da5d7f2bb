"""Depth aligned to colour against geometry worked out another way."""

import numpy as np
import pytest

from hoi_core.camera import project, rays, rigid, transform
from hoi_core.rotation import exp_so3
from hoi_core.sequence.align import Aligner
from hoi_core.types import Camera

DEPTH = Camera(160, 120, 96.0, 96.0, 79.5, 59.5)
BENT = (0.08, -0.15, 0.001, -0.0007, 0.03)


def wall(camera: Camera, normal: np.ndarray, offset_m: float) -> np.ndarray:
    """(H, W) m, depth of the plane `normal . x = offset` in the camera's frame."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(float)
    return offset_m / (rays(camera, np.stack([u, v], -1)) @ normal)


@pytest.mark.parametrize("model", ["none", "brown_conrady", "inverse_brown_conrady"])
def test_a_slanted_wall_lands_where_the_colour_camera_sees_it(model):
    color = Camera(160, 120, 150.0, 150.0, 80.0, 60.0, BENT, model)
    T_depth_color = rigid(exp_so3(np.array([0.01, -0.02, 0.005])), np.array([0.015, 0.001, -0.002]))
    normal, offset = np.array([0.2, -0.1, 1.0]), 0.6
    units = np.rint(wall(DEPTH, normal, offset) / 1e-4).astype(np.uint16)
    aligned = Aligner(DEPTH, color, T_depth_color, 1e-4).image(units)
    # The same plane in the colour camera's frame: n . (R x + t) = d.
    R, t = T_depth_color[:3, :3], T_depth_color[:3, 3]
    expected = wall(color, R.T @ normal, offset - normal @ t)
    assert aligned.shape == (120, 160)
    assert (aligned > 0).mean() == 1.0
    assert np.abs(aligned - expected).max() < 2e-3
    assert np.abs(aligned - expected).mean() < 5e-4


def test_the_nearer_surface_wins_and_holes_stay_holes():
    color = Camera(160, 120, 96.0, 96.0, 79.5, 59.5)
    T_depth_color = rigid(np.eye(3), np.array([0.05, 0.0, 0.0]))
    units = np.full((120, 160), 1000, np.uint16)
    units[40:80, 60:100] = 500
    units[:10] = 0
    aligned = Aligner(DEPTH, color, T_depth_color, 0.001).image(units)
    assert not aligned[:10].any()
    centre = transform(np.linalg.inv(T_depth_color), (rays(DEPTH, np.array([[80.0, 60.0]])) * 0.5))
    u, v = np.rint(project(color, centre))[0].astype(int)
    assert aligned[v, u] == pytest.approx(0.5)
    # The block hides what it stands before, and uncovers a strip that no pixel measured.
    assert np.unique(aligned[60]).tolist() == pytest.approx([0.0, 0.5, 1.0])
    block = np.flatnonzero(np.isclose(aligned[60], 0.5))
    np.testing.assert_array_equal(block, np.arange(60, 100) - round(96.0 * 0.05 / 0.5))


@pytest.mark.parametrize("model", ["none", "brown_conrady", "inverse_brown_conrady"])
def test_depth_around_pixels_is_that_of_the_whole_image(model):
    color = Camera(160, 120, 150.0, 150.0, 80.0, 60.0, BENT, model)
    T_depth_color = rigid(exp_so3(np.array([0.01, -0.02, 0.005])), np.array([0.015, 0.001, -0.002]))
    rng = np.random.default_rng(0)
    units = rng.choice(np.array([0, 400, 410, 700], np.uint16), (120, 160))
    align = Aligner(DEPTH, color, T_depth_color, 0.001)
    whole = align.image(units)
    pixels = rng.uniform([3, 3], [156, 116], (60, 2))
    middle = np.rint(pixels).astype(int)
    patches = [whole[v - 2 : v + 3, u - 2 : u + 3] for u, v in middle]
    expected = [np.median(patch[patch > 0]) if (patch > 0).any() else np.nan for patch in patches]
    np.testing.assert_allclose(align.around(units, pixels, 2), expected, rtol=1e-6)


def test_depth_outside_the_image_or_unmeasured_is_missing():
    align = Aligner(DEPTH, DEPTH, np.eye(4), 0.001)
    units = np.zeros((120, 160), np.uint16)
    units[:, 80:] = 500
    found = align.around(units, np.array([[np.nan, 3.0], [-5.0, 60.0], [170.0, 60.0], [40.0, 60.0], [120.0, 60.0]]), 2)
    np.testing.assert_allclose(found, [np.nan] * 4 + [0.5])
