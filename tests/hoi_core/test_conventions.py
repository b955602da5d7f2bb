"""Joint orders against the literal index lists of the datasets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoi_core import conventions as c
from hoi_core.errors import ConfigError

# OpenPose order <- dataset order, as the datasets document them.
FROM_HO3D = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]
FROM_RHD = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]
FROM_INTERHAND = [20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16]
ORDERS_WITH_WRIST = ["openpose21", "mano21", "rhd21", "interhand21"]


@pytest.mark.parametrize(
    ("order", "expected"), [("mano21", FROM_HO3D), ("rhd21", FROM_RHD), ("interhand21", FROM_INTERHAND)]
)
def test_published_index_lists(order, expected):
    assert c.permutation(order, "openpose21").tolist() == expected


def test_mano16_groups():
    """0 wrist; 1-3 index; 4-6 middle; 7-9 little; 10-12 ring; 13-15 thumb."""
    assert c.permutation("openpose21", "mano16").tolist() == [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3]
    assert c.JOINT_ORDERS["mano21"][:16] == c.JOINT_ORDERS["mano16"]
    assert c.JOINT_ORDERS["mano21"][16:] == ("thumbtip", "indextip", "middletip", "ringtip", "littletip")


def test_stb_has_a_palm_and_starts_with_the_little_finger():
    order = c.JOINT_ORDERS["stb21"]
    assert order[0] == "palm"
    assert order[1:5] == ("little1", "little2", "little3", "littletip")
    assert order[17:] == ("thumb1", "thumb2", "thumb3", "thumbtip")
    with pytest.raises(ConfigError, match="has no wrist"):
        c.permutation("stb21", "openpose21")


def test_openpose_names():
    assert c.JOINT_NAMES[:6] == ("wrist", "thumb1", "thumb2", "thumb3", "thumbtip", "index1")
    assert c.JOINT_NAMES[20] == "littletip"
    for order in c.JOINT_ORDERS.values():
        assert len(set(order)) == len(order)


@given(st.sampled_from(ORDERS_WITH_WRIST), st.sampled_from(ORDERS_WITH_WRIST), st.integers(0, 2**32 - 1))
def test_reorder_round_trip(source, target, seed):
    joints = np.random.default_rng(seed).normal(size=(2, 21, 3))
    there = c.reorder(joints, source, target)
    np.testing.assert_array_equal(c.reorder(there, target, source), joints)
    name = c.JOINT_ORDERS[source][seed % 21]
    np.testing.assert_array_equal(there[:, c.JOINT_ORDERS[target].index(name)], joints[:, seed % 21])


def test_reorder_copies():
    joints = np.zeros((21, 3))
    c.reorder(joints, "openpose21", "openpose21")[0] = 1.0
    assert not joints.any()


def test_reorder_errors():
    with pytest.raises(ConfigError, match="no joint order named 'nyu'"):
        c.reorder(np.zeros((21, 3)), "nyu", "openpose21")
    with pytest.raises(ConfigError, match="thumbtip"):
        c.reorder(np.zeros((16, 3)), "mano16", "openpose21")
    with pytest.raises(ValueError, match=r"must be \(\.\.\., 21, D\), got \(16, 3\)"):
        c.reorder(np.zeros((16, 3)), "openpose21", "mano21")
    with pytest.raises(ValueError, match="must be"):
        c.reorder(np.zeros(21), "openpose21", "mano21")


def test_fingertip_sets():
    assert c.fingertips() == (744, 320, 443, 554, 671)
    assert c.fingertips("freihand") == (744, 320, 443, 555, 672)
    assert c.fingertips("manopth") == (745, 317, 444, 556, 673)
    assert c.fingertips("contactpose") == (745, 333, 444, 555, 672)
    assert c.fingertips("honnotate") == (745, 320, 444, 555, 657)
    ids = [i for tips in c.FINGERTIP_VERTICES.values() for i in tips]
    assert min(ids) >= 0
    assert max(ids) < c.N_VERTICES
    with pytest.raises(ConfigError, match="no fingertip set"):
        c.fingertips("mine")


def test_trees():
    names = c.JOINT_ORDERS["mano16"]
    for j, p in enumerate(c.MANO_PARENTS[1:], start=1):
        base = names[j].endswith("1")
        assert names[p] == ("wrist" if base else names[j][:-1] + str(int(names[j][-1]) - 1))
    for p, j in c.BONES:
        assert c.JOINT_PARENTS[j] == p
    assert len(c.BONES) == 20
    assert [c.JOINT_NAMES[j] for j in c.finger_joints("ring")] == ["ring1", "ring2", "ring3", "ringtip"]


@given(st.integers(0, 2**32 - 1))
def test_mirroring_turns_rotations_with_the_points(seed):
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=3), rng.normal(size=3)
    turned = Rotation.from_rotvec(w).apply(x)
    mirrored = Rotation.from_rotvec(c.mirror_axis_angle(w)).apply(c.mirror_x(x))
    np.testing.assert_allclose(mirrored, c.mirror_x(turned), atol=1e-12)
    pose = rng.normal(size=(2, 45))
    np.testing.assert_array_equal(
        c.mirror_axis_angle(pose).reshape(2, 15, 3), c.mirror_axis_angle(pose.reshape(2, 15, 3))
    )
