"""DexYCB: its splits, what stands for missing, cameras, and files that are damaged."""

import json
import shutil

import cv2
import numpy as np
import pytest

from dataset_tools.readers import _dexycb_files as files
from dataset_tools.readers import dexycb
from hoi_cli import eval as evaluate
from hoi_core import camera as cameras
from hoi_core.conventions import SIDES
from hoi_core.errors import DatasetError
from hoi_core.mano import ManoLayer

SEQUENCE = "20200709-subject-01/20200709_140000"
KEY = f"{SEQUENCE}/836212060125/000000"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return dexycb.tiny(tmp_path_factory.mktemp("dexycb"))


@pytest.fixture
def root(written, tmp_path):
    """A copy that a test may damage; what is untouched are links."""
    copy = tmp_path / "dexycb"
    copy.mkdir()
    for place in written.iterdir():
        if place.name in ("calibration", files.SUBJECTS[0]):
            shutil.copytree(place, copy / place.name)
        elif not place.name.startswith("."):
            (copy / place.name).symlink_to(place)
    return copy


def labels_of(root, frame=0, serial=files.SERIALS[0]):
    return root / SEQUENCE / serial / f"labels_{frame:06d}.npz"


def change(path, **entries):
    with np.load(path) as content:
        kept = dict(content)
    np.savez_compressed(path, **{**kept, **entries})


def parts_of(person, sequence, camera):
    """Names of the splits that an image is in, by the reader."""
    row = np.array([[sequence, camera, 0]])
    return {
        f"{setup}_{part}"
        for setup in dexycb.SETUPS
        for part in ("train", "val", "test")
        if dexycb._in_split(row, person, setup, part)[0]
    }


def test_every_image_is_in_one_part_of_each_split():
    rows = np.array([[sequence, camera, 0] for sequence in range(100) for camera in range(8)])
    for setup in dexycb.SETUPS:
        for person in range(10):
            parts = [dexycb._in_split(rows, person, setup, part) for part in ("train", "val", "test")]
            assert (np.sum(parts, 0) == 1).all()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ((0, 0, 0), {"s0_train", "s1_train", "s2_train", "s3_train"}),
        ((1, 99, 6), {"s0_val", "s1_train", "s2_val", "s3_val"}),
        ((9, 79, 7), {"s0_test", "s1_train", "s2_test", "s3_test"}),
        ((6, 38, 5), {"s0_train", "s1_val", "s2_train", "s3_test"}),
        ((8, 15, 2), {"s0_train", "s1_test", "s2_train", "s3_val"}),
        ((2, 54, 3), {"s0_test", "s1_train", "s2_train", "s3_train"}),
    ],
)
def test_splits_are_those_of_the_toolkit(image, expected):
    assert parts_of(*image) == expected


def test_counts_of_the_splits(written):
    counts = {split: len(dexycb.index(written, split)) for split in dexycb.INFO.splits}
    assert counts["all"] == 32
    assert [counts[f"s0_{part}"] for part in ("train", "val", "test")] == [8, 8, 16]
    assert [counts[f"s1_{part}"] for part in ("train", "val", "test")] == [16, 8, 8]
    assert [counts[f"s2_{part}"] for part in ("train", "val", "test")] == [24, 4, 4]
    assert [counts[f"s3_{part}"] for part in ("train", "val", "test")] == [16, 8, 8]
    assert dexycb.index(written, "val") == dexycb.index(written, "s0_val")


def test_a_frame_without_a_hand_is_no_sample(root):
    keys = dexycb.index(root, "train")
    assert KEY in keys
    missing = f"{SEQUENCE}/836212060125/000001"
    assert missing not in keys
    with pytest.raises(DatasetError, match="no hand"):
        dexycb.read(root, missing)


def test_eight_cameras_see_one_hand_and_one_object(root):
    samples = [dexycb.read(root, key) for key in dexycb.index(root, "s0_train")]
    assert len({dexycb.group(sample.key) for sample in samples}) == 1
    for sample in samples:
        T = sample.camera.T_world_cam
        np.testing.assert_allclose(cameras.transform(T, sample.joints_m), samples[0].joints_m, atol=1e-5)
        (shown,) = sample.objects
        np.testing.assert_allclose(T @ shown.T_cam_obj, samples[0].objects[0].T_cam_obj, atol=1e-5)
        assert shown.name == "021_bleach_cleanser"
    assert np.linalg.norm(samples[1].joints_m - samples[0].joints_m) > 0.1


def test_the_side_is_that_of_the_sequence(written):
    sides = {key.split("/")[0]: dexycb.read(written, key).side for key in dexycb.index(written, "all")[::8]}
    assert sides == {
        "20200709-subject-01": "right",
        "20200928-subject-07": "left",
        "20201002-subject-08": "right",
    }


def test_labels_are_scanned_once_and_again_when_they_change(root, monkeypatch):
    before = dexycb.index(root, "all")
    with monkeypatch.context() as patched:
        patched.setattr(dexycb, "_scan", None)
        dexycb._kept_rows.cache_clear()
        assert dexycb.index(root, "all") == before
    change(labels_of(root), joint_3d=np.full((1, 21, 3), -1.0, np.float32))
    (root / SEQUENCE / files.SERIALS[0] / "new").touch()
    assert dexycb.index(root, "all") == [key for key in before if key != KEY]


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"joint_3d": np.zeros((1, 20, 3))}, "joint_3d"),
        ({"joint_3d": np.full((1, 21, 3), np.nan)}, "joint_3d"),
        ({"joint_3d": np.full((1, 21, 3), 0.5)}, "palm"),
        ({"joint_2d": np.zeros((1, 21, 2))}, "beside their own pixels"),
        ({"pose_y": np.zeros((1, 3, 4))}, "2 poses of objects"),
        ({"pose_y": np.ones((2, 3, 4))}, "the pose of object 12"),
        ({"joint_3d": np.array([[None]], object)}, "expected labels|numbers"),
        ({"joint_2d": np.array("a")}, "expected numbers"),
    ],
)
def test_labels_that_cannot_be_are_refused(root, entries, match):
    change(labels_of(root), **entries)
    with pytest.raises(DatasetError, match=match):
        dexycb.read(root, KEY)


def test_one_joint_without_a_label_is_no_hand_behind_the_camera(root):
    path = labels_of(root)
    with np.load(path) as content:
        joints = content["joint_3d"].copy()
    joints[0, 4] = -1
    change(path, joint_3d=joints)
    with pytest.raises(DatasetError, match="behind the camera"):
        dexycb.read(root, KEY)


@pytest.mark.parametrize("kept", [0, 0.3, 0.7, 0.99])
def test_truncated_labels(root, kept):
    path = labels_of(root)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    for function in (dexycb.read, dexycb.segmentation):
        with pytest.raises(DatasetError, match="expected labels"):
            function(root, KEY)
    with pytest.raises(DatasetError, match="expected labels"):
        dexycb.index(root, "all")


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda root: labels_of(root, 1).unlink(), "expected 2 frames.*labels_000001"),
        (lambda root: (root / SEQUENCE / files.SERIALS[3] / "color_000000.jpg").unlink(), "expected 2 frames"),
        (lambda root: shutil.rmtree(root / SEQUENCE / files.SERIALS[3]), "expected 2 frames"),
        (lambda root: shutil.rmtree(root / SEQUENCE), "expected 100 sequences"),
        (lambda root: (root / files.SUBJECTS[4]).unlink(), "found no 20200908-subject-05"),
        (lambda root: (root / SEQUENCE / "meta.yml").unlink(), "meta.yml"),
        (lambda root: (root / SEQUENCE / "meta.yml").write_text("num_frames: 2"), "expected frames"),
        (lambda root: (root / SEQUENCE / "meta.yml").write_text("!!python/object:os.system {}"), "description"),
        (lambda root: (root / SEQUENCE / "meta.yml").write_text("[1, 2"), "description"),
    ],
)
def test_damaged_folders_are_named(root, damage, match):
    damage(root)
    with pytest.raises(DatasetError, match=match):
        dexycb.index(root, "train")


@pytest.mark.parametrize("change_of", ["two hands", "other object", "other camera"])
def test_sequences_of_another_kind_are_refused(root, change_of):
    path = root / SEQUENCE / "meta.yml"
    text = path.read_text()
    path.write_text(
        {
            "two hands": text.replace("- right\n", "- right\n- left\n"),
            "other object": text.replace("- 12\n", "- 22\n"),
            "other camera": text.replace(files.SERIALS[2], "999999999999"),
        }[change_of]
    )
    with pytest.raises(DatasetError, match="another number"):
        dexycb.read(root, KEY)


@pytest.mark.parametrize(
    ("file", "old", "new", "match"),
    [
        ("intrinsics/836212060125_640x480.yml", "fx: 614.0", "fx: 6.0", "intrinsics"),
        ("intrinsics/836212060125_640x480.yml", "fx: 614.0", "fx: wide", "a calibration"),
        ("intrinsics/836212060125_640x480.yml", "color", "colour", "a calibration"),
        ("extrinsics_20200709_100000/extrinsics.yml", "- 1.0\n", "- 2.0\n", "the pose of camera"),
        ("extrinsics_20200709_100000/extrinsics.yml", "- 1.0\n", "- .nan\n", "the pose of camera"),
        ("extrinsics_20200709_100000/extrinsics.yml", "'836212060125'", "'9'", "a calibration"),
    ],
)
def test_damaged_calibration(root, file, old, new, match):
    path = root / "calibration" / file
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError, match=match):
        dexycb.read(root, KEY)


def test_numbers_of_the_segmentation(root):
    seg = np.zeros((480, 640), np.uint8)
    seg[0, :4] = [1, 21, 255, 0]
    change(labels_of(root), seg=seg)
    assert dexycb.segmentation(root, KEY)[0, :4].tolist() == [2, 2, 1, 0]
    for wrong in (seg[:100], np.full_like(seg, 22)):
        change(labels_of(root), seg=wrong)
        with pytest.raises(DatasetError, match="numbers of classes"):
            dexycb.segmentation(root, KEY)


def test_depth_is_in_millimetres(root):
    path = root / SEQUENCE / files.SERIALS[0] / "aligned_depth_to_color_000000.png"
    millimetres = np.zeros((480, 640), np.uint16)
    millimetres[7, 9] = 812
    cv2.imwrite(str(path), millimetres)
    depth = dexycb.depth_m(root, KEY)
    assert depth[7, 9] == pytest.approx(0.812)
    assert np.isfinite(depth).sum() == 1
    cv2.imwrite(str(path), np.zeros((480, 640), np.uint8))
    with pytest.raises(DatasetError, match="uint8"):
        dexycb.depth_m(root, KEY)


def test_an_object_without_a_pose_is_left_out_and_a_mesh_is_found(root):
    assert len(dexycb.read(root, KEY).objects) == 1
    mesh = root / "models" / "021_bleach_cleanser" / "textured_simple.obj"
    mesh.parent.mkdir(parents=True)
    mesh.touch()
    assert dexycb.read(root, KEY).objects[0].mesh == mesh


@pytest.fixture
def hand_model(tmp_path, monkeypatch):
    """The files with which the fake's labels were made: the stand-in hand, as a user would have MANO's."""
    folder = tmp_path / "mano"
    folder.mkdir()
    for side in SIDES:
        ManoLayer.stand_in(side).save_pickle(folder)
    monkeypatch.setenv("HOI_MANO", str(folder))
    return folder


def test_without_the_users_hand_model_there_are_joints_alone(written, monkeypatch):
    monkeypatch.delenv("HOI_MANO", raising=False)
    sample = dexycb.read(written, KEY)
    assert sample.params is None
    assert sample.vertices_m is None


@pytest.mark.parametrize("side", SIDES)
def test_the_users_hand_model_gives_parameters_and_mesh_where_the_joints_are(written, hand_model, side):
    samples = [dexycb.read(written, key) for key in dexycb.index(written, "all") if key.split("/")[2] == "932122062010"]
    sample = next(found for found in samples if found.side == side)
    params = sample.params
    assert params.flat_hand_mean
    posed = ManoLayer.stand_in(side)(params.orient[None], params.pose[None], params.betas, params.trans_m[None])
    np.testing.assert_allclose(posed.joints_m[0], sample.joints_m, atol=1e-5)
    np.testing.assert_allclose(posed.vertices_m[0], sample.vertices_m, atol=1e-9)


def test_parameters_that_do_not_give_the_joints_are_not_taken(root, hand_model):
    with np.load(labels_of(root)) as content:
        pose = content["pose_m"]
    pose[0, 5] += 0.5  # as coefficients of another basis would be
    change(labels_of(root), pose_m=pose)
    sample = dexycb.read(root, KEY)
    assert sample.params is None
    assert sample.vertices_m is None
    assert sample.joints_valid.all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda root, shape: shape.unlink(),
        lambda root, shape: shape.write_text("betas: [1, 2]"),
        lambda root, shape: shape.write_text("betas: [.nan, 0, 0, 0, 0, 0, 0, 0, 0, 0]"),
        lambda root, shape: change(labels_of(root), pose_m=np.zeros((1, 48))),
        lambda root, shape: change(labels_of(root), pose_m=np.full((1, 51), np.nan)),
    ],
)
def test_a_damaged_hand_shape_or_pose_is_refused(root, hand_model, damage):
    damage(root, next((root / "calibration").glob("mano_20200709-*-00_*/mano.yml")))
    with pytest.raises(DatasetError, match=r"betas|pose_m|calibration"):
        dexycb.read(root, KEY)


def test_images_are_numbered_as_its_own_evaluation_does(written):
    # Two frames of eight cameras, camera by camera; the second frame has no hand, and is counted all the same.
    keys = dexycb.index(written, "train")
    assert [number for key, number in zip(keys, dexycb.image_ids(written, "train"), strict=True)] == list(
        range(0, 16, 2)
    )
    assert dexycb.image_ids(written, "test") == list(range(16))
    # Of one camera alone there is one image for each frame.
    assert dexycb.image_ids(written, "s2_test") == [0, 2, 3, 4]


def test_results_are_measured_against_its_labels(written, tmp_path, capsys):
    results, figures = tmp_path / "results.csv", tmp_path / "f.json"
    keys = dexycb.index(written, "train")
    lines = {}
    for number, key in zip(dexycb.image_ids(written, "train"), keys, strict=True):
        moved = 1e3 * dexycb.labelled_joints_m(written, key) + [3.0, 0.0, 4.0]
        lines[number] = ",".join([str(number), *(f"{value:.4f}" for value in moved.reshape(-1))])
    text = "\n".join(lines.values())
    # Numbers that are not asked for do not matter, and of two lines for one image the last counts.
    results.write_text(f"0{text[1:].splitlines()[0].replace(',', ',9', 1)}\n999{lines[0][1:]}\n{text}\n")
    asked = ["--predictions", str(results), "--truth", str(written), "--protocol", "dexycb", "--split", "train"]
    assert evaluate.main([*asked, "--json", str(figures)]) == 0
    found = json.loads(figures.read_text())
    assert found["n"] == 8
    assert found["xyz_mm"] == pytest.approx(5.0, abs=1e-3)
    assert found["xyz_rr_mm"] == pytest.approx(0.0, abs=1e-3)
    assert found["xyz_pa_mm"] == pytest.approx(0.0, abs=1e-2)
    assert found["mesh_mm"] is None
    results.write_text("\n".join([lines[n] for n in lines if n != 4]))
    assert evaluate.main(asked) == 2
    assert "image 4 has no prediction" in capsys.readouterr().err
    results.write_text("1,2,3")
    assert evaluate.main(asked) == 2
    assert "3 values, not 64" in capsys.readouterr().err


def test_the_object_that_is_taken_and_the_meshes_that_are_there(root):
    key = dexycb.index(root, "s0_train")[0]
    assert dexycb.grasped(root, key) == "021_bleach_cleanser"  # the first of meta.yml's two
    assert dexycb.objects(root) == {}
    mesh = root / "models" / "003_cracker_box" / "textured_simple.obj"
    mesh.parent.mkdir(parents=True)
    mesh.write_text("v 0 0 0\n")
    assert dexycb.objects(root) == {"003_cracker_box": mesh}


@pytest.mark.parametrize("said", ["2", "-1", "none"])
def test_an_object_that_is_none_of_the_sequences_is_refused(root, said):
    key = dexycb.index(root, "s0_train")[0]
    meta = root / "/".join(key.split("/")[:2]) / "meta.yml"
    meta.write_text(meta.read_text().replace("ycb_grasp_ind: 0", f"ycb_grasp_ind: {said}"))
    with pytest.raises(DatasetError, match=r"meta\.yml"):
        dexycb.grasped(root, key)
