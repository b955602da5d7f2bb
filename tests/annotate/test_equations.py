"""The banded solver and its inverse against dense linear algebra."""

from itertools import pairwise

import numpy as np
import pytest

from annotate import equations as normal
from annotate import hand as hands
from annotate.covariance import joint_covariance, joint_slopes
from annotate.equations import DOF
from annotate.fit import FitResult
from annotate.hand import BLOCKS
from annotate.parts import in_parts
from annotate.state import FitState
from hoi_core.errors import FitError


def random_equations(moments: int, seed: int = 0):
    """Positive definite equations and their dense matrix without the shared part."""
    rng = np.random.default_rng(seed)
    made = normal.empty(moments, 2)
    for m in range(moments):
        rows = rng.normal(size=(80, DOF))
        made.H[m] = rows.T @ rows
    made.near[:] = rng.normal(size=made.near.shape)
    made.far[:] = rng.normal(size=made.far.shape)
    made.g[:] = rng.normal(size=made.g.shape)
    made.C[:] = rng.normal(size=made.C.shape)
    shared = made.C.shape[-1]
    made.Hs[:] = np.eye(shared) * 1e4
    made.gs[:] = rng.normal(size=shared)
    dense = np.zeros((moments * DOF, moments * DOF))
    for m in range(moments):
        dense[m * DOF : (m + 1) * DOF, m * DOF : (m + 1) * DOF] = made.H[m]
    for apart, blocks in ((1, made.near), (2, made.far)):
        for m, block in enumerate(blocks):
            for b in range(BLOCKS):
                rows = slice((m + apart) * DOF + 3 * b, (m + apart) * DOF + 3 * b + 3)
                columns = slice(m * DOF + 3 * b, m * DOF + 3 * b + 3)
                dense[rows, columns] = block[b]
                dense[columns, rows] = block[b].T
    return made, dense


@pytest.mark.parametrize("moments", [1, 2, 3, 6, 8, 11])
def test_solve_agrees_with_a_dense_solver(moments: int) -> None:
    made, dense = random_equations(moments)
    C = made.C.reshape(moments * DOF, -1)
    whole = np.block([[dense, C], [C.T, made.Hs]])
    expected = -np.linalg.solve(whole, np.concatenate([made.g.ravel(), made.gs]))
    step, shared = normal.solve(made, 0.0)
    np.testing.assert_allclose(np.concatenate([step.ravel(), shared]), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("moments", [1, 2, 3, 6, 7])
def test_moment_covariance_is_the_inverse_on_the_diagonal(moments: int) -> None:
    made, dense = random_equations(moments)
    inverse = np.linalg.inv(dense)
    for m, block in enumerate(normal.moment_covariance(made)):
        at = slice(m * DOF, (m + 1) * DOF)
        np.testing.assert_allclose(block, inverse[at, at], rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("moments", [3, 8, 9])
@pytest.mark.parametrize("joined", [True, False])
def test_a_factor_gives_the_matrix_back(moments: int, joined: bool) -> None:
    made, dense = random_equations(moments)
    if not joined:
        made.near[:], made.far[:] = 0.0, 0.0
        dense *= np.kron(np.eye(moments), np.ones((DOF, DOF)))
    found = normal.factor(made, 0.0)
    columns = np.random.default_rng(1).normal(size=(len(dense), 3))
    np.testing.assert_allclose(dense @ found.solve(columns), columns, rtol=1e-6, atol=1e-6)
    # Draws need half of the way alone: inv(L') inv(L) is the inverse.
    half_way = found.backward(np.eye(len(dense)))
    np.testing.assert_allclose(half_way @ half_way.T, np.linalg.inv(dense), rtol=1e-5, atol=1e-8)


def test_shared_covariance_is_that_of_the_whole_inverse() -> None:
    made, dense = random_equations(4)
    C = made.C.reshape(4 * DOF, -1)
    inverse = np.linalg.inv(np.block([[dense, C], [C.T, made.Hs]]))
    shared, moved = normal.shared_covariance(made)
    np.testing.assert_allclose(shared, inverse[4 * DOF :, 4 * DOF :], rtol=1e-6)
    np.testing.assert_allclose(moved.reshape(4 * DOF, -1), np.linalg.solve(dense, C), rtol=1e-6, atol=1e-9)


def test_joint_covariance_is_that_of_the_whole_inverse(hand) -> None:
    made, dense = random_equations(3)
    C = made.C.reshape(3 * DOF, -1)
    inverse = np.linalg.inv(np.block([[dense, C], [C.T, made.Hs]]))
    rng = np.random.default_rng(1)
    state = hands.state_from_axis_angle(hand, *(rng.normal(size=n) * 0.3 for n in ((3, 3), (3, 45), 10, (3, 3))))
    slopes, by_shape = joint_slopes(state)
    found = joint_covariance(FitResult(FitState(state, np.zeros((2, 8))), made, 0.0, 1))
    for m in range(3):
        row = np.zeros((21, 3, len(inverse)))
        row[..., m * DOF : (m + 1) * DOF], row[..., 3 * DOF : 3 * DOF + 10] = slopes[m], by_shape[m]
        np.testing.assert_allclose(found[m], row @ inverse @ np.swapaxes(row, 1, 2), rtol=1e-6, atol=1e-12)


def test_equations_without_priors_are_refused_in_words() -> None:
    made, _ = random_equations(3)
    made.H[1] = -made.H[1]
    with pytest.raises(FitError, match="prior"):
        normal.solve(made, 0.0)


def test_parts_come_back_in_order_and_cover_every_row() -> None:
    moment = np.sort(np.random.default_rng(0).integers(3, 400, 1000))
    spans = list(in_parts(lambda span: span, moment))
    assert len(spans) > 2
    assert spans[0][0] == 0
    assert spans[-1][1] == len(moment)
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert all(moment[first - 1] < moment[first] for first, _ in spans[1:])
    assert list(in_parts(lambda span: span, moment[:0])) == []
