"""Round trips: what a writer writes, a reader finds again; half a conversion leaves nothing."""

import json
import tarfile
from io import BytesIO

import cv2
import numpy as np
import pytest

from dataset_tools import convert as converting
from dataset_tools import writers
from dataset_tools.convert import Terms, convert
from dataset_tools.readers import _tiny_ours, coco_wholebody, freihand, ours
from dataset_tools.writers import webdataset
from hoi_cli import data
from hoi_core import camera as cameras
from hoi_core import plugins
from hoi_core.errors import ConfigError, DatasetError, StorageError
from hoi_core.mano import ManoLayer

# 0.01 mm, what labels may lose.
_LOST_M = 1e-5


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A right hand in seq_001 (train), a left one in seq_002 (test), three frames each."""
    return _tiny_ours.write(tmp_path_factory.mktemp("ours"), frames=3)


def samples(root, split):
    return [ours.read(root, key) for key in ours.index(root, split)]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", sorted(plugins.names("dataset_tools.writers")))
def test_every_writer_says_what_it_keeps_and_is_repeatable(name, root, tmp_path):
    info = plugins.load("dataset_tools.writers", name).INFO
    assert info.name == name
    assert info.url.startswith("https://")
    assert info.keeps
    for folder in ("a", "b"):
        done = convert(root, "ours", ["train", "test"], name, tmp_path / folder)
        # HO-3D alone has no left hands, of which the test is.
        assert (done.written, done.left_out) == ((3, 3) if name == "ho3d" else (6, 0))
    first, second = (contents(tmp_path / folder) for folder in ("a", "b"))
    assert first
    if name == "rerun":  # its library numbers what it writes by the clock
        first, second = set(first), set(second)
    assert first == second


def test_parameters_are_in_the_cameras_frame(root):
    for split, side in (("train", "right"), ("test", "left")):
        for sample in samples(root, split):
            params = sample.params
            posed = ManoLayer.from_env(side)(params.orient[None], params.pose[None], params.betas, params.trans_m[None])
            np.testing.assert_allclose(posed.joints_m[0], sample.joints_m, atol=1e-6)
            np.testing.assert_allclose(posed.vertices_m[0], sample.vertices_m, atol=1e-6)


class TestFreihand:
    def test_round_trip(self, root, tmp_path):
        convert(root, "ours", ["train", "test"], "freihand", tmp_path / "freihand")
        for split in ("train", "test"):
            keys = freihand.index(tmp_path / "freihand", split)
            read = [freihand.read(tmp_path / "freihand", key) for key in keys]
            given = [writers.as_right_hand(sample, 224) for sample in samples(root, split)]
            assert len(read) == len(given) == 3
            for a, b in zip(read, given, strict=True):
                assert np.abs(a.joints_m - b.joints_m).max() < _LOST_M
                assert np.abs(a.vertices_m - b.vertices_m).max() < _LOST_M
                np.testing.assert_allclose(a.camera.K, b.camera.K, rtol=1e-6)
                assert np.abs(a.image.astype(int) - b.image).mean() < 6
                self.joints_lie_on_the_drawn_bones(a)

    @staticmethod
    def joints_lie_on_the_drawn_bones(sample):
        whole = np.rint(cameras.project(sample.camera, sample.joints_m)).astype(int)
        assert (sample.image[whole[:, 1], whole[:, 0], 0] > 130).all()

    def test_what_has_no_place(self, root, tmp_path):
        with pytest.raises(DatasetError, match="no split 'all'"):
            convert(root, "ours", ["all"], "freihand", tmp_path / "out")
        assert not list(tmp_path.iterdir())


class TestCoco:
    def test_round_trip(self, root, tmp_path):
        convert(root, "ours", ["train", "test"], "coco", tmp_path / "coco")
        for split in ("train", "test"):
            values = json.loads((tmp_path / "coco" / "annotations" / f"hand_keypoints_{split}.json").read_text())
            given = samples(root, split)
            assert len(values["images"]) == len(values["annotations"]) == len(given)
            for image, hand, sample in zip(values["images"], values["annotations"], given, strict=True):
                picture = cv2.imread(str(tmp_path / "coco" / split / image["file_name"]))
                assert picture.shape == (image["height"], image["width"], 3)
                points = np.array(hand["keypoints"]).reshape(21, 3)
                # COCO's origin is the corner of the first pixel.
                pixels = cameras.project(sample.camera, sample.joints_m)
                np.testing.assert_allclose(points[:, :2] - 0.5, pixels, atol=1e-3)
                assert (points[:, 2] == 2).all()
                x, y, width, height = hand["bbox"]
                assert ((points[:, :2] >= [x, y]) & (points[:, :2] <= [x + width, y + height])).all()
                assert hand["side"] == sample.side
        (category,) = values["categories"]
        assert category["keypoints"][4] == "thumbtip"
        assert [1, 2] in category["skeleton"]


class TestWebDataset:
    def test_round_trip(self, root, tmp_path):
        convert(root, "ours", ["train"], "webdataset", tmp_path / "shards")
        with tarfile.open(tmp_path / "shards" / "train-000000.tar") as shard:
            parts = {entry.name: shard.extractfile(entry).read() for entry in shard}
        for n, sample in enumerate(samples(root, "train")):
            values = json.loads(parts[f"{n:08d}.json"])
            assert np.abs(np.array(values["joints_m"]) - sample.joints_m).max() < 1e-12
            assert np.abs(np.array(values["mano"]["pose"]) - sample.params.pose).max() < 1e-12
            assert values["K"] == sample.camera.K.tolist()
            assert (values["side"], values["key"]) == (sample.side, sample.key)
            assert values["camera_known"] is True
            assert values["group"] == "seq_001"
            (shown,), (given,) = values["objects"], sample.objects
            assert shown["name"] == given.name == "box"
            np.testing.assert_array_equal(shown["T_cam_obj"], given.T_cam_obj)
            vertices_m = np.load(BytesIO(parts[f"{n:08d}.vertices.npy"]), allow_pickle=False)
            assert np.abs(vertices_m - sample.vertices_m).max() < _LOST_M
            picture = cv2.imdecode(np.frombuffer(parts[f"{n:08d}.jpg"], np.uint8), cv2.IMREAD_COLOR_RGB)
            assert picture.shape == sample.image.shape

    def test_a_camera_that_was_only_guessed_is_said_to_be(self, tmp_path):
        coco_wholebody.tiny(tmp_path / "data" / "coco_wholebody")
        terms = Terms(audience="laboratory")
        convert(tmp_path / "data", "coco_wholebody", ["train"], "webdataset", tmp_path / "shards", terms=terms)
        with tarfile.open(tmp_path / "shards" / "train-000000.tar") as shard:
            values = json.loads(shard.extractfile("00000000.json").read())
        assert values["camera_known"] is False
        assert values["joints_m"] == [[None] * 3] * 21

    def test_shards_have_a_size(self, root, tmp_path):
        writer = webdataset.WebDataset(tmp_path, "train", shard_bytes=1000)
        for sample in samples(root, "train"):
            assert writer.add(sample)
        writer.close()
        assert [path.name for path in sorted(tmp_path.iterdir())] == [f"train-{n:06d}.tar" for n in range(3)]


class TestConvert:
    def test_an_existing_folder_is_not_touched(self, root, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "notes.txt").write_text("mine")
        with pytest.raises(DatasetError, match="exists already"):
            convert(root, "ours", ["train"], "coco", tmp_path / "mine")
        assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"

    def test_what_fails_half_way_leaves_nothing(self, root, tmp_path, monkeypatch):
        read = converting.plugins.load("dataset_tools.readers", "ours").read

        def fails_later(home, key):
            if key.endswith("2"):
                raise DatasetError("damaged.", "Mend it.")
            return read(home, key)

        monkeypatch.setattr(ours, "read", fails_later)
        with pytest.raises(DatasetError, match="damaged"):
            convert(root, "ours", ["train"], "webdataset", tmp_path / "out")
        assert not list(tmp_path.iterdir())

    def test_a_full_disk(self, root, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(webdataset.WebDataset, "add", full)
        with pytest.raises(StorageError, match="No space left"):
            convert(root, "ours", ["train"], "webdataset", tmp_path / "out")
        assert not list(tmp_path.iterdir())

    def test_names(self, root, tmp_path):
        with pytest.raises(ConfigError, match="writer"):
            convert(root, "ours", ["train"], "freehand", tmp_path / "out")

    def test_command(self, root, tmp_path, capsys):
        out = tmp_path / "out"
        assert data.main(["convert", "--to", "coco", "--out", str(out), "--data", str(root)]) == 0
        assert "6 samples" in capsys.readouterr().out
        assert data.main(["convert", "--to", "coco", "--out", str(out), "--data", str(root)]) == 2
