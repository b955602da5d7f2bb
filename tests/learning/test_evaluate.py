"""The figures of a set of predictions whose errors are known."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from dataset_tools.submission import Hands
from hoi_core.errors import DatasetError
from learning import hand_errors
from learning.hand_errors import figures, per_sample


def hand_figures(*arrays: np.ndarray, allow_reflection: bool) -> dict[str, float | int]:
    return figures(hand_errors.hand_errors(*arrays, allow_reflection=allow_reflection))


def compare(pred: Hands, true: Hands, *, allow_reflection: bool, scaled: bool = False) -> dict[str, float | int]:
    return figures(hand_errors.compare(pred, true, "ho3d" if scaled else "freihand", allow_reflection=allow_reflection))


def truth(n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    joints = rng.normal(0.0, 0.05, (n, 21, 3)) + np.array([0.0, 0.0, 0.5])
    return joints, joints[:, :1] + rng.normal(0.0, 0.05, (n, 778, 3))


def test_a_shift_is_an_absolute_error_only() -> None:
    joints, vertices = truth()
    shift = np.array([0.0, 0.003, 0.004])
    figures = hand_figures(joints + shift, joints, vertices + shift, vertices, allow_reflection=True)
    assert figures["xyz_mm"] == pytest.approx(5.0)
    assert figures["mesh_mm"] == pytest.approx(5.0)
    for name in ("xyz_pa_mm", "mesh_pa_mm", "mpjpe_mm", "mpvpe_mm"):
        assert figures[name] == pytest.approx(0.0, abs=1e-3), name
    # Of 100 thresholds from 0 to 50 mm, those below 5 mm are missed.
    assert figures["xyz_auc"] == pytest.approx(0.9, abs=0.006)
    assert figures["xyz_pa_auc"] == pytest.approx(1.0, abs=0.006)
    assert (figures["f5_pa"], figures["f15_pa"], figures["n"]) == (1.0, 1.0, 3)


def test_joints_and_mesh_are_aligned_each_by_itself() -> None:
    joints, vertices = truth()
    figures = hand_figures(
        2.0 * joints, joints, vertices @ np.diag([-1.0, -1.0, 1.0]), vertices, allow_reflection=False
    )
    assert figures["xyz_pa_mm"] == pytest.approx(0.0, abs=1e-3)
    assert figures["mesh_pa_mm"] == pytest.approx(0.0, abs=1e-3)


def test_a_mirrored_hand_is_right_only_where_reflections_are_allowed() -> None:
    joints, vertices = truth()
    mirror = np.array([-1.0, 1.0, 1.0])
    official, honest = (
        hand_figures(joints * mirror, joints, vertices * mirror, vertices, allow_reflection=flag)
        for flag in (True, False)
    )
    for name in ("xyz_pa_mm", "mesh_pa_mm"):
        assert official[name] == pytest.approx(0.0, abs=1e-3)
        assert honest[name] > 10.0


def test_labels_that_are_missing_do_not_count() -> None:
    joints, vertices = truth()
    shift = np.array([0.01, 0.0, 0.0])
    pred, pred_vertices = joints + shift, vertices + shift
    joints[0, 3], vertices[1] = np.nan, np.nan
    figures = hand_figures(pred, joints, pred_vertices, vertices, allow_reflection=True)
    assert figures["xyz_mm"] == pytest.approx(10.0)
    assert figures["mesh_mm"] == pytest.approx(10.0)
    assert figures["f15"] == pytest.approx(1.0)
    nothing = hand_figures(pred, joints, pred_vertices, np.full_like(vertices, np.nan), allow_reflection=True)
    assert np.isnan(nothing["mesh_mm"])
    assert np.isnan(nothing["f5_pa"])


class TestCompare:
    def test_scale_and_place_of_the_wrist_may_be_given(self) -> None:
        joints, vertices = truth()
        smaller = joints[:, :1] + 0.5 * (joints - joints[:, :1]) + [0.0, 0.0, 0.1]
        figures = compare(Hands(smaller, None), Hands(joints, vertices), allow_reflection=True, scaled=True)
        assert figures["xyz_sc_tr_mm"] == pytest.approx(0.0, abs=1e-9)
        assert figures["xyz_sc_tr_auc"] == pytest.approx(1.0, abs=0.006)
        assert figures["xyz_mm"] > 50.0
        assert np.isnan(figures["mesh_mm"])
        # One tip is 9 mm off after scaling: a 21st of that on the average.
        smaller[:, 4, 0] += 0.0045
        figures = compare(Hands(smaller, None), Hands(joints, None), allow_reflection=True, scaled=True)
        assert figures["xyz_sc_tr_mm"] == pytest.approx(9.0 / 21)

    def test_only_ho3d_has_that_figure_and_zeros_have_one(self) -> None:
        joints, vertices = truth()
        assert "xyz_sc_tr_mm" not in compare(Hands(joints, vertices), Hands(joints, vertices), allow_reflection=True)
        zeros = Hands(np.zeros_like(joints), np.zeros_like(vertices))
        figures = compare(zeros, Hands(joints, vertices), allow_reflection=True, scaled=True)
        from_wrist = 1e3 * np.linalg.norm(joints - joints[:, :1], axis=-1).mean()
        assert figures["xyz_sc_tr_mm"] == pytest.approx(from_wrist)
        assert figures["xyz_mm"] == pytest.approx(1e3 * np.linalg.norm(joints, axis=-1).mean())

    def test_a_bone_without_length_keeps_the_hand_but_for_the_labels_scale(self) -> None:
        """The official code divides by a length only if there is one, and multiplies by the label's in any case."""
        joints, _ = truth()
        pred = joints.copy()
        pred[:, 9] = pred[:, 0]
        figures = compare(Hands(pred, None), Hands(joints, None), allow_reflection=True, scaled=True)
        bone = np.linalg.norm(joints[:, 9] - joints[:, 0], axis=-1)[:, None, None]
        expected = (pred - pred[:, :1]) * bone + joints[:, :1]
        assert figures["xyz_sc_tr_mm"] == pytest.approx(1e3 * np.linalg.norm(expected - joints, axis=-1).mean())

    def test_a_mesh_of_ones_own_is_moved_by_the_joints(self) -> None:
        """The published steps one by one, a hand at a time: centre, unit size, rotation, the label's size, shift."""
        joints, vertices = truth()
        rng = np.random.default_rng(1)
        pred = 1.3 * joints[..., [1, 0, 2]] + rng.normal(0.0, 0.01, joints.shape)
        mesh = 1.3 * vertices[:, ::2][..., [1, 0, 2]]
        found = hand_errors.compare(Hands(pred, mesh), Hands(joints, vertices), "freihand", allow_reflection=True)
        for n in range(len(joints)):
            middle, own_middle = joints[n].mean(0), pred[n].mean(0)
            size = np.linalg.norm(joints[n] - middle)
            R, s = orthogonal_procrustes(
                (joints[n] - middle) / size, (pred[n] - own_middle) / np.linalg.norm(pred[n] - own_middle)
            )
            centre = mesh[n].mean(0)
            moved = (mesh[n] - centre) @ R.T * s * size + (middle - own_middle) + centre
            apart = np.linalg.norm(moved[:, None] - vertices[n][None], axis=-1)
            precision, recall = (apart.min(1) < 0.015).mean(), (apart.min(0) < 0.015).mean()
            assert found["f15_pa"][n] == pytest.approx(2 * precision * recall / (precision + recall), abs=2e-3)
        assert np.isnan(figures(found)["mesh_mm"])
        honest = hand_errors.compare(Hands(joints, mesh), Hands(joints, vertices), "freihand", allow_reflection=False)
        half = hand_errors.compare(Hands(joints, vertices[:, ::2]), Hands(joints, vertices), "freihand",
                                   allow_reflection=False)  # fmt: skip
        # Joints that need no alignment leave the mesh where it is.
        np.testing.assert_allclose(half["f5_pa"], half["f5"])
        np.testing.assert_allclose(honest["f15_pa"], honest["f15"])

    def test_dexycb_knows_errors_relative_to_the_wrist(self) -> None:
        joints, _ = truth()
        pred = joints + np.array([0.0, 0.0, 0.03])
        pred[:, 8] += [0.0, 0.021, 0.0]
        found = figures(hand_errors.compare(Hands(pred, None), Hands(joints, None), "dexycb", allow_reflection=True))
        assert found["xyz_rr_mm"] == pytest.approx(1.0)
        assert found["xyz_mm"] == pytest.approx((20 * 30.0 + np.hypot(30.0, 21.0)) / 21)
        assert found["xyz_rr_auc"] == pytest.approx(1.0 - (21.0 / 50.0) / 21, abs=0.006)

    def test_other_counts_are_refused(self) -> None:
        joints, vertices = truth()
        with pytest.raises(DatasetError, match="expected 3 predictions"):
            compare(Hands(joints[:2], None), Hands(joints, vertices), allow_reflection=True)


def test_depth_is_told_from_the_rest() -> None:
    joints, vertices = truth()
    pred = joints + np.array([0.02, 0.0, 0.01])
    pred[:, 4, 2] -= 0.021
    found = figures(hand_errors.hand_errors(pred, joints, vertices, vertices, allow_reflection=True))
    assert found["depth_mm"] == pytest.approx((20 * 10.0 + 11.0) / 21)
    assert found["depth_rr_mm"] == pytest.approx(1.0)


def test_both_kinds_of_alignment_stand_side_by_side() -> None:
    joints, vertices = truth()
    mirror = np.array([-1.0, 1.0, 1.0])
    found = hand_errors.hand_errors(joints * mirror, joints, vertices, vertices, allow_reflection=True)
    assert figures(found)["xyz_pa_mm"] == pytest.approx(0.0, abs=1e-3)
    assert figures(found)["xyz_pa_proper_mm"] > 10.0
    assert per_sample(found)["xyz_pa_proper_mm"].shape == (3,)
