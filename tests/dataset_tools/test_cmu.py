"""CMU HandDB: sides, points that are not labelled, files without 21 points, and damage."""

import json
import shutil

import numpy as np
import pytest

from dataset_tools.readers import _tiny_cmu, cmu
from hoi_core.errors import DatasetError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return cmu.tiny(tmp_path_factory.mktemp("cmu"))


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "cmu")


def change(path, edit):
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def test_every_point_is_where_it_was(root):
    for key in cmu.index(root, "all"):
        part, _, name = key.partition("/")
        sample = cmu.read(root, key)
        true = _tiny_cmu.points_of(part, name)
        labelled = true[:, 2] == 1
        np.testing.assert_allclose(sample.joints_px[labelled], true[labelled, :2], atol=1e-3)
        assert np.isnan(sample.joints_px[~labelled]).all()
        assert sample.side == _tiny_cmu.hand_of(part, name).side


def test_parts_and_splits(root):
    assert len(cmu.index(root, "manual_train")) == 3
    assert len(cmu.index(root, "test")) == 2
    assert len(cmu.index(root, "synth")) == 8  # the file of synth1 without 21 points is left out
    assert cmu.index(root, "panoptic") == ["panoptic/00000000", "panoptic/00000001"]
    assert len(cmu.index(root, "train")) == 13
    groups = {cmu.group(key) for key in cmu.index(root, "manual_train")}
    assert groups == {"005880453", "ex2_2.flv"}


def test_points_off_the_picture_are_missing(root):
    path = root / "hand_labels/manual_test/010000000_02_l.json"
    change(path, lambda v: v["hand_pts"].__setitem__(5, [-3.0, 10.0, 1]))
    assert np.isnan(cmu.read(root, "manual_test/010000000_02_l").joints_px[5]).all()
    change(path, lambda v: v.update(hand_pts=[[999.0, 10.0, 1]] * 21))
    cmu.index(root, "test")  # labels that are written over are seen when the dataset is indexed anew
    with pytest.raises(DatasetError, match="on its picture of 320x240 px"):
        cmu.read(root, "manual_test/010000000_02_l")


MANUAL = "hand_labels/manual_test/010000000_02_l.json"


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda v: v["hand_pts"].pop(), r"21 points.*\(20, 3\)"),
        (lambda v: v["hand_pts"][1].pop(), "21 points"),
        (lambda v: v["hand_pts"][1].__setitem__(0, float("nan")), "no number"),
        (lambda v: v["hand_pts"][1].__setitem__(2, float("nan")), "no number"),
        (lambda v: v["hand_pts"][1].__setitem__(0, "x"), "21 points"),
        (lambda v: v.pop("is_left"), "is_left"),
        (lambda v: v.update(is_left=2), "neither 0 nor 1"),
        (lambda v: v.pop("hand_pts"), "hand_pts"),
    ],
)
def test_a_damaged_label_is_named(root, edit, match):
    change(root / MANUAL, edit)
    with pytest.raises(DatasetError, match=match):
        cmu.index(root, "test")


def test_damaged_and_missing_files(root):
    (root / MANUAL).write_text('{"hand_pts": [[1, 2')
    with pytest.raises(DatasetError, match="010000000_02_l"):
        cmu.index(root, "test")
    (root / "hand_labels/manual_train/005880453_01_l.jpg").unlink()
    with pytest.raises(DatasetError, match="expected the picture"):
        cmu.index(root, "manual_train")
    (root / "hand_labels_synth/synth2/0001.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="nothing readable"):
        cmu.read(root, "synth2/0001")
    (root / "hand143_panopticdb/hands_v143_14817.json").unlink()
    with pytest.raises(DatasetError, match="found no hand143_panopticdb"):
        cmu.index(root, "panoptic")


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda v: v["root"][1].update(img_paths="../../x.jpg"), "imgs/00000000"),
        (lambda v: v["root"][1].update(img_paths="imgs/00000000.jpg"), "twice"),
        (lambda v: v["root"][1]["joint_self"].pop(), r"\(20, 3\)"),
        (lambda v: v["root"][1].pop("joint_self"), "joint_self"),
        (lambda v: v.update(root=3), "damaged"),
        (lambda v: v.update(root=[]), "found none"),
    ],
)
def test_a_damaged_panoptic_file_is_named(root, edit, match):
    change(root / cmu.PANOPTIC_FOLDER / cmu.PANOPTIC_FILE, edit)
    with pytest.raises(DatasetError, match=match):
        cmu.index(root, "panoptic")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_panoptic_file_is_not_read_in_part(root, kept):
    path = root / cmu.PANOPTIC_FOLDER / cmu.PANOPTIC_FILE
    text = path.read_text()
    path.write_text(text[: int(kept * len(text))])
    with pytest.raises(DatasetError, match="damaged"):
        cmu.index(root, "panoptic")
