"""The reader of our own recordings, and mixes of datasets."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from dataset_tools import mix
from dataset_tools.readers import _tiny_ours, ours
from hoi_core import camera as cameras
from hoi_core import plugins, sequence
from hoi_core.errors import ConfigError, DatasetError, SequenceError
from hoi_core.mano import ManoLayer
from hoi_core.types import STATUSES, Camera, Frame, Revision, StreamInfo


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return ours.tiny(tmp_path_factory.mktemp("tiny"))


def test_tiny_has_two_samples(root):
    assert ours.index(root, "all") == ["seq_001/left/000000", "seq_002/left/000000"]


@pytest.fixture(scope="module")
def of_three_views(tmp_path_factory):
    """Two moments seen from left and right, the second by the left camera alone; a third looks away."""
    root, side, frames = tmp_path_factory.mktemp("views"), "right", 2
    track = _tiny_ours._hand(side, frames)
    up, at = np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 0.05])
    places = {"away": -0.3, "left": -0.2, "right": 0.2}
    streams = []
    for name, x in places.items():
        seen_point = np.array([x, -2.0, 0.45]) if name == "away" else at
        pose = cameras.look_at(np.array([x, -0.35, 0.45]), seen_point, up)
        camera = Camera(320, 240, 300.0, 300.0, 159.5, 119.5, T_world_cam=pose)
        streams.append(StreamInfo(f"{name}/color", "camera", (240, 320, 3), "uint8", 30.0, camera, name))
    folder = sequence.new_sequence_dir(root, "seq_001")
    writer = sequence.CaptureWriter.create(folder / "capture.h5", sequence.CaptureHeader("seq_001"), streams)
    t_ns = np.arange(frames, dtype=np.int64) * 33_333_333
    for m, t in enumerate(t_ns.tolist()):
        seen = [stream for stream in streams if m == 0 or stream.view != "right"]
        for stream in seen:
            writer.append(Frame(stream.name, m, t, t, "hardware_clock", np.zeros((240, 320, 3), np.uint8)))
        writer.sync(t, {stream.name: m for stream in seen}, {stream.name: 0 for stream in seen})
    writer.close()
    with sequence.open_capture(folder) as capture:
        binding = sequence.Binding(capture.content_hash(), ManoLayer.from_env(side).model.source)
    revision = Revision(
        t_ns=t_ns, hands={side: track}, objects={}, keypoints={},
        frame_index={"away": np.arange(2), "left": np.arange(2), "right": np.array([0, -1])},
    )  # fmt: skip
    sequence.write_revision(folder, revision, binding=binding)
    return root


def test_the_other_view_is_the_next_that_shows_the_hand(of_three_views):
    keys = ours.index(of_three_views, "all")
    assert sorted(keys) == ["seq_001/left/000000", "seq_001/left/000001", "seq_001/right/000000"]
    assert ours.other_view(of_three_views, "seq_001/left/000000") == "seq_001/right/000000"
    assert ours.other_view(of_three_views, "seq_001/right/000000") == "seq_001/left/000000"
    assert ours.other_view(of_three_views, "seq_001/left/000001") is None


def test_the_last_sequence_is_the_test(root):
    assert ours.index(root, "train") == ["seq_001/left/000000"]
    assert ours.index(root, "test") == ["seq_002/left/000000"]


def test_dataset_json_decides_the_split(tmp_path):
    root = ours.tiny(tmp_path)
    (root / "dataset.json").write_text(json.dumps({"splits": {"train": ["seq_002"], "val": ["seq_001"]}}))
    assert ours.index(root, "train") == ["seq_002/left/000000"]
    assert ours.index(root, "val") == ["seq_001/left/000000"]
    (root / "dataset.json").write_text(json.dumps({"splits": {"train": ["seq_009"]}}))
    with pytest.raises(DatasetError, match="seq_009"):
        ours.index(root, "train")
    (root / "dataset.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        ours.index(root, "train")


def test_samples_are_in_the_camera_frame(root):
    for key, side in zip(ours.index(root, "all"), ("right", "left"), strict=True):
        sample = ours.read(root, key)
        assert sample.side == side
        assert sample.joints_valid.all()
        assert sample.image.shape == (sample.camera.height, sample.camera.width, 3)
        # The drawn bright skeleton lies under the projected joints.
        pixels = np.rint(cameras.project(sample.camera, sample.joints_m)).astype(int)
        assert (sample.image[pixels[:, 1], pixels[:, 0], 0] > 150).all()
        # The mesh belongs to the joints: its fingertips are the tips.
        tips = sample.vertices_m[[744, 320, 443, 554, 671]]
        np.testing.assert_allclose(tips, sample.joints_m[[4, 8, 12, 16, 20]], atol=1e-5)
        regressed = ManoLayer.stand_in(side).model.J_regressor @ sample.vertices_m
        np.testing.assert_allclose(regressed[0], sample.joints_m[0], atol=0.01)


def test_unlabelled_sequences_say_what_to_do(tmp_path):
    root = ours.tiny(tmp_path)
    (root / "sequences" / "seq_001" / "annotation.h5").unlink()
    with pytest.raises(DatasetError, match="no labels") as caught:
        ours.index(root, "train")
    assert "hoi-annotate seq_001 --auto" in caught.value.hint


def test_labels_of_another_hand_model_are_refused(tmp_path, monkeypatch):
    root = ours.tiny(tmp_path / "data")
    ManoLayer.stand_in("right").save_pickle(tmp_path / "mano" / "MANO_RIGHT.pkl")
    monkeypatch.setenv("HOI_MANO", str(tmp_path / "mano"))
    with pytest.raises(DatasetError, match="fitted with the hand model stand-in"):
        ours.index(root, "train")


def test_new_labels_are_seen_at_once(tmp_path):
    root = ours.tiny(tmp_path)
    folder = sequence.find_sequence(root, "seq_001")
    before = ours.read(root, "seq_001/left/000000").joints_m
    with sequence.open_annotation(folder) as annotation:
        revision = annotation.load()
    track = revision.hands["right"]
    moved = replace(track, joints_m=track.joints_m + 0.01, trans_m=track.trans_m + 0.01)
    sequence.write_revision(folder, replace(revision, hands={"right": moved}, parent="r000"))
    assert np.linalg.norm(ours.read(root, "seq_001/left/000000").joints_m - before, axis=-1) == pytest.approx(
        np.full(21, 0.01 * np.sqrt(3))
    )


def test_rejected_takes_are_left_out_of_every_split(tmp_path):
    root = ours.tiny(tmp_path)
    (root / "protocol.csv").write_text("sequence,status\nseq_001,recorded\nseq_002,rejected\n")
    for split in ("train", "test", "all"):
        assert ours.index(root, split) == ["seq_001/left/000000"]
    (root / "dataset.json").write_text(json.dumps({"splits": {"train": ["seq_001", "seq_002"], "test": ["seq_002"]}}))
    assert ours.index(root, "train") == ["seq_001/left/000000"]
    with pytest.raises(DatasetError, match="no valid labelled frame"):
        ours.index(root, "test")


def test_moments_without_a_good_label_or_a_frame_are_left_out(tmp_path):
    root = _tiny_ours.write(tmp_path, frames=5)
    folder = sequence.find_sequence(root, "seq_001")
    with sequence.open_annotation(folder) as annotation:
        revision = annotation.load()
    track = revision.hands["right"]
    status, valid, frames = track.status.copy(), track.valid.copy(), revision.frame_index["left"].copy()
    status[0], valid[1], frames[2] = STATUSES.index("rejected"), False, -1
    joints_m = track.joints_m.copy()
    joints_m[3] += 5.0  # not on the image
    judged = replace(track, status=status, valid=valid, joints_m=joints_m)
    sequence.write_revision(folder, replace(revision, hands={"right": judged}, frame_index={"left": frames}))
    assert ours.index(root, "train") == ["seq_001/left/000004"]
    for m in (1, 2, 5, -1):
        with pytest.raises(DatasetError, match="not labelled"):
            ours.read(root, f"seq_001/left/{m:06d}")
    with pytest.raises(DatasetError, match="not labelled"):
        ours.read(root, "seq_001/left/000004/left")


def test_indexing_and_reading_never_touch_the_truth(tmp_path):
    root = ours.tiny(tmp_path)
    (root / "sequences" / "seq_001" / "truth.h5").write_bytes(b"opening this would fail")
    (key,) = ours.index(root, "train")
    assert ours.read(root, key).joints_valid.all()


def test_bad_names_and_keys(root, tmp_path):
    with pytest.raises(ConfigError, match="no split named 'tset'") as caught:
        ours.index(root, "tset")
    assert "'test'" in caught.value.hint
    with pytest.raises(DatasetError, match="expected recordings"):
        ours.index(tmp_path, "train")
    with pytest.raises(DatasetError, match="expected a key"):
        ours.read(root, "seq_001")
    with pytest.raises(DatasetError, match="not labelled"):
        ours.read(root, "seq_001/back/000000")
    with pytest.raises(SequenceError):
        ours.read(root, "seq_111/left/000000")


def test_several_moments(tmp_path):
    root = _tiny_ours.write(tmp_path, frames=3)
    keys = ours.index(root, "train")
    assert keys == [f"seq_001/left/{m:06d}" for m in range(3)]
    assert not np.allclose(ours.read(root, keys[0]).joints_m, ours.read(root, keys[2]).joints_m)


def test_every_reader_keeps_the_contract(tmp_path):
    for name in plugins.names("dataset_tools.readers"):
        reader = plugins.load("dataset_tools.readers", name)
        root = reader.tiny(tmp_path / name)
        for split in ("train", "test"):
            for key in reader.index(root, split):
                sample = reader.read(root, key)
                assert sample.dataset == reader.INFO.name == name
                assert sample.joints_m.shape == (21, 3)


def test_mix():
    assert mix.parse("ours+ours:0.5") == (mix.Part("ours"), mix.Part("ours", 0.5))
    for bad, message in (
        ("our", "no dataset named"),
        ("ours:x", "dataset:weight"),
        ("ours:-1", "positive"),
        ("ours:inf", "positive"),
    ):
        with pytest.raises(ConfigError, match=message):
            mix.parse(bad)


def test_epoch_order_is_a_pure_function_and_keeps_the_shares():
    order = mix.epoch_order([10, 4], [0.5, 2.0], seed=3, epoch=1)
    np.testing.assert_array_equal(order, mix.epoch_order([10, 4], [0.5, 2.0], seed=3, epoch=1))
    assert sorted(np.bincount(order, minlength=14)[10:]) == [2, 2, 2, 2]
    assert len(set(order[order < 10])) == 5
    assert not np.array_equal(order, mix.epoch_order([10, 4], [0.5, 2.0], seed=3, epoch=2))


def test_no_torch_at_import():
    code = (
        "import sys, dataset_tools.mix, dataset_tools.readers.ours, hoi_core.runtime; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_labels_of_another_recording_are_refused(tmp_path):
    root = ours.tiny(tmp_path)
    folders = [root / "sequences" / name for name in ("seq_001", "seq_002")]
    (folders[0] / "annotation.h5").write_bytes((folders[1] / "annotation.h5").read_bytes())
    with pytest.raises(SequenceError, match="another recording"):
        ours.index(root, "all")


class TestKeptKeys:
    def test_an_index_is_made_once(self, tmp_path, monkeypatch):
        root = ours.tiny(tmp_path)
        keys = ours.index(root, "all")
        with monkeypatch.context() as patched:
            patched.setattr(ours, "_keys_of", lambda folder: pytest.fail(f"{folder} is read again"))
            assert ours.index(root, "all") == keys
            assert ours.index(root, "test") == keys[1:]

    def test_other_labels_are_indexed_anew(self, tmp_path):
        root = ours.tiny(tmp_path)
        keys = ours.index(root, "all")
        folder = sequence.sequence_dir(root, "seq_001")
        with sequence.open_annotation(folder) as annotation:
            revision, binding = annotation.load(), annotation.binding
        (side,) = revision.hands
        rejected = np.full_like(revision.hands[side].status, STATUSES.index("rejected"))
        hands = {side: replace(revision.hands[side], status=rejected)}
        sequence.write_revision(folder, replace(revision, hands=hands), binding=binding)
        assert ours.index(root, "all") == keys[1:]

    def test_a_damaged_list_is_made_again(self, tmp_path):
        root = ours.tiny(tmp_path)
        keys = ours.index(root, "all")
        kept = root / ".hoi-index" / "keys.json"
        for content in ("", "[]", "{", '{"meaning": 3}', kept.read_text()[:-9], '{"meaning": "0", "sequences": {}}'):
            kept.write_text(content)
            assert ours.index(root, "all") == keys

    def test_another_hand_model_is_not_taken_for_this(self, tmp_path, monkeypatch):
        root = ours.tiny(tmp_path / "data")
        assert ours.index(root, "all")
        ManoLayer.stand_in("right").save_pickle(tmp_path / "mano" / "MANO_RIGHT.pkl")
        monkeypatch.setenv("HOI_MANO", str(tmp_path / "mano"))
        with pytest.raises(DatasetError, match="fitted with the hand model"):
            ours.index(root, "all")

    def test_a_read_only_dataset_is_remembered_by_the_user(self, tmp_path, monkeypatch):
        root = ours.tiny(tmp_path / "data")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        (root / ".hoi-index").write_text("a file where the folder should be")  # as good as read-only, for root as well
        keys = ours.index(root, "all")
        with monkeypatch.context() as patched:
            patched.setattr(ours, "_keys_of", lambda folder: pytest.fail(f"{folder} is read again"))
            assert ours.index(root, "all") == keys
        shutil.rmtree(tmp_path / "cache")
        (tmp_path / "cache").write_text("nor here")
        assert ours.index(root, "all") == keys

    def test_a_list_that_is_out_of_date_hides_no_newer_one(self, tmp_path, monkeypatch):
        """A dataset on a disk that became read-only, and whose labels changed before: its own list stays old."""
        root = ours.tiny(tmp_path / "data")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        keys = ours.index(root, "all")
        annotation = root / "sequences" / "seq_001" / "annotation.h5"
        os.utime(annotation, ns=(1, 1))
        listed = root / ".hoi-index" / "keys.json"
        old = listed.read_text()
        listed.unlink()
        (root / ".hoi-index").rmdir()
        (root / ".hoi-index").write_text("")
        assert ours.index(root, "all") == keys
        (root / ".hoi-index").unlink()
        listed.parent.mkdir()
        listed.write_text(old)
        with monkeypatch.context() as patched:
            patched.setattr(ours, "_keys_of", lambda folder: pytest.fail(f"{folder} is read again"))
            assert ours.index(root, "all") == keys


class TestScene:
    def test_objects_are_where_the_labels_put_them(self, tmp_path):
        root = _tiny_ours.write(tmp_path, frames=2)
        folder = sequence.find_sequence(root, "seq_001")
        with sequence.open_annotation(folder) as annotation:
            track = annotation.load().objects["box"]
        for m, key in enumerate(ours.index(root, "train")):
            sample = ours.read(root, key)
            (shown,) = sample.objects
            assert (shown.name, shown.scale) == ("box", 1.0)
            assert shown.mesh == root / "objects" / "box" / "mesh.obj"
            np.testing.assert_allclose(sample.camera.T_world_cam @ shown.T_cam_obj, track.T_world_obj[m], atol=1e-12)

    @pytest.mark.parametrize("fault", ["rejected", "invalid", "no mesh"])
    def test_an_object_without_a_label_or_a_mesh(self, tmp_path, fault):
        root = ours.tiny(tmp_path)
        folder = sequence.find_sequence(root, "seq_001")
        with sequence.open_annotation(folder) as annotation:
            revision = annotation.load()
        track = revision.objects["box"]
        if fault == "no mesh":
            (root / "objects" / "box" / "mesh.obj").unlink()
        elif fault == "rejected":
            track = replace(track, status=np.full_like(track.status, STATUSES.index("rejected")))
        else:
            track = replace(track, valid=~track.valid)
        sequence.write_revision(folder, replace(revision, objects={"box": track}, parent="r000"))
        (key,) = ours.index(root, "train")
        sample = ours.read(root, key)
        assert [shown.mesh for shown in sample.objects] == ([None] if fault == "no mesh" else [])
        assert set(np.unique(ours.segmentation(root, key))) == {0, 1}

    def test_a_recording_without_depth_has_none(self, tmp_path, monkeypatch):
        root = ours.tiny(tmp_path)
        (key,) = ours.index(root, "train")
        assert np.isfinite(ours.depth_m(root, key)).any()
        capture = ours._capture(sequence.find_sequence(root, "seq_001"), os.getpid())
        monkeypatch.setitem(capture.sync.index, "left/depth", np.array([-1]))
        assert np.isnan(ours.depth_m(root, key)).all()
        monkeypatch.delitem(capture.sync.index, "left/depth")
        assert np.isnan(ours.depth_m(root, key)).all()
