"""STB: a palm that is no wrist, labels in another camera's frame, and damaged files."""

import shutil

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from dataset_tools.readers import stb
from dataset_tools.readers._tiny_stb import hand_of
from hoi_core.errors import DatasetError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return stb.tiny(tmp_path_factory.mktemp("stb"))


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "stb")


def rewrite(root, edit):
    path = root / "labels" / "B1Counting_SK.mat"
    savemat(path, {"handPara": edit(loadmat(path)["handPara"])})


def test_the_first_background_is_the_test(root):
    assert {stb.group(key) for key in stb.index(root, "test")} == {"B1Counting", "B1Random"}
    assert len(stb.index(root, "train")) == 20
    assert len(stb.index(root, "all")) == 24


def test_every_joint_is_where_it_was_and_the_wrist_unknown(root):
    for key in stb.index(root, "all"):
        sample = stb.read(root, key)
        true = hand_of(stb.group(key), int(key[-4:])).joints_m
        np.testing.assert_allclose(sample.joints_m[1:], true[1:], atol=1e-9)
        assert np.isnan(sample.joints_m[0]).all()
        assert sample.joints_valid.tolist() == [False] + [True] * 20
        assert sample.side == "left"


def test_the_wrist_is_guessed_where_it_is_asked_for(root):
    sample = stb.read(root, "B2Random/0001", guess_wrist=True)
    np.testing.assert_allclose(sample.joints_m, hand_of("B2Random", 1).joints_m, atol=1e-9)
    assert sample.joints_valid.all()


def test_labels_are_moved_as_the_authors_own_script_does(root):
    """positionCalc.m: colour = R \\ (depth - t), with Rodrigues' R."""
    axis = np.array(stb.ROTATION_DEPTH_COLOR)
    angle = np.linalg.norm(axis)
    x, y, z = axis / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    native_mm = loadmat(root / "labels" / "B1Counting_SK.mat")["handPara"][:, :, 0]
    thumb_tip_mm = native_mm[:, 20]
    expected_mm = np.linalg.solve(rotation, thumb_tip_mm - np.array([-24.0381, -0.4563, -1.2326]))
    np.testing.assert_allclose(1000 * stb.read(root, "B1Counting/0000").joints_m[4], expected_mm, atol=1e-6)


def damage_nan(labels):
    labels[1, 4, 1] = np.nan
    return labels


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (damage_nan, "no number"),
        (lambda labels: labels[:, :20], r"shape \(3, 21, 1500\).*\(3, 20, 2\)"),
        (lambda labels: labels.transpose(1, 0, 2), r"\(21, 3, 2\)"),
        (lambda labels: labels[:, :, :0], r"\(3, 21, 0\)|shape"),
        (lambda labels: labels[:, :, :1], "expected 1 pictures.*found 2"),
        (lambda labels: labels / 1000, "100 to 3000 mm"),
        (lambda labels: -labels, "100 to 3000 mm"),
        (lambda labels: np.array(["x"]), "handPara"),
    ],
)
def test_damaged_labels_are_named(root, edit, match):
    rewrite(root, edit)
    with pytest.raises(DatasetError, match=match):
        stb.index(root, "test")


def test_joints_in_another_order_are_no_hand(root):
    rewrite(root, lambda labels: labels[:, np.r_[0:21:2, 1:21:2]])
    with pytest.raises(DatasetError, match="mm long"):
        stb.read(root, "B1Counting/0000")


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.6, 0.95])
def test_a_truncated_file_is_not_read_in_part(root, kept):
    path = root / "labels" / "B1Counting_SK.mat"
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(DatasetError, match=r"B1Counting_SK.mat"):
        stb.index(root, "test")


def test_missing_files(root):
    (root / "images" / "B1Counting" / "SK_color_1.png").unlink()
    with pytest.raises(DatasetError, match="found 1"):
        stb.index(root, "test")
    with pytest.raises(DatasetError, match="nothing readable"):
        stb.read(root, "B1Counting/0001")
    (root / "labels" / "B1Random_SK.mat").unlink()
    with pytest.raises(DatasetError, match=r"found no labels/B1Random_SK.mat"):
        stb.index(root, "test")
    with pytest.raises(DatasetError, match=r"found no labels/B1Random_SK.mat"):
        stb.read(root, "B1Random/0000")
    assert len(stb.index(root, "train")) == 20


def test_a_picture_of_another_size(root):
    cv2.imwrite(str(root / "images" / "B1Counting" / "SK_color_0.png"), np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"640x480 px.*320x240 px"):
        stb.read(root, "B1Counting/0000")
