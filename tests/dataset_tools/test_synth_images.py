"""The images of the synthesis: labels agree with pixels, hands are possible, and image i is always the same."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dataset_tools.synth import Generator, Recipe, cameras, contact_sheet, held_out
from dataset_tools.synth._posing import axis_angles
from dataset_tools.synth.capsules import capsules_of
from dataset_tools.synth.pose_sets import PoseSet
from dataset_tools.synth.types import BACKGROUND, LEFT_HAND, OBJECT, OCCLUDER, RIGHT_HAND
from hoi_core import camera as cam
from hoi_core import mesh_file, rotation
from hoi_core.biomechanics import anatomical_angles, limit_violation, pose_from_angles
from hoi_core.conventions import FINGERS, mirror_x
from hoi_core.errors import AssetError, ConfigError
from hoi_core.mano import ManoLayer
from hoi_core.mano.stand_in.skeleton import fingers
from hoi_core.mano.stand_in.surface import finger_group, group_distance
from hoi_core.scene import objects
from hoi_core.scene.anatomy import finger_of_vertices, phalanx_of_vertices


@pytest.fixture(scope="module")
def right():
    return Generator(Recipe("mano_render", count=400, sides=("right",)))


@pytest.fixture(scope="module")
def grasps():
    return Generator(Recipe("grasps", count=200, size_px=96))


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
    "bad",
    [
        {"preset": "x"},
        {"count": -1},
        {"size_px": 4},
        {"sides": ()},
        {"occluders": 2.0},
        {"seed": -1},
        {"view_cone_deg": 5.0},
        {"view_cone_deg": 90.0, "preset": "grid"},
    ],
)
def test_recipe_refuses_what_makes_no_sense(bad):
    with pytest.raises(ConfigError):
        Recipe(**bad)


def test_a_recipe_without_a_cone_is_written_as_before_there_was_one():
    """Its text names a set; sets that were made before must still be found whole."""
    text = Recipe(count=12).to_json()
    assert "cone" not in text
    assert Recipe.from_json(text) == Recipe(count=12)
    narrow = Recipe(count=12, view_cone_deg=50.0)
    assert Recipe.from_json(narrow.to_json()) == narrow


@pytest.mark.parametrize("preset", ["mano_render", "grasps"])
def test_cameras_in_a_cone_see_the_back_of_an_upright_hand_from_two_sides(preset):
    generator = Generator(Recipe(preset, size_px=32, second_view=True, view_cone_deg=50.0))
    for i in range(8):
        views = generator.make(i).views
        backs = []
        for view in views:
            wrist, index, middle, little = (view.joints_m[j] for j in (0, 5, 9, 17))
            # Of a right hand the thumb's side is left of the fingers, seen from the back; of a left one, right.
            back = np.cross(little - index, middle - wrist) * (1.0 if view.side == "right" else -1.0)
            to_camera = -0.5 * (wrist + middle)
            cosine = back @ to_camera / np.linalg.norm(back) / np.linalg.norm(to_camera)
            assert np.degrees(np.arccos(cosine)) < 75.0  # the palm's own shape and the frame's axes differ by some
            up = (wrist - middle)[:2] / np.linalg.norm((wrist - middle)[:2])
            assert up[1] > 0.3
            backs.append(view.camera.T_world_cam[:3, 2])
        assert np.degrees(np.arccos(backs[0] @ backs[1])) > 10.0


@pytest.mark.parametrize("text", ["", "[]", '{"preset": "grid"}'])
def test_recipe_refuses_foreign_json(text):
    with pytest.raises(ConfigError):
        Recipe.from_json(text)


def silhouette(view, faces) -> np.ndarray:
    """Projected triangles, filled one by one."""
    pixels = cam.project(view.camera, view.vertices_m)
    out = np.zeros(view.segmentation.shape, np.uint8)
    for triangle in pixels[faces]:
        cv2.fillConvexPoly(out, np.rint(triangle * 16.0).astype(np.int32), 1, shift=4)
    return out


def distance_to_mesh(points, vertices, faces) -> np.ndarray:
    """Distance from each point `(N, 3)` to the nearest hit of its viewing ray (Moeller, Trumbore 1997)."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    out = []
    for point in points:
        ray = point / np.linalg.norm(point)
        p = np.cross(ray, c - a)
        det = ((b - a) * p).sum(-1)
        u = (-a * p).sum(-1) / det
        q = np.cross(-a, b - a)
        v = (q @ ray) / det
        t = ((c - a) * q).sum(-1) / det
        hits = t[(u >= -1e-6) & (v >= -1e-6) & (u + v <= 1 + 1e-6) & (t > 0)]
        out.append(np.abs(hits - np.linalg.norm(point)).min() if len(hits) else np.inf)
    return np.array(out)


@pytest.mark.parametrize("side", ["right", "left"])
def test_segmentation_and_depth_are_those_of_the_labelled_mesh(side):
    generator = Generator(Recipe("ang_render", sides=(side,), size_px=96, second_view=True))
    label = RIGHT_HAND if side == "right" else LEFT_HAND
    layer = ManoLayer.stand_in(side)
    rng = np.random.default_rng(1)
    for i in range(4):
        for view in generator.make(i).views:
            hand = view.segmentation == label
            filled = silhouette(view, layer.closed_faces)
            assert not (hand & (cv2.dilate(filled, np.ones((3, 3))) == 0)).any()
            # Within the silhouette there is the hand, or something before it.
            core = cv2.erode(filled, np.ones((3, 3))) > 0
            # Filled polygons are a pixel wider than what they cover, so notches between fingers may close.
            assert (view.segmentation[core] == BACKGROUND).mean() < 5e-3
            rows, columns = np.nonzero(hand)
            chosen = rng.choice(len(rows), min(25, len(rows)), replace=False)
            pixels = np.stack([columns[chosen], rows[chosen]], -1).astype(float)
            points = cam.unproject(view.camera, pixels, view.depth_m[rows[chosen], columns[chosen]].astype(float))
            assert np.quantile(distance_to_mesh(points, view.vertices_m, layer.closed_faces), 0.9) < 1e-5
            assert (view.depth_m > 0).tolist() == (view.segmentation > 0).tolist()


def test_two_views_share_one_world():
    first, second = Generator(Recipe("grid", second_view=True)).make(5).views
    worlds = [cam.transform(view.camera.T_world_cam, view.joints_m) for view in (first, second)]
    np.testing.assert_allclose(worlds[0], worlds[1], atol=1e-9)
    directions = [view.camera.T_world_cam[:3, 2] for view in (first, second)]
    assert np.degrees(np.arccos(directions[0] @ directions[1])) > 10.0


def test_a_joint_is_visible_where_its_own_skin_shows(right):
    for i in range(12):
        view = right.make(i).views[0]
        pixels = np.rint(cam.project(view.camera, view.joints_m)).astype(int)
        seen = pixels[view.joints_visible]
        assert (view.segmentation[seen[:, 1], seen[:, 0]] == RIGHT_HAND).all()
        # Flesh lies before a visible joint, and not more of it than a hand is thick.
        depth = view.depth_m[seen[:, 1], seen[:, 0]]
        assert (np.abs(view.joints_m[view.joints_visible, 2] - depth) < 0.035).all()


def test_occluders_hide_what_the_labels_say_is_hidden():
    bare = Generator(Recipe("mano_render", occluders=0.0))
    covered = Generator(Recipe("mano_render", occluders=1.0))
    assert not any((bare.make(i).views[0].segmentation == OCCLUDER).any() for i in range(6))
    assert sum((covered.make(i).views[0].segmentation == OCCLUDER).any() for i in range(6)) >= 4


def test_left_hands_are_right_hands_in_the_mirror():
    angles = Generator(Recipe(sides=("right",))).poses.angles[:3]
    kits = Generator(Recipe()).kits
    R = rotation.exp_so3(np.array([0.3, -0.5, 0.2]))
    mirror = np.diag([-1.0, 1.0, 1.0])
    for posture in angles:
        right = kits["right"].pose(posture, np.ones(10), R, np.array([0.1, 0.2, 0.3]))
        left = kits["left"].pose(posture, np.ones(10), mirror @ R @ mirror, np.array([-0.1, 0.2, 0.3]))
        np.testing.assert_allclose(left.vertices_m, mirror_x(right.vertices_m), atol=1e-9)
        np.testing.assert_allclose(left.joints_m, mirror_x(right.joints_m), atol=1e-9)


def test_no_finger_lies_in_another():
    """By the stand-in's own distance field, which the capsules know nothing of."""
    layer = ManoLayer.stand_in("right")
    poses = PoseSet(Recipe(seed=3), capsules_of(layer))
    owner = finger_of_vertices(layer)
    phalanx = phalanx_of_vertices(layer)
    rng = np.random.default_rng(0)
    for k in range(24):
        pose = pose_from_angles(poses.swapped(k, rng)[None], layer.joint_frames)
        vertices = layer(np.zeros((1, 3)), pose).vertices_m[0]
        to_rest = rest_from_posed(layer, pose)
        for finger in fingers():
            mine = FINGERS.index(finger.name)
            # The first phalanges of neighbours grow together at their roots.
            others = (owner >= 0) & (owner != mine) & ((phalanx - 1) % 3 > 0)
            assert group_distance(vertices[others], finger_group(finger), to_rest).min() > -0.004


def rest_from_posed(layer, pose) -> np.ndarray:
    flat = layer.joint_transforms(np.zeros((1, 3)), np.zeros((1, 45)))[0]
    return flat @ cam.inverse_rigid(layer.joint_transforms(np.zeros((1, 3)), pose)[0])


def test_hands_hold_their_objects(grasps):
    for i in range(3):
        view = grasps.make(i).views[0]
        (thing,) = view.objects
        model = objects.make(thing.name)
        distance = model.shape.distance_m(cam.transform(cam.inverse_rigid(thing.T_cam_obj), view.vertices_m))
        # Skin gives way by a millimetre or two; a hand on its way is some centimetres off.
        assert -0.004 < distance.min() < 0.08
        assert view.segmentation.max() >= OBJECT
        assert 0.0 < thing.visible <= 1.0


def test_grasped_objects_lie_where_their_label_says(grasps):
    view = grasps.make(2).views[0]
    (thing,) = view.objects
    model = objects.make(thing.name)
    rows, columns = np.nonzero(view.segmentation == OBJECT)
    depth = view.depth_m[rows, columns].astype(float)
    points = cam.unproject(view.camera, np.stack([columns, rows], -1).astype(float), depth)
    local = cam.transform(cam.inverse_rigid(thing.T_cam_obj), points)
    assert np.quantile(np.abs(model.shape.distance_m(local)), 0.8) < 2e-3


def test_the_users_meshes_are_held(tmp_path):
    ball = objects.make("ball").shape
    (tmp_path / "things").mkdir()
    shift = np.array([0.4, -0.2, 1.0])
    mesh_file.write_obj(tmp_path / "things" / "mine.obj", ball.vertices_m + shift, ball.faces)
    generator = Generator(Recipe("grasps", objects=tmp_path / "things", sides=("right",)))
    view = generator.make(0).views[0]
    (thing,) = view.objects
    assert (thing.name, thing.mesh) == ("mine", tmp_path / "things" / "mine.obj")
    local = cam.transform(cam.inverse_rigid(thing.T_cam_obj), view.vertices_m)
    distance = np.linalg.norm(local - shift - [0.0, 0.0, 0.034], axis=1) - 0.034
    assert -0.005 < distance.min() < 0.08


@pytest.mark.parametrize("size_m", [0.001, 3.0])
def test_meshes_in_other_units_are_refused(tmp_path, size_m):
    ball = objects.make("ball").shape
    mesh_file.write_obj(tmp_path / "odd.obj", ball.vertices_m / 0.068 * size_m, ball.faces)
    with pytest.raises(AssetError, match="metres"):
        Generator(Recipe("grasps", objects=tmp_path))


def test_empty_folders_are_refused(tmp_path):
    with pytest.raises(AssetError, match="found none"):
        Generator(Recipe("grasps", objects=tmp_path))
    with pytest.raises(AssetError, match="found none"):
        Generator(Recipe(backgrounds=tmp_path))


def test_photographs_lie_behind_the_hands(tmp_path, right):
    cv2.imwrite(str(tmp_path / "green.png"), np.full((200, 300, 3), (0, 255, 0), np.uint8))
    generator = Generator(Recipe("mano_render", sides=("right",), backgrounds=tmp_path))
    view = generator.make(0).views[0]
    behind = cv2.erode((view.segmentation == BACKGROUND).astype(np.uint8), np.ones((5, 5))) > 0
    mean = view.color[behind].mean(0)
    assert mean[1] > 100
    assert mean[0] < 40
    assert mean[2] < 40
    assert generator.sources()["backgrounds"] != right.sources()["backgrounds"]


def test_a_damaged_photograph_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(AssetError, match=r"broken\.jpg"):
        Generator(Recipe(backgrounds=tmp_path)).make(0)


def test_ang_render_stands_at_all_positions_of_the_paper():
    rng = np.random.default_rng(0)
    stands = [cameras.ang_render(k, rng) for k in range(31 * 72)]
    elevations = np.unique(np.round([s.elevation_rad for s in stands], 9))
    azimuths = np.unique(np.round([s.azimuth_rad for s in stands], 9))
    assert (len(elevations), len(azimuths)) == (31, 72)
    np.testing.assert_allclose([elevations[0], elevations[-1]], [-np.pi / 3, np.pi / 2], atol=1e-8)
    np.testing.assert_allclose(np.diff(azimuths), np.pi / 36, atol=1e-8)
    for stand in (stands[0], stands[-1]):
        np.testing.assert_allclose(stand.axes() @ stand.axes().T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(stand.axes()[:, 2], -stand.direction, atol=1e-12)


def test_contact_sheet_shows_both_views():
    sheet = contact_sheet(Generator(Recipe(count=5, size_px=32, second_view=True)), 5, columns=3)
    assert sheet.shape == (2 * 66, 3 * 34, 3)


def test_poses_of_a_mano_file_come_first():
    """A file that holds the poses of its own scans gives them; those outside the limits are moved inside."""
    layer = ManoLayer.stand_in("right")
    rng = np.random.default_rng(0)
    angles = np.zeros((3, 15, 3))
    angles[:, [0, 3, 6, 9], 0] = rng.uniform(0.1, 0.5, (3, 1))
    angles[2, 0, 0] = 3.0
    model = layer.model
    relative = pose_from_angles(angles, layer.joint_frames) - model.hands_mean
    coefficients = relative @ np.linalg.pinv(model.components)
    poses = PoseSet(Recipe(), capsules_of(ManoLayer(replace(model, coefficients=coefficients))))
    assert len(poses) == 895
    for k in (0, 1):
        assert np.abs(poses.angles[:3] - angles[k]).max((1, 2)).min() < 1e-6
    assert limit_violation(poses.angles).max() < 1e-9
    assert np.ptp(poses.angles[3:], axis=0).max() > 0.5


@pytest.mark.parametrize("angle", [0.0, 1e-10, 1e-4, 1.0, 3.0, np.pi - 1e-7])
def test_axis_angles_are_those_that_turned(angle):
    axes = np.random.default_rng(2).normal(0.0, 1.0, (20, 3))
    turns = angle * axes / np.linalg.norm(axes, axis=1, keepdims=True)
    # Close to half a turn the sign is free and the angle is known to the root of the rounding only.
    np.testing.assert_allclose(axis_angles(rotation.exp_so3(turns)), turns, atol=1e-7)
