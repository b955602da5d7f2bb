"""InterHand2.6M: two hands in one picture, cameras in a world, and damage."""

import json
import shutil

import numpy as np
import pytest

from dataset_tools.readers import _tiny_interhand26m, interhand26m
from hoi_core import camera as cameras
from hoi_core.conventions import JOINT_NAMES
from hoi_core.errors import DatasetError

FOLDER = "annotations/test/InterHand2.6M_test"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return interhand26m.tiny(tmp_path_factory.mktemp("interhand26m"))


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "interhand26m")


def change(path, edit):
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def test_every_joint_is_where_it_was(root):
    for part in interhand26m.PARTS:
        keys = interhand26m.index(root, part)
        assert len(keys) == 6
        for key in keys:
            sample = interhand26m.read(root, key)
            number = int(key.split("/")[3])
            frame = _tiny_interhand26m.FRAMES[number % 2]
            first = number - 6000 < 2
            camera = _tiny_interhand26m.camera_of("400262" if first else "410028")
            world_m = _tiny_interhand26m.hands_of(part, frame)[sample.side].joints_m
            true = cameras.transform(camera.T_cam_world, world_m)
            unseen = JOINT_NAMES.index(_tiny_interhand26m.UNSEEN[sample.side]) if first else None
            known = np.array([n != unseen for n in range(21)])
            np.testing.assert_allclose(sample.joints_m[known], true[known], atol=1e-6)
            np.testing.assert_array_equal(sample.joints_valid, known)
            np.testing.assert_allclose(sample.camera.T_world_cam, camera.T_world_cam, atol=1e-9)


def test_views_and_hands_of_a_recording_are_one_group(root):
    assert {interhand26m.group(key) for key in interhand26m.index(root, "val")} == {
        "val/Capture0/ROM01_No_Interaction_2_Hand"
    }


def test_a_hand_that_is_not_there_has_no_key(root):
    keys = interhand26m.index(root, "train")
    assert sum(key.endswith("left") for key in keys) == 2
    for wrong in (
        "train/Capture3/0000_neutral_relaxed/6001/left",
        "train/Capture0/0000_neutral_relaxed/6000/left",
        "train/Capture3/elsewhere/6000/left",
    ):
        with pytest.raises(DatasetError):
            interhand26m.read(root, wrong)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda v: v["annotations"][0]["joint_valid"].pop(), "not 42"),
        (lambda v: v["annotations"][0]["joint_valid"].__setitem__(0, [2]), "not 42 of 0 and 1"),
        (lambda v: v["annotations"][0]["joint_valid"].__setitem__(0, [float("nan")]), "not 42"),
        (lambda v: v["annotations"][0].update(image_id=77), "picture 77"),
        (lambda v: v["annotations"][1].update(id=6000), "two entries"),
        (lambda v: v["images"][1].update(id=1000), "two entries"),
        (lambda v: v["images"][0].update(file_name="../../etc/passwd"), "named"),
        (lambda v: v["images"][0].update(capture=5), "named"),
        (lambda v: v["images"][0].pop("frame_idx"), "frame_idx"),
        (lambda v: v["images"].pop(), "not listed"),
        (lambda v: v["images"][0].update(frame_idx=2**40), "whole number"),
        (lambda v: v["images"][0].update(id=float("nan")), "whole number"),
        (lambda v: v.pop("annotations"), "no hand"),
    ],
)
def test_damaged_annotations_are_named(root, edit, match):
    change(root / f"{FOLDER}_data.json", edit)
    with pytest.raises(DatasetError, match=match):
        interhand26m.index(root, "test")


KEY = "test/Capture0/0390_dh_touchROM/6000/right"


@pytest.mark.parametrize(
    ("kind", "edit", "match"),
    [
        ("joint_3d", lambda v: v["0"]["11529"]["world_coord"].pop(), r"\(41, 3\)"),
        ("joint_3d", lambda v: v["0"]["11529"]["world_coord"][20].__setitem__(2, float("nan")), "no number"),
        ("joint_3d", lambda v: v["0"]["11529"]["world_coord"].__setitem__(20, [0, 0, -99999]), "before its camera"),
        ("joint_3d", lambda v: v["0"]["11529"]["world_coord"].__setitem__(11, [300, 0, 0]), "mm long"),
        ("joint_3d", lambda v: v["0"].pop("11529"), "no joints of frame 11529"),
        ("joint_3d", lambda v: v.update({"0": 3}), "capture 0"),
        ("camera", lambda v: v["0"]["focal"].pop("400262"), "camera 400262"),
        ("camera", lambda v: v["0"]["camrot"].update({"400262": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}), "no rotation"),
        ("camera", lambda v: v["0"]["campos"].update({"400262": [0, float("nan"), 0]}), "finite"),
        ("camera", lambda v: v.pop("0"), "capture 0"),
    ],
)
def test_damaged_joints_and_cameras_are_named(root, kind, edit, match):
    change(root / f"{FOLDER}_{kind}.json", edit)
    with pytest.raises(DatasetError, match=match):
        interhand26m.read(root, KEY)


@pytest.mark.parametrize("kind", ["data", "joint_3d", "camera"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_a_truncated_file_is_not_read_in_part(root, kind, kept):
    path = root / f"{FOLDER}_{kind}.json"
    text = path.read_text()
    path.write_text(text[: int(kept * len(text))])
    with pytest.raises(DatasetError, match="damaged"):
        interhand26m.read(root, KEY)


def test_missing_files(root):
    (root / "images/test/Capture0/0390_dh_touchROM/cam400262/image11529.jpg").unlink()
    with pytest.raises(DatasetError, match="nothing readable"):
        interhand26m.read(root, KEY)
    (root / f"{FOLDER}_camera.json").unlink()
    with pytest.raises(DatasetError, match="found no annotations/test"):
        interhand26m.read(root, KEY)
