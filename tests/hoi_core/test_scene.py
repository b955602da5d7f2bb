"""Objects, unkind hands, grasps and the play: properties that can be checked without looking."""

from __future__ import annotations

import numpy as np
import pytest

from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.biomechanics import limit_violation, pose_from_angles
from hoi_core.errors import ConfigError
from hoi_core.mano import ManoLayer
from hoi_core.scene import anatomy, background, grasp, light, motion, objects, skin, unkind
from hoi_core.types import Camera


@pytest.fixture(scope="module")
def layer():
    return ManoLayer.stand_in("right")


@pytest.fixture(scope="module")
def true_layer(layer):
    return unkind.unkind_layer(layer, np.random.default_rng(3))


@pytest.fixture(scope="module")
def play(true_layer):
    return motion.random_play(true_layer, np.zeros(10), objects.make("can"), np.random.default_rng(5))


@pytest.fixture(scope="module")
def moments(play):
    return play.at(np.arange(181) / 30.0)


@pytest.mark.parametrize("name", objects.NAMES)
def test_objects_are_closed_outward_and_stand_on_the_table(name):
    model = objects.make(name)
    vertices, faces = model.shape.vertices_m, model.faces
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forward = {tuple(e) for e in edges.tolist()}
    assert len(forward) == len(edges)
    assert all((b, a) in forward for a, b in forward)
    volume = (np.cross(vertices[faces[:, 0]], vertices[faces[:, 1]]) * vertices[faces[:, 2]]).sum() / 6.0
    assert 2e-5 < volume < 1e-3
    assert abs(vertices[:, 2].min()) < 1e-3
    assert len(model.colors) == len(vertices)
    assert model.grasps
    # Overlapping parts and pointed ends lie up to some millimetres off the distance's zero.
    assert np.quantile(np.abs(model.shape.distance_m(vertices)), 0.9) < 1e-3
    assert model.shape.distance_m(vertices).max() < 1e-3


def test_distance_of_the_ball_is_that_of_a_sphere():
    points = np.random.default_rng(0).uniform(-0.1, 0.15, (300, 3))
    expected = np.linalg.norm(points - [0, 0, 0.034], axis=1) - 0.034
    np.testing.assert_allclose(objects.make("ball").shape.distance_m(points), expected, atol=2e-4)


def test_distance_of_the_box_is_that_of_a_rounded_box():
    shape = objects.make("box").shape
    assert shape.distance_m(np.array([0.035 + 0.02, 0.0, 0.06])) == pytest.approx(0.02)
    assert shape.distance_m(np.array([0.0, 0.0, 0.06])) == pytest.approx(-0.022)


def test_unknown_object_names_the_nearest():
    with pytest.raises(ConfigError, match="banana"):
        objects.make("bananna")


def test_unkind_hand_lies_off_the_shape_basis(layer, true_layer):
    displacement = (true_layer.model.v_template - layer.model.v_template).reshape(-1)
    basis = layer.model.shapedirs.reshape(-1, 10)
    assert np.abs(basis.T @ displacement).max() < 1e-10
    betas = np.linalg.lstsq(basis, displacement, rcond=None)[0]
    np.testing.assert_allclose(betas, 0.0, atol=1e-8)
    rms_mm = 1e3 * np.sqrt((displacement.reshape(-1, 3) ** 2).sum(-1).mean())
    assert 0.7 < rms_mm < 2.5
    tips = displacement.reshape(-1, 3)[[744, 320, 443, 554, 671]]
    assert (1e3 * np.linalg.norm(tips, axis=1)).mean() > 0.8


def test_true_joints_follow_the_displaced_surface(true_layer):
    out = true_layer(np.zeros((1, 3)), np.zeros((1, 45)))
    wrist = true_layer.model.J_regressor[0] @ true_layer.model.v_template
    np.testing.assert_allclose(out.joints_m[0, 0], wrist, atol=1e-12)
    np.testing.assert_allclose(out.joints_m[0, 8], out.vertices_m[0, 320], atol=1e-12)


@pytest.mark.parametrize("side", ["right", "left"])
def test_palm_direction_is_where_fingers_bend(side):
    hand = ManoLayer.stand_in(side)
    frame = anatomy.hand_frame(hand)
    np.testing.assert_allclose(frame.axes.T @ frame.axes, np.eye(3), atol=1e-12)
    angles = np.zeros((1, 15, 3))
    angles[0, :12, 0] = 0.5
    bent = hand(np.zeros((1, 3)), pose_from_angles(angles, hand.joint_frames)).joints_m[0]
    assert ((bent[[8, 12, 16, 20]] - frame.joints_m[[8, 12, 16, 20]]) @ frame.palm > 0.01).all()


@pytest.mark.parametrize("name", ["box", "mug", "ball"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_grasps_touch_and_do_not_sink_in(name, side):
    hand, model = ManoLayer.stand_in(side), objects.make(name)
    found = grasp.solve(hand, np.zeros(10), model, model.grasps[0], np.random.default_rng(1))
    orient = rotation.log_so3(found.R_obj_hand)[None]
    out = hand(orient, pose_from_angles(found.closed_rad[None], hand.joint_frames), np.zeros(10))
    points = out.vertices_m[0] - out.joints_m[0, 0] + found.wrist_m
    depth = model.shape.distance_m(points)
    assert -grasp.DEEPEST_M - 3e-4 <= depth.min() < 0.004
    assert points[:, 2].min() > -grasp.DEEPEST_M - 3e-4
    assert len(found.touching) >= 3
    assert limit_violation(found.closed_rad).max() < np.deg2rad(4.0)


def test_play_lifts_the_object_and_puts_it_back_upright(moments):
    T = moments.T_world_obj
    np.testing.assert_allclose(T[0, 2, 3], 0.0, atol=1e-12)
    np.testing.assert_allclose(T[-1, 2, 3], 0.0, atol=1e-12)
    np.testing.assert_allclose(T[-1, :3, 2], [0.0, 0.0, 1.0], atol=1e-9)
    assert T[:, 2, 3].max() > 0.07
    assert T[:, 2, 3].min() > -0.002
    np.testing.assert_allclose(T[:45], np.broadcast_to(T[0], (45, 4, 4)), atol=1e-12)


def test_held_object_moves_rigidly_with_the_hand(moments):
    held = slice(66, 144)
    to_object = np.linalg.inv(moments.T_world_obj[held])
    local = np.einsum("mij,mkj->mki", to_object[:, :3, :3], moments.vertices_m[held]) + to_object[:, None, :3, 3]
    assert np.ptp(local, axis=0).max() < 0.0006


def test_hand_never_sinks_into_object_or_table(play, moments):
    for i in range(0, 181, 4):
        local = cam.transform(np.linalg.inv(moments.T_world_obj[i]), moments.vertices_m[i])
        assert play.model.shape.distance_m(local).min() > -0.0035
        assert moments.vertices_m[i, :, 2].min() > -0.003


def test_play_is_smooth_and_moves_at_human_speed(moments):
    speed = np.linalg.norm(np.diff(moments.joints_m, axis=0), axis=-1) * 30.0
    assert 0.2 < speed.max() < 1.5
    jump = np.linalg.norm(np.diff(moments.joints_m, 2, axis=0), axis=-1).max()
    assert jump < 0.012


def test_play_of_a_seed_is_the_same_at_any_sampling(true_layer, play):
    again = motion.random_play(true_layer, np.zeros(10), objects.make("can"), np.random.default_rng(5))
    times = np.array([0.31, 2.2, 5.0])
    a, b = play.at(times), again.at(times[1:2])
    # Matrix products of other sizes may round otherwise in the last digit.
    np.testing.assert_allclose(a.vertices_m[1], b.vertices_m[0], rtol=0, atol=1e-15)


def test_skin_differs_between_people_and_is_lighter_in_the_palm(layer):
    dark = skin.skin_colors(layer, np.random.default_rng(1), tone=1.0)
    light_skin = skin.skin_colors(layer, np.random.default_rng(1), tone=0.0)
    assert dark.shape == (778, 3)
    assert light_skin.mean() > dark.mean() + 40


def test_room_has_many_edges_and_the_depth_of_its_planes():
    rng = np.random.default_rng(0)
    pose = cam.look_at(np.array([0.2, -0.5, 0.4]), np.zeros(3), np.array([0.0, 0.0, 1.0]))
    camera = Camera(160, 120, 150.0, 150.0, 79.5, 59.5, T_world_cam=pose)
    empty = background.still(background.random_room(rng), camera, light.random_light(rng))
    v, u = np.nonzero(empty.on_table)
    local = cam.unproject(camera, np.stack([u, v], -1).astype(float), empty.depth_m[v, u].astype(float))
    np.testing.assert_allclose(cam.transform(pose, local)[:, 2], 0.0, atol=1e-5)
    assert empty.on_table.mean() > 0.4
    assert np.abs(np.diff(empty.color.astype(int), axis=1)).max() > 60
