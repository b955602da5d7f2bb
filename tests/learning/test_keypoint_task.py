"""Losses of keypoint maps by hand and by finite differences; a small network trained, quantised, exported and run."""

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from scipy.stats import norm

from dataset_tools.readers import _tiny_ours
from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core import runtime
from hoi_core.errors import AssetError
from hoi_core.keypoint_model import KeypointModel
from hoi_core.types import Batch
from learning.config import TrainConfig
from learning.data import HandDataset
from learning.export import export
from learning.items import DataConfig
from learning.models import keypoints2d
from learning.tasks import keypoints
from learning.train import train

SIGMA, SIZE, CELLS = 1.5, 32, 8


def batch_of(joints_px, known=None):
    joints_px = torch.as_tensor(joints_px, dtype=torch.double)
    n = len(joints_px)
    return Batch(
        image=torch.zeros(n, 3, SIZE, SIZE),
        K=torch.eye(3).repeat(n, 1, 1),
        joints_m=torch.zeros(n, 21, 3),
        joints_valid=torch.zeros(n, 21, dtype=torch.bool),
        vertices_m=torch.zeros(n, 778, 3),
        vertices_valid=torch.zeros(n, dtype=torch.bool),
        R_world_crop=torch.eye(3).repeat(n, 1, 1),
        joints_px=joints_px,
        pixels_valid=torch.ones(n, 21, dtype=torch.bool) if known is None else torch.as_tensor(known),
        mirrored=torch.zeros(n, dtype=torch.bool),
    )


def some(seed=0, n=2):
    g = torch.Generator().manual_seed(seed)
    joints_px = torch.rand(n, 21, 2, generator=g, dtype=torch.double) * (SIZE - 1)
    return torch.randn(n, 22, CELLS, CELLS, generator=g, dtype=torch.double), batch_of(joints_px)


def gaussians(batch):
    """Equation 1 of the paper, pixel by pixel, in pixels of maps of stride 4."""
    out = np.zeros((len(batch.joints_px), 21, CELLS, CELLS))
    for index in np.ndindex(out.shape):
        b, j, row, column = index
        x, y = (batch.joints_px[b, j].numpy() + 0.5) / (SIZE / CELLS) - 0.5
        out[index] = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * SIGMA**2))
    return out


def test_the_papers_loss_is_the_squared_distance_to_its_maps():
    maps, batch = some()
    target = gaussians(batch)
    got = keypoints.squared_losses(maps, batch, SIGMA)
    expected = CELLS * ((maps[:, :21].numpy() - target) ** 2).mean()
    assert float(got["joints"]) == pytest.approx(expected)
    background = 1 - target.max(axis=1)  # equation 2
    assert float(got["background"]) == pytest.approx(((maps[:, 21].numpy() - background) ** 2).mean())
    perfect = torch.as_tensor(np.concatenate([target, background[:, None]], axis=1))
    assert sum(keypoints.squared_losses(perfect, batch, SIGMA).values()) == pytest.approx(0.0, abs=1e-12)


def test_the_softmax_loss_is_the_divergence_from_a_gaussian():
    maps, batch = some()
    flat = torch.zeros_like(maps)
    got = keypoints.softmax_losses(flat, batch, SIGMA)
    expected = []
    for x, y in batch.joints_px.numpy().reshape(-1, 2):
        of_x, of_y = (norm.pdf(np.arange(CELLS), (v + 0.5) / 4 - 0.5, SIGMA) for v in (x, y))
        p = np.outer(of_y / of_y.sum(), of_x / of_x.sum())
        expected.append(rel_entr(p, 1 / CELLS**2).sum())
    assert float(got["joints"]) == pytest.approx(np.mean(expected))
    assert float(got["background"]) == pytest.approx(np.log(2.0))  # a logit of 0 says half, whatever is true
    perfect = torch.as_tensor(np.log(gaussians(batch))) + 3.0  # a constant changes no softmax
    full = torch.cat([perfect, maps[:, 21:]], dim=1)
    assert float(keypoints.softmax_losses(full, batch, SIGMA)["joints"]) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("loss", [keypoints.squared_losses, keypoints.softmax_losses])
def test_gradients(loss):
    maps, batch = some(1, n=1)
    maps.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda m: tuple(loss(m, batch, SIGMA).values()), maps)


@pytest.mark.parametrize("loss", [keypoints.squared_losses, keypoints.softmax_losses])
def test_a_joint_without_a_label_teaches_nothing(loss):
    maps, batch = some(2)
    known = np.ones((2, 21), dtype=bool)
    known[0, 3] = False
    maps.requires_grad_(True)
    batch = batch_of(batch.joints_px, known)
    sum(loss(maps, batch, SIGMA).values()).backward()
    assert not maps.grad[0, 3].any()
    assert not maps.grad[0, 21].any()  # the background around it is unknown too
    assert maps.grad[1, 3].any()
    assert maps.grad[1, 21].any()
    nowhere = sum(loss(maps, batch_of(batch.joints_px, np.zeros((2, 21), bool)), SIGMA).values())
    assert float(nowhere.detach()) == 0.0


def test_a_joint_outside_the_crop_has_no_place_in_the_softmax():
    maps, batch = some(3, n=1)
    outside = batch.joints_px.clone()
    outside[0, 5] = torch.tensor([SIZE + 3.0, 4.0])
    maps.requires_grad_(True)
    keypoints.softmax_losses(maps, batch_of(outside), SIGMA)["joints"].backward()
    assert not maps.grad[0, 5].any()
    assert maps.grad[0, 6].any()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A float run, a QAT run and an int8 file of a narrow network."""
    torch.set_num_threads(1)
    base = tmp_path_factory.mktemp("keypoints")
    data = _tiny_ours.write(base / "data", frames=4)
    about = {"model": "keypoints2d", "data": data, "size": 64, "batch_size": 4, "lr": 5e-3}
    net = keypoints2d.Config(variant="slim", width=0.5)
    report = train(TrainConfig(net=net, out=base / "float", steps=12, **about))
    train(TrainConfig(net=net, out=base / "int8", steps=3, qat=True, from_run=base / "float", **about))
    return base, data, report, export(base / "int8", base / "int8.onnx", int8=True, data=data)


def test_training_lowers_the_loss(made):
    assert made[2].loss_last < 0.9 * made[2].loss_first


def test_the_int8_file_says_what_the_model_says(made):
    base, _, _, exported = made
    assert (exported.sidecar.task, exported.sidecar.input, exported.sidecar.precision) == ("keypoints", "rgb", "int8")
    assert exported.sidecar.parity["moved_mean_share"] < 0.2
    with pytest.raises(AssetError, match="task hand"):
        runtime.load(base / "int8.onnx")


def test_keypoints_of_an_image_are_those_of_its_crop(made):
    base, data, _, _ = made
    model = runtime.load_as(KeypointModel, base / "int8.onnx", threads=1)
    dataset = HandDataset("ours", data, "train", DataConfig(64, input="rgb"))
    sample = dataset.read(0)
    pixels = cameras.project(sample.camera, sample.joints_m)
    box = crops.box_of(pixels)
    found = model.find(sample.image, sample.camera, box, sample.side)
    assert found.shape == (21, 3)
    assert ((found[:, 2] >= 0) & (found[:, 2] <= 1)).all()
    _, crop = model.cut(sample.image, sample.camera, box, sample.side)
    image = torch.from_numpy(np.stack([dataset[0, 0].pixels])).float().div(127.5).sub(1.0).numpy()
    in_crop = model.in_crop(model.run(image)[0][0])
    direction = crops.to_crop(crop, cameras.rays(sample.camera, found[:, :2]))
    np.testing.assert_allclose(cameras.project(crop.camera, direction), in_crop[:, :2], atol=1e-6)
    # Without a camera the crop is cut a little differently.
    guessed = model.find(sample.image, None, box, sample.side)
    assert np.median(np.linalg.norm(guessed[:, :2] - found[:, :2], axis=-1)) < 0.3 * (box[2] - box[0])


def test_a_left_hand_is_seen_mirrored(made):
    model = runtime.load_as(KeypointModel, made[0] / "int8.onnx", threads=1)
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    box = (20.0, 12.0, 40.0, 34.0)
    mirrored_box = (63.0 - box[2], box[1], 63.0 - box[0], box[3])
    right = model.find(rgb, None, box, "right")
    left = model.find(np.ascontiguousarray(rgb[:, ::-1]), None, mirrored_box, "left")
    np.testing.assert_allclose(left[:, 0], 63.0 - right[:, 0], atol=0.5)
    np.testing.assert_allclose(left[:, 1:], right[:, 1:], atol=0.5)


def test_errors_are_distances_in_the_crop_and_unknown_joints_have_none():
    _, batch = some()
    maps = np.concatenate([np.log(np.maximum(gaussians(batch), 1e-30)), np.zeros((2, 1, CELLS, CELLS))], axis=1)
    moved = torch.as_tensor([3.0, 4.0])
    known = np.ones((2, 21), bool)
    known[1, 5] = False
    found = keypoints.errors((maps,), batch_of(batch.joints_px + moved, known), allow_reflection=True)
    assert np.isnan(found["epe_px"][1, 5])
    assert np.isnan(found["pck20"][1, 5])
    inside = ((batch.joints_px > 4) & (batch.joints_px < SIZE - 5)).all(-1).numpy() & known
    assert inside.sum() > 5
    np.testing.assert_allclose(found["epe_px"][inside], 5.0, atol=0.8)
    np.testing.assert_allclose(found["epe_auc"][inside], 1 - found["epe_px"][inside] / 30, atol=0.02)
    # Five pixels are within a fifth of boxes of nearly 32.
    assert found["pck20"][inside].mean() > 0.9
