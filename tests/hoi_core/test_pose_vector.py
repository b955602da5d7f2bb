"""Poses as nine numbers: any six of them make a rotation, and the lens only scales the depth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from hoi_core import pose_vector
from hoi_core.placing import placed

six = hnp.arrays(np.float64, (6,), elements=st.floats(-10.0, 10.0))


@settings(max_examples=60)
@given(columns=six, factor=st.floats(0.1, 100.0))
def test_six_numbers_are_a_rotation(columns, factor):
    """Orthonormal, proper, blind to the length of either column and to the first's share in the second."""
    first, second = columns[:3], columns[3:]
    assume(np.linalg.norm(np.cross(first, second)) > 1e-2)
    R = pose_vector.gram_schmidt(columns)
    np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-9)
    assert np.linalg.det(R) == pytest.approx(1.0)
    np.testing.assert_allclose(R[:, 0], first / np.linalg.norm(first), atol=1e-12)
    assert R[:, 1] @ second > 0
    other = np.concatenate([factor * first, factor * second - first])
    np.testing.assert_allclose(pose_vector.gram_schmidt(other), R, atol=1e-6)


def test_gradients_and_torch_alike():
    columns = torch.randn(4, 6, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(pose_vector.gram_schmidt, (columns,))
    as_numpy = pose_vector.gram_schmidt(columns.detach().numpy())
    np.testing.assert_allclose(pose_vector.gram_schmidt(columns).detach().numpy(), as_numpy)
    zero = torch.zeros(1, 6, requires_grad=True)
    pose_vector.gram_schmidt(zero).sum().backward()
    assert torch.isfinite(zero.grad).all()


def test_a_pose_and_back():
    rng = np.random.default_rng(1)
    T = np.tile(np.eye(4), (5, 1, 1))
    T[:, :3, :3] = Rotation.random(5, random_state=2).as_matrix()
    T[:, :3, 3] = rng.normal([0.0, 0.0, 0.7], 0.1, (5, 3))
    focal = rng.uniform(300.0, 900.0, 5)
    x = pose_vector.from_pose(T, focal, 256)
    # As printed: t1, t2, then r11 r21 r31 and r12 r22 r32. At 0.7 m a lens of 512 px shows 0.35 m on 256 px.
    np.testing.assert_allclose(x[:, 3:], np.concatenate([T[:, :3, 0], T[:, :3, 1]], 1))
    T_near = np.eye(4)[None].copy()
    T_near[0, 2, 3] = 0.7
    assert pose_vector.from_pose(T_near, np.array([512.0]), 256)[0, 2] == pytest.approx(0.35)
    np.testing.assert_allclose(pose_vector.to_pose(x, focal, 256), T, atol=1e-12)
    again = pose_vector.to_pose(torch.as_tensor(x), torch.as_tensor(focal), 256)
    np.testing.assert_allclose(again.numpy(), T, atol=1e-12)


def test_points_are_placed_on_their_rays():
    rng = np.random.default_rng(0)
    points = rng.normal(0.0, 0.05, (3, 21, 3))
    shift = np.array([[0.1, -0.05, 0.6], [0.0, 0.0, 1.0], [0.2, 0.2, 0.4]])
    seen = points + shift[:, None]
    rays, weight = seen[..., :2] / seen[..., 2:], np.ones((3, 21))
    np.testing.assert_allclose(placed(points, rays, weight), shift, atol=1e-6)
    # What counts for nothing next to the rest moves nothing to speak of.
    weight[:, 5] = 0.0
    rays[:, 5] += 0.3
    np.testing.assert_allclose(placed(points, rays, 1e4 * weight), shift, atol=1e-4)
    as_torch = placed(*(torch.as_tensor(x) for x in (points, rays, 1e4 * weight)))
    np.testing.assert_allclose(as_torch.numpy(), placed(points, rays, 1e4 * weight))
