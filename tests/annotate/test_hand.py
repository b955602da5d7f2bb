"""The fit's hand is the layer's hand, and its derivatives are those of finite differences."""

import numpy as np
import pytest

from annotate import hand as hands
from annotate.covariance import joint_slopes
from annotate.labels import axis_angles
from annotate.state import velocities, vertices_at
from hoi_core.mano import ManoLayer


def random_parameters(seed: int, moments: int = 4):
    rng = np.random.default_rng(seed)
    scale = {"orient": 1.0, "pose": 0.4, "betas": 1.0, "trans_m": 0.2}
    shapes = {"orient": (moments, 3), "pose": (moments, 45), "betas": (10,), "trans_m": (moments, 3)}
    return {name: rng.normal(size=shape) * scale[name] for name, shape in shapes.items()}


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("seed", [0, 1])
def test_same_vertices_and_joints_as_the_layer(side, seed: int) -> None:
    layer = ManoLayer.stand_in(side)
    given = random_parameters(seed)
    expected = layer(given["orient"], given["pose"], given["betas"], given["trans_m"])
    state = hands.state_from_axis_angle(hands.from_mano(layer.model), **given)
    np.testing.assert_allclose(state.vertices_m, expected.vertices_m, atol=1e-9)
    np.testing.assert_allclose(state.joints_m, expected.joints_m, atol=1e-9)


def test_parameters_round_trip(hand) -> None:
    given = random_parameters(3)
    given["orient"] *= 0.5  # turns beyond 180 degrees have a shorter name
    orient, pose = axis_angles(hands.state_from_axis_angle(hand, **given))
    np.testing.assert_allclose(orient, given["orient"], atol=1e-9)
    np.testing.assert_allclose(pose, given["pose"], atol=1e-9)


def test_the_mesh_ends_in_a_ring_about_the_wrist(hand) -> None:
    state = hands.state_from_axis_angle(hand, *(np.zeros((1, n)) for n in (3, 45)), np.zeros(10), np.zeros((1, 3)))
    apart_m = np.linalg.norm(state.vertices_m[0] - state.joints_m[0, 0], axis=-1)
    assert 8 <= hand.rim.sum() <= 40
    assert apart_m[hand.rim].max() < 0.05 < np.median(apart_m)


def test_normals_point_outwards(hand) -> None:
    state = hands.state_from_axis_angle(hand, **random_parameters(1))
    inside = state.vertices_m - 0.001 * state.normals
    outside = state.vertices_m + 0.001 * state.normals
    middle = state.positions_m.mean(1, keepdims=True)
    grows = np.linalg.norm(outside - middle, axis=-1) > np.linalg.norm(inside - middle, axis=-1)
    assert grows.mean() > 0.7


def test_joint_slopes_are_those_of_finite_differences(hand) -> None:
    from dataclasses import replace

    still = replace(hand, pose_m=np.zeros_like(hand.pose_m))
    state = hands.state_from_axis_angle(still, **random_parameters(5))
    slopes, by_shape = joint_slopes(state)
    rng = np.random.default_rng(0)
    step, shape = rng.normal(size=(4, 51)), rng.normal(size=10)
    h = 1e-6
    change = (state.moved(h * step, h * shape).joints_m - state.moved(-h * step, -h * shape).joints_m) / (2 * h)
    expected = np.einsum("mjcd,md->mjc", slopes, step) + by_shape @ shape
    np.testing.assert_allclose(change, expected, atol=1e-6)


def test_without_skin_joints_and_their_slopes_are_the_same(hand) -> None:
    state = hands.state_from_axis_angle(hand, **random_parameters(2))
    bare = hands.state_from_axis_angle(hand.without_skin(), **random_parameters(2))
    assert bare.points_m.shape == (4, 21, 3)
    np.testing.assert_allclose(bare.joints_m, state.joints_m, atol=1e-12)
    for found, expected in zip(joint_slopes(bare), joint_slopes(state), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_velocities_are_those_of_a_parabola(hand) -> None:
    """Central differences of second order are exact for constant acceleration, at uneven times too; not at the ends."""
    t_s = np.array([0.0, 0.03, 0.07, 0.1, 0.15])
    given = random_parameters(3)
    given = {name: np.tile(value[:1], (5, 1)) if value.ndim == 2 else value for name, value in given.items()}
    start, speed, pull = np.array([0.1, -0.2, 0.5]), np.array([0.3, -0.1, 0.2]), np.array([2.0, 1.0, -3.0])
    given["trans_m"] = start + t_s[:, None] * speed + 0.5 * t_s[:, None] ** 2 * pull
    state = hands.state_from_axis_angle(hand, **given)
    moment, point = np.array([1, 1, 2, 3]), np.array([0, 500, 793, 20])
    found = velocities(state, t_s, moment, point)
    np.testing.assert_allclose(found, speed + t_s[moment, None] * pull, atol=1e-9)
    lag_s = np.array([0.0, 0.004, -0.002, np.nan, 0.0])
    later_m = vertices_at(state, t_s, lag_s)
    moved_m = np.nan_to_num(lag_s)[1:4, None] * (speed + t_s[1:4, None] * pull)
    np.testing.assert_allclose(later_m[1:4] - state.vertices_m[1:4], np.tile(moved_m[:, None], (1, 778, 1)), atol=1e-9)
    alone = state.taken(np.array([2]))
    assert not velocities(alone, t_s[2:3], np.zeros(1, np.int64), np.zeros(1, np.int64)).any()
    np.testing.assert_array_equal(vertices_at(alone, t_s[2:3], np.ones(1)), alone.vertices_m)
