"""IK networks: their hands, noise, losses, and a run from training to files that are asked for poses."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dataset_tools import angles as fitted
from hoi_cli import eval as evaluation
from hoi_core import ik_model, runtime
from hoi_core.conventions import mirror_x
from hoi_core.crop import camera_space, network_space
from hoi_core.errors import AssetError, ConfigError
from hoi_core.ik import ALL_ANGLES, BIOMECHANICAL
from hoi_core.mano import ManoLayer
from learning import angle_data, kinematics
from learning.angle_data import AngleDataset, disturbed
from learning.augment import Augment
from learning.config import LossWeights, TrainConfig
from learning.evaluate import Evaluated
from learning.export import export
from learning.items import DataConfig
from learning.models import ik_net
from learning.skeleton import Skeleton
from learning.tasks import angles as task
from learning.tasks import hand
from learning.train import train

BOTH = pytest.mark.parametrize("dof", [BIOMECHANICAL, ALL_ANGLES], ids=["23", "45"])


@pytest.fixture(autouse=True, scope="module")
def few_hands():
    """Thousands of hands need not be drawn for what dozens show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(angle_data, "_SPLITS", {"train": 64, "val": 16, "test": 16})
        yield


def data(names="limits", split="train", **more):
    return AngleDataset(names, ".", split, DataConfig(input=more.pop("input", "bones")), **more)


def batch_of(dataset, count=8):
    return dataset.as_batch(dataset.stack([dataset[n, n] for n in range(count)]))


@BOTH
def test_the_skeleton_is_the_hand_model(dof):
    rng, layer = np.random.default_rng(0), ManoLayer.stand_in()
    angles, betas = rng.uniform(*dof.limits_rad.T, (4, len(dof))), rng.normal(size=(4, 10))
    joints = layer(np.zeros((4, 3)), dof.to_pose(angles, layer.joint_frames), betas).joints_m
    found = Skeleton(layer, dof)(torch.tensor(angles).float(), torch.tensor(betas).float())
    np.testing.assert_allclose(found.numpy(), joints - joints[:, :1], atol=1e-6)


def test_slopes_of_the_skeleton_are_its_differences():
    torch.manual_seed(0)
    skeleton = Skeleton(ManoLayer.stand_in(), ALL_ANGLES).double()
    given = tuple(torch.randn(1, n, dtype=torch.float64, requires_grad=True) for n in (45, 10))
    assert torch.autograd.gradcheck(skeleton, given, fast_mode=True)


@pytest.mark.parametrize("name", angle_data.DRAWN)
def test_drawn_hands_are_whole_and_inside_their_limits(name):
    batch = batch_of(data(name), 64)
    low, high = BIOMECHANICAL.limits_rad.T.astype(np.float32)
    assert (batch.angles.numpy() >= low - 1e-6).all()
    assert (batch.angles.numpy() <= high + 1e-6).all()
    posed = Skeleton(ManoLayer.from_env("right"), BIOMECHANICAL)(batch.angles, batch.betas)
    np.testing.assert_allclose(posed.numpy(), batch.joints_m.numpy(), atol=1e-6)
    own = BIOMECHANICAL.pack(ALL_ANGLES.unpack(batch.all_angles.numpy()))
    np.testing.assert_allclose(own, batch.angles.numpy(), atol=1e-7)
    assert batch.betas_valid.all()
    assert batch.bones.shape == (64, 80)


def test_splits_share_no_hand():
    train_hands, test_hands = (batch_of(data(split=split), 16).angles for split in ("train", "test"))
    assert torch.cdist(train_hands, test_hands).min() > 0.01


def test_hands_of_a_dataset_stand_upright_as_right_hands():
    """Of both sides, turned and moved: their angles and shape give the joints that the network is asked for."""
    rng = np.random.default_rng(0)
    angles, betas = rng.uniform(*BIOMECHANICAL.limits_rad.T, (4, 23)), rng.normal(size=(4, 10))
    orient, trans = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    left = np.array([True, False, True, False])
    joints = np.stack(
        [
            layer(orient[n : n + 1], BIOMECHANICAL.to_pose(angles[n : n + 1], layer.joint_frames), betas[n], trans[n])
            .joints_m[0]
            for n, layer in enumerate(ManoLayer.stand_in("left" if flag else "right") for flag in left)
        ]
    )  # fmt: skip
    every = ALL_ANGLES.pack(BIOMECHANICAL.unpack(angles))
    found = fitted.Angles(
        np.array(list("abcd")), left, joints, angles, every, orient, trans, betas, np.ones(4, bool), np.zeros(4)
    )
    hands = angle_data._of_dataset(found)
    posed = Skeleton(ManoLayer.stand_in(), BIOMECHANICAL)(torch.tensor(angles).float(), torch.tensor(betas).float())
    np.testing.assert_allclose(hands.joints_m, posed.numpy(), atol=1e-6)


def test_noise_grows_along_fingers_and_is_the_same_for_the_same_step():
    rng = np.random.default_rng(0)
    still = np.zeros((21, 3))
    off = np.stack([disturbed(still, 10.0, rng) for _ in range(4000)])
    square = (off**2).mean((0, 2)) * 1e6
    # Standard deviations are uniform up to 10 mm, so their mean square is 100 / 3; a joint has its own error, and one
    # for each bone between it and the wrist.
    np.testing.assert_allclose(square[[0, 5, 6, 7, 8]], np.array([1, 2, 3, 4, 5]) * 100 / 3, rtol=0.15)
    noisy = data(augment=Augment(joints_mm=8.0), seed=3)
    np.testing.assert_array_equal(noisy[2, 7].joints_m, noisy[2, 7].joints_m)
    assert np.abs(noisy[2, 7].joints_m - noisy[2, 8].joints_m).max() > 1e-4
    assert torch.equal(batch_of(noisy).joints_m, batch_of(data()).joints_m)  # what is asked for has none


def test_a_known_shape_tells_the_lengths_whatever_was_seen():
    noisy, exact = (data(input="shaped_bones", augment=augment) for augment in (Augment(joints_mm=8.0), None))
    a, b = batch_of(noisy).bones, batch_of(exact).bones
    np.testing.assert_array_equal(a[:, 60:], b[:, 60:])
    assert (a[:, :60] - b[:, :60]).abs().max() > 0.01


@pytest.mark.parametrize("shape", ["solved", "known"])
def test_losses_are_equations_5_to_8(shape):
    net = ik_net.Config(shape=shape)
    settings = TrainConfig(net=net, model="ik_net", loss=LossWeights(ik_angle=2.0, ik_shape=3.0, ik_joint=5.0))
    batch = replace(batch_of(data()), betas_valid=torch.tensor([True] * 6 + [False] * 2))
    rng = np.random.default_rng(0)
    raw = tuple(torch.tensor(rng.normal(0, 0.2, (8, n)), dtype=torch.float32) for n in (23, 10))
    total, parts = task.losses(settings, torch.device("cpu"))(raw, batch)
    layer = ManoLayer.stand_in()
    betas = (batch.betas if shape == "known" else raw[1]).double().numpy()
    pose = BIOMECHANICAL.to_pose(raw[0].double().numpy(), layer.joint_frames)
    joints = layer(np.zeros((8, 3)), pose, betas).joints_m
    off_cm = 100 * ((joints - joints[:, :1]) - batch.joints_m.numpy())
    expected = {
        "angle": 2.0 * np.abs(raw[0].numpy() - batch.angles.numpy()).mean(),
        "shape": 3.0 * np.abs(raw[1].numpy() - batch.betas.numpy())[:6].mean(),
        "joint": 5.0 * np.abs(off_cm).mean(),
    }
    for name, value in expected.items():
        assert float(parts[name]) == pytest.approx(value, rel=1e-4)
    assert float(total) == pytest.approx(sum(expected.values()), rel=1e-4)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, and files of it in float and int8."""
    torch.set_num_threads(1)
    base = tmp_path_factory.mktemp("ik")
    net = ik_net.Config(width=32, layers=2)
    settings = TrainConfig(net=net, model="ik_net", dataset="limits", data=base, size=64, batch_size=16)
    report = train(replace(settings, steps=60, out=base / "run", lr=5e-3, validate_every=30))
    files = {
        "fp32": export(base / "run", base / "fp32.onnx", int8=False, data=base),
        "int8": export(base / "run", base / "int8.onnx", int8=True, data=base, calibrate=16),
    }
    return base, report, files


def test_it_learns(made):
    _, report, _ = made
    assert report.loss_last < 0.75 * report.loss_first
    assert report.best["step"] == 60


@pytest.mark.parametrize("kind", ["fp32", "int8"])
def test_files_say_what_the_network_says_inside_the_limits(made, kind):
    base, _, files = made
    about = files[kind].sidecar
    assert (about.task, about.input, set(about.inputs)) == ("angles", "bones", {"bones"})
    assert about.parity["angles_mean_deg"] < (0.01 if kind == "fp32" else 1.0)
    file, run = (kinematics.open_guesser(base / name) for name in (f"{kind}.onnx", "run"))
    low, high = BIOMECHANICAL.limits_rad.T
    hands = batch_of(data(split="test"), 16).joints_m.double().numpy()
    for side, joints in (("right", hands), ("left", mirror_x(hands))):
        found, expected = (guesser.guess(joints, side) for guesser in (file, run))
        np.testing.assert_allclose(found.angles, expected.angles, atol=1e-4 if kind == "fp32" else 0.1)
    np.testing.assert_allclose(found.angles, file.guess(hands, "right").angles, atol=1e-5)
    odd = file.guess(np.random.default_rng(0).normal(0, 0.05, (32, 21, 3)), "right")  # no hands at all
    assert (odd.angles >= low).all()
    assert (odd.angles <= high).all()


def test_files_of_other_tasks_and_hands_are_refused(made):
    base, _, files = made
    with pytest.raises(AssetError, match="task hand"):
        runtime.load(base / "fp32.onnx")
    other = base / "other.onnx"
    other.write_bytes(files["fp32"].path.read_bytes())
    values = replace(files["fp32"].sidecar, hand_model="0" * 64).to_dict()
    other.with_suffix(".json").write_text(json.dumps(values))
    with pytest.raises(AssetError, match="another hand model"):
        ik_model.load(other)


@pytest.mark.parametrize("name", ["run", "int8.onnx"])
def test_it_stands_behind_a_mesh_network(made, name):
    """What the mesh network says of hands becomes the poses that the IK network guesses of their joints."""
    base, focal = made[0], np.full(16, 150.0)
    hands = batch_of(data(split="test"), 16).joints_m.double().numpy() + np.array([0.0, 0.0, 0.5])
    vertices = np.zeros((16, 778, 3))
    said = (*network_space(hands, focal, 64), vertices, np.ones((16, 21)))
    mesh = Evaluated(lambda _: said, hand, DataConfig(64), "", int8=False)
    seen = SimpleNamespace(
        K=torch.tensor(np.diag([150.0, 150.0, 1.0])).expand(16, 3, 3), image=torch.zeros(16, 1, 64, 64)
    )
    uv, depth, *_ = kinematics.behind_ik(mesh, kinematics.Way(net=base / name)).network(seen)
    guess = kinematics.open_guesser(base / name).guess(hands, "right").posed(ManoLayer.from_env("right"))
    np.testing.assert_allclose(camera_space(uv, depth, focal, 64), guess.joints_m, atol=1e-4)


def test_a_network_of_known_shapes_asks_for_them(made):
    base = made[0]
    about = json.loads((base / "fp32.json").read_text()) | {"input": "shaped_bones"}
    (base / "known.onnx").write_bytes((base / "fp32.onnx").read_bytes())
    (base / "known.json").write_text(json.dumps(about))
    with pytest.raises(ConfigError, match="known shape"):
        kinematics.Kinematics.of(kinematics.Way(net=base / "known.onnx"))
    assert kinematics.Kinematics.of(kinematics.Way(net=base / "known.onnx", known_shape=True)).guesser.needs_shape


def test_the_command_measures_it_alone(made, capsys):
    assert evaluation.main([str(made[0] / "run"), "--dataset", "limits", "--json", str(made[0] / "f.json")]) == 0
    assert "joint angles" in capsys.readouterr().out
    assert evaluation.main([str(made[0] / "run"), "--dataset", "limits", "--report", str(made[0] / "f.html")]) == 2
