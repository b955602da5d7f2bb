"""What every reader keeps, over the small fake that it writes itself."""

import pickle

import cv2
import numpy as np
import pandas as pd
import pytest

from dataset_tools import readers
from dataset_tools.stats import tables
from dataset_tools.stats.collect import Collected, parts_of_keys
from dataset_tools.stats.measure import COLUMNS, measure
from hoi_core import camera as cameras
from hoi_core import plugins
from hoi_core.conventions import BONES, JOINT_ORDERS
from hoi_core.edges import EdgeParams
from hoi_core.errors import ConfigError, DatasetError

NAMES = sorted(plugins.names("dataset_tools.readers"))
MADE_HERE = (readers.OURS, "synth", "synthbench", "graspbench")
"""Datasets that are made with this toolkit: nobody else's format, nobody to cite."""


@pytest.fixture(scope="module", params=NAMES)
def dataset(request, tmp_path_factory):
    """Reader and the root of its fake."""
    reader = plugins.load("dataset_tools.readers", request.param)
    return reader, reader.tiny(tmp_path_factory.mktemp(request.param))


def samples(dataset):
    reader, root = dataset
    return [reader.read(root, key) for key in reader.index(root, "all")]


def test_info_says_what_a_user_must_know(dataset):
    reader, _ = dataset
    info = reader.INFO
    assert plugins.names("dataset_tools.readers")[info.name]
    assert {"train", "test", "all"} <= set(info.splits)
    assert info.joint_order in JOINT_ORDERS
    assert info.axes in ("OpenCV", "OpenGL")
    assert info.unit in ("m", "mm", "px")
    assert info.licence
    if info.name not in MADE_HERE:
        assert info.url.startswith("https://")
        assert info.citation
        assert info.tree
        assert info.sources
        assert info.unchecked


def test_splits_are_parts_of_all_and_a_group_is_in_one(dataset):
    reader, root = dataset
    everything = reader.index(root, "all")
    assert len(set(everything)) == len(everything)
    for split in reader.INFO.splits:
        keys = reader.index(root, split)
        assert keys
        assert set(keys) <= set(everything)
    train, test = ({reader.group(key) for key in reader.index(root, split)} for split in ("train", "test"))
    assert not train & test
    with pytest.raises(ConfigError, match="split"):
        reader.index(root, "no such split")


def test_keys_have_the_parts_that_info_names(dataset):
    reader, root = dataset
    names = reader.INFO.key_parts
    assert len(set(names)) == len(names)
    for key in reader.index(root, "all"):
        parts = key.split("/")
        # Ours name the side only where both hands are labelled; FreiHAND's evaluation set has one background.
        assert len(parts) == len(names) or (reader.INFO.name in ("ours", "freihand") and len(parts) == len(names) - 1)
        told = dict(zip(names, parts, strict=False))
        if "side" in told:
            assert told["side"] == reader.read(root, key).side


def test_samples_keep_shapes_units_and_names(dataset):
    reader, _ = dataset
    for sample in samples(dataset):
        assert sample.dataset == reader.INFO.name
        assert sample.image.dtype == np.uint8
        assert sample.image.shape == (sample.camera.height, sample.camera.width, 3)
        assert sample.joints_m.shape == (21, 3)
        assert sample.joints_m.dtype == np.float64
        assert sample.joints_valid.shape == (21,)
        assert sample.joints_valid.any() == reader.INFO.camera_known
        assert np.isfinite(sample.joints_m[sample.joints_valid]).all()
        assert np.isnan(sample.joints_m[~sample.joints_valid]).all()
        if sample.vertices_m is not None:
            assert sample.vertices_m.shape == (778, 3)
        if sample.joints_px is not None:
            assert sample.joints_px.shape == (21, 2)
            assert (np.isfinite(sample.joints_px[:, 0]) == np.isfinite(sample.joints_px[:, 1])).all()


def test_where_only_pixels_are_known_the_camera_is_a_guess_that_is_said(dataset):
    reader, _ = dataset
    for sample in samples(dataset):
        if reader.INFO.camera_known:
            continue
        camera = sample.camera
        assert np.isfinite(sample.joints_px).any()
        assert sample.vertices_m is None
        assert sample.params is None
        assert np.rad2deg(2 * np.arctan(camera.width / 2 / camera.fx)) == pytest.approx(60)
        assert (camera.fy, camera.cx, camera.cy) == (camera.fx, (camera.width - 1) / 2, (camera.height - 1) / 2)


def test_joints_are_a_hand_of_human_size_in_front_of_the_camera(dataset):
    for sample in samples(dataset):
        known = sample.joints_valid
        assert (sample.joints_m[known, 2] > 0.1).all()
        assert (sample.joints_m[known, 2] < 3.0).all()
        lengths = {
            (parent, joint): np.linalg.norm(sample.joints_m[joint] - sample.joints_m[parent])
            for parent, joint in BONES
            if known[parent] and known[joint]
        }
        for (parent, _), length in lengths.items():
            assert 0.01 < length < (0.12 if parent == 0 else 0.065)


def test_the_thumb_is_the_thumb_and_the_hand_its_side(dataset):
    for sample in samples(dataset):
        if not sample.joints_valid[1:].all():
            continue
        wrist, thumb, index, middle, _, little = sample.joints_m[[0, 1, 5, 9, 13, 17]]
        # Where the wrist is not known, the base of the thumb stands for it: it lies next to it.
        wrist = wrist if sample.joints_valid[0] else thumb
        # The base of the thumb lies nearest to the wrist, on the side of the index finger.
        assert np.linalg.norm(thumb - wrist) < 0.7 * np.linalg.norm(index - wrist)
        assert np.linalg.norm(thumb - index) < np.linalg.norm(thumb - little)
        assert np.linalg.norm(index - middle) < np.linalg.norm(index - little)
        # Fingers bend towards the palm: which way, seen from the thumb's side, tells right from left.
        back = np.cross(little - wrist, index - wrist) * (1 if sample.side == "right" else -1)
        tips = sample.joints_m[[8, 12, 16, 20]] - sample.joints_m[[5, 9, 13, 17]]
        assert np.mean(tips @ back) < 0


def test_labels_lie_on_the_picture(dataset):
    """The fakes are drawn with bright bones: what is read must lie on them, and so must the middle of each bone."""
    for sample in samples(dataset):
        for pixels in (cameras.project(sample.camera, sample.joints_m), sample.joints_px):
            if pixels is None:
                continue
            middles = np.array([pixels[list(bone)].mean(0) for bone in BONES])
            whole = np.rint([p for p in (*pixels, *middles) if np.isfinite(p).all()]).astype(int).reshape(-1, 2)
            assert (sample.image[whole[:, 1], whole[:, 0], 0] > 130).all()
        if sample.joints_px is not None and sample.joints_valid.any():
            distance = sample.joints_px - cameras.project(sample.camera, sample.joints_m)
            assert np.nanmax(np.linalg.norm(distance[sample.joints_valid], axis=-1)) < 1.0


def test_what_it_shows_can_be_measured(dataset, tmp_path):
    reader, root = dataset
    keys = reader.index(root, "all")
    found = measure(reader, root, keys, EdgeParams())
    assert list(found.keys) == keys
    assert not found.failed
    rows = pd.DataFrame(found.values, columns=list(COLUMNS))
    assert rows[["fused", "outside", "crop_px"]].notna().all(axis=None)
    assert (rows["distance_m"].between(0.1, 3.0) == reader.INFO.camera_known).all()
    rows.insert(0, "key", found.keys)
    rows.insert(1, "objects", found.objects)
    one = Collected(reader.INFO.name, parts_of_keys(reader, keys), rows, {}, ("colour",))
    made = tables.tables(root, [one])
    assert made["datasets"]["samples"].tolist() == [len(keys)]
    assert {"side"} <= set(made["counts"]["by"])
    assert (made["counts"].groupby("by")["share"].sum() - 1).abs().max() < 1e-9


def test_a_mesh_has_its_joints(dataset):
    for sample in samples(dataset):
        if sample.vertices_m is not None:
            tips = sample.vertices_m[[744, 320, 443, 554, 671]]
            assert np.linalg.norm(tips - sample.joints_m[[4, 8, 12, 16, 20]], axis=-1).max() < 0.005


def test_objects_are_rigid_and_before_the_camera(dataset):
    for sample in samples(dataset):
        for shown in sample.objects:
            rotation = shown.T_cam_obj[:3, :3]
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)
            assert np.linalg.det(rotation) > 0
            assert (shown.T_cam_obj[3] == [0, 0, 0, 1]).all()
            # An object that is handled is no farther from the hand than an arm.
            assert np.linalg.norm(shown.T_cam_obj[:3, 3] - np.nanmean(sample.joints_m, 0)) < 0.7
            assert shown.T_cam_obj[2, 3] > 0.1
            assert shown.name
            assert shown.mesh is None or shown.mesh.is_file()
            assert 0.001 < shown.scale < 1.5
            assert np.isnan(shown.visible) or 0 <= shown.visible <= 1


def test_depth_is_that_of_the_hand(dataset):
    """The fakes draw bones into the depth image: a joint lies on it, or a bone before it does."""
    reader, root = dataset
    if not hasattr(reader, "depth_m"):
        return
    for sample in samples(dataset):
        depth = reader.depth_m(root, sample.key)
        assert depth.dtype == np.float32
        assert depth.shape == sample.image.shape[:2]
        assert not np.isinf(depth).any()
        assert np.isnan(depth).any()
        assert np.nanmin(depth) > 0.1
        x, y = np.rint(cameras.project(sample.camera, sample.joints_m[sample.joints_valid])).astype(int).T
        behind = sample.joints_m[sample.joints_valid, 2] - depth[y, x]
        # A fingertip lies on the outline of its mesh: its pixel may show what is beside it, or nothing.
        assert np.isfinite(behind).mean() > 0.9
        behind = behind[np.isfinite(behind)]
        assert behind.min() > -0.01
        assert behind.max() < 0.15
        assert np.median(behind) < 0.02


def test_segmentation_tells_hand_from_object(dataset):
    reader, root = dataset
    if not hasattr(reader, "segmentation"):
        return
    for sample in samples(dataset):
        found = reader.segmentation(root, sample.key)
        assert found.dtype == np.uint8
        assert found.shape == sample.image.shape[:2]
        assert set(np.unique(found)) <= {0, 1, 2}
        assert (found == 0).any()
        x, y = np.rint(cameras.project(sample.camera, sample.joints_m[sample.joints_valid])).astype(int).T
        near = cv2.dilate((found == 1).astype(np.uint8), np.ones((3, 3), np.uint8))
        assert near[y, x].all()
        for shown in sample.objects:
            x, y = np.rint(cameras.project(sample.camera, shown.T_cam_obj[:3, 3])).astype(int)
            assert found[y, x] == 2


def test_reading_is_repeatable_and_keys_are_checked(dataset):
    reader, root = dataset
    key = reader.index(root, "all")[0]
    first, second = reader.read(root, key), reader.read(root, key)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.joints_m, second.joints_m)
    assert pickle.loads(pickle.dumps(first)).key == key  # noqa: S301 -- our own bytes: what a worker sends
    for wrong in ("", "nonsense", key + "9", "../" + key, "/etc/passwd"):
        for function in ("read", "depth_m", "segmentation"):
            if hasattr(reader, function):
                with pytest.raises(DatasetError):
                    getattr(reader, function)(root, wrong)


def test_an_absent_dataset_says_what_is_expected(dataset, tmp_path):
    reader, _ = dataset
    with pytest.raises(DatasetError, match="found no") as caught:
        reader.index(tmp_path, "all")
    if reader.INFO.name != readers.OURS:
        assert reader.INFO.tree in caught.value.hint


def test_a_dataset_has_its_place(tmp_path):
    assert readers.home(tmp_path, "ours") == tmp_path
    assert readers.home(tmp_path, "freihand") == tmp_path / "freihand"
