"""The images of the synthesis: labels agree with pixels, hands are possible, and image i is always the same."""

from __future__ import annotations

import numpy as np
import pytest

from dataset_tools.synth import Generator, Recipe, held_out
from dataset_tools.synth.capsules import capsules_of
from dataset_tools.synth.pose_sets import PoseSet
from hoi_core.biomechanics import anatomical_angles, limit_violation
from hoi_core.errors import ConfigError
from hoi_core.mano import ManoLayer


@pytest.fixture(scope="module")
def right():
    return Generator(Recipe("mano_render", count=400, sides=("right",)))


def test_an_image_depends_on_its_number_alone(right):
    first = right.make(7)
    right.make(3)
    for again in (right.make(7), Generator(right.recipe).make(7)):
        np.testing.assert_array_equal(again.views[0].color, first.views[0].color)
        np.testing.assert_array_equal(again.views[0].joints_m, first.views[0].joints_m)
        np.testing.assert_array_equal(again.views[0].depth_m, first.views[0].depth_m)


def test_poses_stay_within_the_limits_of_joints(right):
    frames = ManoLayer.stand_in("right").joint_frames
    for i in range(12):
        angles = anatomical_angles(right.make(i).views[0].params.pose, frames)
        assert limit_violation(angles).max() < 1e-6


def test_parameters_make_the_labelled_hand(right):
    layer = ManoLayer.stand_in("right")
    for i in range(4):
        view = right.make(i).views[0]
        p = view.params
        hand = layer(p.orient[None], p.pose[None], p.betas, p.trans_m[None])
        np.testing.assert_allclose(hand.vertices_m[0], view.vertices_m, atol=1e-9)
        np.testing.assert_allclose(hand.joints_m[0], view.joints_m, atol=1e-9)


def test_swapped_fingers_come_from_the_same_split():
    poses = PoseSet(Recipe(), capsules_of(ManoLayer.stand_in("right")))
    tested = next(p for p in range(len(poses)) if held_out(p))
    allowed = {row.tobytes() for p in range(len(poses)) if held_out(p) for row in poses.angles[p].reshape(5, 9)}
    angles = poses.swapped(tested, np.random.default_rng(0))
    assert {row.tobytes() for row in angles.reshape(5, 9)} <= allowed


def test_recipe_survives_json():
    recipe = Recipe("grid", count=12, size_px=256, seed=4, second_view=True, sides=("left",))
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    "bad", [{"preset": "x"}, {"count": -1}, {"size_px": 4}, {"sides": ()}, {"occluders": 2.0}, {"seed": -1}]
)
def test_recipe_refuses_what_makes_no_sense(bad):
    with pytest.raises(ConfigError):
        Recipe(**bad)


@pytest.mark.parametrize("text", ["", "[]", '{"preset": "grid"}'])
def test_recipe_refuses_foreign_json(text):
    with pytest.raises(ConfigError):
        Recipe.from_json(text)
