"""What is written as HO-3D and as DexYCB is what their readers find: labels, depth, segmentation, objects."""

import json
import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
import smplx
import torch
import yaml

from dataset_tools.convert import Terms, convert
from dataset_tools.readers import _tiny_ours, dexycb, freihand, ho3d_v3, ours, rhd
from dataset_tools.writers import Extras, _pinhole, ho3d
from dataset_tools.writers import dexycb as dexycb_writer
from hoi_core import camera as cameras
from hoi_core.conventions import JOINT_ORDERS
from hoi_core.errors import DatasetError
from hoi_core.mano import ManoLayer
from hoi_core.types import Camera

# 0.01 mm, what labels may lose.
_LOST_M = 1e-5
_LENS = Camera(320, 240, 250.0, 255.0, 150.0, 125.0, (-0.3, 0.1, 0.002, -0.003, 0.01), "brown_conrady")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A right hand in seq_001 (train), a left one in seq_002 (test), two frames each, with a box."""
    return _tiny_ours.write(tmp_path_factory.mktemp("ours"), frames=2)


def samples(root, split):
    return [ours.read(root, key) for key in ours.index(root, split)]


def all_right(root, folder):
    """The dataset with the right hand in both splits, so that a format of right hands has a test set."""
    (folder / "objects").mkdir(parents=True)
    for name in ("sequences", "participants.csv", "objects"):
        source = root / name
        (folder / name).rmdir() if (folder / name).is_dir() else None
        (folder / name).symlink_to(source)
    about = json.loads((root / "dataset.json").read_text())
    splits = {"train": ["seq_001"], "test": ["seq_001"]}
    (folder / "dataset.json").write_text(json.dumps(about | {"splits": splits}))
    return folder


def same_labels(read, given):
    np.testing.assert_array_equal(read.joints_valid, given.joints_valid)
    assert np.abs(read.joints_m - given.joints_m).max() < _LOST_M
    assert read.side == given.side


def same_object(read, given, root):
    np.testing.assert_allclose(read.T_cam_obj, given.T_cam_obj, atol=_LOST_M)
    assert read.mesh.read_text() == given.mesh.read_text()
    assert read.mesh.is_relative_to(root)


def drawn_bones_lie_under_the_joints(sample):
    whole = np.rint(cameras.project(sample.camera, sample.joints_m)).astype(int)
    assert (sample.image[whole[:, 1], whole[:, 0], 0] > 130).all()


def same_depth(read, written, step_m):
    known = np.isfinite(read)
    assert known.any()
    np.testing.assert_array_equal(known, np.isfinite(written))
    assert np.abs(read[known] - written[known]).max() <= step_m / 2 + 1e-6


class TestPinhole:
    def test_a_lens_is_taken_away_and_labels_stay(self, root):
        (given, _) = samples(root, "train")
        image = _tiny_ours._drawing(_LENS, cameras.project(_LENS, given.joints_m))
        bent = replace(given, image=image, camera=_LENS, joints_px=cameras.project(_LENS, given.joints_m))
        column = np.broadcast_to(np.arange(320, dtype=np.float32), (240, 320))
        shown = _pinhole.as_pinhole(bent, Extras(depth_m=column), _pinhole.pinhole_for(_LENS, 640, 480))
        sample = shown.sample
        assert sample.image.shape == (480, 640, 3)
        assert sample.camera.distortion_model == "none"
        np.testing.assert_array_equal(sample.joints_m, given.joints_m)
        drawn_bones_lie_under_the_joints(sample)
        np.testing.assert_allclose(sample.joints_px, cameras.project(sample.camera, given.joints_m), atol=1e-6)
        # A map whose value is its column says where each pixel came from: no farther than half a pixel.
        u, v = np.rint(sample.joints_px).astype(int).T
        assert np.abs(shown.extras.depth_m[v, u] - bent.joints_px[:, 0]).max() < 1.0

    def test_what_lies_outside_is_unknown_not_measured(self, root):
        (given, _) = samples(root, "train")
        tall = replace(given.camera, width=240, height=240, cx=119.5)
        part = replace(given, image=given.image[:, :240], camera=tall)
        maps = Extras(depth_m=np.ones((240, 240), np.float32), segmentation=np.ones((240, 240), np.uint8))
        shown = _pinhole.as_pinhole(part, maps, _pinhole.pinhole_for(tall, 640, 480))
        assert np.isnan(shown.extras.depth_m[:, :79]).all()
        assert (shown.extras.depth_m[:, 81:559] == 1).all()
        assert not shown.extras.segmentation[:, :79].any()
        assert not shown.sample.image[:, :79].any()

    def test_what_is_a_pinhole_already_keeps_its_pixels(self, root):
        (given, _) = samples(root, "train")
        shown = _pinhole.as_pinhole(given, Extras(), replace(given.camera, distortion_model="none"))
        assert shown.sample is given


class TestHo3d:
    def test_round_trip(self, root, tmp_path):
        data = all_right(root, tmp_path / "data")
        done = convert(data, "ours", ["train", "test"], "ho3d", tmp_path / "ho3d")
        assert (done.written, done.left_out) == (4, 0)
        for split in ("train", "test"):
            keys = ho3d_v3.index(tmp_path / "ho3d", split)
            for key, given_key, given in zip(keys, ours.index(data, split), samples(data, split), strict=True):
                read = ho3d_v3.read(tmp_path / "ho3d", key)
                same_labels(read, given)
                drawn_bones_lie_under_the_joints(read)
                assert (read.camera.width, read.camera.height, read.camera.fx) == (640, 480, 600.0)
                (shown,) = read.objects
                same_object(shown, given.objects[0], tmp_path / "ho3d")
                wide = cv2.resize(ours.depth_m(data, given_key), (640, 480), interpolation=cv2.INTER_NEAREST)
                same_depth(ho3d_v3.depth_m(tmp_path / "ho3d", key), wide, 0.000125)
                if split == "test":
                    assert np.abs(read.vertices_m - given.vertices_m).max() < _LOST_M
                    assert read.params is None
                    continue
                for name in ("orient", "pose", "betas", "trans_m"):
                    np.testing.assert_allclose(getattr(read.params, name), getattr(given.params, name), atol=1e-9)
                posed = ManoLayer.from_env("right")(
                    read.params.orient[None], read.params.pose[None], read.params.betas, read.params.trans_m[None]
                )
                assert np.abs(posed.joints_m[0] - given.joints_m).max() < _LOST_M
        keys = json.loads((tmp_path / "ho3d" / "train_keys.json").read_text())
        assert keys == ours.index(data, "train")

    def test_native_values_are_those_that_the_format_documents(self, root, tmp_path):
        convert(root, "ours", ["train"], "ho3d", tmp_path / "ho3d")
        (given, _) = samples(root, "train")
        assert (tmp_path / "ho3d" / "train.txt").read_text() == "TA10/0000\nTA10/0001\n"
        path = tmp_path / "ho3d" / "train" / "TA10" / "meta" / "0000.pkl"
        native = pickle.loads(path.read_bytes())  # noqa: S301 -- our own
        assert native["handPose"].shape == (48,)
        for joint in ("wrist", "thumbtip", "little1", "ring2"):
            there = native["handJoints3D"][JOINT_ORDERS["mano21"].index(joint)]
            np.testing.assert_allclose(
                there * [1, -1, -1], given.joints_m[JOINT_ORDERS["openpose21"].index(joint)], atol=1e-12
            )
        # The corners of a box of 4 x 6 x 8 cm, placed by the native pose, are where the label of ours puts them.
        corners = native["objCorners3DRest"]
        np.testing.assert_allclose(np.abs(corners), np.tile([0.02, 0.03, 0.04], (8, 1)), atol=1e-9)
        placed = corners @ cv2.Rodrigues(native["objRot"])[0].T + native["objTrans"]
        expected = cameras.transform(given.objects[0].T_cam_obj, corners)
        np.testing.assert_allclose(placed * [1, -1, -1], expected, atol=1e-9)
        assert b"numpy._core" not in path.read_bytes()

    def test_left_hands_and_hands_without_parameters_are_left_out(self, root, tmp_path):
        with pytest.raises(DatasetError, match="none of the 2 samples"):
            convert(root, "ours", ["test"], "ho3d", tmp_path / "left")
        freihand.tiny(tmp_path / "data" / "freihand")
        own = Terms(audience="laboratory")
        # Its poses are relative to a mean that only licensed files have; to evaluate on, joints are enough.
        done = convert(tmp_path / "data", "freihand", ["train", "test"], "ho3d", tmp_path / "out", terms=own)
        assert (done.written, done.left_out) == (1, 8)

    def test_without_meshes_there_is_no_file_of_meshes(self, tmp_path):
        rhd.tiny(tmp_path / "data" / "rhd")
        convert(tmp_path / "data", "rhd", ["test"], "ho3d", tmp_path / "out", terms=Terms(audience="laboratory"))
        assert not (tmp_path / "out" / "evaluation_verts.json").exists()
        for key in ho3d_v3.index(tmp_path / "out", "test"):
            sample = ho3d_v3.read(tmp_path / "out", key)
            assert sample.joints_valid.all()
            assert sample.vertices_m is None
            assert sample.objects == ()

    def test_other_splits_have_no_place(self, root, tmp_path):
        with pytest.raises(DatasetError, match="no split 'all'"):
            convert(root, "ours", ["all"], "ho3d", tmp_path / "out")
        assert not list(tmp_path.iterdir())

    def test_recordings_are_named_in_letters(self):
        names = [ho3d.sequence_name("train", ho3d.Place(n, 3, 0)) for n in (0, 25, 26, 27, 702)]
        assert names == ["TA13", "TZ13", "TAA13", "TAB13", "TAAA13"]
        assert ho3d_v3.group("train/TAB13/0000") == ho3d_v3.group("train/TAB10/0000") != ho3d_v3.group("train/TAC10/0")


class TestDexYcb:
    def test_round_trip(self, root, tmp_path):
        done = convert(root, "ours", ["train", "test"], "dexycb", tmp_path / "dexycb")
        assert (done.written, done.left_out) == (4, 0)
        for split in ("train", "test"):
            keys = dexycb.index(tmp_path / "dexycb", split)
            for key, given_key, given in zip(keys, ours.index(root, split), samples(root, split), strict=True):
                read = dexycb.read(tmp_path / "dexycb", key)
                same_labels(read, given)
                drawn_bones_lie_under_the_joints(read)
                np.testing.assert_allclose(read.joints_px, cameras.project(read.camera, given.joints_m), atol=1e-3)
                (shown,) = read.objects
                np.testing.assert_allclose(shown.T_cam_obj, given.objects[0].T_cam_obj, atol=1e-6)
                assert shown.name == "002_master_chef_can"
                assert shown.mesh.read_text() == given.objects[0].mesh.read_text()
                wide = cv2.resize(ours.depth_m(root, given_key), (640, 480), interpolation=cv2.INTER_NEAREST)
                same_depth(dexycb.depth_m(tmp_path / "dexycb", key), wide, 0.001)
                wide = cv2.resize(ours.segmentation(root, given_key), (640, 480), interpolation=cv2.INTER_NEAREST)
                np.testing.assert_array_equal(dexycb.segmentation(tmp_path / "dexycb", key), wide)
                assert set(np.unique(wide)) == {0, 1, 2}
        assert dexycb.index(tmp_path / "dexycb", "all") == [
            f"20200709-subject-01/20200709_000000/836212060125/00000{m}" for m in range(2)
        ] + [f"20200820-subject-03/20200820_000004/836212060125/00000{m}" for m in range(2)]
        names = json.loads((tmp_path / "dexycb" / "names.json").read_text())
        assert names["objects"] == {"box": 1}
        assert names["takes"]["20200820-subject-03/20200820_000004"] == "seq_002"

    def test_a_copy_of_dexycb_gives_the_same(self, tmp_path):
        """Eight cameras with their poses, one frame with a hand and one without."""
        source, copy = dexycb.tiny(tmp_path / "data" / "dexycb"), tmp_path / "copy"
        own = Terms(audience="laboratory")
        assert convert(tmp_path / "data", "dexycb", ["train"], "dexycb", copy, terms=own).left_out == 0
        keys = dexycb.index(copy, "all")
        assert len(keys) == 8
        for given_key, key in zip(dexycb.index(source, "train"), keys, strict=True):
            given, read = dexycb.read(source, given_key), dexycb.read(copy, key)
            same_labels(read, given)
            assert given_key.split("/")[2:] == key.split("/")[2:]
            np.testing.assert_allclose(read.camera.T_world_cam, given.camera.T_world_cam, atol=1e-12)
            np.testing.assert_allclose(read.camera.K, given.camera.K)
            (shown,), (known,) = read.objects, given.objects
            assert shown.name == known.name
            np.testing.assert_allclose(shown.T_cam_obj, known.T_cam_obj, atol=1e-6)

    def test_parameters_are_coefficients_of_the_users_mano(self, tmp_path, monkeypatch):
        for side in ("right", "left"):
            ManoLayer.stand_in(side).save_pickle(tmp_path / "mano")
        monkeypatch.setenv("HOI_MANO", str(tmp_path / "mano"))
        root = _tiny_ours.write(tmp_path / "data", frames=1)
        convert(root, "ours", ["train"], "dexycb", tmp_path / "out")
        (given,), (key,) = samples(root, "train"), dexycb.index(tmp_path / "out", "train")
        subject, take, serial, frame = key.split("/")
        with np.load(tmp_path / "out" / subject / take / serial / f"labels_{frame}.npz") as labels:
            pose_m = labels["pose_m"].astype(np.float64)
        shape = tmp_path / "out" / "calibration" / f"mano_{take}_right" / "mano.yml"
        betas = yaml.safe_load(shape.read_text())["betas"]
        # Native: a turn, coefficients in MANO's basis about its mean pose, a shift (with smplx, which others use).
        hand = smplx.MANO(str(tmp_path / "mano" / "MANO_RIGHT.pkl"), use_pca=False, flat_hand_mean=False)
        turn, coefficients, shift = (torch.tensor(part).float() for part in np.split(pose_m, [3, 48], axis=1))
        bends = coefficients @ torch.tensor(ManoLayer.stand_in("right").model.components).float()
        posed = hand(betas=torch.tensor([betas]).float(), global_orient=turn, hand_pose=bends, transl=shift)
        assert np.abs(posed.vertices[0].detach().numpy() - given.vertices_m).max() < _LOST_M
        read = dexycb.read(tmp_path / "out", key)
        np.testing.assert_allclose(read.params.pose, given.params.pose, atol=1e-5)
        assert np.abs(read.vertices_m - given.vertices_m).max() < _LOST_M

    def test_objects_that_come_later_have_a_place_in_every_frame(self, root, tmp_path):
        first, second = samples(root, "train")
        (box,) = first.objects
        more = (box, replace(box, name="025_mug", mesh=None))
        writer = dexycb_writer.open(tmp_path, "train")
        maps = Extras("seq_001", segmentation=ours.segmentation(root, first.key))
        assert writer.add(first, maps)
        assert writer.add(replace(second, objects=more), maps)
        writer.close()
        keys = dexycb.index(tmp_path, "train")
        names = [[shown.name for shown in dexycb.read(tmp_path, key).objects] for key in keys]
        assert names == [["002_master_chef_can"], ["002_master_chef_can", "025_mug"]]
        assert (dexycb.segmentation(tmp_path, keys[0]) == 2).any()
        # Which of two objects a pixel shows, nobody says.
        with pytest.raises(DatasetError, match="expected seg"):
            dexycb.segmentation(tmp_path, keys[1])

    def test_gaps_are_frames_without_a_hand(self, root, tmp_path):
        first, second = samples(root, "train")
        pose = cameras.look_at(np.array([0.3, 0, 0.4]), np.zeros(3), np.eye(3)[2])
        elsewhere = replace(first.camera, T_world_cam=pose)
        writer = dexycb_writer.open(tmp_path, "train")
        assert writer.add(first, Extras("seq_001"))
        assert not writer.add(first, Extras("seq_001"))
        assert writer.add(replace(second, camera=elsewhere, key="seq_001/right/000003"), Extras("seq_001"))
        assert writer.add(replace(second, key="seq_001/left/001001"), Extras("seq_001"))
        writer.close()
        take = "20200709-subject-01/20200709_000000"
        assert dexycb.index(tmp_path, "train") == [
            f"{take}/836212060125/000000",
            f"{take}/839512060362/000003",
            "20200709-subject-01/20200709_000001/836212060125/000001",
        ]
        assert np.isnan(dexycb.depth_m(tmp_path, f"{take}/836212060125/000002")).all()
        with pytest.raises(DatasetError, match="no hand"):
            dexycb.read(tmp_path, f"{take}/836212060125/000002")
        one, other = (dexycb.read(tmp_path, key).camera for key in dexycb.index(tmp_path, "train")[:2])
        apart = cameras.inverse_rigid(first.camera.T_world_cam) @ elsewhere.T_world_cam
        np.testing.assert_allclose(one.T_cam_world @ other.T_world_cam, apart, atol=1e-12)

    def test_what_comes_after_the_last_place_is_left_out(self, root, tmp_path):
        (sample, _) = samples(root, "train")
        writer = dexycb_writer.open(tmp_path, "val")
        kept = [writer.add(replace(sample, objects=()), Extras(f"seq_{n}")) for n in range(41)]
        assert kept == [True] * 40 + [False]

    def test_other_splits_have_no_place(self, root, tmp_path):
        with pytest.raises(DatasetError, match="no split 'all'"):
            convert(root, "ours", ["all"], "dexycb", tmp_path / "out")
