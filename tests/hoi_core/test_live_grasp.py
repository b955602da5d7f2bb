"""Hands with objects in a stream of images: where an object is looked for, what comes back, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core import draw, grasp_model, runtime
from hoi_core.errors import AssetError, ConfigError
from hoi_core.grasp_model import GraspModel
from hoi_core.held import Clues, HeldObject, ObjectWatch, SeenObject
from hoi_core.known_object import control_points
from hoi_core.live import Follower
from hoi_core.live_grasp import GraspReader, is_of_grasps, known_objects, open_grasps
from hoi_core.mano import ManoLayer
from hoi_core.object_pose_model import ObjectPoseModel
from hoi_core.pose_vector import from_pose
from hoi_core.rotation import exp_so3
from hoi_core.types import Camera

CAMERA = Camera(320, 240, 250.0, 260.0, 150.0, 125.0)
LOW, HIGH = np.array([-0.03, -0.04, 0.0]), np.array([0.03, 0.04, 0.1])
OBJECTS = {"mug": (LOW, HIGH), "can": (LOW, HIGH + 0.02)}
CONTROL = control_points(LOW, HIGH)
POSE = cameras.rigid(exp_so3(np.array([0.3, -0.8, 0.5])), np.array([0.06, 0.02, 0.56]))
IMAGE = np.zeros((240, 320, 3), np.uint8)


def scene():
    """A flat hand and the joints' and the object's boxes."""
    joints = ManoLayer.stand_in("right")(np.zeros((1, 3)), np.zeros((1, 45))).joints_m[0]
    joints_m = joints - joints.mean(0) + [0.02, 0.0, 0.5]
    seen = [cameras.project(CAMERA, points) for points in (joints_m, cameras.transform(POSE, CONTROL))]
    return joints_m, [crops.box_of(pixels) for pixels in seen]


def said():
    """What networks without error say of it, by their outputs' names."""
    joints_m, boxes = scene()
    crop = crops.around(CAMERA, grasp_model.crop_box(*boxes), 64, crops.Placement(scale=1.0))
    hand_box, object_box = grasp_model.boxes_in_crop(crop, CAMERA, *boxes)

    def within(points, box):
        pixels = cameras.project(crop.camera, crops.to_crop(crop, points))
        return (pixels - box[:2]) / (box[2:] - box[:2])

    control = within(cameras.transform(POSE, CONTROL), object_box)
    T_crop = cameras.rigid(crop.R_cam_crop.T @ POSE[:3, :3], crop.R_cam_crop.T @ POSE[:3, 3])
    turn = crop.R_cam_crop.T
    return {
        "rotations": np.concatenate([[[*turn[:, 0], *turn[:, 1]]], np.tile([1.0, 0, 0, 0, 1, 0], (15, 1))]),
        "pose": np.append(Rotation.from_matrix(turn).as_rotvec(), np.zeros(45)),
        "joints": within(joints_m, hand_box),
        "control": control[:, :, None],
        "trust": 0.8,
        "object": from_pose(T_crop[None], np.array([crop.focal_px]), 64)[0],
    }


@pytest.mark.parametrize(("task", "kind"), [("control_points", GraspModel), ("object_pose", ObjectPoseModel)])
def test_a_file_gives_the_model_that_its_sidecar_names(fixed_grasps, tmp_path, task, kind):
    path = fixed_grasps(tmp_path, task, objects=OBJECTS)
    model = runtime.load(path)
    assert type(model) is kind
    assert is_of_grasps(path)
    assert model.objects == ["mug", "can"]
    np.testing.assert_allclose(model.control_m("mug"), CONTROL, atol=1e-9)
    with pytest.raises(AssetError, match=f"task hand, .* is one of {task}"):
        runtime.load_hand(path)


@pytest.mark.parametrize("task", ["control_points", "object_pose"])
def test_hand_and_object_are_read_where_they_are(fixed_grasps, tmp_path, task):
    """From a box of the labels, then from what was read in the image before, which is as large as it should be."""
    joints_m, (hand_box, object_box) = scene()
    model = open_grasps(fixed_grasps(tmp_path, task, objects=OBJECTS, **said()))
    watch = ObjectWatch(known_objects(model, {}))
    reader = GraspReader(model, watch)
    watch.look(Clues((SeenObject("mug", object_box), SeenObject("can", (10.0, 10.0, 30.0, 40.0)))))
    held = reader.read(IMAGE, CAMERA, hand_box, "right").held
    assert (held.name, held.clue, held.found) == ("mug", "label", True)
    np.testing.assert_allclose(held.T_cam_obj, POSE, atol=2e-3)
    expected_px = cameras.project(CAMERA, cameras.transform(POSE, CONTROL))
    np.testing.assert_allclose(held.control_px, expected_px, atol=0.5)
    assert held.confidence == pytest.approx(0.8, abs=1e-6) if task == "control_points" else np.isnan(held.confidence)
    watch.took(CAMERA, [held])
    watch.look(Clues())
    again = reader.read(IMAGE, CAMERA, hand_box, "right")
    assert again.held.clue == "before"
    np.testing.assert_allclose(again.held.box, object_box, atol=0.5)
    np.testing.assert_allclose(again.held.T_cam_obj, POSE, atol=5e-3)
    np.testing.assert_allclose(again.joints_px, cameras.project(CAMERA, joints_m), atol=1.0)


def test_a_follower_hands_its_clues_on(fixed_grasps, tmp_path):
    joints_m, (hand_box, object_box) = scene()
    model = open_grasps(fixed_grasps(tmp_path, "control_points", objects=OBJECTS, **said()))
    watch = ObjectWatch(known_objects(model, {}, "mug"), "mug")
    finder = SimpleNamespace(detect=lambda rgb: [SimpleNamespace(side="right", box=hand_box, score=0.9)])
    follower = Follower(finder, GraspReader(model, watch), watch=watch)
    clues = []
    for seen in ((SeenObject("mug", object_box),), (), ()):
        (hand,) = follower.step(IMAGE, CAMERA, Clues(seen))
        clues.append(hand.reading.held.clue)
        assert hand.reading.joints_px == pytest.approx(cameras.project(CAMERA, joints_m), abs=2.0)
    assert clues == ["label", "before", "before"]


HAND = (100.0, 100.0, 140.0, 150.0)


def held(name, control_px, T=None, box=HAND):
    T = np.full((4, 4), np.nan) if T is None else T
    return HeldObject(name, box, "hand", T, np.asarray(control_px, float))


def test_where_an_object_is_looked_for():
    """Labels, what was read before, the user's box, depth, around the hand: the first of these that there is."""
    asked = []

    def depth():
        """A table at a metre, and a block of 40 px beside the hand 10 cm above it."""
        asked.append(True)
        image = np.ones((240, 320), np.float32)
        image[110:150, 150:190] = 0.9
        return image

    watch = ObjectWatch({"mug": CONTROL})
    watch.look(Clues())
    assert watch.place(HAND) == ("mug", (80.0, 85.0, 160.0, 165.0), "hand")  # 1.6 times 50 px about (120, 125)
    watch.look(Clues(depth=depth))
    name, box, clue = watch.place(HAND)
    watch.place(HAND)
    assert (name, clue, len(asked)) == ("mug", "depth", 1)  # it is read once an image
    assert np.abs(np.array(box) - [150, 110, 190, 150]).max() <= 3
    watch.first_box = (130.0, 90.0, 170.0, 160.0)
    watch.look(Clues(depth=depth))
    assert watch.place(HAND) == ("mug", (130.0, 90.0, 170.0, 160.0), "given")
    points = np.tile([[120.0, 90.0], [180.0, 170.0], [150.0, 100.0]], (7, 1))
    watch.took(CAMERA, [held("mug", points)])
    assert watch.place(HAND) == ("mug", (120.0, 90.0, 180.0, 170.0), "before")
    watch.look(Clues([SeenObject("mug", (125.0, 95.0, 165.0, 155.0))]))
    assert watch.place(HAND) == ("mug", (125.0, 95.0, 165.0, 155.0), "label")
    watch.look(Clues([SeenObject("mug", (250.0, 10.0, 290.0, 50.0))]))
    assert watch.place(HAND) is None  # it stands elsewhere: the hand holds nothing
    assert len(asked) == 1
    watch.look(Clues())
    watch.took(CAMERA, [])
    assert watch.place(HAND)[2] == "hand"  # forgotten, and so is the user's first box


@pytest.mark.parametrize(
    "control_px",
    [
        np.full((21, 2), np.nan),
        np.tile([[120.0, 100.0], [122.0, 101.0], [121.0, 100.0]], (7, 1)),  # tiny
        np.tile([[-300.0, -100.0], [600.0, 400.0], [0.0, 0.0]], (7, 1)),  # larger than any held thing
        np.tile([[280.0, 20.0], [310.0, 60.0], [300.0, 30.0]], (7, 1)),  # far from the hand
        np.tile([[-60.0, 100.0], [-20.0, 150.0], [-30.0, 120.0]], (7, 1)),  # out of the image
    ],
)
def test_what_cannot_be_in_the_hand_is_not_looked_for_again(control_px):
    watch = ObjectWatch({})
    watch.took(CAMERA, [held("", control_px)])
    watch.look(Clues())
    assert watch.place(HAND)[::2] == ("", "hand")


def test_an_object_is_asked_for_by_what_is_known_of_it(fixed_grasps, tmp_path):
    """HFL-Net needs a size, of training or of a mesh; the CVAE the name; and a mesh must be that of training."""
    hfl = open_grasps(fixed_grasps(tmp_path, "control_points", objects=OBJECTS))
    cvae = open_grasps(fixed_grasps(tmp_path, "object_pose", objects=OBJECTS))
    mesh = np.array([LOW, HIGH])
    bowl = np.array([LOW * 2, HIGH * 2])
    assert list(known_objects(hfl, {})) == list(known_objects(cvae, {})) == ["mug", "can"]
    np.testing.assert_allclose(known_objects(hfl, {"bowl": bowl}, "bowl")["bowl"], 2 * CONTROL)
    assert list(known_objects(hfl, {"mug": mesh}, "", ["mug", "pen"])) == ["mug"]  # nobody knows how large a pen is
    assert list(known_objects(cvae, {"bowl": bowl}, "", ["can", "bowl"])) == ["can"]
    with pytest.raises(AssetError, match=r"size of bowl.*mesh at objects/bowl"):
        known_objects(hfl, {}, "bowl")
    with pytest.raises(ConfigError, match="bowl"):
        known_objects(cvae, {"bowl": bowl}, "bowl")
    with pytest.raises(ConfigError, match=r"none of bowl, pen.*--object none"):
        known_objects(cvae, {}, "", ["bowl", "pen"])
    for model in (hfl, cvae):
        with pytest.raises(AssetError, match=r"mug is another object's.*100 mm"):
            known_objects(model, {"mug": bowl}, "mug")


def test_models_that_cannot_read_are_refused_before_the_first_image(fixed_grasps, tmp_path):
    other = open_grasps(fixed_grasps(tmp_path, "control_points", hand_model="0" * 64))
    with pytest.raises(AssetError, match=r"another hand.*HOI_MANO"):
        GraspReader(other, None)
    alone = open_grasps(fixed_grasps(tmp_path, "object_pose", objects=OBJECTS, learn="object"))
    with pytest.raises(ConfigError, match="objects alone"):
        GraspReader(alone, None)
    hands = open_grasps(fixed_grasps(tmp_path, "object_pose", objects=OBJECTS, learn="hand"))
    reader = GraspReader(hands, ObjectWatch({}))
    assert reader.watch is None  # it was not trained on objects, and is not asked
    assert reader.read(IMAGE, CAMERA, HAND, "right").held is None


def test_a_name_that_a_network_does_not_know_is_a_guess_without_one(fixed_grasps, tmp_path):
    """The CVAE is asked for number -1, HFL-Net says where points are but no pose."""
    hfl = open_grasps(fixed_grasps(tmp_path, "control_points", objects=OBJECTS, **said()))
    reading = GraspReader(hfl, ObjectWatch({})).read(IMAGE, CAMERA, HAND, "left")
    assert not reading.held.found
    assert np.isfinite(reading.held.control_px).all()
    cvae = open_grasps(fixed_grasps(tmp_path, "object_pose", objects=OBJECTS, **said()))
    asked = []
    run = cvae.run
    cvae.run = lambda *shown: asked.append(shown[2].tolist()) or run(*shown)
    for control_m, name in ((known_objects(cvae, {}), "can"), ({}, "")):
        GraspReader(cvae, ObjectWatch(control_m, name)).read(IMAGE, CAMERA, HAND, "left")
    assert asked == [[1.0], [-1.0]]


def test_the_edges_of_a_box_are_drawn_through_their_middles():
    """Twelve edges of a cube seen along its axis: two squares, one in the other, and their corners joined."""
    cube = control_points(np.array([-1.0, -1.0, 3.0]), np.array([1.0, 1.0, 5.0]))
    pixels = cube[:, :2] / cube[:, 2:] * 60 + 32
    drawn = draw.box_edges(np.zeros((64, 64, 3), np.uint8), pixels, (255, 0, 0))[..., 0]
    for x, y in ((32, 12), (12, 32), (32, 20), (20, 32), (16, 16), (48, 48)):  # 60 / 3 and 60 / 5 px from the middle
        assert drawn[y, x] > 100, (x, y)
    assert not drawn[32, 32]
    pixels[8:] = np.nan
    assert not draw.box_edges(np.zeros((64, 64, 3), np.uint8), pixels, (255, 0, 0)).any()
