"""Batches of hands with their objects: poses and boxes belong to the crop, left hands bring a mirrored object along."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dataset_tools.readers import _tiny_ours, _tiny_synth, ho3d_v2, obman
from dataset_tools.readers import synth as synth_reader
from dataset_tools.synth.recipe import Recipe
from hoi_core import camera as cameras
from hoi_core import mesh_file
from hoi_core.errors import AssetError, DatasetError
from hoi_core.mano import ManoLayer
from hoi_core.rotation import log_so3
from hoi_core.types import F64, Sample
from learning.augment import Augment, random_colours
from learning.data import loader, to_device
from learning.grasp_items import both_boxes, grasped, held_of
from learning.grasps import GraspBatch, GraspDataset
from learning.items import DataConfig
from learning.order import InOrder

_SHOWN = DataConfig(size=64, input="rgb")
_BOX_M = np.array([[x, y, z] for x in (-0.03, 0.05) for y in (-0.04, 0.04) for z in (-0.02, 0.06)])
_SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
_FACES = np.array([(a, *two) for a, b, c, d in _SIDES for two in ((b, c), (c, d))], np.int32)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _tiny_ours.write(tmp_path_factory.mktemp("tiny"), frames=2)


def _all(dataset: GraspDataset) -> GraspBatch:
    (batch,) = loader(dataset, InOrder(len(dataset), 64), 0)
    assert isinstance(batch, GraspBatch)
    return batch


@pytest.fixture(scope="module")
def dataset(root: Path) -> GraspDataset:
    return GraspDataset("ours", root, "all", _SHOWN)


@pytest.fixture(scope="module")
def batch(dataset: GraspDataset) -> GraspBatch:
    return _all(dataset)


def _write_box(path: Path, scale: float = 1.0) -> None:
    path.parent.mkdir(parents=True)
    mesh_file.write_obj(path, _BOX_M * scale, _FACES)


def _projected(batch: GraspBatch, points_m: torch.Tensor) -> torch.Tensor:
    """Points of the objects in the crops, by the batch's own pose and intrinsics. `(B, N, 3) m -> (B, N, 2) px`."""
    placed = points_m @ batch.T_crop_obj[:, :3, :3].mT + batch.T_crop_obj[:, None, :3, 3]
    seen = placed @ batch.K.mT
    return seen[..., :2] / seen[..., 2:]


def _through_the_image(dataset: GraspDataset, number: int, batch: GraspBatch) -> F64:
    """Corners of the object's mesh in the crop, from the whole image's labels and the directions of its pixels."""
    sample = dataset.read(number)
    (pose,) = (each for each in sample.objects if dataset.objects.number(each.name) is not None)
    surface_m = cameras.transform(pose.T_cam_obj, dataset.objects[0].vertices_m * pose.scale)
    rays = cameras.rays(sample.camera, cameras.project(sample.camera, surface_m))
    R_cam_crop = sample.camera.T_world_cam[:3, :3].T @ batch.R_world_crop[number].double().numpy()
    toward = rays @ R_cam_crop @ batch.K[number].double().numpy().T
    return np.asarray(toward[:, :2] / toward[:, 2:])


def test_shapes_and_what_each_field_says(dataset: GraspDataset, batch: GraspBatch) -> None:
    n = len(dataset)
    assert n == 4
    assert batch.image.shape == (n, 3, 64, 64)
    assert batch.image.min() >= -1
    assert batch.image.min() < 0 < batch.image.max() <= 1
    assert batch.mask.shape == (n, 8, 8)
    assert batch.object_valid.all()
    assert batch.params_valid.all()
    assert batch.object_id.tolist() == [0] * n
    assert batch.object_id.dtype == torch.int64
    assert batch.mirrored.tolist() == [False, False, True, True]
    assert [each.name for each in batch.objects] == list(dataset.objects.names)
    low, high = batch.joints_px.amin(1), batch.joints_px.amax(1)
    hand = torch.cat([(low + high) / 2 - 0.55 * (high - low), (low + high) / 2 + 0.55 * (high - low)], 1)
    torch.testing.assert_close(batch.hand_box, hand, atol=1e-3, rtol=0)
    moved = to_device(batch, torch.device("cpu"))
    assert moved.objects is batch.objects


def test_pose_box_and_control_points_are_those_that_the_crop_shows(dataset: GraspDataset, batch: GraspBatch) -> None:
    R = batch.T_crop_obj[:, :3, :3]
    torch.testing.assert_close(R @ R.mT, torch.eye(3).expand_as(R), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.det(R), torch.ones(len(R)), atol=1e-5, rtol=0)
    torch.testing.assert_close(_projected(batch, batch.control_m), batch.control_px, atol=2e-3, rtol=0)
    for number in range(len(dataset)):
        corners = _through_the_image(dataset, number, batch)
        box = np.concatenate([corners.min(0), corners.max(0)])
        np.testing.assert_allclose(batch.object_box[number].numpy(), box, atol=0.01)
        # The first eight control points are the mesh's own corners: they come to lie on its pixels, in some order.
        said = batch.control_px[number, :8].double().numpy()
        apart = np.linalg.norm(said[:, None] - corners[None], axis=-1)
        assert apart.min(0).max() < 0.01


def test_the_crop_holds_both_boxes_half_as_large_again(batch: GraspBatch) -> None:
    for box in (batch.hand_box, batch.object_box):
        assert (box[:, :2] > -0.5).all()
        assert (box[:, 2:] < 63.5).all()
    joints_low, joints_high = batch.joints_px.amin(1), batch.joints_px.amax(1)
    low = torch.minimum(
        1.25 * joints_low - 0.25 * joints_high, 1.25 * batch.object_box[:, :2] - 0.25 * batch.object_box[:, 2:]
    )
    high = torch.maximum(
        1.25 * joints_high - 0.25 * joints_low, 1.25 * batch.object_box[:, 2:] - 0.25 * batch.object_box[:, :2]
    )
    side = (high - low).amax(1)
    assert ((side > 0.93 * 64) & (side < 1.07 * 64)).all()  # off the axis the flat image stretches


def test_rotations_and_shape_give_the_mesh_in_the_crop_left_hands_as_right_ones(root: Path) -> None:
    batch = _all(GraspDataset("ours", root, "all", _SHOWN, augment=Augment(background=0.0, occluders=0.0)))
    vectors = log_so3(batch.hand_R.double().numpy())
    posed = ManoLayer.from_env("right")(vectors[:, 0], vectors[:, 1:].reshape(-1, 45), batch.betas.double().numpy())
    said = posed.vertices_m - posed.joints_m[:, :1]
    true = (batch.vertices_m - batch.joints_m[:, :1]).double().numpy()
    np.testing.assert_allclose(said, true, atol=2e-5)


def test_the_mask_is_the_objects_silhouette_in_its_own_box(batch: GraspBatch) -> None:
    for number in range(len(batch.mask)):
        x0, y0, x1, y1 = batch.object_box[number].tolist()
        about = batch.objects[0].mirrored if batch.mirrored[number] else batch.objects[0]
        inner = torch.from_numpy(0.5 * about.vertices_m + 0.5 * about.centre_m)[None].float()
        one = replace(batch, T_crop_obj=batch.T_crop_obj[[number]], K=batch.K[[number]])
        px = _projected(one, inner)[0]
        cells = ((px - torch.tensor([x0, y0])) / torch.tensor([x1 - x0, y1 - y0]) * 8).floor().long()
        assert batch.mask[number][cells[:, 1], cells[:, 0]].all()  # the inner half of a convex body is covered
        assert batch.mask[number].any(0).all()
        assert batch.mask[number].any(1).all()


def test_augmented_crops_turn_all_labels_alike(root: Path, batch: GraspBatch) -> None:
    augment = Augment(roll_deg=180.0, roll_share=1.0, scale_jitter=0.2, shift_jitter=0.1, hue=0.15, saturation=0.5)
    dataset = GraspDataset("ours", root, "all", _SHOWN, augment=augment, seed=3)
    turned = _all(dataset)
    torch.testing.assert_close(_projected(turned, turned.control_m), turned.control_px, atol=2e-3, rtol=0)
    for number in range(len(dataset)):
        corners = _through_the_image(dataset, number, turned)
        np.testing.assert_allclose(turned.object_box[number, :2].numpy(), corners.min(0), atol=0.01)
    assert (batch.R_world_crop - turned.R_world_crop).abs().amax((1, 2)).min() > 0.05


def test_an_object_without_a_mesh_or_out_of_the_table_is_unknown(tmp_path: Path) -> None:
    ho3d_v2.tiny(tmp_path / "ho3d_v2")
    before = _all(GraspDataset("ho3d_v2", tmp_path, "train", _SHOWN))
    assert not before.object_valid.any()  # the pose is labelled, but no mesh is there
    assert before.object_box.eq(0).all()
    assert before.object_id.eq(-1).all()
    assert before.T_crop_obj.isnan().all()
    assert before.control_px.eq(0).all()
    assert not before.mask.any()
    _write_box(tmp_path / "ho3d_v2/models/021_bleach_cleanser/textured_simple.obj")
    dataset = GraspDataset("ho3d_v2", tmp_path, "train", _SHOWN)
    after = _all(dataset)
    assert after.object_valid.all()
    assert not after.objects[0].symmetric  # a name of the YCB set, though the shape is a cube
    # The crops now hold the object too: some are wider, all look elsewhere.
    assert (after.R_world_crop - before.R_world_crop).abs().amax((1, 2)).min() > 1e-3
    hidden = GraspDataset("ho3d_v2", tmp_path, "train", replace(_SHOWN, objects=("003_cracker_box",)))
    assert not _all(hidden).object_valid.any()  # the network knows another object
    with pytest.raises(AssetError, match="mesh of 003_cracker_box"):
        hidden.facts()


def test_ho3d_and_obman_bring_their_meshes(tmp_path: Path) -> None:
    ho3d_v2.tiny(tmp_path / "ho3d_v2")
    obman.tiny(tmp_path / "obman")
    _write_box(tmp_path / "ho3d_v2/models/021_bleach_cleanser/textured_simple.obj")
    name = "02876657/1a7ba1f4c892e2da30711cdbdbc73924"
    _write_box(tmp_path / "obman/ShapeNetCore.v2" / name / "models/model_normalized.obj", 5.0)
    dataset = GraspDataset("ho3d_v2+obman", tmp_path, "train", _SHOWN)
    batch = _all(dataset)
    assert dataset.objects.names == ("021_bleach_cleanser", name)
    assert batch.object_id.tolist() == [0, 0, 0, 1, 1]
    scaled = batch.object_scale.tolist()
    assert scaled[:3] == [1.0] * 3
    assert scaled[3:] == pytest.approx([0.12] * 2)
    size = (batch.control_m[:, 7] - batch.control_m[:, 0]).tolist()
    np.testing.assert_allclose(size[0], [0.08, 0.08, 0.08], atol=1e-6)
    np.testing.assert_allclose(size[4], [0.048, 0.048, 0.048], atol=1e-6)  # 5 times the box, at 0.12 m to the unit
    assert batch.params_valid.tolist() == [True] * 3 + [False] * 2
    torch.testing.assert_close(_projected(batch, batch.control_m), batch.control_px, atol=2e-3, rtol=0)


def test_synthetic_objects_need_no_file(tmp_path: Path) -> None:
    _tiny_synth.write_set(tmp_path / "synth/pairs", Recipe(preset="grasps", count=3, size_px=128, second_view=True))
    dataset = GraspDataset("synth", tmp_path, "all", _SHOWN)
    assert synth_reader.objects(tmp_path / "synth") == {"mug": None}
    batch = _all(dataset)
    assert batch.object_valid.all()
    assert batch.objects[0].diameter_m == pytest.approx(0.13, abs=0.02)
    torch.testing.assert_close(_projected(batch, batch.control_m), batch.control_px, atol=2e-3, rtol=0)


def _with_objects(dataset: GraspDataset, *shifts: tuple[float, float, float]) -> Sample:
    sample = dataset.read(0)
    (pose,) = sample.objects
    moved = [replace(pose, T_cam_obj=cameras.rigid(np.eye(3), np.array(shift)) @ pose.T_cam_obj) for shift in shifts]
    return replace(sample, objects=tuple(moved))


def test_of_several_objects_the_nearest_belongs_to_the_hand(dataset: GraspDataset) -> None:
    sample = _with_objects(dataset, (0.0, 0.0, 0.3), (0.0, 0.0, 0.0))
    held = grasped(sample, dataset.objects)
    assert held is not None
    assert held.pose is sample.objects[1]


@pytest.mark.parametrize("shift", [(0.0, 0.0, -3.0), (2.0, 0.0, 0.0), (np.nan, 0.0, 0.0)])
def test_objects_that_the_image_does_not_show_are_unknown(
    dataset: GraspDataset, shift: tuple[float, float, float]
) -> None:
    sample = _with_objects(dataset, shift)
    assert grasped(sample, dataset.objects) is None
    assert held_of(replace(sample, objects=()), dataset.objects) is None
    x0, y0, x1, y1 = both_boxes(sample, None)
    pixels = cameras.project(sample.camera, sample.joints_m)
    wide, high = pixels.max(0) - pixels.min(0)
    assert (x1 - x0, y1 - y0) == pytest.approx((1.5 * wide, 1.5 * high))


def test_two_sets_with_other_objects_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("first", "second"):
        _tiny_synth.write_set(tmp_path / name, Recipe(preset="grasps", count=1, size_px=128))
    text = (tmp_path / "second/set.json").read_text()
    (tmp_path / "second/set.json").write_text(text.replace('"object_mug": "mug"', '"object_mug": "0123"'))
    with pytest.raises(DatasetError, match="different objects of one name"):
        synth_reader.objects(tmp_path)


def test_hues_turn_by_as_much_as_asked() -> None:
    """A pure red, a third of a circle on, is a pure green; gray has no hue to turn."""
    still = Augment(brightness=0.0, contrast=0.0, tint=0.0, noise=0.0, hue=1 / 3)

    class Top:
        """Draws the largest number that it may."""

        def uniform(self, low: float, high: float, size: int | None = None) -> float | F64:
            return high if size is None else np.full(size, high)

        def integers(self, high: int) -> int:
            return 0

    image = np.zeros((2, 2, 3), np.uint8)
    image[0, :, 0], image[1] = 255, 90
    turned = random_colours(image, still, Top())  # type: ignore[arg-type]
    assert np.abs(turned[0].astype(int) - [0, 255, 0]).max() <= 4
    assert np.abs(turned[1].astype(int) - 90).max() <= 1
