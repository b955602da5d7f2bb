"""RHD: which hands are samples, native order, packed depth, and files that are damaged."""

import os
import pickle

import cv2
import numpy as np
import pytest

from dataset_tools.readers import rhd
from hoi_core.conventions import JOINT_ORDERS
from hoi_core.errors import DatasetError

KEY = "training/00000/right"


@pytest.fixture
def root(tmp_path):
    return rhd.tiny(tmp_path / "rhd")


def change(root, edit, part="training"):
    path = root / part / f"anno_{part}.pickle"
    content = pickle.loads(path.read_bytes())  # noqa: S301 -- our own fake
    edit(content)
    path.write_bytes(pickle.dumps(content, protocol=2))


def test_a_hand_that_is_hardly_seen_is_no_sample(root):
    assert rhd.index(root, "train") == ["training/00000/left", "training/00000/right", "training/00001/left"]
    assert rhd.index(root, "test") == ["evaluation/00000/right"]
    assert len({rhd.group(key) for key in rhd.index(root, "train")}) == 2
    with pytest.raises(DatasetError, match="not seen"):
        rhd.read(root, "training/00001/right")
    change(root, lambda content: content[0]["uv_vis"].__setitem__((slice(5, 16), 2), 0))
    assert rhd.index(root, "train") == ["training/00000/right", "training/00001/left"]


def test_left_hand_first_and_fingers_from_tip_to_base(root):
    path = root / "training" / "anno_training.pickle"
    native = pickle.loads(path.read_bytes())[0]["xyz"]  # noqa: S301 -- our own fake
    for side, start in (("left", 0), ("right", 21)):
        joints = rhd.read(root, f"training/00000/{side}").joints_m
        for joint in ("wrist", "thumbtip", "index1", "little3"):
            ours = joints[JOINT_ORDERS["openpose21"].index(joint)]
            np.testing.assert_allclose(ours, native[start + JOINT_ORDERS["rhd21"].index(joint)], atol=1e-6)


def test_depth_is_high_byte_red_low_byte_green(root):
    packed = np.zeros((320, 320, 3), np.uint8)
    packed[10, 20] = (9, 5, 31)  # cv2: blue, green, red
    packed[11, 20] = 255
    cv2.imwrite(str(root / "training" / "depth" / "00000.png"), packed)
    depth = rhd.depth_m(root, KEY)
    assert depth[10, 20] == pytest.approx((31 * 256 + 5) / 65535 * 5)
    assert np.isfinite(depth).sum() == 1


def test_either_hand_is_hand_and_the_person_is_not(root):
    mask = np.zeros((320, 320), np.uint8)
    mask[0, :6] = [0, 1, 2, 17, 18, 33]
    cv2.imwrite(str(root / "training" / "mask" / "00000.png"), mask)
    assert rhd.segmentation(root, KEY)[0, :6].tolist() == [0, 0, 1, 1, 1, 1]


def test_labels_are_read_once(root, monkeypatch):
    before = rhd.read(root, KEY)
    monkeypatch.setattr(rhd, "_read_labels", None)
    rhd._kept_labels.cache_clear()
    np.testing.assert_array_equal(rhd.read(root, KEY).joints_m, before.joints_m)
    assert list((root / "training" / ".hoi-index").iterdir())


def test_hands_of_no_human_size_are_left_out_and_counted(root, caplog):
    def one_is_a_giant(content):
        for n in range(2, 8):
            content[n] = {name: values.copy() for name, values in content[0].items()}
        content[0]["xyz"][:21] *= 2

    change(root, one_is_a_giant)
    for n in range(2, 8):
        cv2.imwrite(str(root / "training" / "color" / f"{n:05d}.png"), np.zeros((320, 320, 3), np.uint8))
    keys = rhd.index(root, "train")
    assert "training/00000/left" not in keys
    assert "training/00002/left" in keys
    assert "1 of 16 hands" in caplog.text


class Evil:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return os.system, (f"touch {self.flag}",)


def test_a_hostile_pickle_does_not_run(root, tmp_path):
    flag = tmp_path / "ran"
    change(root, lambda content: content[1].__setitem__("K", Evil(flag)))
    with pytest.raises(DatasetError, match="unsafe"):
        rhd.index(root, "train")
    assert not flag.exists()


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda content: content.pop(0), "pictures 0, 1"),
        (lambda content: content.clear(), "pictures 0, 1"),
        (lambda content: content.__setitem__(2, content[1]), "expected 3 pictures"),
        (lambda content: content.__setitem__(1, [1]), "a mapping for picture 1"),
        (lambda content: content[0].pop("xyz"), "expected 'xyz'"),
        (lambda content: content[0].__setitem__("xyz", content[0]["xyz"][:41]), "of shape"),
        (lambda content: content[1]["uv_vis"].__setitem__((3, 0), np.nan), "no number"),
        (lambda content: [labels["xyz"].__imul__(1000) for labels in content.values()], "no human size"),
        (lambda content: [labels["xyz"].__imul__([1, -1, -1]) for labels in content.values()], "no human size"),
    ],
)
def test_damaged_labels_are_named(root, edit, match):
    change(root, edit)
    with pytest.raises(DatasetError, match=match):
        rhd.index(root, "train")


def test_labels_in_space_and_image_must_agree(root):
    change(root, lambda content: content[0]["uv_vis"].__setitem__((30, 0), content[0]["uv_vis"][30, 0] + 5))
    with pytest.raises(DatasetError, match="beside their own pixels"):
        rhd.read(root, KEY)
    change(root, lambda content: content[0].__setitem__("K", np.eye(3)))
    with pytest.raises(DatasetError, match="intrinsics"):
        rhd.read(root, KEY)


@pytest.mark.parametrize("kept", [0, 0.3, 0.99])
def test_truncated_labels(root, kept):
    path = root / "training" / "anno_training.pickle"
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DatasetError, match="damaged"):
        rhd.index(root, "train")


def test_files_that_are_missing_or_of_another_kind(root):
    (root / "training" / "depth" / "00000.png").unlink()
    with pytest.raises(DatasetError, match="nothing readable"):
        rhd.depth_m(root, KEY)
    cv2.imwrite(str(root / "training" / "mask" / "00000.png"), np.zeros((320, 320, 3), np.uint8))
    with pytest.raises(DatasetError, match="expected"):
        rhd.segmentation(root, KEY)
    (root / "training" / "color" / "00001.png").unlink()
    with pytest.raises(DatasetError, match="expected 2 pictures"):
        rhd.index(root, "train")
    (root / "evaluation" / "anno_evaluation.pickle").unlink()
    with pytest.raises(DatasetError, match="found no"):
        rhd.index(root, "test")
