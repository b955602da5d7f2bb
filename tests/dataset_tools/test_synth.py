"""The reader of synthetic sets: several side by side, splits that do not leak, pairs, and files that are not whole."""

import json
import shutil

import numpy as np
import pytest

from dataset_tools.leaks import group_leaks
from dataset_tools.readers import _tiny_synth, synth
from dataset_tools.synth import Recipe, held_out
from dataset_tools.synth.sets import SET_FILE
from hoi_core import camera as cameras
from hoi_core.errors import ConfigError, DatasetError
from hoi_core.mano import ManoLayer


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return synth.tiny(tmp_path_factory.mktemp("synth") / "synth")


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path / "synth")


def test_sets_side_by_side_are_one_dataset_and_each_a_split(made):
    everything = synth.index(made, "all")
    assert len(everything) == 3 + 2 * 3
    assert synth.index(made, "single_all") == [key for key in everything if key.startswith("single/")]
    assert synth.index(made, "pairs_test") == [key for key in synth.index(made, "test") if key.startswith("pairs/")]
    with pytest.raises(ConfigError, match="double_train"):
        synth.index(made, "double_train")


def test_the_same_groups_of_poses_are_held_out_in_every_set(made):
    train, test = ({int(synth.group(key)) for key in synth.index(made, part)} for part in ("train", "test"))
    assert (train, test) == ({3}, {19, 39})
    assert not any(map(held_out, train))
    assert all(map(held_out, test))
    assert group_leaks(synth, made) == []


def test_both_views_of_an_image_show_one_instant(made):
    pairs = [key for key in synth.index(made, "all") if key.startswith("pairs/")]
    for key in pairs:
        other = synth.other_view(made, key)
        assert other != key
        assert synth.other_view(made, other) == key
        assert synth.group(other) == synth.group(key)
        one, two = synth.read(made, key), synth.read(made, other)
        assert np.abs(one.joints_m - two.joints_m).max() > 0.005
        in_world = [cameras.transform(shown.camera.T_world_cam, shown.vertices_m) for shown in (one, two)]
        np.testing.assert_allclose(*in_world, atol=1e-6)
    assert synth.other_view(made, synth.index(made, "single_all")[0]) is None


def test_parameters_make_the_mesh(made):
    for key in synth.index(made, "all"):
        found = synth.read(made, key)
        params = found.params
        posed = ManoLayer.stand_in(found.side)(
            params.orient[None], params.pose[None], params.betas, params.trans_m[None]
        )
        np.testing.assert_allclose(posed.vertices_m[0], found.vertices_m, atol=1e-5)
        np.testing.assert_allclose(posed.joints_m[0], found.joints_m, atol=1e-5)


def test_a_mesh_that_is_there_is_named(root):
    key = next(key for key in synth.index(root, "all") if key.startswith("pairs/"))
    assert synth.read(root, key).objects[0].mesh is None
    mesh = root / "pairs" / "meshes" / "mug.obj"
    mesh.parent.mkdir()
    mesh.touch()
    assert synth.read(root, key).objects[0].mesh == mesh


def test_an_empty_split_says_why(tmp_path):
    _tiny_synth.write_set(tmp_path / "few", Recipe(count=1, size_px=128))
    assert len(synth.index(tmp_path, "train")) == 1
    with pytest.raises(DatasetError, match="one group of poses in twenty"):
        synth.index(tmp_path, "test")


def test_a_set_that_was_made_anew_is_read_anew(root):
    key = synth.index(root, "single_all")[0]
    before = synth.read(root, key)
    shutil.rmtree(root / "single")
    _tiny_synth.write_set(root / "single", Recipe(count=3, size_px=128, seed=5))
    again = synth.read(root, key)
    assert np.abs(again.joints_m - before.joints_m).max() > 0.005
    (root / "single" / "shard_00000.h5").unlink()
    with pytest.raises(DatasetError, match="found none"):
        synth.read(root, key)


def damage_truncate(folder):
    path = folder / "shard_00000.h5"
    path.write_bytes(path.read_bytes()[:-500])


def damage_missing(folder):
    (folder / "shard_00000.h5").unlink()


def damage_count(folder):
    values = json.loads((folder / SET_FILE).read_text())
    values["recipe"]["count"] = 40
    (folder / SET_FILE).write_text(json.dumps(values))


def damage_swap(folder):
    shutil.copy(folder.parent / "single" / "shard_00000.h5", folder / "shard_00000.h5")


@pytest.mark.parametrize("damage", [damage_truncate, damage_missing, damage_count, damage_swap])
def test_a_set_that_is_not_whole_is_an_error_that_says_how_to_finish_it(root, damage):
    damage(root / "pairs")
    with pytest.raises(DatasetError, match="not made yet") as caught:
        synth.index(root, "all")
    assert "hoi-data synth" in caught.value.hint
    with pytest.raises(DatasetError):
        synth.read(root, "pairs/000003/0000000/a")


@pytest.mark.parametrize("content", [b"", b"\x80\x04cos\nsystem\n", b"null", b'{"format": "hoi-synth"}'])
def test_a_damaged_description_is_an_error(root, content):
    (root / "pairs" / SET_FILE).write_bytes(content)
    with pytest.raises(DatasetError, match=r"set\.json"):
        synth.index(root, "all")


def test_a_set_in_the_wrong_place_or_with_an_odd_name_is_told_where_to_go(root):
    (root / "pairs").rename(root / "my pairs")
    with pytest.raises(DatasetError, match="my pairs"):
        synth.index(root, "all")
    with pytest.raises(DatasetError, match="is a set itself"):
        synth.index(root / "single", "all")
