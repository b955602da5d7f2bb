"""SynthHands: labels of another camera, a side that is measured, and damage."""

import shutil

import numpy as np
import pytest

from dataset_tools.readers import _tiny_synthhands, synthhands
from hoi_core.errors import DatasetError

KEY = "female_object/seq02/cam03/02/00000007"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return synthhands.tiny(tmp_path_factory.mktemp("synthhands"))


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "synthhands")


def test_every_joint_is_where_it_was(root):
    for key in synthhands.index(root, "all"):
        sample = synthhands.read(root, key)
        np.testing.assert_allclose(sample.joints_m, _tiny_synthhands.hand_of(key).joints_m, atol=1e-8)
        assert sample.side == "left"


def test_the_side_is_measured(tmp_path):
    root = _tiny_synthhands.write(tmp_path, "right")
    assert {synthhands.read(root, key).side for key in synthhands.index(root, "all")} == {"right"}


def test_hands_of_both_sides_are_refused(root):
    for key in _tiny_synthhands.KEYS[::2]:
        joints_m = _tiny_synthhands.hand_of(key, "right").joints_m
        text = ",".join(str(v) for v in (1000 * joints_m).ravel())
        (root / f"{key}_joint_pos.txt").write_text(text)
    with pytest.raises(DatasetError, match="one side"):
        synthhands.read(root, KEY)


def test_parts_are_motions(root):
    assert {synthhands.group(key) for key in synthhands.index(root, "train")} == {"seq01", "seq02"}
    assert {synthhands.group(key) for key in synthhands.index(root, "test")} == {"seq07"}


def edit(root, change):
    path = root / f"{KEY}_joint_pos.txt"
    path.write_text(change(path.read_text().strip()))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: "", "numbers with commas"),
        (lambda text: text.rsplit(",", 1)[0], r"63 finite numbers.*\(62,\)"),
        (lambda text: text + ",1", r"\(64,\)"),
        (lambda text: "nan" + text[text.index(",") :], "finite"),
        (lambda text: "x" + text, "numbers with commas"),
        (lambda text: ",".join(str(float(v) / 1000) for v in text.split(",")), "no human hand|mm long|behind"),
        (lambda text: ",".join(str(10 * float(v)) for v in text.split(",")), "beyond|no human hand|mm long"),
    ],
)
def test_damaged_labels_are_named(root, change, match):
    synthhands.index(root, "all")
    edit(root, change)
    with pytest.raises(DatasetError, match=match):
        synthhands.read(root, KEY)


def test_missing_files(root):
    (root / f"{KEY}_color.png").unlink()
    with pytest.raises(DatasetError, match="00000007"):
        synthhands.index(root, "all")
    with pytest.raises(DatasetError, match="found no"):
        synthhands.index(root / "nothing", "all")


def test_a_picture_of_no_use(root):
    (root / f"{KEY}_color.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="nothing readable"):
        synthhands.read(root, KEY)
