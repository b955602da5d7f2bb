"""FreiHAND: numbers of copies, and label files that are damaged."""

import json
import os

import cv2
import numpy as np
import pytest

from dataset_tools.readers import _json_arrays, freihand
from hoi_core.errors import DatasetError
from hoi_core.mano import ManoLayer


@pytest.fixture
def root(tmp_path):
    return freihand.tiny(tmp_path / "freihand")


def change(path, edit):
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def test_the_four_copies_of_a_label_are_one_group(root):
    keys = freihand.index(root, "train")
    assert len(keys) == 8
    groups = {freihand.group(key) for key in keys}
    assert groups == {"training/00000000", "training/00000001"}
    assert freihand.index(root, "train_hom") == ["training/00000000/hom", "training/00000001/hom"]
    assert freihand.index(root, "test") == ["evaluation/00000000"]
    first = [freihand.read(root, key).joints_m for key in keys if key.startswith("training/00000000")]
    assert len(first) == 4
    assert (first == first[0]).all()


def test_copies_are_found_by_number(root):
    """Picture 2 + 1 is the second label on the second kind of background."""
    marked = np.full((224, 224, 3), 7, np.uint8)
    cv2.imwrite(str(root / "training" / "rgb" / "00000003.jpg"), marked)
    assert freihand.read(root, "training/00000001/hom").image.max() < 20
    assert freihand.read(root, "training/00000001/gs").image.max() > 100


def test_one_picture_for_each_label_is_a_dataset_too(root):
    for number in range(2, 8):
        (root / "training" / "rgb" / f"{number:08d}.jpg").unlink()
    assert freihand.index(root, "train") == ["training/00000000/gs", "training/00000001/gs"]
    assert freihand.index(root, "train_hom") == []


def test_the_pose_is_relative_to_the_mean(root):
    sample = freihand.read(root, "training/00000001/gs")
    params = sample.params
    posed = ManoLayer.stand_in("right")(
        params.orient[None], params.pose[None], params.betas, flat_hand_mean=params.flat_hand_mean
    )
    ours = posed.joints_m[0] - posed.joints_m[0, :1]
    np.testing.assert_allclose(ours, sample.joints_m - sample.joints_m[:1], atol=1e-6)
    assert np.isnan(params.trans_m).all()
    assert freihand.read(root, "evaluation/00000000").params is None


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda root: (root / "training_xyz.json").unlink(), "found no training_xyz.json"),
        (lambda root: (root / "training" / "rgb" / "00000007.jpg").unlink(), "expected 2 or 8 pictures"),
        (lambda root: change(root / "training_K.json", lambda v: v.append(v[0])), r"different numbers.*\[2, 3\]"),
        (lambda root: change(root / "training_xyz.json", lambda v: v[1].pop()), "equal shape|arrays of shape"),
        (lambda root: change(root / "training_xyz.json", lambda v: v[1][4].__setitem__(0, float("nan"))), "entry 1 of"),
        (lambda root: change(root / "training_xyz.json", lambda v: v[0][0].__setitem__(2, "x")), "no list of arrays"),
        (lambda root: (root / "training_K.json").write_text("{}"), "ends in the middle|no list"),
        (lambda root: (root / "training_K.json").write_text(""), "ends in the middle|no list"),
    ],
)
def test_damage_is_named(root, damage, match):
    damage(root)
    with pytest.raises(DatasetError, match=match):
        freihand.index(root, "train")


def test_labels_in_millimetres_are_refused(root):
    path = root / "training_xyz.json"
    path.write_text(json.dumps((1e3 * np.array(json.loads(path.read_text()))).tolist()))
    with pytest.raises(DatasetError, match="in metres"):
        freihand.index(root, "train")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_not_read_in_part(root, kept):
    path = root / "training_verts.json"
    text = path.read_bytes()
    path.write_bytes(text[: int(kept * len(text))])
    with pytest.raises(DatasetError, match="ends in the middle"):
        freihand.index(root, "train")


def test_a_picture_of_another_size_or_none(root):
    path = root / "training" / "rgb" / "00000000.jpg"
    cv2.imwrite(str(path), np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(DatasetError, match="20x10 px"):
        freihand.read(root, "training/00000000/gs")
    path.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="nothing readable"):
        freihand.read(root, "training/00000000/gs")


class TestJsonArrays:
    def test_blocks_end_anywhere(self, tmp_path, monkeypatch):
        values = np.random.default_rng(0).normal(size=(57, 3, 2))
        path = tmp_path / "a.json"
        for indent in (None, 1):
            for size in (7, 64, 1000):
                path.write_text(json.dumps(values.tolist(), indent=indent))
                os.utime(path, ns=(size, size + (indent or 0)))
                monkeypatch.setattr(_json_arrays, "_BLOCK", size)
                np.testing.assert_allclose(_json_arrays.load(path, (3, 2)), values, rtol=1e-6)

    def test_kept_until_the_file_changes(self, tmp_path, monkeypatch):
        path = tmp_path / "a.json"
        path.write_text("[[[1, 2]], [[3, 4]]]")
        np.testing.assert_array_equal(_json_arrays.load(path, (2,)), [[1, 2], [3, 4]])
        with monkeypatch.context() as patched:
            patched.setattr(_json_arrays, "_pieces", None)
            assert isinstance(_json_arrays.load(path, (2,)), np.memmap)
        path.write_text("[[[5, 6]]]")
        np.testing.assert_array_equal(_json_arrays.load(path, (2,)), [[5, 6]])

    def test_a_read_only_dataset_is_kept_elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        path = tmp_path / "a.json"
        path.write_text("[[[1, 2]]]")
        (tmp_path / ".hoi-index").write_text("a file where a folder should be")
        np.testing.assert_array_equal(_json_arrays.load(path, (2,)), [[1, 2]])
        assert list((tmp_path / "cache").rglob("*.npy"))
