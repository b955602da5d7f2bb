"""Edge maps against steps and formulas worked out by hand."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from hoi_core import edges
from hoi_core.edges import EdgeParams
from hoi_core.errors import ConfigError


def step(height=100):
    image = np.zeros((16, 20), np.uint8)
    image[:, 10:] = height
    return image


def test_gray_is_bt601():
    rgb = np.random.default_rng(0).integers(0, 256, (8, 9, 3)).astype(np.uint8)
    expected = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(edges.gray(rgb) - expected).max() <= 0.51


def test_sobel_of_a_step_is_its_height():
    out = edges.sobel_edges(step(100), EdgeParams(blur_px=0.0))
    # The kernel weighs 1, 2, 1: a step of 100 has the gradient 400, a quarter is 100.
    assert (out[:, 9:11] == 100).all()
    assert not np.delete(out, [9, 10], axis=1).any()


def test_threshold_removes_weak_edges():
    params = EdgeParams(blur_px=0.0, threshold_sobel=60)
    assert not edges.sobel_edges(step(59), params).any()
    assert edges.sobel_edges(step(60), params).any()


def test_canny_is_thin_and_binary():
    out = edges.canny_edges(step(200), EdgeParams(blur_px=0.0))
    assert set(np.unique(out)) == {0, 255}
    assert ((out > 0).sum(1)[2:-2] == 1).all()


def test_sandwich_and_network_input():
    rgb = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    a, b = edges.sobel_edges(edges.gray(rgb)), edges.canny_edges(edges.gray(rgb))
    fused = edges.fuse(a, b)
    assert fused.shape == (32, 32, 3)
    np.testing.assert_array_equal(fused[..., 0], fused[..., 2])
    np.testing.assert_array_equal(edges.sites(fused), (a > 0) | (b > 0))
    x = edges.fused_input(rgb)
    assert x.shape == (3, 32, 32)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, fused.transpose(2, 0, 1) / 255.0, rtol=1e-6)


def test_what_lies_between_twice_the_strength():
    """A step of 100 from 30: strength 100 on both sides of it, gray 30 and 130 there, and nothing else anywhere."""
    rgb = np.repeat((step(100) + np.uint8(30))[..., None], 3, axis=2)
    for fusion, left, right in (("edge_gray", 30, 130), ("single", 100, 100)):
        strength, middle = edges.edge_maps(rgb, EdgeParams(blur_px=0.0, fusion=fusion))
        assert (strength[:, 9:11] == 100).all()
        assert (middle[:, 9] == left).all()
        assert (middle[:, 10] == right).all()
        assert not np.delete(middle, [9, 10], axis=1).any()
    canny = edges.edge_maps(rgb, EdgeParams(blur_px=0.0))[1]
    np.testing.assert_array_equal(canny, edges.canny_edges(rgb[..., 0], EdgeParams(blur_px=0.0)))
    with pytest.raises(ConfigError, match="toast"):
        EdgeParams.from_dict({"fusion": "toast"})


def test_an_edge_image_alone_is_both_maps_without_its_faint_rims():
    edge = np.array([[0, 5, 21], [22, 200, 255]], np.uint8)
    expected = [[0, 0, 0], [22, 200, 255]]
    assert edges.maps_of_edges(edge).tolist() == [expected, expected]


def test_parameters_survive_json_and_refuse_nonsense():
    params = EdgeParams(threshold_sobel=31)
    assert EdgeParams.from_dict(json.loads(json.dumps(params.to_dict()))) == params
    with pytest.raises(ConfigError, match="treshold"):
        EdgeParams.from_dict({"treshold": 3})
    with pytest.raises(ConfigError, match="threshold_sobel"):
        EdgeParams(threshold_sobel=0)
    with pytest.raises(ConfigError, match="low <= high"):
        EdgeParams(threshold_canny_low=200, threshold_canny_high=100)


def test_flat_image_has_no_sites():
    assert not edges.fused_input(np.full((20, 20, 3), 77, np.uint8)).any()


@pytest.mark.parametrize("blur_px", [0.0, 0.8, 1.7])
def test_both_maps_are_what_opencv_makes_of_the_blurred_picture(blur_px):
    params = EdgeParams(blur_px=blur_px)
    rng = np.random.default_rng(2)
    for shape in ((40, 60), (61, 33), (3, 3)):
        gray = cv2.GaussianBlur(rng.integers(0, 256, shape).astype(np.uint8), (0, 0), 1.5)
        gray = cv2.normalize(gray, None, 0, 255, cv2.NORM_MINMAX)
        smooth = cv2.GaussianBlur(gray, (0, 0), blur_px, borderType=cv2.BORDER_REPLICATE) if blur_px else gray
        dx, dy = (cv2.Sobel(smooth, cv2.CV_64F, *d, borderType=cv2.BORDER_REPLICATE) for d in ((1, 0), (0, 1)))
        strength = np.minimum(np.rint(np.sqrt(dx**2 + dy**2) / 4), 255)
        strength[strength < params.threshold_sobel] = 0
        sobel, canny = edges.sobel_edges(gray, params), edges.canny_edges(gray, params)
        np.testing.assert_array_equal(sobel, strength)
        np.testing.assert_array_equal(canny, cv2.Canny(smooth, 50, 120, L2gradient=True))
        fused = edges.fused_input(np.repeat(gray[..., None], 3, axis=2), params)
        np.testing.assert_array_equal(fused, np.stack([sobel, canny, sobel]).astype(np.float32) / np.float32(255.0))
