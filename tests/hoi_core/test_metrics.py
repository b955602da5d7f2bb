"""Metrics against independent formulas: scipy's Procrustes, brute force, exactly known transforms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from hoi_core import metrics


def freihand_align(true, pred):
    """The official evaluator's alignment, written as it is published: no determinant correction."""
    t1, t2 = true.mean(0), pred.mean(0)
    a, b = true - t1, pred - t2
    s1, s2 = np.linalg.norm(a) + 1e-8, np.linalg.norm(b) + 1e-8
    R, s = orthogonal_procrustes(a / s1, b / s2)
    return (b / s2) @ R.T * s * s1 + t1


def hands(seed, n=4, points=21):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.05, (n, points, 3)), rng.normal(0, 0.05, (n, points, 3))


def test_mpjpe_is_the_mean_of_distances():
    true = np.zeros((2, 21, 3))
    pred = np.zeros((2, 21, 3))
    pred[0, :, 0], pred[1, :, 1] = 0.003, 0.005
    assert metrics.mpjpe_mm(pred, true) == pytest.approx(4.0)


def test_root_relative_ignores_a_shift():
    true, _ = hands(0)
    assert metrics.mpjpe_mm(true + 0.1, true, root=0) == pytest.approx(0.0, abs=1e-9)
    assert metrics.mpjpe_mm(true + 0.1, true) == pytest.approx(100 * np.sqrt(3))


def test_missing_points_do_not_count():
    true, pred = hands(1)
    pred = true + np.array([0.0, 0.0, 0.007])
    pred[0, 3] = np.nan
    valid = np.ones((4, 21), bool)
    valid[1, 4] = False
    pred[1, 4] += 9.0
    assert metrics.mpjpe_mm(pred, true, valid) == pytest.approx(7.0)
    assert np.isnan(metrics.mpjpe_mm(np.full((1, 21, 3), np.nan), true[:1]))
    assert metrics.pa_mpjpe_mm(pred, true, valid=valid) == pytest.approx(0.0, abs=1e-3)


def test_alignment_with_reflection_is_the_official_one():
    true, pred = hands(2, n=8)
    ours = metrics.align_similarity(pred, true, allow_reflection=True)
    official = np.stack([freihand_align(t, p) for t, p in zip(true, pred, strict=True)])
    assert np.abs(ours - official).max() < 1e-8


def test_proper_alignment_is_scipys_rotation():
    true, pred = hands(3, n=5)
    for t, p in zip(true, pred, strict=True):
        ct, cp = t - t.mean(0), p - p.mean(0)
        R = Rotation.align_vectors(ct, cp)[0].as_matrix()
        s = (ct * (cp @ R.T)).sum() / (cp**2).sum()
        assert np.abs(metrics.align_similarity(p, t) - (cp @ R.T * s + t.mean(0))).max() < 1e-6


def test_mirrored_hand():
    true, _ = hands(4)
    mirrored = true * [-1.0, 1.0, 1.0]
    assert metrics.pa_mpjpe_mm(mirrored, true, allow_reflection=True) < 1e-4
    assert metrics.pa_mpjpe_mm(mirrored, true) > 10.0


def test_prediction_of_zeros_is_well_defined():
    true, _ = hands(5)
    spread = np.linalg.norm(true - true.mean(1, keepdims=True), axis=-1).mean() * 1000
    assert metrics.pa_mpjpe_mm(np.zeros_like(true), true) == pytest.approx(spread, rel=1e-5)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(0.2, 5.0))
def test_alignment_undoes_any_similarity(seed, scale):
    true, noise = hands(seed, n=2)
    rng = np.random.default_rng(seed)
    R = Rotation.random(random_state=rng).as_matrix()
    base = true + 0.1 * noise
    moved = scale * base @ R.T + rng.normal(0, 1, 3)
    assert metrics.pa_mpjpe_mm(moved, true) == pytest.approx(metrics.pa_mpjpe_mm(base, true), abs=1e-3)


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_reflection_never_hurts_and_alignment_never_leaves_more_squared_error(seed):
    true, pred = hands(seed, n=1)
    squared = [
        ((metrics.align_similarity(pred, true, allow_reflection=flag) - true) ** 2).sum() for flag in (True, False)
    ]
    assert squared[0] <= squared[1] + 1e-12
    assert squared[1] <= ((pred - true) ** 2).sum() + 1e-12


def test_f_score_by_brute_force():
    rng = np.random.default_rng(6)
    true, pred = rng.normal(0, 0.02, (2, 40, 3)), rng.normal(0, 0.02, (2, 50, 3))
    expected = []
    for p, t in zip(pred, true, strict=True):
        d = np.linalg.norm(p[:, None] - t[None], axis=-1)
        precision, recall = (d.min(1) < 0.008).mean(), (d.min(0) < 0.008).mean()
        expected.append(2 * precision * recall / (precision + recall))
    assert metrics.f_score(pred, true, 8.0) == pytest.approx(np.mean(expected))
    assert metrics.f_score(true, true, 1.0) == 1.0
    assert metrics.f_score(true + 1.0, true, 1.0) == 0.0


def test_auc_of_known_errors():
    assert metrics.auc(np.zeros((3, 21))) == pytest.approx(1.0)
    assert metrics.auc(np.full((3, 21), 60.0)) == 0.0
    # Errors spread evenly over 0..50 mm give a straight PCK curve.
    even = np.linspace(0, 50, 5001)[:, None]
    assert metrics.auc(even) == pytest.approx(0.5, abs=1e-3)
    half = np.where(np.arange(100) < 50, 0.0, 99.0)[:, None]
    assert metrics.auc(half) == pytest.approx(0.5)


def freihand_measures(errors_mm):
    """The official evaluator's loops: a curve and a mean for each keypoint, then the mean of those."""
    thresholds = np.linspace(0.0, 50.0, 100)
    means, areas = [], []
    for column in errors_mm.T:
        known = column[np.isfinite(column)]
        curve = np.array([(known <= t).mean() for t in thresholds])
        means.append(known.mean())
        areas.append(trapezoid(curve, thresholds) / trapezoid(np.ones_like(curve), thresholds))
    return np.mean(means), np.mean(areas)


def test_mean_and_auc_are_the_official_ones_with_points_missing():
    rng = np.random.default_rng(8)
    errors = rng.gamma(2.0, 12.0, (40, 21)) * np.linspace(0.3, 2.0, 21)
    errors[rng.random(errors.shape) < np.linspace(0.0, 0.8, 21)] = np.nan
    mean, area = freihand_measures(errors)
    assert metrics.mean_over_points_mm(errors) == pytest.approx(mean)
    assert abs(np.nanmean(errors) - mean) > 1.0
    assert metrics.auc(errors) == pytest.approx(area)
    assert np.isnan(metrics.mean_over_points_mm(np.full((2, 3), np.nan)))


def test_object_errors():
    cube = np.array([[x, y, z] for x in (0, 0.1) for y in (0, 0.1) for z in (0, 0.1)], float)
    centred = cube - 0.05
    moved = np.eye(4)
    moved[2, 3] = 0.02
    assert metrics.add(moved, np.eye(4), cube) == pytest.approx(0.02)
    assert metrics.mean_corner_error_mm(moved, np.eye(4), cube) == pytest.approx(20.0)
    quarter = np.eye(4)
    quarter[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    assert metrics.add_s(quarter, np.eye(4), centred) == pytest.approx(0.0, abs=1e-12)
    assert metrics.add(quarter, np.eye(4), centred) == pytest.approx(0.1)
    assert metrics.add_s(np.stack([moved, quarter]), np.stack([np.eye(4)] * 2), centred).shape == (2,)


def test_torch_tensors_are_accepted():
    torch = pytest.importorskip("torch")
    true, pred = hands(7)
    ours = metrics.pa_mpjpe_mm(torch.tensor(pred, requires_grad=True), torch.tensor(true))
    assert ours == pytest.approx(metrics.pa_mpjpe_mm(pred, true))


def test_wrong_shapes_say_so():
    with pytest.raises(ValueError, match="one shape"):
        metrics.mpjpe_mm(np.zeros((2, 21, 3)), np.zeros((2, 20, 3)))


def cube(half):
    corners = half * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    from scipy.spatial import ConvexHull

    faces = ConvexHull(corners).simplices
    a, b, c = (corners[faces[:, k]] for k in range(3))
    inward = (np.cross(b - a, c - a) * (a + b + c)).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return corners, faces


def test_penetration_of_a_cube_is_the_distance_to_its_nearest_side():
    corners, faces = cube(0.05)
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.08, 0.08, (200, 3))
    expected = np.maximum(0.05 - np.abs(points).max(1), 0.0).max() * 1000
    assert metrics.penetration_depth_mm(points, corners, faces) == pytest.approx(expected)
    assert metrics.penetration_depth_mm(points + 0.3, corners, faces) == 0.0
    assert metrics.penetration_depth_mm(np.zeros((1, 3)), corners, faces) == pytest.approx(50.0)


def test_keypoint_figures_by_hand():
    true = np.zeros((2, 3, 2))
    pred = np.array([[[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]], [[6.0, 8.0], [40.0, 0.0], [7.0, 7.0]]])
    errors = metrics.keypoint_errors_px(pred, true, np.array([[True] * 3, [True, True, False]]))
    np.testing.assert_allclose(errors, [[5.0, 1.0, 0.0], [10.0, 40.0, np.nan]])
    figures = metrics.keypoint_figures(errors)
    assert figures["epe_mean_px"] == pytest.approx(56.0 / 5)
    assert figures["epe_median_px"] == 5.0
    assert figures["n"] == 5
    # Of each keypoint, the part of 0 to 30 px after its error, in steps of 30 / 99: (25 + 20) / 60, (29 + 0) / 60, 1.
    expected = np.mean([45 / 60, 29 / 60, 1.0])
    assert figures["pck_auc"] == pytest.approx(expected, abs=0.5 * 30 / 99 / 30 + 1e-9)
    # Moved onto each other by the first keypoint.
    np.testing.assert_allclose(
        metrics.keypoint_errors_px(pred, true, root=0)[0], [0.0, np.hypot(3, 3), 5.0], rtol=1e-12
    )
    # A head of 10 px: errors of 0.5, 0.1, 0; of 20 px: 0.5 and 2.
    np.testing.assert_allclose(
        metrics.pckh(errors, np.array([10.0, 20.0]), np.array([0.3, 0.5, 2.0])), [1 / 2, 5 / 6, 1.0]
    )


def test_keypoints_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        metrics.keypoint_errors_px(np.zeros((2, 21, 3)), np.zeros((2, 21, 3)))
