"""Shards keep synthetic images and labels as they were, give the same bytes for the same images, and notice damage."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from dataset_tools.readers import _tiny_synth
from dataset_tools.synth.recipe import Recipe
from dataset_tools.synth.shard_layout import DEPTH_UNIT_M, LABELS, Head
from dataset_tools.synth.shard_pack import Packer
from dataset_tools.synth.shards import Shard
from hoi_core.errors import ConfigError, DatasetError

RECIPE = Recipe(preset="grasps", count=5, size_px=128, second_view=True)
HEAD = Head("somebody", 3, 2, 2, 128)


def pack(head=HEAD, images=None):
    packer = Packer(head, RECIPE.to_json())
    for image in images or [_tiny_synth.image(RECIPE, index) for index in (3, 4)]:
        packer.add(image)
    return packer.close()


@pytest.fixture(scope="module")
def content():
    return pack()


@pytest.fixture
def path(tmp_path, content):
    path = tmp_path / "shard.h5"
    path.write_bytes(content)
    return path


def test_what_is_packed_is_read_again(path):
    with Shard(path) as shard:
        assert shard.head == HEAD
        for row in range(4):
            said, found = _tiny_synth.image(RECIPE, 3 + row // 2).views[row % 2], shard.view(row)
            assert shard.labels[row]["index"] == 3 + row // 2
            assert shard.labels[row]["view"] == row % 2
            assert found.side == said.side
            for name in ("color", "segmentation", "joints_visible"):
                np.testing.assert_array_equal(getattr(found, name), getattr(said, name))
            assert np.abs(found.depth_m - said.depth_m).max() <= DEPTH_UNIT_M / 2 + 1e-7
            for name in ("joints_m", "vertices_m"):
                np.testing.assert_allclose(getattr(found, name), getattr(said, name), atol=1e-7)
            for name in ("orient", "pose", "betas", "trans_m"):
                np.testing.assert_allclose(getattr(found.params, name), getattr(said.params, name), atol=1e-6)
            assert found.params.flat_hand_mean
            np.testing.assert_allclose(found.camera.K, said.camera.K)
            np.testing.assert_allclose(found.camera.T_world_cam, said.camera.T_world_cam)
            assert [shown.name for shown in found.objects] == ["mug"]
            np.testing.assert_allclose(found.objects[0].T_cam_obj, said.objects[0].T_cam_obj)


def test_the_same_images_give_the_same_bytes(content):
    assert hashlib.sha256(pack()).digest() == hashlib.sha256(content).digest()


def test_depth_that_is_unknown_or_too_far_is_unknown(tmp_path):
    image = _tiny_synth.image(RECIPE, 3)
    depth = np.full((128, 128), 0.5, np.float32)
    depth[0, 0], depth[0, 1], depth[0, 2] = 0.0, np.nan, 7.0
    views = tuple(replace(view, depth_m=depth) for view in image.views)
    path = tmp_path / "s.h5"
    path.write_bytes(pack(replace(HEAD, images=1), [replace(image, views=views)]))
    with Shard(path) as shard:
        np.testing.assert_array_equal(shard.depth_m(0)[0, :3], 0.0)
        assert shard.depth_m(0)[1, 1] == pytest.approx(0.5, abs=1e-6)


def test_labels_that_are_no_numbers_are_not_written():
    image = _tiny_synth.image(RECIPE, 3)
    broken = image.views[0].joints_m.copy()
    broken[2, 1] = np.nan
    views = (replace(image.views[0], joints_m=broken), image.views[1])
    with pytest.raises(ValueError, match="no number"):
        pack(HEAD, [replace(image, views=views)])


@pytest.mark.parametrize("long", [{"name": "m" * 129}, {"mesh": Path("/data") / ("m" * 255)}])
def test_an_object_whose_name_has_no_place_is_told(long):
    image = _tiny_synth.image(RECIPE, 3)
    view = image.views[0]
    views = (replace(view, objects=(replace(view.objects[0], **long),)), image.views[1])
    with pytest.raises(ConfigError, match=next(iter(long))):
        pack(HEAD, [replace(image, views=views)])


def test_images_out_of_turn_and_missing_ones_are_refused():
    with pytest.raises(ValueError, match="expected image 3"):
        pack(HEAD, [_tiny_synth.image(RECIPE, 4)])
    with pytest.raises(ValueError, match="expected image 3 with 1 views"):
        pack(replace(HEAD, views=1), [_tiny_synth.image(RECIPE, 3)])
    with pytest.raises(ValueError, match="expected 4 views, got 2"):
        pack(HEAD, [_tiny_synth.image(RECIPE, 3)])


@pytest.mark.parametrize("kept", [0, 100, 5000, -1])
def test_a_truncated_shard_is_refused(path, content, kept):
    path.write_bytes(content[:kept])
    with pytest.raises(DatasetError, match="damaged") as caught:
        Shard(path)
    assert "hoi-data synth" in caught.value.hint


@pytest.mark.parametrize("where", ["color", "depth", "segmentation", "labels", "vertices_m", "objects"])
def test_a_changed_byte_is_noticed_when_it_is_read(path, content, where):
    with h5py.File(path) as file:
        data = file[where]
        # Of the second image, where images are chunks; else somewhere in the second row.
        at = data.id.get_chunk_info(1).byte_offset + 40 if data.chunks else data.id.get_offset() + data.nbytes // 3
    damaged = bytearray(content)
    damaged[at] ^= 0x10
    path.write_bytes(damaged)
    with Shard(path) as shard, pytest.raises(DatasetError, match="damaged"):
        [shard.view(row) for row in range(4)]


def test_another_format_and_a_missing_file_are_refused(tmp_path, path):
    with h5py.File(path, "r+") as file:
        head = json.loads(file.attrs["head"])
        file.attrs["head"] = json.dumps(head | {"format_version": "2.0"})
    with pytest.raises(DatasetError, match="format"):
        Shard(path)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["color"] = np.zeros(3)
    with pytest.raises(DatasetError, match="damaged"):
        Shard(tmp_path / "other.h5")
    with pytest.raises(DatasetError, match="found none"):
        Shard(tmp_path / "absent.h5")


def test_a_table_of_another_layout_is_refused(path):
    with h5py.File(path, "r+") as file:
        del file["labels"]
        file["labels"] = np.zeros(4, LABELS.descr[:-1])
    with pytest.raises(DatasetError, match="labels"):
        Shard(path)
