"""First guesses of a network of hands with objects: laid onto depth, believed where it agrees, else told why not."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotate import auto, grasps
from annotate.document.guess import Guesser
from annotate.keypoints import Keypoints, onnx, stored
from annotate.objects.mesh import load_mesh
from annotate.objects.track import Start
from annotate.session import AnnotationSession
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.errors import AssetError, ConfigError, FitError
from hoi_core.grasp_model import Grasp
from hoi_core.mano import ManoLayer
from hoi_core.mesh_file import write_obj
from hoi_core.scene import objects
from hoi_core.sequence import open_capture, open_truth
from hoi_core.types import STATUSES, Camera, Prediction

MOMENTS = 16


@pytest.fixture(scope="module")
def root(record, tmp_path_factory):
    """Half a second of a right hand that holds a mug, with the mug's mesh beside."""
    root = tmp_path_factory.mktemp("data")
    record(root / "sequences" / "seq_001", seed=2, thing="o03", start_s=1.6, moments=MOMENTS, scale=0.5)
    (root / "objects" / "o03").mkdir(parents=True)
    mug = objects.make("o03")
    write_obj(root / "objects" / "o03" / "mesh.obj", mug.shape.vertices_m, mug.faces)
    return root


@pytest.fixture
def capture(root):
    with open_capture(root / "sequences" / "seq_001") as capture:
        yield capture


@pytest.fixture
def keypoints(root, capture):
    return stored.provide(stored.Config(), root / "sequences" / "seq_001", capture)


@pytest.fixture(scope="module")
def true_labels(root):
    with open_truth(root / "sequences" / "seq_001") as truth:
        return truth.load()


@pytest.fixture(scope="module")
def truth(true_labels):
    return true_labels.objects["o03"].T_world_obj


@pytest.fixture
def network(fixed_grasps, tmp_path, monkeypatch, truth, true_labels):
    """A network that errs by 25 mm, most of it in depth, and by 10 degrees; `off_m` moves what it says further.

    Of the hand it sees the joints without error, and where it is 20 mm too far away.
    """
    layer, hand = ManoLayer.stand_in("right"), true_labels.hands["right"]
    mug = objects.make("o03").shape.vertices_m
    model = grasps.open_model(fixed_grasps(tmp_path, "control_points", objects={"o03": (mug.min(0), mug.max(0))}))
    asked, hands_at = [], grasps.hands_at

    def at(capture, keypoints, moment, **more):
        asked.append(moment)
        return hands_at(capture, keypoints, moment, **more)

    def predict(image, camera, hand_box, object_box=None, *, control_m=None, side=None):
        T = camera.T_cam_world @ truth[asked[-1]]
        T[:3, 3] += [0.005, -0.005, 0.024]
        T[:3, :3] = T[:3, :3] @ rotation.exp_so3(np.deg2rad([6.0, 8.0, 0.0]))
        T[:3, 3] += model.off_m
        some = slice(asked[-1], asked[-1] + 1)
        posed = layer(hand.orient[some], hand.pose[some], hand.betas, hand.trans_m[some])
        far = np.array([0.0, 0.0, 0.02])
        points = [cameras.transform(camera.T_cam_world, x[0]) + far for x in (posed.joints_m, posed.vertices_m)]
        seen = cameras.project(camera, points[0] - far)
        return Grasp(Prediction(*points, seen, np.full(21, 0.9)), T, np.full((21, 2), np.nan), 0.9)

    monkeypatch.setattr(grasps, "hands_at", at)
    monkeypatch.setattr(grasps, "MOMENTS", 2)
    model.predict, model.off_m, model.asked = predict, np.zeros(3), asked
    return model


def away_mm(mesh, T, true):
    """Mean distance of the surface in one pose from that in another."""
    points = mesh.samples_m @ T[:3, :3].T + T[:3, 3]
    return 1e3 * float(np.abs(mesh.grid.at((points - true[:3, 3]) @ true[:3, :3])[0]).mean())


def test_a_guess_is_laid_onto_depth_and_begins_the_track(root, capture, keypoints, network, truth):
    starts, told = grasps.first_poses(root, capture, network, keypoints, ["o03"])
    assert "o03" in starts, told
    ((moment, T),) = starts["o03"].poses.items()
    mesh = load_mesh(root, "o03")
    rough = truth[moment].copy()
    rough[:3, 3] += capture.views["left"].camera.T_world_cam[:3, :3] @ [0.005, -0.005, 0.024]
    assert away_mm(mesh, rough, truth[moment]) > 6.0
    assert away_mm(mesh, T, truth[moment]) < 3.0
    assert f"moment {moment}" in told["o03"]


def test_what_depth_does_not_show_is_not_believed(root, capture, keypoints, network):
    network.off_m = np.array([0.2, 0.0, -0.25])  # in the air
    starts, told = grasps.first_poses(root, capture, network, keypoints, ["o03"])
    assert not starts
    assert "depth" in told["o03"]
    assert "Click" in told["o03"]
    network.off_m = np.full(3, np.nan)
    assert "sure enough" in grasps.first_poses(root, capture, network, keypoints, ["o03"])[1]["o03"]


def test_why_there_is_no_guess_is_told(root, capture, keypoints, network, tmp_path):
    """No mesh, a mesh of another object, no hand."""
    _, told = grasps.first_poses(root, capture, network, keypoints, ["o99"])
    assert "o99" in told["o99"]
    assert "mesh" in told["o99"]
    (tmp_path / "objects" / "o03").mkdir(parents=True)
    bowl = objects.make("bowl")
    write_obj(tmp_path / "objects" / "o03" / "mesh.obj", bowl.shape.vertices_m, bowl.faces)
    assert "another object" in grasps.first_poses(tmp_path, capture, network, keypoints, ["o03"])[1]["o03"]
    nobody = Keypoints({}, "detected")
    assert "no hand" in grasps.first_poses(root, capture, network, nobody, ["o03"])[1]["o03"]


@pytest.fixture
def session(root, tmp_path):
    shutil.copytree(root, tmp_path / "copy")
    with AnnotationSession.open(tmp_path / "copy", "seq_001", "somebody") as session:
        yield session


def test_a_frame_is_guessed_as_one_step_that_nobody_has_settled(root, session, network, truth, true_labels):
    """Two views lay the hand where it is; the object lies on depth; both wait for a person, and go with one undo."""
    guesser, frame = Guesser(Path("unread.onnx"), root), 6
    guesser.__dict__["model"] = network
    network.asked.append(frame)
    guess = guesser.guess(session, "right", frame, "o03")
    session.adopt(guess.revision, guess.text)
    hand, thing = session.revision.hands["right"], session.revision.objects["o03"]
    assert np.flatnonzero(hand.valid).tolist() == np.flatnonzero(thing.valid).tolist() == [frame]
    assert STATUSES[hand.status[frame]] == STATUSES[thing.status[frame]] == "auto"
    off_mm = 1e3 * np.linalg.norm(hand.joints_m[frame] - true_labels.hands["right"].joints_m[frame], axis=-1)
    assert off_mm.mean() < 6.0
    posed = ManoLayer.stand_in("right")(hand.orient[[frame]], hand.pose[[frame]], hand.betas, hand.trans_m[[frame]])
    np.testing.assert_allclose(posed.joints_m[0], hand.joints_m[frame], atol=1e-6)
    assert away_mm(load_mesh(root, "o03"), thing.T_world_obj[frame], truth[frame]) < 3.0
    assert "guess" in guess.told
    assert session.undo_text == "Guess frame 6"
    session.undo()
    assert not session.revision.hands["right"].valid.any()
    assert "o03" not in session.revision.objects
    session.redo()
    # What a person accepted stays, and the shape of the hand with it.
    session.set_status([frame], "accepted")
    again = guesser.guess(session, "right", frame, "o03")
    assert again.revision is session.revision
    assert "settled" in again.told
    network.asked.append(frame + 3)
    more = guesser.guess(session, "right", frame + 3, "").revision.hands["right"]
    np.testing.assert_array_equal(more.betas, hand.betas)
    assert np.flatnonzero(more.valid).tolist() == [frame, frame + 3]


def test_a_guess_that_is_not_believed_leaves_the_object_and_says_so(root, session, network):
    guesser = Guesser(Path("unread.onnx"), root)
    guesser.__dict__["model"] = network
    network.asked.append(6)
    network.off_m = np.array([0.2, 0.0, -0.25])
    guess = guesser.guess(session, "right", 6, "o03")
    assert "o03" not in guess.revision.objects
    assert "Depth does not show o03" in guess.told
    network.off_m = np.full(3, np.nan)
    assert "not sure of o03" in guesser.guess(session, "right", 6, "o03").told
    assert "No guess of o99" in guesser.guess(session, "right", 6, "o99").told
    with pytest.raises(ConfigError, match=r"left hand.*Click six joints"):
        guesser.guess(session, "left", 6, "o03")


def test_what_a_person_placed_stays(root, capture, keypoints, network):
    mine = Start(load_mesh(root, "o03"), None, {3: np.eye(4)})
    starts, told = auto._guessed(root, capture, network, keypoints, {"o03": mine})
    assert starts["o03"] is mine
    assert "person" in told["o03"]
    failed = FitError("too few clicks.")
    starts, told = auto._guessed(root, capture, network, keypoints, {"o03": failed})
    assert isinstance(starts["o03"], Start)
    assert auto._guessed(root, capture, None, keypoints, {"o03": failed}) == ({"o03": failed}, {})


def test_where_nobody_knows_joints_the_network_says_where_it_sees_them(root, capture, keypoints, monkeypatch):
    folder = root / "sequences" / "seq_001"
    config = auto.Config(keypoints="clicks", grasps="hfl.onnx")
    told = auto._keypoints(folder, capture, config)
    assert told[1] == {}  # these were clicked
    monkeypatch.setattr(auto, "find_keypoints", lambda *args: (_ for _ in ()).throw(FitError("none.")))
    with pytest.raises(FitError):
        auto._keypoints(folder, capture, replace(config, grasps=""))
    monkeypatch.setattr(grasps, "hand_keypoints", lambda path, *args: keypoints if path == Path("hfl.onnx") else None)
    found, told = auto._keypoints(folder, capture, config)
    assert found is keypoints
    assert "network" in told["hand"]


def test_a_network_of_grasps_is_a_provider_of_joints(fixed_grasps, tmp_path):
    """It is asked for a hand that may hold something: the crop shows the hand's box and more around it."""
    path, camera, box = (
        fixed_grasps(tmp_path, "control_points"),
        Camera(160, 120, 150.0, 150.0, 79.5, 59.5),
        (50, 40, 90, 90),
    )
    image = np.zeros((120, 160, 3), np.uint8)
    found = onnx.load(path).find(image, camera, box, "left")
    expected = grasps.open_model(path).predict(image, camera, box, (30.0, 25.0, 110.0, 105.0), side="left").hand
    np.testing.assert_allclose(found[:, :2], expected.joints_px)
    np.testing.assert_allclose(found[:, 2], 0.9, atol=1e-6)


def test_settings_of_before_are_finished_and_models_are_checked_first(fixed_grasps, tmp_path):
    plain = auto.Config()
    assert plain.digest() != replace(plain, grasps="hfl.onnx").digest()
    assert plain.digest() == "6f5cba371bef"
    with pytest.raises(AssetError, match="HOI_MANO"):
        grasps.open_model(fixed_grasps(tmp_path, "control_points", hand_model="0" * 64))
    with pytest.raises(ConfigError, match="objects alone"):
        grasps.open_model(fixed_grasps(tmp_path, "object_pose", learn="object"))
