"""What is written for Rerun is read back with its own reader: labels, cameras, objects, and the time line."""

import json
import resource
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from dataset_tools.convert import convert
from dataset_tools.readers import _tiny_ours, ours
from dataset_tools.writers import Extras
from dataset_tools.writers import rerun as rerun_writer
from hoi_cli import data
from hoi_core import camera as cameras
from hoi_core.errors import ConfigError, StorageError

chunks = pytest.importorskip("rerun.chunk", reason="rerun-sdk is not installed")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return _tiny_ours.write(tmp_path_factory.mktemp("ours"), frames=2)


@pytest.fixture(scope="module")
def written(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "rerun"
    assert convert(root, "ours", ["train", "test"], "rerun", out).written == 4
    return out


def rows(path):
    """entity and component -> moment (None where it holds always) -> value."""
    found = {}
    for chunk in chunks.RrdReader(path).stream().to_chunks():
        batch = chunk.to_record_batch()
        moments = batch.column("moment").to_pylist() if "moment" in batch.schema.names else [None] * batch.num_rows
        assert set(chunk.timeline_names) <= {"moment"}
        for name in batch.schema.names:
            for moment, value in zip(moments, batch.column(name).to_pylist(), strict=True):
                if value is not None:
                    found.setdefault((chunk.entity_path, name.split(":")[-1]), {})[moment] = value
    return found


def test_labels_and_objects_are_in_the_world_at_their_moment(root, written):
    for split, name, side in (("train", "seq_001", "right"), ("test", "seq_002", "left")):
        (path,) = (written / split).glob("*.rrd")
        assert path.name == f"{name}.rrd"
        found = rows(path)
        for moment, key in enumerate(ours.index(root, split)):
            sample = ours.read(root, key)
            T = sample.camera.T_world_cam
            for part, column, points_m in (
                ("joints", "positions", sample.joints_m),
                ("mesh", "vertex_positions", sample.vertices_m),
            ):
                there = found[f"/world/{side}_hand/{part}", column][moment]
                np.testing.assert_allclose(there, cameras.transform(T, points_m), atol=1e-6)
            box = sample.objects[0].T_cam_obj
            np.testing.assert_allclose(
                found["/world/objects/box", "translation"][moment], [(T @ box)[:3, 3]], atol=1e-6
            )
            turned = np.array(found["/world/objects/box", "mat3x3"][moment]).reshape(3, 3).T
            np.testing.assert_allclose(turned, (T @ box)[:3, :3], atol=1e-6)
            pixels = found[f"/world/camera_0/color/{side}_joints", "positions"][moment]
            np.testing.assert_allclose(pixels, cameras.project(sample.camera, sample.joints_m), atol=1e-3)
            depth = decoded(found["/world/camera_0/depth", "blob"][moment], cv2.IMREAD_UNCHANGED)
            np.testing.assert_allclose(depth, 1000 * np.nan_to_num(ours.depth_m(root, key)), atol=0.51)
            picture = decoded(found["/world/camera_0/color", "blob"][moment], cv2.IMREAD_COLOR_RGB)
            u, v = np.rint(pixels).astype(int).T
            assert (picture[v, u, 0] > 130).all()  # bones are drawn bright
        corners = np.abs(found["/world/objects/box/mesh", "vertex_positions"][None])
        np.testing.assert_allclose(corners, np.tile([0.02, 0.03, 0.04], (8, 1)), atol=1e-6)
        np.testing.assert_allclose(found["/world/camera_0", "translation"][None], [T[:3, 3]], atol=1e-6)
        lens = np.array(found["/world/camera_0", "image_from_camera"][None]).reshape(3, 3).T
        np.testing.assert_allclose(lens, sample.camera.K)


def decoded(blob, how):
    return cv2.imdecode(np.array(blob[0], np.uint8), how)


def test_two_cameras_and_a_group_that_comes_back(root, tmp_path):
    first, second = (ours.read(root, key) for key in ours.index(root, "train"))
    elsewhere = replace(first.camera, T_world_cam=np.eye(4))
    writer = rerun_writer.open(tmp_path, "train")
    assert writer.add(first, Extras("a/1"))
    assert writer.add(replace(first, camera=elsewhere, key="a/other/000000"), Extras("a/1"))
    assert not writer.add(first, Extras("a/1"))
    assert not writer.add(replace(first, joints_valid=np.zeros(21, np.bool_)), Extras("b"))
    assert writer.add(second, Extras("b"))
    assert writer.add(second, Extras("a/1"))
    writer.close()
    assert sorted(path.name for path in (tmp_path / "train").iterdir()) == ["a_1.rrd", "a_1_2.rrd", "b.rrd"]
    found = rows(tmp_path / "train" / "a_1.rrd")
    assert {("/world/camera_0", "translation"), ("/world/camera_1", "translation")} <= found.keys()


def test_a_mesh_of_another_hand_model_is_shown_as_points(root, tmp_path):
    (first, _) = (ours.read(root, key) for key in ours.index(root, "train"))
    shuffled = np.random.default_rng(0).permutation(first.vertices_m)
    writer = rerun_writer.open(tmp_path, "train")
    writer.add(replace(first, vertices_m=shuffled), Extras("a"))
    writer.close()
    found = rows(tmp_path / "train" / "a.rrd")
    assert ("/world/right_hand/mesh", "vertex_positions") not in found
    assert len(found["/world/right_hand/vertices", "positions"][0]) == 778


@pytest.mark.parametrize("missing", [0.7, 0.001])
def test_a_full_disk_is_noticed(root, written, tmp_path, missing):
    """Also where the last few bytes alone have no place."""
    most_bytes = int((1 - missing) * (written / "train" / "seq_001.rrd").stat().st_size)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot write"):
            convert(root, "ours", ["train"], "rerun", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_long_recording_goes_on_in_another_file(root, tmp_path, monkeypatch):
    monkeypatch.setattr(rerun_writer, "_MOST_BYTES", 1)
    convert(root, "ours", ["train"], "rerun", tmp_path / "out")
    moments = [
        set(rows(path)["/world/right_hand/joints", "positions"]) for path in sorted((tmp_path / "out").rglob("*.rrd"))
    ]
    assert moments == [{0}, {1}]


def test_without_the_package_one_is_told_how_to_get_it(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match="needs rerun-sdk") as caught:
        rerun_writer.open(tmp_path, "train")
    assert "hoi-toolkit[rerun]" in caught.value.hint
    out = tmp_path / "out"
    assert data.main(["convert", "--to", "rerun", "--out", str(out), "--data", str(root)]) == 2
    assert "hoi-toolkit[rerun]" in capsys.readouterr().err
    assert not out.exists()
    assert json.loads((root / "dataset.json").read_text())["name"] == "tiny"
