"""Anatomical angles: what they mean, their round trip, and the limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from hoi_core import biomechanics as bio
from hoi_core.conventions import FINGERS, SIDES, mirror_axis_angle
from hoi_core.mano import ManoLayer

MANO_BASE = {"index": 0, "middle": 3, "little": 6, "ring": 9, "thumb": 12}
angles_within = hnp.arrays(np.float64, (15, 3), elements=st.floats(-1.4, 1.4))


def joints_of(layer: ManoLayer, angles: np.ndarray) -> np.ndarray:
    return layer(np.zeros((1, 3)), bio.pose_from_angles(angles, layer.joint_frames)[None]).joints_m[0]


@pytest.mark.parametrize("side", SIDES)
@settings(max_examples=30)
@given(angles=angles_within)
def test_round_trip(side, angles):
    layer = ManoLayer.stand_in(side)
    again = bio.anatomical_angles(bio.pose_from_angles(angles, layer.joint_frames), layer.joint_frames)
    np.testing.assert_allclose(again, angles, atol=1e-9)


def test_round_trip_of_poses_in_batches():
    layer = ManoLayer.stand_in()
    pose = np.random.default_rng(0).normal(0, 0.4, (2, 5, 45))
    angles = bio.anatomical_angles(pose, layer.joint_frames)
    assert angles.shape == (2, 5, 15, 3)
    np.testing.assert_allclose(bio.pose_from_angles(angles, layer.joint_frames), pose, atol=1e-9)


@pytest.mark.parametrize("side", SIDES)
def test_frames_are_right_handed_and_orthonormal(side):
    frames = ManoLayer.stand_in(side).joint_frames
    np.testing.assert_allclose(frames.swapaxes(1, 2) @ frames, np.broadcast_to(np.eye(3), (15, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(frames), 1.0, atol=1e-12)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("finger", FINGERS)
@pytest.mark.parametrize("part", [0, 1, 2])
def test_positive_flexion_brings_the_tip_towards_the_palm(side, finger, part):
    layer = ManoLayer.stand_in(side)
    tip = 4 * (FINGERS.index(finger) + 1)
    angles = np.zeros((15, 3))
    before = joints_of(layer, angles)
    angles[MANO_BASE[finger] + part, bio.FLEXION] = 0.5
    after = joints_of(layer, angles)
    assert after[tip, 1] < before[tip, 1] - 2e-3
    # The bone beyond the joint turns by the angle itself.
    j = tip - 3 + part
    a, b = (x[j + 1] - x[j] for x in (before, after))
    turned = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert turned == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("finger", FINGERS[1:])
def test_positive_abduction_moves_towards_the_thumb(side, finger):
    layer = ManoLayer.stand_in(side)
    tip = 4 * (FINGERS.index(finger) + 1)
    angles = np.zeros((15, 3))
    before = joints_of(layer, angles)
    angles[MANO_BASE[finger], bio.ABDUCTION] = 0.2
    assert joints_of(layer, angles)[tip, 2] > before[tip, 2] + 5e-3


def test_twist_leaves_the_bone_in_place():
    layer = ManoLayer.stand_in()
    angles = np.zeros((15, 3))
    before = joints_of(layer, angles)
    angles[12, bio.TWIST] = 0.7
    after = joints_of(layer, angles)
    np.testing.assert_allclose(after[[1, 2]], before[[1, 2]], atol=1e-12)
    assert np.linalg.norm(after[4] - before[4]) > 1e-3


def test_same_angles_make_mirror_poses():
    right, left = ManoLayer.stand_in("right"), ManoLayer.stand_in("left")
    angles = np.random.default_rng(1).normal(0, 0.3, (15, 3))
    np.testing.assert_allclose(
        bio.pose_from_angles(angles, left.joint_frames),
        mirror_axis_angle(bio.pose_from_angles(angles, right.joint_frames)),
        atol=1e-12,
    )


def test_order_of_rotations_is_flexion_abduction_twist():
    """Against scipy's intrinsic Euler angles in the joint's frame."""
    layer = ManoLayer.stand_in()
    angles = np.random.default_rng(2).uniform(-1, 1, (15, 3))
    frames = layer.joint_frames
    pose = bio.pose_from_angles(angles, layer.joint_frames).reshape(15, 3)
    for j in range(15):
        inner = frames[j].T @ Rotation.from_rotvec(pose[j]).as_matrix() @ frames[j]
        np.testing.assert_allclose(Rotation.from_matrix(inner).as_euler("XYZ"), angles[j], atol=1e-9)


def test_twenty_three_degrees_of_freedom():
    assert bio.DOF_MASK.sum() == 23
    for finger in FINGERS[1:]:
        base = MANO_BASE[finger]
        assert bio.DOF_MASK[base : base + 3].tolist() == [
            [True, True, False],
            [True, False, False],
            [True, False, False],
        ]
    assert bio.DOF_MASK[12:].tolist() == [[True] * 3, [True] * 3, [True, False, False]]
    degrees = np.rad2deg(bio.LIMITS_RAD)
    np.testing.assert_allclose(degrees[0, 0], [-20, 90])
    np.testing.assert_allclose(degrees[1, 0], [-5, 110])
    np.testing.assert_allclose(degrees[2, 0], [-5, 80])


def test_limits_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        bio.LIMITS_RAD[0] = 0.0


def test_violation():
    angles = np.zeros((2, 15, 3))
    assert not bio.limit_violation(angles).any()
    angles[0, 1, 0] = np.deg2rad(120)
    angles[1, 4, 2] = -0.25  # the middle joint of a finger does not twist
    expected = np.zeros_like(angles)
    expected[0, 1, 0], expected[1, 4, 2] = np.deg2rad(10), 0.25
    np.testing.assert_allclose(bio.limit_violation(angles), expected, atol=1e-12)


@given(angles=hnp.arrays(np.float64, (15, 3), elements=st.floats(-4, 4)))
def test_clipping_removes_violation_and_moves_by_it(angles):
    clipped = bio.clip_to_limits(angles)
    assert bio.limit_violation(clipped).max() == 0
    np.testing.assert_allclose(np.abs(angles - clipped), bio.limit_violation(angles), atol=1e-12)
