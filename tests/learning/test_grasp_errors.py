"""Errors of hands with objects, of predictions that are known to be wrong by so much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dataset_tools.readers import _tiny_ours
from hoi_core import camera as cameras
from hoi_core.rotation import exp_so3
from learning.data import loader
from learning.grasp_errors import SaidGrasps, in_contact, meeting_errors, object_errors
from learning.grasps import GraspBatch, GraspDataset
from learning.items import DataConfig
from learning.order import InOrder


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> GraspBatch:
    root = _tiny_ours.write(tmp_path_factory.mktemp("tiny"), frames=1)
    dataset = GraspDataset("ours", root, "all", DataConfig(size=64, input="rgb"))
    (found,) = loader(dataset, InOrder(len(dataset), 8), 0)
    assert isinstance(found, GraspBatch)
    return found


def _truth(batch: GraspBatch) -> SaidGrasps:
    return SaidGrasps(*(each.double().numpy() for each in (batch.joints_m, batch.vertices_m, batch.T_crop_obj)))


def _moved(said: SaidGrasps, T: np.ndarray) -> SaidGrasps:
    return replace(said, T_crop_obj=T @ said.T_crop_obj)


def test_the_truth_has_no_error(batch: GraspBatch) -> None:
    errors = object_errors(_truth(batch), batch)
    for name in ("add_mm", "mce_mm", "mce_rel_mm"):
        np.testing.assert_allclose(errors[f"object_{name}"], 0.0, atol=1e-6)
    for name in ("found", "add01d", "add01d_box"):
        assert errors[f"object_{name}"].tolist() == [1.0, 1.0]  # a right hand, and a left one that is mirrored


def test_a_shift_is_found_and_the_wrist_takes_its_own_along(batch: GraspBatch) -> None:
    # The box is symmetric; a shift of 11.2 mm across it moves its far corners off the near ones' places.
    shift = cameras.rigid(np.eye(3), np.array([0.0112, 0.0, 0.0]))
    said = _moved(_truth(batch), shift)
    errors = object_errors(said, batch)
    np.testing.assert_allclose(errors["object_mce_mm"], 11.2, atol=1e-6)
    # The true diameter of the box of 4 x 6 x 8 cm is its diagonal, 107.7 mm: a tenth of it is less than the shift.
    assert (errors["object_add_mm"] > 10.8).all()
    assert errors["object_add01d"].tolist() == [0.0, 0.0]
    along = replace(said, joints_m=said.joints_m + np.array([0.0112, 0.0, 0.0]))
    np.testing.assert_allclose(object_errors(along, batch)["object_mce_rel_mm"], 0.0, atol=1e-6)


def test_a_half_turn_of_a_box_is_no_error(batch: GraspBatch) -> None:
    half = cameras.rigid(exp_so3(np.array([0.0, np.pi, 0.0])), np.zeros(3))
    said = _truth(batch)
    errors = object_errors(replace(said, T_crop_obj=said.T_crop_obj @ half), batch)
    np.testing.assert_allclose(errors["object_mce_mm"], 0.0, atol=1e-5)
    np.testing.assert_allclose(errors["object_add_mm"], 0.0, atol=1e-5)


def test_what_was_not_found_is_wrong_and_what_is_not_labelled_unknown(batch: GraspBatch) -> None:
    said = _truth(batch)
    none = said.T_crop_obj.copy()
    none[0] = np.nan
    errors = object_errors(replace(said, T_crop_obj=none), batch)
    assert errors["object_found"].tolist() == [0.0, 1.0]
    assert errors["object_add01d"].tolist() == [0.0, 1.0]
    assert np.isnan(errors["object_mce_mm"]).tolist() == [True, False]
    blind = replace(batch, object_valid=batch.object_valid & False)
    assert all(np.isnan(each).all() for each in object_errors(said, blind).values())
    assert all(np.isnan(each).all() for each in meeting_errors(said, blind).values())


def test_an_object_pushed_into_the_hand_penetrates_it(batch: GraspBatch) -> None:
    said = _truth(batch)
    apart = meeting_errors(_moved(said, cameras.rigid(np.eye(3), np.array([0.0, 0.0, 0.5]))), batch)
    assert apart["penetration_mm"].tolist() == [0.0, 0.0]
    assert apart["intersection_cm3"].tolist() == [0.0, 0.0]
    assert apart["contact"].tolist() == [0.0, 0.0]
    # Half a metre behind each other, the nearest of the box's corners is one of its deepest ones.
    assert (apart["object_chamfer_mm"] > 390.0).all()
    assert (apart["object_chamfer_mm2"] > 2 * 390.0**2).all()
    # Bring the box's middle onto the wrist.
    placed = said.T_crop_obj.copy()
    placed[:, :3, 3] = said.joints_m[:, 0] - np.einsum("bij,j->bi", placed[:, :3, :3], batch.objects[0].centre_m)
    pushed = meeting_errors(replace(said, T_crop_obj=placed), batch)
    assert (pushed["penetration_mm"] > 5.0).all()
    assert (pushed["penetration_mm"] < 20.0 + 1e-6).all()  # half of its smallest side
    assert (pushed["intersection_cm3"] > 5.0).all()
    assert pushed["contact"].tolist() == [1.0, 1.0]
    assert (pushed["object_chamfer_mm"] > 10.0).all()
    np.testing.assert_array_equal(pushed["true_distance_mm"], apart["true_distance_mm"])


def test_frames_without_contact_are_left_out() -> None:
    errors = {"true_distance_mm": np.array([3.0, 10.0, 10.1, np.nan]), "xyz_mm": np.ones((4, 2))}
    near = in_contact(errors)
    assert np.isfinite(near["xyz_mm"]).all(1).tolist() == [True, True, False, False]
