"""Dexter+Object: fingertips alone, axes that the 2D labels decide, and damage."""

import shutil

import numpy as np
import pytest

from dataset_tools.readers import _tiny_dexter_object, dexter_object
from hoi_core.conventions import JOINT_NAMES
from hoi_core.errors import DatasetError

TIPS = [JOINT_NAMES.index(f"{finger}tip") for finger in ("thumb", "index", "middle", "ring", "little")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return dexter_object.tiny(tmp_path_factory.mktemp("dexter_object"))


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "dexter_object")


def check(root):
    keys = dexter_object.index(root, "all")
    assert len(keys) == 18
    for key in keys:
        name, frame = key.split("/")
        sample = dexter_object.read(root, key)
        true = _tiny_dexter_object.hand_of(name, int(frame)).joints_m
        known = [tip for n, tip in enumerate(TIPS) if (int(frame), n) != _tiny_dexter_object.UNSEEN]
        assert np.flatnonzero(sample.joints_valid).tolist() == sorted(known)
        np.testing.assert_allclose(sample.joints_m[known], true[known], atol=1e-6)
        assert np.isnan(sample.joints_m[~sample.joints_valid]).all()
        assert sample.side == "left"


def test_every_fingertip_is_where_it_was(root):
    check(root)


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1)])
def test_the_2d_labels_say_where_the_axes_point(tmp_path, signs):
    check(_tiny_dexter_object.write(tmp_path, signs))


def test_parts(root):
    assert {dexter_object.group(key) for key in dexter_object.index(root, "test")} == {"Rotate"}
    assert len(dexter_object.index(root, "train")) == 15


def rewrite(root, kind, edit):
    path = root / "data/Grasp1/annotations" / f"Grasp1{kind}.txt"
    path.write_text("\n".join(edit(path.read_text().splitlines())))


@pytest.mark.parametrize(
    ("kind", "edit", "match"),
    [
        ("3D", lambda lines: lines[:2], "3 colour pictures, 3 rows of 2D and 2 of 3D"),
        ("2D", lambda lines: lines[1:], "2 rows of 2D"),
        ("3D", lambda lines: [lines[0].split(";", 1)[1], *lines[1:]], "five points"),
        ("3D", lambda lines: [line.split(";", 1)[1] for line in lines], r"five points.*\(3, 4, 3\)"),
        ("3D", lambda lines: ["nan" + line[line.index(",") :] for line in lines], "finite"),
        ("3D", lambda lines: ["x" + line for line in lines], "five points"),
        ("3D", lambda lines: [";".join(["1, 2, 32001"] * 5)] * 3, "both in 2D and in 3D"),
        ("3D", lambda lines: [";".join(["10, 20, 500"] * 5)] * 3, "beside the 2D labels"),
        ("3D", lambda lines: [";".join(["10, 20, -500"] * 5)] * 3, "before the camera"),
        ("2D", lambda lines: lines[::-1], "beside the 2D labels"),
        ("2D", lambda lines: [], "five points"),
    ],
)
def test_damaged_labels_are_named(root, kind, edit, match):
    rewrite(root, kind, edit)
    with pytest.raises(DatasetError, match=match):
        dexter_object.index(root, "train")


def test_units_are_millimetres(root):
    def to_metres(lines):
        rows = [[[float(v) / 1000 for v in p.split(",")] for p in line.split(";") if p.strip()] for line in lines]
        return ["; ".join(f"{x:.7f}, {y:.7f}, {z:.7f}" for x, y, z in row) for row in rows]

    rewrite(root, "3D", to_metres)
    with pytest.raises(DatasetError, match="100 to 3000 mm"):
        dexter_object.index(root, "train")


def test_missing_files(root):
    (root / "data/Grasp1/color/image_00001_color.png").unlink()
    with pytest.raises(DatasetError, match="2 colour pictures"):
        dexter_object.index(root, "train")
    (root / "data/Rigid/color/image_00001_color.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="nothing readable"):
        dexter_object.read(root, "Rigid/00001")
    (root / "data/Rotate/annotations/Rotate3D.txt").unlink()
    with pytest.raises(DatasetError, match="found no data/Rotate"):
        dexter_object.index(root, "test")
