"""Files for evaluation servers: what is written is what the formats say, and damaged files are refused."""

import json
import os
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest

from dataset_tools import submission
from dataset_tools.readers import ho3d_v2, ho3d_v3
from hoi_core.conventions import JOINT_ORDERS
from hoi_core.errors import ConfigError, DatasetError, StorageError

RNG = np.random.default_rng(0)
HANDS = [tuple(RNG.normal(0, 0.05, (n, 3)) + np.array([0, 0, 0.5]) for n in (21, 778)) for _ in range(3)]


@dataclass
class Shown:
    joints_m: np.ndarray
    vertices_m: np.ndarray | None


class Model:
    """Remembers what it is asked."""

    def __init__(self, mesh=True):
        self.boxes, self.mesh = [], mesh

    def predict(self, image, camera, box, *, side):
        assert image.shape == (camera.height, camera.width, 3)
        assert side == "right"
        self.boxes.append(box)
        return Shown(HANDS[len(self.boxes) - 1][0], HANDS[len(self.boxes) - 1][1] if self.mesh else None)


@pytest.mark.parametrize("protocol", submission.PROTOCOLS)
def test_round_trip(protocol, tmp_path):
    path = tmp_path / "new" / "pred.zip"
    assert submission.write(path, protocol, iter(HANDS)) == 3
    read = submission.read(path, protocol)
    for n, (joints_m, vertices_m) in enumerate(HANDS):
        np.testing.assert_allclose(read.joints_m[n], joints_m, atol=1e-7)
        np.testing.assert_allclose(read.vertices_m[n], vertices_m, atol=1e-7)
    again = tmp_path / "again.zip"
    submission.write(again, protocol, iter(HANDS))
    assert again.read_bytes() == path.read_bytes()


def test_native_content(tmp_path):
    for protocol, order, signs in (("freihand", "openpose21", [1, 1, 1]), ("ho3d", "mano21", [1, -1, -1])):
        submission.write(tmp_path / "pred.zip", protocol, iter(HANDS))
        with zipfile.ZipFile(tmp_path / "pred.zip") as file:
            assert file.namelist() == ["pred.json"]
            joints, meshes = json.loads(file.read("pred.json"))
        assert len(joints) == len(meshes) == 3
        for name in JOINT_ORDERS["openpose21"]:
            there = joints[1][JOINT_ORDERS[order].index(name)]
            np.testing.assert_allclose(there, HANDS[1][0][JOINT_ORDERS["openpose21"].index(name)] * signs, atol=1e-7)
        np.testing.assert_allclose(meshes[2], HANDS[2][1] * signs, atol=1e-7)


def test_every_image_is_asked_with_the_box_of_the_evaluation(tmp_path):
    root = ho3d_v2.tiny(tmp_path / "ho3d_v2")
    model, seen = Model(), []
    hands = list(submission.predict(model, tmp_path, "ho3d_v2", lambda n, total: seen.append((n, total))))
    # The labels of this evaluation set are not published; the box is all that says where the hand is.
    assert model.boxes == [(200, 120, 440, 360)] * 2
    assert seen == [(1, 2), (2, 2)]
    np.testing.assert_array_equal([joints for joints, _ in hands], [joints for joints, _ in HANDS[:2]])
    assert ho3d_v2.box_px(root, ho3d_v2.index(root, "train")[0]) is None
    with pytest.raises(ConfigError, match="no mesh"):
        list(submission.predict(Model(mesh=False), tmp_path, "ho3d_v2"))


def test_where_nothing_is_said_the_box_lies_around_the_labels(tmp_path):
    from dataset_tools.readers import freihand
    from hoi_core.camera import project

    root = freihand.tiny(tmp_path / "freihand")
    model = Model()
    list(submission.predict(model, tmp_path, "freihand"))
    (key,) = freihand.index(root, "test")
    sample = freihand.read(root, key)
    pixels = project(sample.camera, sample.joints_m)
    np.testing.assert_allclose(model.boxes, [[*pixels.min(0), *pixels.max(0)]])


def test_truth_is_read_in_the_same_order_and_axes(tmp_path):
    root = ho3d_v3.tiny(tmp_path)
    true = submission.read_truth(root, "ho3d")
    for n, key in enumerate(ho3d_v3.index(root, "test")):
        sample = ho3d_v3.read(root, key)
        np.testing.assert_allclose(true.joints_m[n], sample.joints_m, atol=1e-6)
        np.testing.assert_allclose(true.vertices_m[n], sample.vertices_m, atol=1e-6)
    (root / "evaluation_verts.json").unlink()
    assert submission.read_truth(root, "ho3d").vertices_m is None
    with pytest.raises(DatasetError, match=r"evaluation_xyz\.json"):
        submission.read_truth(tmp_path / "nowhere", "ho3d")


GOOD = [[[[0.0, 0.0, 0.5]] * 21], [[[0.0, 0.0, 0.5]] * 778]]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "expected predictions"),
        ("[[[", "expected predictions"),
        ('{"a": 1}', "list of joints"),
        ("[[], [], []]", "list of joints"),
        (json.dumps([[[[0.0, 0.5]] * 21], []]), "N x 21 x 3"),
        (json.dumps([[[[0.0, 0.0, 0.5]] * 20], []]), "N x 21 x 3"),
        (json.dumps([GOOD[0] * 2, GOOD[1]]), "2 hands but 1 meshes"),
        (json.dumps(GOOD).replace("0.5", "NaN", 1), "no number"),
        (json.dumps(GOOD).replace("0.5", '"far"', 1), "N x 21 x 3"),
    ],
)
def test_damaged_predictions_are_refused(tmp_path, content, match):
    (tmp_path / "pred.json").write_text(content)
    with pytest.raises(DatasetError, match=match):
        submission.read(tmp_path / "pred.json", "freihand")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="expected predictions"):
        submission.read(tmp_path / "missing.json", "freihand")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("other.json", "[]")
    with pytest.raises(DatasetError, match=r"pred\.json"):
        submission.read(tmp_path / "a.zip", "freihand")
    submission.write(tmp_path / "b.zip", "freihand", iter(HANDS))
    content = bytearray((tmp_path / "b.zip").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(DatasetError, match="expected predictions"):
        submission.read(tmp_path / "b.zip", "freihand")
    assert submission.protocol_of("ho3d_v3") == "ho3d"
    with pytest.raises(ConfigError, match="takes no submission"):
        submission.protocol_of("rhd")


def test_meshes_may_be_missing(tmp_path):
    for content in (GOOD[:1], [GOOD[0], []]):
        (tmp_path / "pred.json").write_text(json.dumps(content))
        read = submission.read(tmp_path / "pred.json", "freihand")
        assert read.joints_m.shape == (1, 21, 3)
        assert read.vertices_m is None


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "pred.zip"
    submission.write(path, "freihand", iter(HANDS[:1]))
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        submission.write(path, "freihand", iter(HANDS))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["pred.zip"]
