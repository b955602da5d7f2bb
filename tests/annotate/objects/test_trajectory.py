"""The banded equations of a rigid body against differences and dense algebra."""

from dataclasses import replace

import numpy as np
import pytest

from annotate.objects import trajectory
from annotate.objects._match import add_points
from annotate.objects.mesh import solid_mesh
from annotate.objects.settle import at_rest
from annotate.objects.trajectory import Trajectory
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.scene import objects

T_S = np.array([0.0, 0.03, 0.07, 0.1, 0.13, 0.18, 0.2])
WEIGHTS = np.array([100.0, 3.0])


@pytest.fixture
def body() -> Trajectory:
    rng = np.random.default_rng(0)
    turns = np.cumsum(rng.normal(size=(len(T_S), 3)) * 0.2, axis=0)
    return Trajectory(rotation.exp_so3(turns), np.cumsum(rng.normal(size=(len(T_S), 3)), axis=0))


def carried() -> Trajectory:
    rng = np.random.default_rng(1)
    return Trajectory(rotation.exp_so3(rng.normal(size=(6, 3)) * 0.3), rng.normal(size=(6, 3)))


TERMS = {
    "acceleration": lambda body, eq: trajectory.add_acceleration(body, T_S, np.tile(WEIGHTS, (5, 1)), eq),
    "motion": lambda body, eq: trajectory.add_motion(body, carried(), np.tile(WEIGHTS, (6, 1)), eq)[0],
}


@pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)
def test_gradient(body, term):
    equations = trajectory.empty(len(T_S))
    term(body, equations)
    for m in range(len(T_S)):
        for u in range(6):
            step = np.zeros((len(T_S), 6))
            step[m, u] = 1e-6
            slope = (term(body.moved(step), None) - term(body.moved(-step), None)) / 2e-6
            assert slope == pytest.approx(equations.g[m, u], rel=1e-4, abs=1e-4)


def dense(equations: trajectory.Equations) -> np.ndarray:
    n = len(equations.H)
    out = np.zeros((n, 6, n, 6))
    for m in range(n):
        out[m, :, m] = np.tril(equations.H[m]) + np.tril(equations.H[m], -1).T
    for apart, blocks in ((1, equations.near), (2, equations.far)):
        for m, pair in enumerate(blocks):
            whole = np.zeros((6, 6))
            whole[:3, :3], whole[3:, 3:] = pair
            out[m + apart, :, m], out[m, :, m + apart] = whole, whole.T
    return out.reshape(6 * n, 6 * n) + 1e-6 * np.eye(6 * n)


@pytest.mark.parametrize("moments", [7, 6])
def test_step_and_covariance_against_dense_algebra(body, moments):
    equations = trajectory.empty(moments)
    body = Trajectory(body.R[:moments], body.s_m[:moments])
    trajectory.add_acceleration(body, T_S[:moments], np.tile(WEIGHTS, (moments - 2, 1)), equations)
    equations = replace(equations, H=equations.H + np.diag([1.0, 2, 3, 4, 5, 6]))
    full = dense(equations)
    np.testing.assert_allclose(
        trajectory.solve(equations, 0.0).ravel(), -np.linalg.solve(full, equations.g.ravel()), rtol=1e-8, atol=1e-12
    )
    inverse = np.linalg.inv(full).reshape(moments, 6, moments, 6)
    found = trajectory.covariance(equations)
    np.testing.assert_allclose(found, [inverse[m, :, m] for m in range(moments)], rtol=1e-7, atol=1e-14)


def test_poses_round_trip(body):
    centre = np.array([0.1, -0.2, 0.05])
    again = trajectory.from_poses(body.poses(centre), centre)
    np.testing.assert_allclose(again.s_m, body.s_m)
    np.testing.assert_allclose(cameras.transform(body.poses(centre), centre[None])[:, 0], body.s_m)


def test_a_little_later_at_constant_speed():
    t = np.arange(5) / 30.0
    turn, shift = np.array([0.0, 0.3, 0.1]), np.array([0.2, 0.0, -0.1])
    body = Trajectory(rotation.exp_so3(t[:, None] * turn), t[:, None] * shift)
    later = body.at(np.full(5, 0.01), t)
    np.testing.assert_allclose(later.s_m, (t[:, None] + 0.01) * shift, atol=1e-12)
    np.testing.assert_allclose(later.R, rotation.exp_so3((t[:, None] + 0.01) * turn), atol=1e-9)


def test_depth_rows_have_the_right_gradient():
    thing = objects.make("o06")
    mesh = solid_mesh("o06", thing.shape.vertices_m, thing.faces.astype(np.int32))
    rng = np.random.default_rng(0)
    points = mesh.samples_m[:200] + mesh.sample_normals[:200] * rng.normal(0.0005, 0.001, (200, 1))
    eye = np.array([0.1, -0.5, 0.6])
    cloud = (np.array([0, 200]), points, np.full(200, np.inf), eye)
    body = trajectory.from_poses(np.eye(4)[None], mesh.centre_m)

    def cost(step: np.ndarray, system) -> float:
        moved = body.moved(step)
        where = (moved.R, moved.s_m)
        return add_points(mesh.cells, mesh.centre_m, cloud, where, (0.008, 0.002, 3.0, 1.0), system, np.empty(200))

    H, g = np.zeros((1, 6, 6)), np.zeros((1, 6))
    cost(np.zeros((1, 6)), (H, g))
    for u in range(6):
        step = np.zeros((1, 6))
        step[0, u] = 1e-6
        spare = np.zeros((1, 6, 6)), np.zeros((1, 6))
        slope = (cost(step, spare) - cost(-step, spare)) / 2e-6
        assert slope == pytest.approx(g[0, u], rel=2e-2, abs=2.0)


def test_rest_is_found_and_short_stops_are_not():
    t = np.arange(90) / 30.0
    s = np.zeros((90, 3))
    s[30:60, 0] = np.linspace(0.0, 0.2, 30)
    s[60:, 0] = 0.2
    body = Trajectory(np.tile(np.eye(3), (90, 1, 1)), s + np.random.default_rng(0).normal(size=(90, 3)) * 2e-4)
    still = at_rest(body, t)
    assert still[:24].all()
    assert still[66:].all()
    assert not still[33:57].any()
