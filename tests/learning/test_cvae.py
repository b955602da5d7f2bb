"""The cross-model CVAE: its losses by hand, which path depends on what, what is left out, and that it learns."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core.config import read_yaml
from hoi_core.errors import ConfigError
from hoi_core.grasp_model import boxes_in_crop, crop_box
from hoi_core.known_object import KnownObject
from hoi_core.mano import ManoLayer
from hoi_core.object_pose_model import N_HAND_POSE, ObjectPoseModel
from hoi_core.pose_vector import from_pose
from hoi_core.types import Camera
from learning import cvae_losses, models
from learning.config import TrainConfig, settings_from
from learning.grasps import GraspBatch
from learning.loop import learning_rate
from learning.models import cvae
from learning.presets import find
from learning.tasks import object_pose

TINY = {"width": 0.125, "layers": 0.1, "features": 16, "cells": 8, "attention_width": 8, "latent": 8, "objects": 3}
SIZE, COUNT = 64, 8
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def batch() -> GraspBatch:
    """Eight hands with objects before a lens, their images noise that tells them apart."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    focal = rng.uniform(100.0, 160.0, COUNT)
    trans = np.stack([*rng.normal(0.0, 0.02, (2, COUNT)), 0.4 * focal / SIZE], 1)
    pose = rng.normal(0.0, [0.5] * 3 + [0.2] * 45, (COUNT, 48))
    betas = rng.normal(0.0, 0.5, (COUNT, 10))
    hands = ManoLayer.stand_in("right")(pose[:, :3], pose[:, 3:], betas, trans)
    K = np.zeros((COUNT, 3, 3))
    K[:, 2, 2], K[:, :2, 2] = 1.0, (SIZE - 1) / 2
    K[:, 0, 0] = K[:, 1, 1] = focal
    joints_px = hands.joints_m[..., :2] / hands.joints_m[..., 2:] * focal[:, None, None] + (SIZE - 1) / 2
    T = np.tile(np.eye(4), (COUNT, 1, 1))
    T[:, :3, :3] = Rotation.random(COUNT, random_state=1).as_matrix()
    T[:, :3, 3] = trans + rng.normal(0.0, 0.03, (COUNT, 3))
    noise = torch.rand(COUNT, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    low, high = joints_px.min(1), joints_px.max(1)
    corners = rng.normal(0.0, 0.05, (21, 3))
    arrays = {
        "K": K,
        "joints_m": hands.joints_m,
        "vertices_m": hands.vertices_m,
        "joints_px": joints_px,
        "R_world_crop": np.tile(np.eye(3), (COUNT, 1, 1)),
        "hand_box": np.concatenate([low, high], 1),
        "object_box": np.tile([10.0, 10.0, 50.0, 50.0], (COUNT, 1)),
        "hand_R": Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(COUNT, 16, 3, 3),
        "betas": betas,
        "T_crop_obj": T,
        "object_scale": np.ones(COUNT),
        "control_m": np.tile(corners, (COUNT, 1, 1)),
        "control_px": np.zeros((COUNT, 21, 2)),
    }
    true = torch.ones(COUNT, dtype=torch.bool)
    return GraspBatch(
        image=noise.repeat_interleave(8, 2).repeat_interleave(8, 3) * 2 - 1,
        joints_valid=true[:, None].expand(-1, 21),
        vertices_valid=true,
        pixels_valid=true[:, None].expand(-1, 21),
        mirrored=~true,
        params_valid=true,
        object_valid=true,
        object_id=torch.arange(COUNT) % 3,
        mask=torch.ones(COUNT, 8, 8, dtype=torch.bool),
        **{name: torch.as_tensor(x).float() for name, x in arrays.items()},
    )


def network(**options) -> torch.nn.Module:
    torch.manual_seed(0)
    return models.build("cvae", **TINY | options)


def losses(**options) -> object_pose.CvaeLosses:
    return object_pose.losses(TrainConfig(cvae.Config(**TINY | options), model="cvae", size=SIZE, steps=200), CPU)


def given(batch: GraspBatch) -> tuple[torch.Tensor, ...]:
    return (*object_pose.inputs(batch), *object_pose.training_inputs(batch))


def test_divergence_by_hand():
    """-0.5 (1 + ln s2 - m^2 - s2): 0.5 for mean 1, (3 - ln 4) / 2 for variance 4."""
    mean, log_variance = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, math.log(4.0)], [0.0, 0.0]])
    found = cvae_losses.divergence(mean, log_variance)
    torch.testing.assert_close(found, torch.tensor([0.5 + 0.5 * (3.0 - math.log(4.0)), 0.0]))


def test_beta_falls_as_the_papers_epochs_do():
    expected = {0: 0.5, 9: 0.5, 10: 0.1, 19: 0.1, 20: 0.01, 39: 0.01, 40: 1e-3, 59: 1e-3, 60: 1e-4, 199: 1e-4}
    assert {epoch: cvae_losses.beta(epoch / 200) for epoch in expected} == expected
    loss = losses()
    loss.at(30)
    assert loss.beta == 0.01
    fixed = losses(beta=0.02)
    fixed.at(30)
    assert fixed.beta == 0.02


def test_terms_of_the_hand_by_hand(batch):
    """20 joints a decimetre off, the wrist a tenth of a turn, one number of the shape 2 too large."""
    layer = ManoLayer.stand_in("right")
    raw = torch.zeros(COUNT, N_HAND_POSE), torch.zeros(COUNT, 10)
    flat = layer(torch.zeros(COUNT, 3), torch.zeros(COUNT, 45)).joints_m
    off = torch.zeros(21, 3)
    off[1:, 0] = 0.1
    turned = torch.eye(3).expand(COUNT, 16, 3, 3).clone()
    turned[:, 0] = torch.as_tensor(Rotation.from_rotvec([0.2 * math.pi, 0.0, 0.0]).as_matrix())
    shape = torch.zeros(COUNT, 10)
    shape[:, 4] = 2.0
    labels = replace(batch, joints_m=flat + off + 0.3, hand_R=turned, betas=shape)
    found = cvae_losses.hand(raw, labels, layer, None)
    assert {k: float(v) for k, v in found.items()} == pytest.approx(
        {"joints": 20.0, "angles": 2.0 * (1.0 - math.cos(0.2 * math.pi)), "shape": 4.0}, rel=1e-4
    )
    # Of hands without a label nothing counts, and what stands there in place of numbers does no harm.
    half = torch.arange(COUNT) < 4
    labels = replace(
        labels, params_valid=half, hand_R=torch.where(half[:, None, None, None], turned, torch.nan),
        betas=torch.where(half[:, None], shape, torch.nan),
    )  # fmt: skip
    pose = torch.zeros(COUNT, N_HAND_POSE, requires_grad=True)
    again = cvae_losses.hand((pose, torch.zeros(COUNT, 10)), labels, layer, None)
    assert float(again["shape"]) == pytest.approx(4.0)
    (again["angles"] + again["shape"]).backward()
    assert torch.isfinite(pose.grad).all()
    assert not pose.grad[4:].any()


def test_places_are_measured_in_the_hands_box(batch):
    side = (batch.hand_box[:, 2:] - batch.hand_box[:, :2])[:, None]
    off = torch.tensor([0.3, -0.4]) * side
    assert float(cvae_losses.places(batch.joints_px + off, batch)) == pytest.approx(0.25, rel=1e-4)


def test_each_path_depends_on_its_own_encoder(batch):
    """What the image's encoder makes does not change with the pose, and the other way round; both share decoders."""
    net = network().train()
    image, box, number = object_pose.inputs(batch)
    image, pose = image.clone().requires_grad_(), object_pose.true_pose(batch).requires_grad_()
    raw = net(image, box, number, pose)
    paths = cvae_losses.Paths(*raw[5:])
    for name, of_image in (
        ("pose_of_image", True),
        ("image_of_image", True),
        ("mean", True),
        ("log_variance", True),
        ("pose_of_pose", False),
        ("image_of_pose", False),
        ("own_mean", False),
        ("own_log_variance", False),
    ):
        value = getattr(paths, name)
        on = torch.autograd.grad(value.square().sum(), (image, pose), retain_graph=True, allow_unused=True)
        depends = [grad is not None and bool((grad != 0).any()) for grad in on]
        assert depends == [of_image, not of_image], name
    for decoder, names in ((net.pose_decoder, ("pose_of_image", "pose_of_pose")),
                           (net.image_decoder, ("image_of_image", "image_of_pose"))):  # fmt: skip
        for name in names:
            weight = next(decoder.parameters())
            (grad,) = torch.autograd.grad(getattr(paths, name).square().sum(), weight, retain_graph=True)
            assert grad.any(), name


def test_what_is_exported_is_the_image_through_the_poses_decoder(batch):
    """By the latent's mean: nothing is drawn outside of training, where the same input gives other poses each time."""
    net = network().eval()
    shown = object_pose.inputs(batch)
    with torch.no_grad():
        said = net(*shown)
        features, _ = net.encoder(shown[0])
        seen = net.image_encoder.features(torch.nn.functional.adaptive_avg_pool2d(features, 8))
        z = torch.cat([net.image_encoder.gaussian.mean(seen), torch.eye(3)[batch.object_id]], 1)
        torch.testing.assert_close(said[4], net.units(net.pose_decoder(z)))
        torch.testing.assert_close(net(*shown)[4], said[4])
        net.train()
        assert not torch.equal(net(*shown)[4], net(*shown)[4])


def test_unknown_objects_are_all_alike_and_known_ones_are_not(batch):
    net = network().eval()
    image, box, number = object_pose.inputs(batch)
    with torch.no_grad():
        unknown = net(image, box, torch.full_like(number, -1.0))[4]
        torch.testing.assert_close(net(image, box, torch.full_like(number, 3.0))[4], unknown)
        assert (net(image, box, torch.zeros_like(number))[4] - unknown).abs().amax(1).min() > 1e-6
        without = network(condition=False).eval()
        torch.testing.assert_close(without(image, box, number)[4], without(image, box, number + 1)[4])


def test_samples_without_an_object_teach_nothing_of_poses(batch):
    """No gradient of theirs reaches the pose's decoder; their images are reconstructed all the same."""
    net, loss = network().eval(), losses(learn="object", beta=0.0)
    net.train()
    for module in net.modules():  # each sample by itself: norms over the batch would tie them together
        if hasattr(module, "running_mean"):
            module.eval()
    gone = torch.zeros_like(batch.object_valid)
    missing = replace(
        batch, object_valid=gone, object_id=torch.full_like(batch.object_id, -1),
        T_crop_obj=torch.full_like(batch.T_crop_obj, torch.nan), mask=torch.zeros_like(batch.mask),
    )  # fmt: skip
    value, parts = loss(net(*given(missing)), missing)
    value.backward()
    assert torch.isfinite(value)
    assert all(parts[name].detach() == 0 for name in ("pose_of_image", "pose_of_pose", "image_of_pose", "divergence_1"))
    untouched = (*net.pose_decoder.parameters(), *net.pose_encoder.parameters())
    assert not any(p.grad is not None and p.grad.any() for p in untouched)
    assert any(p.grad is not None and p.grad.any() for p in net.image_encoder.parameters())


@pytest.mark.parametrize(("learn", "still"), [("hand", ("pose_", "image_")), ("object", ("hand",))])
def test_one_half_alone(batch, learn, still):
    net, loss = network(learn=learn).train(), losses(learn=learn)
    value, _ = loss(net(*given(batch)), batch)
    value.backward()
    for name, weight in net.named_parameters():
        moved = weight.grad is not None and bool((weight.grad != 0).any())
        assert moved != name.startswith(still), name


def test_table_4(batch):
    """Each option takes its part of the network or of the loss away."""
    names = dict(network().named_modules())
    plain = dict(network(hand_attention=False, object_attention=False).named_modules())
    assert any("attend" in name for name in names)
    assert not any("attend" in name for name in plain)
    raw = network().train()(*given(batch))
    assert "bmc" in losses()(raw, batch)[1]
    assert "bmc" not in losses(bmc=0.0)(raw, batch)[1]
    assert "image_of_pose" not in losses(paths="pose")(raw, batch)[1]


def test_the_sum_is_equation_8(batch):
    raw = network().train()(*given(batch))
    value, p = losses(branch_1=2.0, branch_2=3.0, bmc=0.25, places=4.0, beta=0.1)(raw, batch)
    hand = 0.5 * p["joints"] + 5e-7 * p["angles"] + 5e-5 * p["shape"] + 0.25 * p["bmc"] + 4.0 * p["places"]
    first = p["pose_of_pose"] + p["divergence_1"] + p["image_of_pose"]
    second = p["pose_of_image"] + p["divergence_2"] + p["image_of_image"]
    torch.testing.assert_close(value, hand + 2.0 * first + 3.0 * second)
    paths = cvae_losses.Paths(*raw[5:])
    divergence = cvae_losses.divergence(paths.own_mean, paths.own_log_variance).mean()
    torch.testing.assert_close(p["divergence_1"], 0.1 * divergence)


def test_eight_samples_are_learnt_by_heart(batch):
    """Both halves, over the crossed path as well, and the exported outputs say what the losses do."""
    net, loss = network().train(), losses(beta=1e-4)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    values = []
    for _ in range(8):
        optimizer.zero_grad()
        value, parts = loss(net(*given(batch)), batch)
        value.backward()
        optimizer.step()
        values.append({name: float(part.detach()) for name, part in parts.items()})
    shares = {"joints": 0.6, "places": 1.0, "pose_of_image": 0.7, "pose_of_pose": 0.5, "image_of_image": 0.95}
    for name, share in shares.items():
        assert values[-1][name] < share * values[0][name], (name, values[0][name], values[-1][name])


def test_differences_and_errors_of_a_perfect_network(batch):
    raw = _perfect(batch)
    assert max(float(v.max()) for v in object_pose.differences(raw, raw, batch).values()) == 0.0
    moved = raw[4].copy()
    moved[:, 0] += 0.01
    off = object_pose.differences(raw, (*raw[:4], moved), batch)
    np.testing.assert_allclose(off["object_mm"], 10.0, rtol=1e-6)
    vertices = np.random.default_rng(2).normal(0.0, 0.05, (12, 3))
    faces = np.arange(12, dtype=np.int32).reshape(4, 3)
    objects = tuple(KnownObject(name, vertices, faces) for name in ("mug", "box", "can"))
    errors = object_pose.errors(raw, replace(batch, objects=objects), allow_reflection=False)
    assert float(errors["object_add_mm"].max()) < 0.01
    np.testing.assert_allclose(
        object_pose.errors((*raw[:4], moved), replace(batch, objects=objects), allow_reflection=False)["object_mce_mm"],
        10.0, rtol=1e-4,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="--objects 4"):
        losses()(raw, replace(batch, objects=(*objects, objects[0])))
    assert float(np.nanmax(errors["mpjpe_mm"])) < 0.01
    assert float(np.nanmax(errors["xyz_mm"])) < 0.2  # the wrist's place is found from pixels
    np.testing.assert_allclose(object_pose.pixels(raw, batch), batch.joints_px.numpy(), atol=1e-3)


def _perfect(batch: GraspBatch) -> tuple[np.ndarray, ...]:
    """What a network without error says of a batch."""
    low, high = batch.hand_box[:, None, :2].double().numpy(), batch.hand_box[:, None, 2:].double().numpy()
    turns = Rotation.from_matrix(batch.hand_R.double().numpy().reshape(-1, 3, 3)).as_rotvec()
    nine = from_pose(batch.T_crop_obj.double().numpy(), batch.K[:, 0, 0].double().numpy(), SIZE)
    at = (batch.joints_px.double().numpy() - low) / (high - low)
    return turns.reshape(COUNT, -1), batch.betas.double().numpy(), at, np.ones((COUNT, 21)), nine


@pytest.mark.parametrize("side", ["right", "left"])
def test_predictions_come_back_into_the_cameras_frame(side):
    """A network that sees a crop without error gives hand and object back; a left hand is mirrored both ways."""
    camera = Camera(640, 480, 600.0, 610.0, 310.0, 250.0, (0.05, -0.02, 0.001, 0.0, 0.0))
    rng = np.random.default_rng(4)
    T = cameras.rigid(Rotation.random(random_state=3).as_matrix(), np.array([0.05, 0.02, 0.7]))
    hand_box, object_box = (250.0, 180.0, 330.0, 260.0), (300.0, 200.0, 400.0, 300.0)
    crop = crops.around(camera, crop_box(hand_box, object_box), SIZE, crops.Placement(scale=1.0, mirror=side == "left"))
    # In the crop a right hand is seen, and of a left one's object the mirror image.
    flip = np.diag([-1.0, 1.0, 1.0]) if side == "left" else np.eye(3)
    T_crop = cameras.rigid(crop.R_cam_crop.T @ T[:3, :3] @ flip, crop.R_cam_crop.T @ T[:3, 3])
    turns, betas = rng.normal(0.0, 0.3, (1, 48)), rng.normal(0.0, 1.0, (1, 10))
    shift = crop.R_cam_crop.T @ np.array([[-0.02], [0.0], [0.65]])
    seen = ManoLayer.stand_in("right")(turns[:, :3], turns[:, 3:], betas, shift.T)
    pixels = cameras.project(crop.camera, seen.joints_m[0])
    box, _ = boxes_in_crop(crop, camera, hand_box, None)
    raw = (
        turns,
        betas,
        ((pixels - box[:2]) / (box[2:] - box[:2]))[None],
        np.ones((1, 21)),
        from_pose(T_crop[None], np.array([crop.focal_px]), SIZE),
    )
    asked = []

    def run(names, feed):
        asked.append(feed)
        return raw

    about = SimpleNamespace(
        size=SIZE, side="right", input="rgb", edges=None, hand_model=ManoLayer.stand_in("right").model.source,
        training={"objects": [{"name": "mug"}, {"name": "box"}], "options": {"learn": "joint"}},
    )  # fmt: skip
    model = ObjectPoseModel(SimpleNamespace(run=run), about)
    control = rng.normal(0.0, 0.1, (21, 3))
    image = np.zeros((480, 640, 3), np.uint8)
    found = model.predict(image, camera, hand_box, object_box, control_m=control, side=side, name="box")
    np.testing.assert_allclose(found.T_cam_obj, T, atol=1e-9)
    np.testing.assert_allclose(found.hand.joints_m, crops.from_crop(crop, seen.joints_m[0]), atol=1e-5)
    np.testing.assert_allclose(found.hand.vertices_m, crops.from_crop(crop, seen.vertices_m[0]), atol=1e-5)
    np.testing.assert_allclose(found.control_px, cameras.project(camera, cameras.transform(T, control)), atol=1e-6)
    assert asked[0]["object_number"].tolist() == [1.0]
    np.testing.assert_allclose(asked[0]["hand_box"][0], box, rtol=1e-6)
    model.predict(image, camera, hand_box, object_box, side=side)
    assert asked[1]["object_number"].tolist() == [-1.0]
    with pytest.raises(ConfigError, match="bix"):
        model.predict(image, camera, hand_box, object_box, name="bix")
    about.training["options"]["learn"] = "hand"
    assert np.isnan(model.predict(image, camera, hand_box, object_box, side=side, name="box").T_cam_obj).all()
    about.training["options"]["learn"] = "object"
    only = model.predict(image, camera, hand_box, object_box, side=side, name="box")
    assert np.isnan(only.hand.joints_m).all()
    np.testing.assert_allclose(only.T_cam_obj, T, atol=1e-9)


def test_options_that_cannot_be():
    for wrong in ({"cells": 12}, {"objects": 0}, {"beta": -1.0}, {"bmc": float("nan")}, {"spread_m": 0.0}):
        with pytest.raises(ConfigError):
            cvae.Config(**wrong)


def test_the_papers_learning_rate():
    """Halved after each 20 of 200 epochs until 100, then constant; the first three in a hundred steps warm up."""
    settings = settings_from({**read_yaml(find(Path("cvae_paper"))), "epochs": None, "steps": 200}, "cvae_paper")
    expected = {19: 1e-4, 20: 5e-5, 59: 2.5e-5, 60: 1.25e-5, 99: 6.25e-6, 100: 3.125e-6, 199: 3.125e-6}
    assert {step: learning_rate(settings, step) for step in expected} == pytest.approx(expected)
