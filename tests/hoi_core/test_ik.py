"""Inverse kinematics: slopes against differences, poses found again, limits, Eq. 3, refinement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hoi_core import rotation
from hoi_core.biomechanics import DOF_MASK
from hoi_core.conventions import N_JOINTS, N_VERTICES, SIDES
from hoi_core.errors import ConfigError
from hoi_core.ik import (
    ALL_ANGLES,
    BIOMECHANICAL,
    Dof,
    FitConfig,
    Fitted,
    Targets,
    fit,
    ik_hand,
    refine,
    spread_vertices,
)
from hoi_core.ik._kernel import new_pose, points_and_slopes, pose_skeleton
from hoi_core.ik.fit import POST
from hoi_core.ik.guess import Guesser
from hoi_core.ik.live import AngleReader, described
from hoi_core.mano import ManoLayer, ManoOutput

MM = 1e-3
THUMB = np.array([name.startswith("thumb") for name in BIOMECHANICAL.names])


def random_hands(count: int, dof: Dof = BIOMECHANICAL, side: str = "right", seed: int = 0) -> Fitted:
    rng = np.random.default_rng(seed)
    angles = rng.uniform(dof.limits_rad[:, 0], dof.limits_rad[:, 1], (count, len(dof)))
    orient = rotation.log_so3(rotation.exp_so3(rng.normal(0, 2, (count, 3))))
    trans = rng.normal(0, 0.2, (count, 3))
    zero = np.zeros(count)
    return Fitted(dof, angles, orient, trans, rng.normal(size=(count, 10)), zero, zero.astype(np.int64))


def targets_of(out: ManoOutput) -> Targets:
    return Targets(out.joints_m, out.vertices_m)


def off_m(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    return np.linalg.norm(found - true, axis=-1).max(1)


def off_deg(found: Fitted, true: Fitted) -> np.ndarray:
    return np.abs(np.rad2deg(found.angles - true.angles))


def test_names_and_round_trip():
    assert len(BIOMECHANICAL) == DOF_MASK.sum() == len(set(BIOMECHANICAL.names)) == 23
    assert BIOMECHANICAL.names[:4] == (
        "index_base_flexion",
        "index_base_abduction",
        "index_middle_flexion",
        "index_end_flexion",
    )
    assert len(set(ALL_ANGLES.names)) == 45
    frames = ManoLayer.stand_in().joint_frames
    for dof in (BIOMECHANICAL, ALL_ANGLES):
        angles = dof.clip(np.random.default_rng(0).normal(0, 0.5, (3, len(dof))))
        np.testing.assert_allclose(dof.of_pose(dof.to_pose(angles, frames), frames), angles, atol=1e-9)
        np.testing.assert_array_equal(dof.pack(dof.unpack(angles)), angles)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dof", [BIOMECHANICAL, ALL_ANGLES], ids=["23", "45"])
def test_points_are_those_of_the_hand_model_and_slopes_their_differences(side, dof):
    layer = ManoLayer.stand_in(side)
    vertices = np.arange(0, N_VERTICES, 40)
    hand, true = ik_hand(layer, dof, vertices), random_hands(1, dof, seed=1)

    def points(step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        turned = rotation.exp_so3(step[3:6]) @ rotation.exp_so3(true.orient[0])
        betas, pose = true.betas[0] + step[6 + len(dof) :], new_pose(len(dof))
        angles = 0.5 * true.angles[0] + step[6 : 6 + len(dof)]
        pose_skeleton(hand.arrays, turned, true.trans_m[0] + step[:3], angles, betas, pose)
        out = np.empty((N_JOINTS + len(vertices), 3))
        slopes = np.empty((len(out), 3, hand.unknowns))
        points_and_slopes(hand.arrays, pose, betas, out, slopes)
        return out, slopes

    here, slopes = points(np.zeros(hand.unknowns))
    half = replace(true, angles=0.5 * true.angles).posed(layer)
    np.testing.assert_allclose(here[:N_JOINTS], half.joints_m[0], atol=1e-6)
    np.testing.assert_allclose(here[N_JOINTS:], half.vertices_m[0, vertices], atol=1e-6)
    steps = 1e-6 * np.eye(hand.unknowns)
    numeric = np.stack([(points(s)[0] - points(-s)[0]) / 2e-6 for s in steps], axis=-1)
    np.testing.assert_allclose(slopes, numeric, atol=1e-7)


@pytest.mark.parametrize("side", SIDES)
def test_poses_are_found_again_from_joints(side):
    layer, true = ManoLayer.stand_in(side), random_hands(40)
    out = true.posed(layer)
    found = fit(ik_hand(layer), Targets(out.joints_m), true.betas)
    assert off_m(found.posed(layer).joints_m, out.joints_m).max() < 0.1 * MM
    assert off_deg(found, true)[:, ~THUMB].max() < 1.0
    assert (found.angles >= BIOMECHANICAL.limits_rad[:, 0]).all()
    assert (found.angles <= BIOMECHANICAL.limits_rad[:, 1]).all()


def test_joints_do_not_see_one_direction_of_the_thumb_and_all_others():
    layer, true = ManoLayer.stand_in(), random_hands(30, seed=2)
    joints = Targets(true.posed(layer).joints_m)
    assert off_deg(fit(ik_hand(layer), joints, true.betas), true)[:, THUMB].max() > 1.0
    held = np.broadcast_to(BIOMECHANICAL.limits_rad, (30, 23, 2)).copy()
    twist = BIOMECHANICAL.names.index("thumb_middle_twist")
    held[:, twist] = true.angles[:, twist, None]
    assert off_deg(fit(ik_hand(layer), joints, true.betas, limits_rad=held), true).max() < 1.0


def test_vertices_see_every_angle():
    layer, true = ManoLayer.stand_in(), random_hands(20, seed=3)
    hand = ik_hand(layer, vertices=spread_vertices(layer, 80))
    found = fit(hand, targets_of(true.posed(layer)), true.betas)
    assert off_deg(found, true).max() < 1.0


def test_forty_five_angles_are_found_from_vertices():
    layer = ManoLayer.stand_in()
    true = random_hands(5, ALL_ANGLES, seed=4)
    true = replace(true, angles=0.2 * true.angles)
    hand = ik_hand(layer, ALL_ANGLES, spread_vertices(layer, 200))
    found = fit(hand, targets_of(true.posed(layer)), true.betas)
    assert off_m(found.posed(layer).vertices_m, true.posed(layer).vertices_m).max() < 0.1 * MM


def test_an_angle_beyond_its_limit_ends_on_it_and_nothing_near_is_better():
    layer = ManoLayer.stand_in()
    true = random_hands(3, seed=5)
    bent = BIOMECHANICAL.names.index("index_middle_flexion")
    true.angles[:, bent] = np.deg2rad(130.0)
    joints = true.posed(layer).joints_m
    found = fit(ik_hand(layer), Targets(joints), true.betas)
    np.testing.assert_allclose(np.rad2deg(found.angles[:, bent]), 110.0, atol=1e-9)

    def cost(hands: Fitted) -> np.ndarray:
        return ((hands.posed(layer).joints_m - joints) ** 2).sum((1, 2))

    rng, best = np.random.default_rng(0), cost(found)
    for scale in (0.01, 0.05):
        for _ in range(20):
            near = BIOMECHANICAL.clip(found.angles + rng.normal(0, scale, found.angles.shape))
            assert (cost(replace(found, angles=near)) > best * (1 - 1e-3)).all()


def test_unknown_joints_do_not_count():
    layer, true = ManoLayer.stand_in(), random_hands(8, seed=6)
    joints = true.posed(layer).joints_m
    seen = joints.copy()
    seen[:, 7:9] = np.nan  # the index finger beyond its middle
    found = fit(ik_hand(layer), Targets(seen), true.betas)
    others = np.delete(np.arange(N_JOINTS), [7, 8])
    assert off_m(found.posed(layer).joints_m[:, others], joints[:, others]).max() < 0.1 * MM


def eq3(joints: np.ndarray) -> np.ndarray:
    """The left side of Eq. 3 of the four fingers, of bones of length one."""
    chain = joints[:, 5:].reshape(-1, 4, 4, 3)
    mcp, pip, dip, tip = (chain[:, :, i] for i in range(4))
    unit = [v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (tip - dip, dip - pip, pip - mcp)]
    return (np.cross(unit[0], unit[1]) * np.cross(unit[1], unit[2])).sum(-1)


def test_bending_constraint_turns_fingers_that_bend_against_themselves():
    layer, free = ManoLayer.stand_in(), replace(BIOMECHANICAL, limits_rad=np.tile([-1.4, 1.4], (23, 1)))
    true = random_hands(6, seed=7)
    middle, end = (BIOMECHANICAL.names.index(f"ring_{part}_flexion") for part in ("middle", "end"))
    true.angles[:, middle], true.angles[:, end] = 0.7, -0.5
    joints = Targets(true.posed(layer).joints_m)
    hand = ik_hand(layer, free)
    without = refine(hand, joints, true, replace(POST, bend_m=0.0))
    constrained = refine(hand, joints, true, replace(POST, bend_m=1.0, iterations=60, tolerance=1e-9))
    assert eq3(without.posed(layer).joints_m)[:, 2].max() < -0.2
    assert eq3(constrained.posed(layer).joints_m).min() > -2e-3


@pytest.mark.parametrize("method", ["gauss-newton", "adam"])
def test_refinement_moves_a_guess_onto_the_targets(method):
    layer, true = ManoLayer.stand_in(), random_hands(6, seed=8)
    rng, out = np.random.default_rng(1), true.posed(layer)
    near = BIOMECHANICAL.clip(true.angles + rng.normal(0, 0.1, true.angles.shape))
    guess = replace(true, angles=near, trans_m=true.trans_m + 0.005)
    hand = ik_hand(layer, vertices=spread_vertices(layer, 60))
    found = refine(hand, targets_of(out), guess, replace(POST, method=method))
    before = np.linalg.norm(guess.posed(layer).joints_m - out.joints_m, axis=-1).mean()
    after = np.linalg.norm(found.posed(layer).joints_m - out.joints_m, axis=-1).mean()
    assert after < (0.05 if method == "gauss-newton" else 0.6) * before
    assert found.iterations.max() <= 20
    np.testing.assert_array_equal(found.betas, true.betas)


def test_shape_is_solved_where_it_is_asked_for():
    layer, true = ManoLayer.stand_in(), random_hands(6, seed=9)
    out = true.posed(layer)
    hand = ik_hand(layer, vertices=spread_vertices(layer, 100))
    config = FitConfig(shape="solved", shape_m=1e-6)
    found = fit(hand, targets_of(out), config=config)
    known = fit(hand, targets_of(out))
    assert off_m(found.posed(layer).vertices_m, out.vertices_m).max() < 1 * MM
    assert off_m(known.posed(layer).vertices_m, out.vertices_m).min() > 1 * MM
    stiff = fit(hand, targets_of(out), config=replace(config, shape_m=1.0))
    assert np.abs(stiff.betas).max() < 1e-3


def test_what_does_not_fit_is_refused():
    layer = ManoLayer.stand_in()
    joints = np.zeros((2, N_JOINTS, 3))
    with pytest.raises(ValueError, match=r"\(B, 21, 3\)"):
        Targets(joints[0])
    with pytest.raises(ValueError, match="vertices"):
        Targets(joints, np.zeros((1, N_VERTICES, 3)))
    with pytest.raises(ValueError, match="betas"):
        fit(ik_hand(layer), Targets(joints), np.zeros((3, 10)))
    with pytest.raises(ValueError, match="limits"):
        fit(ik_hand(layer), Targets(joints), limits_rad=np.zeros((45, 2)))
    with pytest.raises(ValueError, match="778"):
        ik_hand(layer, vertices=np.array([N_VERTICES]))
    assert len(set(spread_vertices(layer, 50))) == 50
    assert len(spread_vertices(layer, 1000)) == N_VERTICES


@pytest.mark.parametrize("side", SIDES)
def test_angles_of_a_hand_that_is_followed_have_names_and_stay_inside(side):
    layer, true = ManoLayer.stand_in(side), random_hands(2, side=side, seed=10)
    true = replace(true, betas=np.zeros((2, 10)))
    out, reader = true.posed(layer), AngleReader()
    told = described()["joints"]
    assert [joint["name"] for joint in told] == list(BIOMECHANICAL.names)
    for frame in (0, 0, 1):  # the second look starts where the first ended; another hand has another number
        row = reader.read(frame, side, out.joints_m[frame], out.vertices_m[frame])
        angles = np.array([row["angles_rad"][joint["name"]] for joint in told])
        assert all(joint["low"] <= angle <= joint["high"] for joint, angle in zip(told, angles, strict=True))
        assert np.abs(np.rad2deg(angles - true.angles[frame])).max() < 2.0
        assert row["joints_off_m"] < 0.5 * MM


def test_a_hand_is_guessed_once_and_forgotten_when_many_others_came():
    """What guesses is asked for a new hand only, and what is kept does not grow with a recording."""
    layer, true = ManoLayer.stand_in(), random_hands(1, seed=13)
    joints, asked = true.posed(layer).joints_m[0], []

    def network(bones: np.ndarray) -> tuple[np.ndarray, ...]:
        asked.append(len(bones))
        return true.angles, true.betas

    reader = AngleReader(Guesser(network, BIOMECHANICAL, needs_shape=False))
    for identity in (0, 0, *range(1, 40), 39):
        row = reader.read(identity, "right", joints)
        assert row["joints_off_m"] < 2.0 * MM
    assert len(asked) == 40
    assert len(reader._before) <= 16
    reader.read(0, "right", joints)
    assert len(asked) == 41
    with pytest.raises(ConfigError, match="23 angles"):
        AngleReader(Guesser(network, ALL_ANGLES, needs_shape=False))


def test_the_shape_of_a_hand_that_is_followed_does_not_drift():
    layer, true = ManoLayer.stand_in(), random_hands(1, seed=12)
    joints = 1.3 * true.posed(layer).joints_m[0]  # no hand of the model is as large
    reader = AngleReader()
    shapes = [np.array(reader.read(0, "right", joints)["betas"]) for _ in range(12)]
    assert np.abs(shapes[11] - shapes[5]).max() < 0.1
