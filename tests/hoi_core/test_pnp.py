from __future__ import annotations

import numpy as np
import pytest

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core import pnp
from hoi_core.known_object import control_points
from hoi_core.rotation import exp_so3, log_so3
from hoi_core.types import F64, Camera

_POINTS_M = control_points(np.array([-0.03, -0.05, 0.0]), np.array([0.04, 0.05, 0.12]))
_K = np.array([[480.0, 0.0, 127.5], [0.0, 480.0, 127.5], [0.0, 0.0, 1.0]])


def _pose(seed: int) -> F64:
    rng = np.random.default_rng(seed)
    return cameras.rigid(exp_so3(rng.normal(size=3)), np.array([*rng.uniform(-0.03, 0.03, 2), 0.6]))


def _projected(T: F64) -> F64:
    seen = cameras.transform(T, _POINTS_M) @ _K.T
    return np.asarray(seen[:, :2] / seen[:, 2:])


def _cells(T: F64, count: int = 30) -> tuple[F64, F64]:
    """Cells that all say the same, all sure of it."""
    return np.tile(_projected(T), (count, 1, 1)), np.full((count, 21), 0.9)


@pytest.mark.parametrize("seed", range(5))
def test_exact_points_give_the_exact_pose(seed: int) -> None:
    T = _pose(seed)
    found = pnp.solve_pose(pnp.best_pairs(*_cells(T), _POINTS_M), _K)
    assert found.found
    assert found.agreeing == found.asked == 210
    np.testing.assert_allclose(found.T_cam_obj, T, atol=1e-6)


def test_the_surest_cells_count_and_unsure_ones_do_not() -> None:
    places, sure = _cells(_pose(1), 12)
    sure[:, 3] = 0.4  # nobody knows this point
    sure[0] = 0.99
    sure[5:] = np.minimum(sure[5:], 0.6)
    places[11, 7] = np.nan
    pairs = pnp.best_pairs(places, sure, _POINTS_M, cells=6)
    assert 3 in pairs.which  # the surest cell of all knows it
    counts = np.bincount(pairs.which, minlength=21)
    assert counts[3] == 1
    assert (np.delete(counts, 3) == 6).all()
    np.testing.assert_array_equal(pairs.points_m, _POINTS_M[pairs.which])
    assert np.isfinite(pnp.best_pairs(places, sure, _POINTS_M, cells=12).pixels).all()


def test_a_third_of_lies_does_no_harm() -> None:
    T = _pose(2)
    places, sure = _cells(T, 10)
    lies = np.random.default_rng(0).random((10, 21)) < 1 / 3
    places[lies] += np.random.default_rng(1).normal(0.0, 60.0, (int(lies.sum()), 2))
    found = pnp.solve_pose(pnp.best_pairs(places, sure, _POINTS_M), _K)
    assert found.agreeing < found.asked
    np.testing.assert_allclose(found.T_cam_obj[:3, 3], T[:3, 3], atol=0.002)


def test_noise_costs_as_much_as_the_linear_theory_says() -> None:
    """Errors of depth in the mean of many noisy views, against the inverse of the normal equations."""
    T, sigma = _pose(3), 1.0
    step, columns = 1e-6, []
    for k in range(6):
        change = np.zeros(6)
        change[k] = step
        moved = cameras.rigid(exp_so3(change[:3]) @ T[:3, :3], T[:3, 3] + change[3:])
        columns.append((_projected(moved) - _projected(T)).ravel() / step)
    J = np.stack(columns, -1)
    expected = sigma * np.sqrt(np.diag(np.linalg.inv(J.T @ J)))
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(60):
        pixels = _projected(T) + rng.normal(0.0, sigma, (21, 2))
        found = pnp.solve_pose(pnp.Pairs(_POINTS_M, pixels, np.arange(21)), _K)
        away = found.T_cam_obj
        errors.append([*log_so3(away[:3, :3] @ T[:3, :3].T), *(away[:3, 3] - T[:3, 3])])
    spread = np.sqrt((np.array(errors) ** 2).mean(0))
    # RANSAC leaves out some of the noisiest points: a little more or less than all of them give.
    assert (spread < 1.6 * expected).all()
    assert (spread > 0.6 * expected).all()


def test_fewer_than_six_points_say_nothing() -> None:
    places, sure = _cells(_pose(1))
    few = sure.copy()
    few[:, 5:] = 0.1
    for pairs in (
        pnp.best_pairs(places, few, _POINTS_M),  # fifty pairs, but of five points
        pnp.best_pairs(places, np.zeros_like(sure), _POINTS_M),
    ):
        found = pnp.solve_pose(pairs, _K)
        assert not found.found
        assert np.isnan(found.T_cam_obj).all()
        assert found.agreeing == 0


@pytest.mark.parametrize("seed", range(8))
def test_points_that_all_lie_at_one_place_are_no_pose(seed: int) -> None:
    """An object at any distance from far on would look so: the farther the better, up to 1e50 m."""
    places = 127.5 + np.random.default_rng(seed).normal(0.0, 0.3, (12, 21, 2))
    found = pnp.solve_pose(pnp.best_pairs(places, np.full((12, 21), 0.9), _POINTS_M), _K)
    assert not found.found
    assert found.agreeing == 0


def test_noise_alone_is_no_pose_and_the_same_pairs_give_the_same() -> None:
    rng = np.random.default_rng(0)
    noise = pnp.Pairs(_POINTS_M, rng.uniform(0, 255, (21, 2)), np.arange(21))
    assert pnp.solve_pose(noise, _K).agreeing < 10
    places, sure = _cells(_pose(4))
    places += rng.normal(0.0, 3.0, places.shape)
    first, again = (pnp.solve_pose(pnp.best_pairs(places, sure, _POINTS_M), _K) for _ in range(2))
    np.testing.assert_array_equal(first.T_cam_obj, again.T_cam_obj)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_pose_comes_back_out_of_its_crop(mirror: bool) -> None:
    camera = Camera(640, 480, 600.0, 600.0, 319.5, 239.5)
    T = cameras.rigid(exp_so3(np.array([0.3, 1.0, -0.4])), np.array([0.1, -0.05, 0.7]))
    crop = crops.around(camera, (300.0, 100.0, 480.0, 260.0), 128, crops.Placement(1.0, 0.7, mirror=mirror))
    seen = pnp.pose_in_crop(T, crop.R_cam_crop)
    assert np.linalg.det(seen[:3, :3]) == pytest.approx(1.0)
    side = np.array([-1.0 if mirror else 1.0, 1.0, 1.0])  # of the object's own frame
    there = crops.to_crop(crop, cameras.transform(T, _POINTS_M))
    np.testing.assert_allclose(cameras.transform(seen, _POINTS_M * side), there, atol=1e-12)
    np.testing.assert_allclose(pnp.pose_from_crop(seen, crop.R_cam_crop), T, atol=1e-12)
