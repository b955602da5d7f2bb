"""Batches: targets belong to the crop, order is reproducible, mirrored left hands."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dataset_tools.readers import _tiny_ours, cmu, freihand, ours
from hoi_core import camera as cameras
from hoi_core import metrics
from hoi_core.errors import ConfigError, DatasetError
from learning.augment import Augment, random_colours
from learning.data import HandDataset, loader
from learning.items import DataConfig, around_hand, make_item
from learning.losses import project
from learning.order import InOrder, StepSampler


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return _tiny_ours.write(tmp_path_factory.mktemp("tiny"), frames=4)


def test_several_datasets_lie_in_one_folder(tmp_path):
    ours.tiny(tmp_path)
    freihand.tiny(tmp_path / "freihand")
    dataset = HandDataset("ours+freihand:0.5", tmp_path, "train", DataConfig())
    assert dataset.sizes == [1, 8]
    assert dataset.weights == [1.0, 0.5]
    names = [dataset.sample(number).dataset for number in range(len(dataset))]
    assert names == ["ours", *["freihand"] * 8]


def test_a_dataset_without_joints_in_space_is_refused(tmp_path):
    cmu.tiny(tmp_path / "cmu")
    with pytest.raises(ConfigError, match="cmu labels pixels only"):
        HandDataset("cmu", tmp_path, "train", DataConfig())


def test_batch_shapes_and_sites(root):
    dataset = HandDataset("ours", root, "all", DataConfig())
    (batch,) = loader(dataset, InOrder(len(dataset), 16), 0)
    assert batch.image.shape == (8, 3, 128, 128)
    assert batch.image.dtype == torch.float32
    assert 0 <= batch.image.min() <= batch.image.max() <= 1
    assert batch.vertices_valid.all()
    assert batch.mirrored.tolist() == [False] * 4 + [True] * 4
    pixels = project(batch.joints_m, batch.K)
    assert (pixels > 0).all()
    assert (pixels < 127).all()
    span = (pixels.amax(1) - pixels.amin(1)).amax(1)
    assert ((span > 80) & (span < 110)).all()  # 128 / 1.3, less what the off-axis view stretches


def test_left_hands_look_like_right_ones(root):
    """The palm's handedness (thumb side of index to little, seen along the normal) agrees after mirroring."""
    dataset = HandDataset("ours", root, "all", DataConfig())

    def handedness(item):
        wrist, index, little, tip = item.joints_m[[0, 5, 17, 4]]
        return np.sign(np.linalg.det(np.stack([index - wrist, little - wrist, tip - wrist])))

    bones = np.array([np.linalg.norm(dataset[n, 0].joints_m[5] - dataset[n, 0].joints_m[0]) for n in range(8)])
    assert (np.abs(bones - bones.mean()) < 0.03).all()
    right = {handedness(dataset[n, 0]) for n in range(4)}
    left = {handedness(dataset[n, 0]) for n in range(4, 8)}
    assert right == left


def test_targets_are_the_hand_turned_and_for_a_left_hand_mirrored(root):
    for key, mirrored in zip(ours.index(root, "all")[::4], (False, True), strict=True):
        sample = ours.read(root, key)
        item = make_item(sample, DataConfig())
        sign = [-1.0, 1.0, 1.0] if mirrored else [1.0, 1.0, 1.0]
        for got, given in ((item.joints_m, sample.joints_m), (item.vertices_m, sample.vertices_m)):
            turned = metrics.align_similarity(given * sign, got, scale=False)
            np.testing.assert_allclose(turned, got, atol=1e-9)


def test_augmentation_moves_labels_with_the_image(root):
    """The drawn skeleton is bright under every projected joint, whatever the crop."""
    from hoi_core import crop as crops
    from learning.augment import random_placement

    sample = ours.read(root, ours.index(root, "all")[0])
    box = crops.box_of(cameras.project(sample.camera, sample.joints_m))
    for seed in range(10):
        place = random_placement(Augment(), np.random.default_rng(seed), mirror=False)
        crop = crops.around(sample.camera, box, 128, place)
        image = crops.warp(sample.image, sample.camera, crop)
        pixels = np.rint(cameras.project(crop.camera, crops.to_crop(crop, sample.joints_m))).astype(int)
        inside = ((pixels >= 0) & (pixels < 128)).all(1)
        assert inside.sum() >= 15
        assert (image[pixels[inside, 1], pixels[inside, 0], 0] > 100).all()


def test_the_cached_cut_gives_the_same_crop(root):
    sample = ours.read(root, ours.index(root, "all")[5])
    cut = around_hand(sample, Augment())
    assert cut.image.size < sample.image.size
    for seed in range(5):
        a, b = (make_item(s, DataConfig(), Augment(), np.random.default_rng(seed)) for s in (sample, cut))
        np.testing.assert_allclose(a.K, b.K)
        np.testing.assert_allclose(a.joints_m, b.joints_m)
        assert np.abs(a.pixels.astype(float) - b.pixels).mean() < 0.5


def test_evaluation_is_deterministic_and_training_reproducible(root):
    plain = HandDataset("ours", root, "train", DataConfig())
    np.testing.assert_array_equal(plain[0, 1].pixels, plain[0, 2].pixels)
    trained = HandDataset("ours", root, "train", DataConfig(), augment=Augment(), seed=3)
    np.testing.assert_array_equal(trained[0, 7].pixels, trained[0, 7].pixels)
    assert not np.array_equal(trained[0, 7].pixels, trained[0, 8].pixels)


def test_steps_resume_exactly_and_split_over_processes():
    whole = list(StepSampler([10], [1.0], 4, 0, 0, 6))
    assert list(StepSampler([10], [1.0], 4, 0, 3, 6)) == whole[3:]
    halves = [list(StepSampler([10], [1.0], 2, 0, 0, 6, rank, 2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == whole
    numbers = [n for batch in whole for n, _ in batch]
    assert sorted(numbers[:10]) == list(range(10))


def test_workers_give_the_same_batches(root):
    dataset = HandDataset("ours", root, "all", DataConfig(), augment=Augment())
    sampler = StepSampler(dataset.sizes, dataset.weights, 4, 0, 0, 3)
    for a, b in zip(loader(dataset, sampler, 0), loader(dataset, sampler, 2), strict=True):
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.joints_m, b.joints_m)


def test_colours_change_within_bounds():
    image = np.full((8, 8, 3), 128, np.uint8)
    same = random_colours(image, Augment(brightness=0.0, contrast=0.0, tint=0.0, noise=0.0), np.random.default_rng(0))
    np.testing.assert_array_equal(same, image)
    changed = random_colours(image, Augment(noise=0.0, tint=0.0), np.random.default_rng(0))
    assert 0 < np.abs(changed.astype(int) - 128).max() <= 33


def test_a_network_of_edges_may_see_the_edge_image_alone(root):
    """As the sensor sends it: Sobel's strength in both maps; a share of the samples in training, all on demand."""
    dataset = HandDataset("ours", root, "all", DataConfig())
    item, alone = dataset[0, 0], HandDataset("ours", root, "all", DataConfig(edge_alone=True))[0, 0]
    np.testing.assert_array_equal(alone.pixels, item.pixels[[0, 0]])
    assert (item.pixels[0] != item.pixels[1]).any()
    for share in (0.0, 0.5, 1.0):
        still = Augment(0.0, 0.0, 0.0, 0.0, edge_alone=share)
        trained = HandDataset("ours", root, "all", DataConfig(), augment=still)
        seen = [bool((maps[0] == maps[1]).all()) for maps in (trained[0, place].pixels for place in range(20))]
        assert sum(seen) in {0.0: [0], 0.5: range(4, 17), 1.0: [20]}[share]
    with pytest.raises(ConfigError, match="colours cannot see an edge image"):
        DataConfig(input="rgb", edge_alone=True)


def test_unknown_dataset(root):
    with pytest.raises(ConfigError, match="no dataset named 'hours'") as caught:
        HandDataset("hours", root, "train", DataConfig())
    assert "'ours'" in caught.value.hint


def test_a_wrist_alone_is_no_hand_to_cut_out(root):
    sample = ours.read(root, ours.index(root, "all")[0])
    known = np.arange(21) == 0
    alone = replace(sample, joints_m=np.where(known[:, None], sample.joints_m, np.nan), joints_valid=known)
    with pytest.raises(DatasetError, match="has 1 joints in space"):
        around_hand(alone, None)


def test_the_network_sees_in_training_what_it_sees_at_run_time(root):
    """The whole way, pixel by pixel: crop, edges, fusion."""
    from hoi_core import crop as crops
    from hoi_core.edges import fused_input
    from hoi_core.network_input import network_input

    dataset = HandDataset("ours", root, "all", DataConfig())
    batches = list(loader(dataset, InOrder(len(dataset), 3), 2))
    images = torch.cat([batch.image for batch in batches]).numpy()
    assert len(images) == len(dataset)
    for number, image in enumerate(images):
        sample = dataset.read(number)
        box = crops.box_of(cameras.project(sample.camera, sample.joints_m))
        place = crops.Placement(mirror=sample.side == "left")
        crop = crops.around(sample.camera, box, 128, place)
        seen = fused_input(crops.warp(dataset.sample(number).image, dataset.sample(number).camera, crop))
        np.testing.assert_array_equal(image, seen)
        np.testing.assert_array_equal(network_input(dataset[number, 0].pixels[None], "edges")[0], seen)


def test_the_ground_stays_behind_a_mesh_whose_triangles_are_not_known(root):
    """As MANO's are where only the stand-in hand is at hand: its triangles over them would cut the hand to pieces."""
    sample = ours.read(root, ours.index(root, "all")[0])
    stranger = replace(sample, vertices_m=sample.vertices_m[np.random.default_rng(0).permutation(778)])
    always = Augment(background=1.0)

    def seen(of):
        return make_item(of, DataConfig(), always, np.random.default_rng(7)).pixels

    without = seen(replace(sample, vertices_m=None))
    np.testing.assert_array_equal(seen(stranger), without)
    assert (seen(sample) != without).any()


def test_colours_go_in_from_minus_one_to_one_and_every_joint_lies_where_it_projects(root):
    batch = next(iter(loader(HandDataset("ours", root, "all", DataConfig(input="rgb")), InOrder(2, 2), 0)))
    assert batch.image.shape == (2, 3, 128, 128)
    assert -1 <= batch.image.min() < 0 < batch.image.max() <= 1
    h = batch.joints_m @ batch.K.transpose(1, 2)
    assert batch.pixels_valid.all()
    torch.testing.assert_close(h[..., :2] / h[..., 2:], batch.joints_px, atol=1e-3, rtol=0)


def test_joints_that_are_labelled_in_the_image_only_follow_the_crop(tmp_path):
    from dataset_tools.readers import cmu
    from hoi_core import camera as cameras
    from hoi_core import crop as crops

    cmu.tiny(tmp_path / "cmu")
    dataset = HandDataset("cmu", tmp_path, "train", DataConfig(input="rgb", space=False))
    for number in range(len(dataset)):
        sample, item = dataset.read(number), dataset[number, 0]
        assert not item.joints_valid.any()
        np.testing.assert_array_equal(item.pixels_valid, np.isfinite(sample.joints_px).all(-1))
        crop = crops.around(
            sample.camera,
            crops.box_of(sample.joints_px),
            128,
            crops.Placement(mirror=sample.side == "left"),
        )
        rays = np.c_[(item.joints_px - 63.5) / crop.focal_px, np.ones(21)] @ crop.R_cam_crop.T
        back = cameras.project(sample.camera, rays)[item.pixels_valid]
        np.testing.assert_allclose(back, sample.joints_px[item.pixels_valid], atol=1e-6)
