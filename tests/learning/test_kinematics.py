"""A network behind inverse kinematics."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hoi_cli import eval as command
from hoi_core.crop import LENGTH_UNIT_M, camera_space, network_space
from hoi_core.errors import ConfigError
from hoi_core.ik import BIOMECHANICAL
from hoi_core.mano import ManoLayer
from learning.evaluate import Evaluated
from learning.items import DataConfig
from learning.kinematics import Kinematics, Way, behind_ik
from learning.tasks import hand, keypoints

SIZE, FOCAL, HANDS = 64, 150.0, 12


def drawn_shapes() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(HANDS, 10))


def hands() -> tuple[np.ndarray, np.ndarray]:
    """Joints and vertices in front of the camera, m."""
    rng, layer = np.random.default_rng(0), ManoLayer.stand_in()
    low, high = BIOMECHANICAL.limits_rad.T
    pose = BIOMECHANICAL.to_pose(rng.uniform(low, high, (HANDS, 23)), layer.joint_frames)
    out = layer(rng.normal(0, 1, (HANDS, 3)), pose, 0.5 * drawn_shapes(), np.tile([0.0, 0.0, 0.5], (HANDS, 1)))
    return out.joints_m, out.vertices_m


def batch() -> Any:
    K = torch.tensor([[FOCAL, 0.0, 32.0], [0.0, FOCAL, 32.0], [0.0, 0.0, 1.0]]).expand(HANDS, 3, 3)
    return SimpleNamespace(K=K, image=torch.zeros(HANDS, 1, SIZE, SIZE))


def model(joints: np.ndarray, vertices: np.ndarray) -> Evaluated:
    focal = np.full(HANDS, FOCAL)

    def network(_: Any) -> tuple[np.ndarray, ...]:
        relative = (vertices - joints[:, :1]) / LENGTH_UNIT_M
        return *network_space(joints, focal, SIZE), relative, np.ones((HANDS, 21))

    return Evaluated(network, hand, DataConfig(SIZE), "", int8=False)


def said(model: Evaluated) -> tuple[np.ndarray, np.ndarray]:
    uv, depth, vertices, confidence = model.network(batch())
    assert confidence.shape == (HANDS, 21)
    joints = camera_space(uv, depth, np.full(HANDS, FOCAL), SIZE)
    return joints, joints[:, :1] + vertices * LENGTH_UNIT_M


def mean_mm(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b, axis=-1).mean() * 1e3)


def test_what_is_said_is_the_inverse_of_how_it_is_read():
    joints, vertices = hands()
    read = said(model(joints, vertices))
    np.testing.assert_allclose(read[0], joints, atol=1e-12)
    np.testing.assert_allclose(read[1], vertices, atol=1e-12)


def test_a_true_hand_stays_and_post_optimisation_undoes_what_joints_get_wrong():
    joints, vertices = hands()
    exact = said(behind_ik(model(joints, vertices), Way(post_opt=True)))
    assert mean_mm(exact[0], joints) < 1.0
    assert mean_mm(exact[1], vertices) < 1.0
    noise = np.random.default_rng(1).normal(0, 0.004, joints.shape)
    rough = model(joints + noise, vertices)
    alone, after = (said(behind_ik(rough, Way(post_opt=post))) for post in (False, True))
    assert mean_mm(after[0], joints) < 0.8 * mean_mm(alone[0], joints)
    assert mean_mm(after[1], vertices) < 0.8 * mean_mm(alone[1], vertices)


def labelled(joints: np.ndarray, vertices: np.ndarray) -> Any:
    """A batch with its labels."""
    known = torch.ones(HANDS, 21, dtype=torch.bool)
    return SimpleNamespace(
        **vars(batch()), joints_m=torch.tensor(joints), joints_valid=known, vertices_m=torch.tensor(vertices)
    )


def test_a_shape_is_measured_on_the_label_and_kept():
    """Of joints that are said too large the pose is that of a hand of the label's shape."""
    joints, vertices = hands()
    true = labelled(joints, vertices)
    shapes = Kinematics.of(Way()).measured(true)
    layer = ManoLayer.stand_in()
    rest = layer(np.zeros((HANDS, 3)), np.zeros((HANDS, 45)), shapes).vertices_m
    expected = layer(np.zeros((HANDS, 3)), np.zeros((HANDS, 45)), 0.5 * drawn_shapes()).vertices_m
    assert mean_mm(rest - rest.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True)) < 0.1
    middle = joints.mean(1, keepdims=True)
    large = [middle + 1.15 * (points - middle) for points in (joints, vertices)]
    for post in (False, True):
        way = Way(post_opt=post, known_shape=True)
        uv, depth, *_ = behind_ik(model(*large), way).network(true)
        found = Kinematics.of(way).solve(*large, shapes)
        np.testing.assert_array_equal(found.betas, shapes)
        expected = found.posed(layer).joints_m
        assert mean_mm(camera_space(uv, depth, np.full(HANDS, FOCAL), SIZE), expected) < 0.2


def test_a_mesh_of_another_hand_tells_no_shape():
    """Vertices in another order are left out: the shape is then what the joints say."""
    joints, vertices = hands()
    kinematics = Kinematics.of(Way())
    mixed = kinematics.measured(labelled(joints, vertices[:, np.random.default_rng(3).permutation(778)]))
    unknown = kinematics.measured(labelled(joints, np.full_like(vertices, np.nan)))
    np.testing.assert_array_equal(mixed, unknown)


def test_a_network_without_a_mesh_is_refused():
    joints, vertices = hands()
    with pytest.raises(ConfigError, match="mesh"):
        behind_ik(replace(model(joints, vertices), task=keypoints), Way())


@pytest.mark.parametrize("flags", [["model.onnx", "--post-opt"], ["--predictions", "pred.zip", "--ik"]])
def test_the_command_refuses_flags_that_do_not_go_together(flags, capsys):
    assert command.main(flags) == 2
    assert "--ik" in capsys.readouterr().err
