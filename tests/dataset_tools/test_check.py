"""A sound dataset passes; planted faults are found, one test each."""

import json
import re
from dataclasses import replace

import h5py
import numpy as np
import pytest

from dataset_tools.check import check, check_tables
from dataset_tools.readers import _tiny_ours
from hoi_core import camera as cameras
from hoi_core import sequence as sequences
from hoi_core.mano import ManoLayer
from hoi_core.render import Mesh, render_depth
from hoi_core.types import STATUSES, Camera, Frame, HandKeypoints, ObjectTrack, StreamInfo

NAME = "seq_001"
CUBE = "\n".join(
    [f"v {x} {y} {z}" for x in (0, 0.1) for y in (0, 0.1) for z in (0, 0.1)]
    + ["f 1 2 3", "f 2 3 4", "f 5 6 7", "f 6 7 8", "f 1 2 5", "f 3 4 7"]
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A right hand over four moments with colour, depth, keypoints, an object, and tables."""
    root = tmp_path_factory.mktemp("sound")
    _tiny_ours.write(root, frames=4)
    for name in ("seq_001", "seq_002"):
        _with_depth(root, name)
    (root / "objects" / "o01").mkdir(parents=True)
    (root / "objects" / "o01" / "mesh.obj").write_text(CUBE)
    return root


def _with_depth(root, name):
    """Record the sequence again with a depth stream that sees the labelled hand before a wall."""
    folder = sequences.sequence_dir(root, name)
    with sequences.open_annotation(folder) as annotation:
        revision = annotation.load()
    with sequences.open_capture(folder) as old:
        camera, images = old.views["left"].camera, [image.copy() for image in old.views["left"].color]
        header = replace(old.header, objects=("o01",))
    for file in folder.iterdir():
        file.unlink()
    streams = [
        StreamInfo("left/color", "camera", (240, 320, 3), "uint8", 30.0, camera, "1"),
        StreamInfo("left/depth", "camera", (240, 320), "uint16", 30.0, camera, "1", depth_scale_m=0.001),
    ]
    writer = sequences.CaptureWriter.create(folder / "capture.h5", header, streams)
    for m, t in enumerate(revision.t_ns.tolist()):
        image = np.random.default_rng([m, len(name)]).integers(0, 3, images[m].shape).astype(np.uint8) + images[m]
        depth = np.rint(1000 * _surface_m(revision, m, camera)).astype(np.uint16)
        for stream, content in zip(streams, (image, depth), strict=True):
            writer.append(Frame(stream.name, m, t, t, "hardware_clock", content))
        writer.sync(t, {stream.name: m for stream in streams}, {stream.name: 0 for stream in streams})
    writer.close()
    sequences.register_recording(root, header, seconds=0.1, drops=0, status="recorded")
    write(root, name, _labelled(revision, camera))


def _surface_m(revision, m, camera):
    ((side, hand),) = revision.hands.items()
    layer = ManoLayer.from_env(side)
    posed = layer(hand.orient[m : m + 1], hand.pose[m : m + 1], hand.betas, hand.trans_m[m : m + 1])
    colors = np.zeros((778, 3), np.uint8)
    depth, _ = render_depth([Mesh(posed.vertices_m[0], layer.closed_faces.astype(np.int32), colors, 1)], camera)
    return np.where((depth > 0) & np.isfinite(depth), depth, 1.0)


def _labelled(revision, camera):
    """With keypoints on the joints, covariances and an object."""
    ((side, hand),) = revision.hands.items()
    moments = len(revision.t_ns)
    pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, hand.joints_m))
    points = np.concatenate([pixels, np.ones((moments, 21, 1))], -1)
    T = np.tile(np.eye(4), (moments, 1, 1))
    track = ObjectTrack(T, np.ones(moments, np.bool_), np.full(moments, STATUSES.index("auto"), np.uint8))
    return replace(
        revision,
        hands={side: replace(hand, joint_cov_m2=np.tile(1e-6 * np.eye(3), (moments, 21, 1, 1)))},
        keypoints={side: HandKeypoints({"left": points})},
        objects={"o01": track},
    )


def write(root, name, revision):
    """Add a revision that is bound to the recording."""
    folder = sequences.sequence_dir(root, name)
    with sequences.open_capture(folder) as capture:
        binding = sequences.Binding(capture.content_hash(), ManoLayer.from_env("right").model.source)
    sequences.write_revision(folder, revision, binding=binding)


@pytest.fixture
def root(sound, tmp_path):
    """A copy to damage."""
    for path in sound.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(sound)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


def relabel(root, change):
    """Rewrite the labels with `change(revision) -> revision`."""
    folder = sequences.sequence_dir(root, NAME)
    with sequences.open_annotation(folder) as annotation:
        revision = annotation.load()
    write(root, NAME, change(revision))


def hand_with(**fields):
    """A change of the hand's fields; callables get the old value."""

    def change(revision):
        hand = revision.hands["right"]
        new = {name: value(getattr(hand, name).copy()) for name, value in fields.items()}
        return replace(revision, hands={"right": replace(hand, **new)})

    return change


def put(at, value):
    def change(array):
        array[at] = value
        return array

    return change


def object_with(change):
    def changed(revision):
        track = revision.objects["o01"]
        return replace(revision, objects={"o01": replace(track, T_world_obj=change(track.T_world_obj.copy()))})

    return changed


def keypoints_with(change):
    def changed(revision):
        points = change(revision.keypoints["right"].by_view["left"].copy())
        return replace(revision, keypoints={"right": HandKeypoints({"left": points})})

    return changed


def frames_with(change):
    return lambda revision: replace(revision, frame_index={"left": change(revision.frame_index["left"])})


def moved_m(*shift_m):
    """A change that moves joints and parameters alike."""
    shift = np.array(shift_m)
    return hand_with(joints_m=lambda j: j + shift, trans_m=lambda t: t + shift)


def attribute(path, name, value):
    """A change of an attribute of the recording's file."""

    def change(root):
        with h5py.File(sequences.capture_path(root, NAME), "r+") as file:
            assert name in file[path].attrs
            file[path].attrs[name] = value

    return change


def test_a_sound_dataset_is_sound(sound):
    assert check(sound, "seq_001") == []
    assert check(sound, "seq_002") == []
    assert check_tables(sound) == []


_FINGERS_MIXED = [0, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4, *range(13, 21)]
_LAST_UP_M = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.6]])

LABELS = {
    "millimetres": (hand_with(joints_m=lambda j: 1e3 * j), r"1\d\d m long.*millimetres"),
    "joint order": (hand_with(joints_m=lambda j: j[:, _FINGERS_MIXED]), "mm from where|m long"),
    "a bone that changes": (hand_with(joints_m=put((2, 8), [0.0, 0.0, 0.1])), "bone to indextip"),
    "joints beside parameters": (hand_with(trans_m=lambda t: t + 0.004), "mm from where the parameters"),
    "degrees": (hand_with(orient=lambda o: np.rad2deg(o) + 90), "in degrees"),
    "shape": (hand_with(betas=lambda b: b + 9), "shape coefficient"),
    "finger bent backwards": (
        hand_with(pose=put((1, slice(0, 9)), [0, 0, -1.9] * 3)),
        "beyond what a hand can|mm from",
    ),
    "covariance": (hand_with(joint_cov_m2=lambda c: -c), "no covariance"),
    "status none": (hand_with(status=put(1, STATUSES.index("none"))), "moment 1 is valid, but its status is none"),
    "status accepted": (
        hand_with(status=put(1, STATUSES.index("accepted")), valid=put(1, False)),
        "moment 1 is accepted, but holds no label",
    ),
    "NaN": (hand_with(joints_m=put((1, 3), np.nan)), "NaN"),
    "sentinel": (hand_with(joints_m=put(1, -1.0)), "placeholder"),
    "a jump": (hand_with(joints_m=lambda j: j + _LAST_UP_M[:, None], trans_m=lambda t: t + _LAST_UP_M), "jumps 6"),
    "outside the images": (moved_m(3.0, 0.0, 0.0), "outside every image"),
    "behind the cameras": (moved_m(0.0, -1.5, 2.0), "outside every image"),
    "keypoints of another take": (keypoints_with(lambda p: p + np.array([60.0, 0.0, 0.0])), "px from their keypoints"),
    "confidence": (keypoints_with(lambda p: p * [1.0, 1.0, 100.0]), "outside 0 to 1"),
    "keypoint placeholder": (keypoints_with(put((0, 3), -1.0)), "placeholder -1|outside 0 to 1"),
    "frames of another take": (frames_with(lambda f: f[::-1].copy()), "belong to other frames"),
    "frames that are not there": (frames_with(lambda f: f + 9), "name frame 12 of 4"),
    "object scaled": (object_with(lambda T: T * np.array([2.0, 2, 2, 1])[:, None]), "scaled or mirrored"),
    "object in millimetres": (object_with(put((0, 0, 3), 400.0)), "400 m away"),
    "object NaN": (object_with(put((0, 0, 3), np.nan)), "NaN"),
}


@pytest.mark.parametrize(("change", "match"), LABELS.values(), ids=LABELS)
def test_wrong_labels(root, change, match):
    relabel(root, change)
    problems = check(root, NAME)
    assert any(re.search(match, problem) for problem in problems), problems


def test_a_mesh_before_the_measured_surface(root):
    """Along the line of sight, so that neither the image nor the keypoints tell."""
    with sequences.open_capture(sequences.sequence_dir(root, NAME)) as capture:
        eye = capture.views["left"].camera.T_world_cam[:3, 3]

    def nearer(revision):
        hand = revision.hands["right"]
        shift = 0.12 * (eye - hand.joints_m.mean((0, 1)))
        moved = replace(hand, joints_m=hand.joints_m + shift, trans_m=hand.trans_m + shift)
        return replace(revision, hands={"right": moved})

    relabel(root, nearer)
    (problem,) = [p for p in check(root, NAME) if "depth" in p]
    assert "in front of the measured depth" in problem


RECORDING = {
    "depth unit": (attribute("cameras/left/depth", "depth_scale_m", 1.0), "its unit, 1 m, right"),
    "focal length": (attribute("cameras/left/color", "fx", 30.0), "lens cannot be"),
    "principal point": (attribute("cameras/left/color", "cx", 900.0), "outside the image"),
    "pose in millimetres": (
        attribute("cameras/left/color", "T_world_cam", cameras.rigid(np.eye(3), np.array([500.0, 0.0, 0.0]))),
        "in millimetres",
    ),
    "pose mirrored": (attribute("cameras/left/color", "T_world_cam", np.diag([1.0, 1, -1, 1])), "no rotation"),
}


@pytest.mark.parametrize(("damage", "match"), RECORDING.values(), ids=RECORDING)
def test_wrong_recordings(root, damage, match):
    damage(root)
    assert any(match in problem for problem in check(root, NAME))


@pytest.mark.parametrize(
    ("pictures", "match"),
    [
        (lambda rng: np.zeros((6, 8, 3), np.uint8), "black"),
        (lambda rng: np.full((6, 8, 3), 90, np.uint8), "show nothing"),
        (lambda rng: np.arange(144, dtype=np.uint8).reshape(6, 8, 3), "all images are the same"),
        (lambda rng: rng.integers(0, 255, (6, 8, 3)).astype(np.uint8), ""),
    ],
)
def test_cameras_that_show_nothing(tmp_path, pictures, match):
    camera = Camera(8, 6, 10.0, 10.0, 4.0, 3.0)
    stream = StreamInfo("left/color", "camera", (6, 8, 3), "uint8", 30.0, camera, "1")
    folder = sequences.new_sequence_dir(tmp_path, NAME)
    writer = sequences.CaptureWriter.create(folder / "capture.h5", sequences.CaptureHeader(NAME), [stream])
    rng = np.random.default_rng(0)
    for m in range(3):
        writer.append(Frame(stream.name, m, m * 10**7, m * 10**7, "hardware_clock", pictures(rng)))
        writer.sync(m * 10**7, {stream.name: m}, {stream.name: 0})
    writer.close()
    problems = check(tmp_path, NAME)
    assert bool(problems) == bool(match)
    assert all(match in problem for problem in problems)


class TestObjects:
    def test_no_mesh(self, root):
        (root / "objects" / "o01" / "mesh.obj").unlink()
        assert any("has no mesh" in problem for problem in check(root, NAME))

    def test_a_mesh_in_millimetres(self, root):
        (root / "objects" / "o01" / "mesh.obj").write_text(CUBE.replace("0.1", "100"))
        assert any("100 m large" in problem for problem in check(root, NAME))

    def test_a_damaged_mesh(self, root):
        (root / "objects" / "o01" / "mesh.obj").write_text("v 1 2\nf 1 2 3")
        assert check(root, NAME)


class TestTables:
    def test_a_sequence_that_is_gone(self, root):
        sequences.set_row(root, "protocol", {"sequence": "seq_007", "participant": "p01", "status": "recorded"})
        assert check_tables(root) == ["protocol.csv lists seq_007, which is not there"]

    def test_a_sequence_that_nobody_listed(self, root):
        path = root / "protocol.csv"
        path.write_text("\n".join(line for line in path.read_text().splitlines() if "seq_002" not in line))
        assert check_tables(root) == ["seq_002 is not in protocol.csv"]

    def test_another_participant(self, root):
        sequences.set_row(root, "protocol", {"sequence": NAME, "participant": "p09"})
        (problem,) = check_tables(root)
        assert "'p09'" in problem

    def test_a_renamed_folder(self, root):
        (root / "sequences" / NAME).rename(root / "sequences" / "seq_009")
        assert "seq_009: it calls itself seq_001; was its folder renamed?" in check_tables(root)

    def test_unknown_people_and_things(self, root):
        (root / "participants.csv").write_text("participant\n")
        (root / "objects.csv").write_text("object\n")
        problems = check_tables(root)
        assert any("p01 is not in participants.csv" in problem for problem in problems)
        assert any("o01 is not in objects.csv" in problem for problem in problems)

    def test_splits_of_what_is_not_there(self, root):
        (root / "dataset.json").write_text(json.dumps({"splits": {"train": ["seq_044"]}}))
        assert check_tables(root) == ["dataset.json lists seq_044, which is not there"]
        (root / "dataset.json").write_text("{")
        assert "dataset.json" in check_tables(root)[0]
