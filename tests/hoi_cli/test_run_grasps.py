"""`hoi-run` with a network of hands with objects: a recording with one labelled pose, a picture, and refusals."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hoi_cli import run as command
from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core import live
from hoi_core.grasp_model import HAND_BOX
from hoi_core.known_object import control_points
from hoi_core.mano import ManoLayer
from hoi_core.mesh_file import write_obj
from hoi_core.sequence import Binding, CaptureHeader, CaptureWriter, open_capture, write_revision
from hoi_core.types import Camera, Frame, ObjectTrack, Revision, StreamInfo

WIDTH, HEIGHT, MOMENTS = 160, 120, 3
CAMERA = Camera(WIDTH, HEIGHT, 150.0, 150.0, 79.5, 59.5)
FLAT = ManoLayer.stand_in("right")(np.zeros((1, 3)), np.zeros((1, 45))).joints_m[0]
JOINTS_PX = cameras.project(CAMERA, FLAT - FLAT.mean(0) + [-0.02, 0.0, 0.5])
HAND = crops.box_of(JOINTS_PX)
LOW, HIGH = (-0.03, -0.04, 0.0), (0.03, 0.04, 0.1)
POSE = cameras.rigid(np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 0.5]))


@pytest.fixture(autouse=True)
def finder(monkeypatch):
    """Finds a right hand in the same place of every image."""
    found = SimpleNamespace(side="right", box=HAND, score=0.9)
    monkeypatch.setattr(live, "open_finder", lambda path, threads=0: SimpleNamespace(detect=lambda rgb: [found]))


def corners():
    return np.array([[x, y, z] for x in (LOW[0], HIGH[0]) for y in (LOW[1], HIGH[1]) for z in (LOW[2], HIGH[2])])


@pytest.fixture
def root(tmp_path):
    """A recording of three images with a mug, whose pose is labelled in the first."""
    folder = tmp_path / "sequences" / "seq_001"
    folder.mkdir(parents=True)
    (tmp_path / "objects" / "mug").mkdir(parents=True)
    write_obj(tmp_path / "objects" / "mug" / "mesh.obj", corners(), np.array([[0, 1, 3], [4, 5, 7], [0, 2, 6]]))
    info = StreamInfo("left/color", "camera", (HEIGHT, WIDTH, 3), "uint8", 30.0, CAMERA)
    header = CaptureHeader("seq_001", objects=("mug",), rig="simulated")
    with CaptureWriter.create(folder / "capture.h5", header, [info]) as writer:
        for m in range(MOMENTS):
            t_ns = m * 33_333_333
            writer.append(Frame("left/color", m, t_ns, t_ns, "host", np.full(info.shape, 90, np.uint8)))
            writer.sync(t_ns, {"left/color": m}, {"left/color": 0})
        writer.close()
    poses, valid = np.full((MOMENTS, 4, 4), np.nan), np.arange(MOMENTS) == 0
    poses[0] = POSE
    track = ObjectTrack(poses, valid, valid.astype(np.uint8))
    t_ns = np.arange(MOMENTS, dtype=np.int64) * 33_333_333
    labels = Revision(t_ns, {}, {"mug": track}, {}, {"left": np.arange(MOMENTS)}, author="somebody")
    with open_capture(folder) as capture:
        write_revision(folder, labels, binding=Binding(capture.content_hash()))
    return tmp_path


def run(*flags):
    return command.main([*map(str, flags), "--no-window"])


def test_the_first_labelled_pose_begins_and_what_is_read_goes_on(fixed_grasps, root, capsys):
    """The network votes for the same places of whichever box it is shown, surely: poses follow from the mesh."""
    points = cameras.transform(POSE, control_points(np.array(LOW), np.array(HIGH)))

    def within(pixels):
        return (pixels - pixels.min(0)) / np.ptp(pixels, axis=0)

    votes = within(cameras.project(CAMERA, points))
    model = fixed_grasps(
        root, "control_points", objects={"mug": (LOW, HIGH)}, control=votes[:, :, None], trust=0.9,
        joints=0.5 + (within(JOINTS_PX) - 0.5) / HAND_BOX,
    )  # fmt: skip
    lines, figures, film = (root / name for name in ("hands.jsonl", "figures.json", "hands.mp4"))
    flags = ["--sequence", "seq_001", "--data", root, "--jsonl", lines, "--json", figures, "--out", film]
    assert run(model, *flags) == 0
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    things = [row["objects"] for row in rows]
    assert [len(found) for found in things] == [1, 1, 1]
    assert [found[0]["box_from"] for found in things] == ["label", "before", "before"]
    for (found,), row in zip(things, rows, strict=True):
        assert (found["object"], found["held_by"]) == ("mug", row["hands"][0]["identity"])
        assert found["confidence"] == pytest.approx(0.9, abs=1e-6)
        np.testing.assert_allclose(np.array(found["T_cam_object"])[:3, 3], POSE[:3, 3], atol=0.005)
        np.testing.assert_allclose(np.array(found["T_cam_object"])[:3, :3], POSE[:3, :3], atol=0.02)
        assert np.array(found["control_px"]).shape == (21, 2)
    assert json.loads(figures.read_text())["share_with_objects"] == 1.0
    assert "an object's pose in 100% of them" in " ".join(capsys.readouterr().out.split())
    drawn = cv2.VideoCapture(str(film)).read()[1]
    assert np.ptp(drawn.astype(int), axis=-1).max() > 60  # the film is gray; a box and a skeleton are not


def test_a_picture_with_a_box_of_the_user(fixed_grasps, tmp_path):
    model = fixed_grasps(tmp_path, "object_pose", objects={"mug": (LOW, HIGH), "can": (LOW, HIGH)})
    picture, out, lines = (tmp_path / name for name in ("a.png", "b.png", "c.jsonl"))
    cv2.imwrite(str(picture), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    flags = ["--image", picture, "--detector", "shipped", "--out", out, "--jsonl", lines]
    assert run(model, *flags, "--object", "can", "--object-box", 60, 30, 120, 100) == 0
    (thing,) = json.loads(lines.read_text())["objects"]
    assert (thing["object"], thing["box_from"], thing["box_px"]) == ("can", "given", [60.0, 30.0, 120.0, 100.0])
    assert np.linalg.det(np.array(thing["T_cam_object"])[:3, :3]) == pytest.approx(1.0)
    assert thing["confidence"] is None  # the CVAE does not say
    assert np.ptp(cv2.imread(str(out)).astype(int), axis=-1).max() > 60
    assert run(model, *flags, "--object", "none") == 0
    assert "objects" not in json.loads(lines.read_text())


def test_a_network_that_is_not_sure_says_no_pose(fixed_grasps, tmp_path, capsys):
    model = fixed_grasps(tmp_path, "control_points", objects={"mug": (LOW, HIGH)}, trust=0.3)
    picture, lines = tmp_path / "a.png", tmp_path / "c.jsonl"
    cv2.imwrite(str(picture), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    assert run(model, "--image", picture, "--detector", "shipped", "--jsonl", lines) == 0
    (thing,) = json.loads(lines.read_text())["objects"]
    assert (thing["object"], thing["box_from"], thing["T_cam_object"]) == ("mug", "hand", None)
    assert thing["confidence"] == pytest.approx(0.3, abs=1e-6)
    assert "no pose of an object" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--object", "bix"], "bix"),
        (["--object-box", "9", "9", "5", "20"], "--object-box"),
        (["--out", "film.mp4"], ".png"),
        (["--image", "nothing.png"], "nothing.png"),
    ],
)
def test_it_says_what_is_wrong(fixed_grasps, tmp_path, capsys, flags, word):
    model = fixed_grasps(tmp_path, "object_pose", objects={"mug": (LOW, HIGH)})
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert run(model, "--image", tmp_path / "a.png", "--detector", "shipped", *flags) == 2
    assert word in capsys.readouterr().err
