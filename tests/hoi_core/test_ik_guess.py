"""What goes before and behind an IK network: bones of a hand, and a hand of angles laid onto joints."""

from __future__ import annotations

import numpy as np
import pytest

from hoi_core import rotation
from hoi_core.conventions import BONES, SIDES, mirror_x
from hoi_core.crop import LENGTH_UNIT_M
from hoi_core.errors import ConfigError
from hoi_core.ik import ALL_ANGLES, BIOMECHANICAL, ik_hand
from hoi_core.ik.bones import bone_lengths, bones
from hoi_core.ik.guess import Guesser
from hoi_core.ik.place import laid_onto, upright_points
from hoi_core.mano import ManoLayer

HANDS = 5


def poses(dof=BIOMECHANICAL, seed=0):
    """Angles inside their limits and shapes of some hands."""
    rng = np.random.default_rng(seed)
    low, high = dof.limits_rad.T
    return rng.uniform(low, high, (HANDS, len(dof))), rng.normal(size=(HANDS, 10))


def posed(side, angles, betas, orient=None, trans=None, dof=BIOMECHANICAL):
    layer = ManoLayer.stand_in(side)
    turn = np.zeros((HANDS, 3)) if orient is None else orient
    return layer(turn, dof.to_pose(angles, layer.joint_frames), betas, trans).joints_m


def flat(betas=None):
    layer = ManoLayer.stand_in()
    return layer(np.zeros((1, 3)), np.zeros((1, 45)), betas).joints_m[0]


def test_bones_do_not_depend_on_where_the_hand_is():
    rng = np.random.default_rng(1)
    joints, rest = posed("right", *poses()), flat()
    turns = rotation.exp_so3(rng.normal(0, 2, (HANDS, 3)))
    moved = np.einsum("bij,bkj->bki", turns, joints) + rng.normal(size=(HANDS, 1, 3))
    np.testing.assert_allclose(bones(moved, rest), bones(joints, rest), atol=1e-9)


def test_bones_of_the_flat_hand_are_its_own():
    rest = flat()
    found = bones(rest[None], rest)[0]
    for n, (start, end) in enumerate(BONES):
        bone = rest[end] - rest[start]
        np.testing.assert_allclose(found[3 * n : 3 * n + 3], bone / np.linalg.norm(bone), atol=1e-9)
        np.testing.assert_allclose(found[60 + n] * LENGTH_UNIT_M, np.linalg.norm(bone), atol=1e-12)
    told = bones(rest[None], rest, np.full((1, 20), 0.03))
    np.testing.assert_allclose(told[0, 60:], 0.03 / LENGTH_UNIT_M)
    np.testing.assert_array_equal(told[0, :60], found[:60])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dof", [BIOMECHANICAL, ALL_ANGLES], ids=["23", "45"])
def test_upright_points_are_those_of_the_hand_model(side, dof):
    angles, betas = poses(dof)
    vertices = np.array([0, 333, 777])
    layer = ManoLayer.stand_in(side)
    out = layer(np.zeros((HANDS, 3)), dof.to_pose(angles, layer.joint_frames), betas)
    found = upright_points(ik_hand(layer, dof, vertices), angles, betas)
    np.testing.assert_allclose(found[:, :21], out.joints_m, atol=1e-7)
    np.testing.assert_allclose(found[:, 21:], out.vertices_m[:, vertices], atol=1e-7)


def test_a_hand_is_laid_where_its_joints_are():
    rng = np.random.default_rng(2)
    angles, betas = poses()
    orient, trans = rng.normal(0, 1, (HANDS, 3)), rng.normal(0, 0.3, (HANDS, 3))
    joints = posed("right", angles, betas, orient, trans)
    joints[0, 7] = np.nan
    layer = ManoLayer.stand_in()
    found = laid_onto(ik_hand(layer), angles, betas, joints)
    np.testing.assert_allclose(rotation.exp_so3(found.orient), rotation.exp_so3(orient), atol=1e-6)
    np.testing.assert_allclose(found.trans_m, trans, atol=1e-6)
    known = np.isfinite(joints)
    np.testing.assert_allclose(found.posed(layer).joints_m[known], joints[known], atol=1e-6)
    assert found.cost_m2.max() < 1e-10
    outside = laid_onto(ik_hand(layer), angles + 9.0, betas, joints)
    np.testing.assert_array_equal(outside.angles, np.tile(BIOMECHANICAL.limits_rad[:, 1], (HANDS, 1)))
    assert (outside.cost_m2 > 1e-5).all()


class Oracle:
    """A network that knows the answer and remembers the question."""

    def __init__(self, angles, betas):
        self.answer = angles, betas

    def __call__(self, shown):
        self.shown = shown
        return self.answer


@pytest.mark.parametrize("side", SIDES)
def test_a_network_that_knows_finds_both_hands(side):
    angles, betas = poses()
    orient, trans = np.full((HANDS, 3), 0.4), np.full((HANDS, 3), 0.1)
    joints = posed(side, angles, betas, orient, trans)
    network = Oracle(angles, betas)
    found = Guesser(network, BIOMECHANICAL, needs_shape=False).guess(joints, side)
    np.testing.assert_allclose(found.posed(ManoLayer.stand_in(side)).joints_m, joints, atol=1e-6)
    # Both sides are shown as right hands.
    right = joints if side == "right" else mirror_x(joints)
    assert network.shown.dtype == np.float32
    np.testing.assert_allclose(network.shown, bones(right, flat()), atol=1e-6)


@pytest.mark.parametrize("side", SIDES)
def test_a_known_shape_is_kept_and_tells_the_lengths(side):
    angles, betas = poses()
    joints = posed(side, angles, betas)
    network = Oracle(angles, np.full((HANDS, 10), 7.0))
    guesser = Guesser(network, BIOMECHANICAL, needs_shape=True)
    seen = joints * 1.1  # a network that sees hands too large
    found = guesser.guess(seen, side, betas)
    np.testing.assert_array_equal(found.betas, betas)
    rest = np.concatenate([flat(shape)[None] for shape in betas])
    np.testing.assert_allclose(network.shown[:, 60:] * LENGTH_UNIT_M, bone_lengths(rest), atol=1e-6)
    shared = guesser.guess(seen, side, betas[0])
    np.testing.assert_array_equal(shared.betas, np.tile(betas[0], (HANDS, 1)))


def test_shapes_that_do_not_fit_are_refused():
    angles, betas = poses()
    hand = ik_hand(ManoLayer.stand_in())
    for wrong in ((angles[:, :22], betas), (angles, betas[:1]), (angles, betas[:, :9])):
        with pytest.raises(ValueError, match=r"\(B, 23\)"):
            upright_points(hand, *wrong)


def test_what_cannot_be_guessed_is_refused():
    angles, betas = poses()
    joints = posed("right", angles, betas)
    with pytest.raises(ConfigError, match="known shape"):
        Guesser(Oracle(angles, betas), BIOMECHANICAL, needs_shape=True).guess(joints, "right")
    joints[2, 4] = np.nan
    with pytest.raises(ValueError, match="21 joints"):
        Guesser(Oracle(angles, betas), BIOMECHANICAL, needs_shape=False).guess(joints, "right")
