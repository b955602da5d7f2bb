"""Rotations against scipy and against themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hoi_core import rotation as r

axis = st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)).filter(lambda v: np.linalg.norm(v) > 1e-2)
# Angles where closed forms lose digits are drawn on purpose.
angle = st.one_of(
    st.floats(0, np.pi),
    st.sampled_from([0.0, 1e-12, 1e-8, 9.9e-5, 1.1e-4, 1e-3, np.pi / 2, np.pi - 1e-3, np.pi - 1e-8, np.pi]),
)


def vector(direction: tuple[float, float, float], size: float) -> np.ndarray:
    d = np.array(direction)
    return d / np.linalg.norm(d) * size


@settings(max_examples=300)
@given(axis, angle)
def test_exp_against_scipy(direction, size):
    w = vector(direction, size)
    np.testing.assert_allclose(r.exp_so3(w), Rotation.from_rotvec(w).as_matrix(), atol=1e-14)


@settings(max_examples=300)
@given(axis, angle)
def test_exp_log_round_trip(direction, size):
    w = vector(direction, size)
    again = r.log_so3(r.exp_so3(w))
    if size > np.pi - 1e-6:  # both signs of a half turn are the same rotation
        again = again * np.sign(again @ w)
    np.testing.assert_allclose(again, w, atol=1e-9)


@settings(max_examples=300)
@given(axis, angle)
def test_quaternion_against_scipy(direction, size):
    R = Rotation.from_rotvec(vector(direction, size)).as_matrix()
    q = r.matrix_to_quaternion(R)
    assert np.linalg.norm(q) == pytest.approx(1.0, abs=1e-14)
    reference = Rotation.from_matrix(R).as_quat(scalar_first=True)
    assert abs(reference @ q) == pytest.approx(1.0, abs=1e-12)


def test_log_of_tiny_rotations_keeps_relative_precision():
    for size in np.logspace(-15, -2, 60):
        w = vector((0.3, -0.7, 0.2), size)
        np.testing.assert_allclose(r.log_so3(r.exp_so3(w)), w, rtol=1e-10, atol=1e-18)


def test_skew_is_the_cross_product():
    a, b = np.random.default_rng(1).normal(size=(2, 7, 3))
    np.testing.assert_allclose((r.skew(a) @ b[..., None])[..., 0], np.cross(a, b), atol=1e-14)


@given(axis, st.floats(0, 3.0), st.floats(0, 1))
def test_slerp(direction, size, t):
    R0 = Rotation.from_rotvec([0.2, -0.4, 0.9]).as_matrix()
    R1 = R0 @ Rotation.from_rotvec(vector(direction, size)).as_matrix()
    middle = r.slerp(R0, R1, t)
    assert r.geodesic_angle(R0, middle) == pytest.approx(t * size, abs=1e-8)
    assert r.geodesic_angle(middle, R1) == pytest.approx((1 - t) * size, abs=1e-8)


def test_batches():
    w = np.random.default_rng(2).normal(size=(2, 3, 5, 3))
    R = r.exp_so3(w)
    assert R.shape == (2, 3, 5, 3, 3)
    np.testing.assert_allclose(r.log_so3(R)[1, 2, 4], r.log_so3(R[1, 2, 4]), atol=1e-15)
    t = np.linspace(0, 1, 5)
    assert r.slerp(R[0, 0], R[1, 0], t).shape == (5, 3, 3)
    assert r.geodesic_angle(R, R).shape == (2, 3, 5)
    assert r.exp_so3(np.zeros((0, 3))).shape == (0, 3, 3)
    assert r.log_so3(np.zeros((0, 3, 3))).shape == (0, 3)


def test_kabsch_undoes_a_motion() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(6, 3))
    R, t = r.exp_so3(rng.normal(size=3)), rng.normal(size=3)
    found_R, found_t = r.kabsch(points, points @ R.T + t, np.ones(6))
    np.testing.assert_allclose(found_R, R, atol=1e-9)
    np.testing.assert_allclose(found_t, t, atol=1e-9)


def test_kabsch_of_many_leaves_out_what_has_no_weight() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(4, 6, 3))
    R, t = r.exp_so3(rng.normal(size=(4, 3))), rng.normal(size=(4, 3))
    there = points @ np.swapaxes(R, -1, -2) + t[:, None]
    weight = np.ones((4, 6))
    weight[1, 2] = 0.0
    there[1, 2] += 5.0
    found_R, found_t = r.kabsch(points, there, weight)
    np.testing.assert_allclose(found_R, R, atol=1e-9)
    np.testing.assert_allclose(found_t, t, atol=1e-9)
