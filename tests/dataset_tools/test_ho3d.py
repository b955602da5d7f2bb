"""HO-3D: axes, parameters, labels of the evaluation set, and files that are damaged."""

import json
import os
import pickle

import cv2
import numpy as np
import pytest

from dataset_tools.readers import ho3d_v2, ho3d_v3
from hoi_core.conventions import JOINT_ORDERS
from hoi_core.errors import DatasetError
from hoi_core.mano import ManoLayer

TRAIN = "train/ABF10/0000"
TEST = "evaluation/AP14/0004"


@pytest.fixture
def root(tmp_path):
    return ho3d_v2.tiny(tmp_path / "ho3d_v2")


def meta_of(root, key=TRAIN):
    folder, sequence, number = key.split("/")
    return root / folder / sequence / "meta" / f"{number}.pkl"


def change(path, **entries):
    content = pickle.loads(path.read_bytes())  # noqa: S301 -- our own fake
    path.write_bytes(pickle.dumps({**content, **entries}, protocol=2))


def test_native_axes_are_turned_and_joints_named(root):
    native = pickle.loads(meta_of(root).read_bytes())["handJoints3D"]  # noqa: S301 -- our own fake
    assert (native[:, 2] < 0).all()
    joints = ho3d_v2.read(root, TRAIN).joints_m
    for joint in ("wrist", "thumbtip", "little1", "ring2"):
        ours = joints[JOINT_ORDERS["openpose21"].index(joint)]
        np.testing.assert_allclose(ours, native[JOINT_ORDERS["mano21"].index(joint)] * [1, -1, -1])


def test_parameters_give_the_joints(root):
    for key in ho3d_v2.index(root, "train"):
        sample = ho3d_v2.read(root, key)
        params = sample.params
        posed = ManoLayer.stand_in("right")(
            params.orient[None],
            params.pose[None],
            params.betas,
            params.trans_m[None],
            flat_hand_mean=params.flat_hand_mean,
        )
        np.testing.assert_allclose(posed.joints_m[0], sample.joints_m, atol=1e-6)


def test_object_corners_lie_where_the_native_pose_puts_them(root):
    native = pickle.loads(meta_of(root).read_bytes())  # noqa: S301 -- our own fake
    corners = native["objCorners3DRest"]
    placed = corners @ cv2.Rodrigues(native["objRot"])[0].T + native["objTrans"]
    (shown,) = ho3d_v2.read(root, TRAIN).objects
    T = shown.T_cam_obj
    np.testing.assert_allclose(corners @ T[:3, :3].T + T[:3, 3], placed * [1, -1, -1], atol=1e-9)
    assert shown.name == "021_bleach_cleanser"
    assert shown.mesh is None
    mesh = root / "models" / shown.name / "textured_simple.obj"
    mesh.parent.mkdir(parents=True)
    mesh.touch()
    assert ho3d_v2.read(root, TRAIN).objects[0].mesh == mesh
    change(meta_of(root), objRot=None)
    assert ho3d_v2.read(root, TRAIN).objects == ()


def test_the_evaluation_set_has_the_wrist_until_its_labels_are_there(root, tmp_path, caplog):
    ho3d_v2.index(root, "train")
    assert not caplog.text
    ho3d_v2.index(root, "test")
    assert "the wrist alone" in caplog.text
    sample = ho3d_v2.read(root, TEST)
    assert sample.joints_valid.tolist() == [True] + 20 * [False]
    assert sample.vertices_m is None
    assert sample.params is None
    labelled = ho3d_v3.tiny(tmp_path / "ho3d_v3")
    caplog.clear()
    ho3d_v3.index(labelled, "test")
    assert not caplog.text
    full = ho3d_v3.read(labelled, TEST)
    assert full.joints_valid.all()
    assert full.vertices_m.shape == (778, 3)
    np.testing.assert_allclose(full.joints_m[0], sample.joints_m[0])


def test_cameras_of_one_recording_are_one_group(root):
    groups = [ho3d_v2.group(key) for key in ho3d_v2.index(root, "all")]
    assert groups == ["ABF1", "ABF1", "MC2", "AP1", "SM1"]
    assert ho3d_v2.group("train/SB10/0000") == ho3d_v2.group("evaluation/SB11/0000")


def test_depth_is_low_byte_red_high_byte_green(root):
    path = root / "train" / "ABF10" / "depth" / "0000.png"
    packed = np.zeros((480, 640, 3), np.uint8)
    packed[100, 200] = (77, 16, 1)  # cv2: blue, green, red
    cv2.imwrite(str(path), packed)
    depth = ho3d_v2.depth_m(root, TRAIN)
    assert depth[100, 200] == pytest.approx((1 + 256 * 16) * 0.00012498664727900177)
    assert np.isnan(depth).sum() == depth.size - 1


class Evil:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return os.system, (f"touch {self.flag}",)


def test_a_hostile_pickle_does_not_run(root, tmp_path):
    flag = tmp_path / "ran"
    change(meta_of(root), handPose=Evil(flag))
    with pytest.raises(DatasetError, match="unsafe"):
        ho3d_v2.read(root, TRAIN)
    assert not flag.exists()


JOINTS = np.random.default_rng(0).normal(0.0, 0.02, (21, 3)) + np.array([0.0, 0.0, -0.5])


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"handJoints3D": None}, "handJoints3D"),
        ({"handJoints3D": JOINTS[:20]}, "of shape"),
        ({"handJoints3D": np.where(np.eye(21, 3) > 0, np.nan, JOINTS)}, "no number"),
        ({"handJoints3D": -JOINTS}, "behind the camera"),
        ({"handJoints3D": 1e3 * JOINTS}, "beyond 3.0 m"),
        ({"handJoints3D": JOINTS * [4, 4, 1]}, "palm|bone"),
        ({"camMat": np.eye(3)}, "intrinsics"),
        ({"camMat": np.eye(4)}, "of shape"),
        ({"camMat": "wide"}, "numbers"),
        ({"objName": "../../etc"}, "a name"),
        ({"objName": 3}, "a name"),
        ({"objTrans": [0.0, 0.0, 0.5]}, "behind the camera"),
        ({"objRot": np.zeros((3, 3))}, "of shape"),
        ({"handBeta": np.zeros(9)}, "of shape"),
    ],
)
def test_labels_that_cannot_be_are_refused(root, entries, match):
    change(meta_of(root), **entries)
    with pytest.raises(DatasetError, match=match):
        ho3d_v2.read(root, TRAIN)


def append(path, line):
    path.write_text(path.read_text() + line)


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda root: (root / "train.txt").unlink(), "found no train.txt"),
        (lambda root: (root / "train.txt").write_text(""), "lists nothing"),
        (lambda root: append(root / "train.txt", "ABF10/0000\n"), "twice"),
        (lambda root: append(root / "train.txt", "../0000\n"), "expected lines"),
        (lambda root: append(root / "train.txt", "ABF10/0007\n"), "1 are missing.*0007"),
        (lambda root: (root / "train" / "MC2" / "rgb" / "0107.png").unlink(), "1 are missing"),
        (lambda root: meta_of(root).unlink(), "1 are missing"),
    ],
)
def test_damaged_lists_are_named(root, damage, match):
    damage(root)
    with pytest.raises(DatasetError, match=match):
        ho3d_v2.index(root, "train")


@pytest.mark.parametrize("kept", [0, 0.1, 0.5, 0.99])
def test_truncated_labels(root, kept):
    data = meta_of(root).read_bytes()
    meta_of(root).write_bytes(data[: int(kept * len(data))])
    with pytest.raises(DatasetError, match="damaged"):
        ho3d_v2.read(root, TRAIN)


def test_pictures_and_depth_of_another_kind(root):
    picture, depth = (root / "train" / "ABF10" / kind / "0000.png" for kind in ("rgb", "depth"))
    depth.write_bytes(picture.read_bytes()[:100])
    with pytest.raises(DatasetError, match="nothing readable"):
        ho3d_v2.depth_m(root, TRAIN)
    cv2.imwrite(str(depth), np.zeros((480, 640), np.uint16))
    with pytest.raises(DatasetError, match="uint16"):
        ho3d_v2.depth_m(root, TRAIN)
    cv2.imwrite(str(picture), np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(DatasetError, match="320x240"):
        ho3d_v2.read(root, TRAIN)


def test_published_labels_of_another_order_axes_or_count(tmp_path):
    root = ho3d_v3.tiny(tmp_path)
    path = root / "evaluation_xyz.json"
    values = np.array(json.loads(path.read_text()))
    for wrong in (values[::-1], values * [1, -1, -1], values[:, ::-1], 1e3 * values):
        path.write_text(json.dumps(wrong.tolist()))
        with pytest.raises(DatasetError, match="beside the one"):
            ho3d_v3.read(root, TEST)
    path.write_text(json.dumps(values[:1].tolist()))
    with pytest.raises(DatasetError, match="expected 2 entries"):
        ho3d_v3.read(root, TEST)
