"""COCO-WholeBody: sides, flags, hands that are not valid, and damage."""

import json
import shutil

import cv2
import numpy as np
import pytest

from dataset_tools.readers import _tiny_coco_wholebody, coco_wholebody
from hoi_core.errors import DatasetError

TRAIN = "annotations/coco_wholebody_train_v1.0.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return coco_wholebody.tiny(tmp_path_factory.mktemp("coco_wholebody"))


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "coco_wholebody")


def change(path, edit):
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def test_every_point_is_where_it_was(root):
    for key in coco_wholebody.index(root, "all"):
        _, _, person, side = key.split("/")
        sample = coco_wholebody.read(root, key)
        true = _tiny_coco_wholebody.points_of(int(person), side)
        labelled = true[:, 2] > 0
        assert labelled[7] == (side == "left")
        np.testing.assert_allclose(sample.joints_px[labelled], true[labelled, :2] - 0.5, atol=1e-3)
        assert np.isnan(sample.joints_px[~labelled]).all()
        assert sample.side == side


def test_only_valid_hands_and_two_of_one_picture_are_a_group(root):
    train = coco_wholebody.index(root, "train")
    assert train == [
        "train/000000000009/1001/right",
        "train/000000000009/1001/left",
        "train/000000000025/1002/left",
    ]
    assert len({coco_wholebody.group(key) for key in train}) == 2
    assert coco_wholebody.index(root, "test") == ["test/000000000139/1003/right"]
    for wrong in ("train/000000000025/1002/right", "train/000000000025/1001/left", "test/000000000025/1002/left"):
        with pytest.raises(DatasetError):
            coco_wholebody.read(root, wrong)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda v: v["annotations"][0]["righthand_kpts"].pop(), "63 numbers"),
        (lambda v: v["annotations"][0]["righthand_kpts"].__setitem__(0, float("nan")), "no number"),
        (lambda v: v["annotations"][0]["righthand_kpts"].__setitem__(2, 7), "flag"),
        (lambda v: v["annotations"][0]["righthand_kpts"].__setitem__(0, "x"), "damaged"),
        (lambda v: v["annotations"][0].pop("lefthand_kpts"), "lefthand_kpts"),
        (lambda v: v["annotations"][0].pop("lefthand_valid"), "lefthand_valid"),
        (lambda v: v["annotations"][0].update(lefthand_valid="no"), "lefthand_valid"),
        (lambda v: v["annotations"][0].update(image_id=77), "picture 77"),
        (lambda v: v["annotations"][1].update(id=1001), "one number"),
        (lambda v: v["images"][0].update(file_name="../../etc/passwd"), "named"),
        (lambda v: v["images"][0].pop("width"), "width"),
        (lambda v: v["images"].pop(), "not listed"),
        (lambda v: v["annotations"][0].update(id=2**70), "whole number"),
        (lambda v: v["annotations"][0].update(id=float("inf")), "whole number"),
        (lambda v: v["images"][0].update(id=-9), "whole number"),
        (lambda v: v.pop("annotations"), "no hand"),
        (lambda v: v.update(annotations=3), "damaged"),
    ],
)
def test_damage_is_named(root, edit, match):
    change(root / TRAIN, edit)
    with pytest.raises(DatasetError, match=match):
        coco_wholebody.index(root, "train")


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_not_read_in_part(root, kept):
    text = (root / TRAIN).read_text()
    (root / TRAIN).write_text(text[: int(kept * len(text))])
    with pytest.raises(DatasetError, match="damaged"):
        coco_wholebody.index(root, "train")


def test_missing_files_and_other_pictures(root):
    path = root / "val2017" / "000000000139.jpg"
    cv2.imwrite(str(path), np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"400x300 px.*20x10 px"):
        coco_wholebody.read(root, "test/000000000139/1003/right")
    path.unlink()
    with pytest.raises(DatasetError, match="nothing readable"):
        coco_wholebody.read(root, "test/000000000139/1003/right")
    (root / TRAIN).unlink()
    with pytest.raises(DatasetError, match="found no annotations/coco_wholebody_train"):
        coco_wholebody.index(root, "train")
