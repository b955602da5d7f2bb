"""Biomechanical constraints: each term against values by hand, its gradient, and the hand model's own limits."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hoi_core.biomechanics import FLEXION, LIMITS_RAD, pose_from_angles
from hoi_core.mano import ManoLayer
from learning import bmc_losses as bmc

FAN_DEG = (50.0, 20.0, 0.0, -18.0, -40.0)
"""Directions of the palm's bones in its plane, thumb to little."""


def flat_hand(turns: dict[tuple[int, int], Rotation] | None = None) -> torch.Tensor:
    """Fingers straight on in the plane z = 0, bones of 2, 1, 1 and 1; `turns` act about (finger, joint), finger axes.

    Those axes are z along the finger, y in the palm's plane, x out of it, as the module has them.
    """
    joints = np.zeros((21, 3))
    for finger, fan in enumerate(np.deg2rad(FAN_DEG)):
        z = np.array([math.cos(fan), math.sin(fan), 0.0])
        # From thumb to little the normals b' x b look along +z: x is the other way, y = z times x.
        frame = np.stack([[0.0, 0.0, -1.0], np.cross(z, [0.0, 0.0, -1.0]), z], 1)
        at, turned = 2.0 * z, np.eye(3)
        joints[4 * finger + 1] = at
        for along in range(3):
            turned = turned @ (turns or {}).get((finger, along), Rotation.identity()).as_matrix()
            at = at + frame @ turned @ [0.0, 0.0, 1.0]
            joints[4 * finger + 2 + along] = at
    return torch.as_tensor(joints)[None]


def test_bones_are_measured_in_the_middle_fingers():
    lengths = bmc.bones(flat_hand()).norm(dim=-1)
    expected = torch.tensor([1.0, 0.5, 0.5, 0.5] * 5, dtype=torch.double)
    torch.testing.assert_close(lengths[0], expected)


def test_a_flat_palm_has_no_curvature_and_its_angles():
    curvature, spread = bmc.palm(bmc.bones(flat_hand()))
    torch.testing.assert_close(curvature, torch.zeros_like(curvature), atol=1e-9, rtol=0)
    expected = np.deg2rad([30.0, 20.0, 18.0, 22.0])
    torch.testing.assert_close(spread[0], torch.as_tensor(expected), atol=1e-6, rtol=0)


def test_curvature_by_hand():
    """Four roots in the plane z = 0, the little finger's raised out of it."""
    roots = torch.tensor([[1.0, 2, 0], [1, 1, 0], [1, 0, 0], [1, -1, 0], [1, -2, 1]], dtype=torch.double)
    vectors = torch.zeros(1, 20, 3, dtype=torch.double)
    vectors[0, [0, 4, 8, 12, 16]] = roots
    curvature, _ = bmc.palm(vectors)
    # b5 x b4 = (1, -2, 1) x (1, -1, 0) = (1, 1, 1), over sqrt 3; the other three are (0, 0, 1).
    last = np.ones(3) / math.sqrt(3)
    mean = np.array([0.0, 0.0, 1.0]) + last
    e4, e5 = mean / np.linalg.norm(mean), last
    across = np.array([0.0, -1.0, 1.0])
    expected = [0.0, 0.0, (e4 - [0, 0, 1]) @ [0.0, -1.0, 0.0], (e5 - e4) @ across / 2.0]
    torch.testing.assert_close(curvature[0], torch.as_tensor(expected), atol=1e-9, rtol=0)


def test_angles_of_bent_fingers():
    """Each joint turns by what it is bent: flexion about y, then abduction about the turned -x."""
    bends = {(1, 0): (30.0, 10.0), (1, 1): (40.0, 0.0), (1, 2): (25.0, -5.0), (0, 1): (-15.0, 20.0), (4, 2): (70, 0.0)}
    turns = {joint: Rotation.from_euler("YX", [flex, -aside], degrees=True) for joint, (flex, aside) in bends.items()}
    found = bmc.joint_angles(bmc.bones(flat_hand(turns)))[0].rad2deg().unflatten(0, (5, 3))
    for finger in range(5):
        for along in range(3):
            expected = torch.tensor(bends.get((finger, along), (0.0, 0.0)), dtype=torch.double)
            torch.testing.assert_close(found[finger, along], expected, atol=1e-4, rtol=0)


def test_distance_from_a_range_and_from_a_region():
    values = torch.tensor([[0.5, -0.25, 3.0]])
    limits = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    torch.testing.assert_close(bmc.outside(values, limits), torch.tensor([[0.0, 0.25, 2.0]]))
    # A triangle, its last corner twice; within, off a side, off a corner, on the border.
    triangle = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [0.0, 4.0]])
    points = torch.tensor([[1.0, 1.0], [2.0, -3.0], [7.0, -4.0], [3.0, 3.0], [0.0, 2.0]])
    found = bmc.outside_hulls(points[None], triangle.expand(5, 4, 2))
    torch.testing.assert_close(found, torch.tensor([[0.0, 3.0, 5.0, math.sqrt(2), 0.0]]))


def test_gradients_are_those_of_finite_differences():
    rng = torch.Generator().manual_seed(0)
    joints = (flat_hand() + 0.3 * torch.randn(2, 21, 3, generator=rng, dtype=torch.double)).requires_grad_()
    limits = bmc.Limits.of_hand(ManoLayer.stand_in()).to(joints)
    assert all(float(value) > 0 for value in bmc.losses(joints.detach(), limits).values())
    assert torch.autograd.gradcheck(lambda x: tuple(bmc.losses(x, limits).values()), (joints,), fast_mode=True)


def test_a_point_hand_has_finite_gradients():
    joints = torch.zeros(1, 21, 3, requires_grad=True)
    limits = bmc.Limits.of_hand(ManoLayer.stand_in()).to(joints)
    sum(bmc.losses(joints, limits).values()).backward()
    assert torch.isfinite(joints.grad).all()


def test_hands_within_their_limits_pay_next_to_nothing_and_impossible_ones_do():
    layer = ManoLayer.stand_in()
    rng = np.random.default_rng(5)
    angles = rng.uniform(*np.moveaxis(LIMITS_RAD, -1, 0), (40, 15, 3))
    limits = bmc.Limits.of_hand(layer)

    def of(angles, scale=1.0):
        hands = layer(np.zeros((len(angles), 3)), pose_from_angles(angles, layer.joint_frames))
        parts = bmc.losses(torch.as_tensor(hands.joints_m * scale), limits.to(torch.zeros((), dtype=torch.double)))
        return {name: float(value) for name, value in parts.items()}

    within = of(angles)
    assert max(within.values()) < 0.01
    assert of(angles, 1000.0) == pytest.approx(within, abs=1e-9)  # any unit
    # The middle finger's second joint (3 + 1 in MANO's order) 60 degrees back, 55 beyond its limit of 5.
    angles[:, :, :] = 0.0
    angles[:, 4, FLEXION] = np.deg2rad(-60.0)
    assert 15 * of(angles)["angles"] == pytest.approx(np.deg2rad(60.0), abs=np.deg2rad(8.0))


def test_lengths_are_those_of_hands():
    limits = bmc.Limits.of_hand(ManoLayer.stand_in())
    joints = flat_hand().float()
    joints[0, 8] += 3.0 * (joints[0, 8] - joints[0, 7])  # a last bone four times as long
    found = bmc.outside(bmc.bones(joints).norm(dim=-1), limits.lengths)[0, 7]
    assert float(found) == pytest.approx(2.0 - float(limits.lengths[7, 1]), abs=1e-5)
