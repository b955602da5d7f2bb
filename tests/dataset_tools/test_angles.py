"""Joint angles of a dataset: fitted once, resumed, made anew where samples or files changed."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dataset_tools import angles
from dataset_tools.readers._tiny_hands import hand
from hoi_cli import data as command
from hoi_core import plugins
from hoi_core.errors import DatasetError
from hoi_core.ik import ALL_ANGLES, BIOMECHANICAL
from hoi_core.mano import ManoLayer
from hoi_core.types import Camera, Sample

COUNT = 10


def sample(number: int) -> Sample:
    """Every third without parameters, the odd ones left, the last without its tip."""
    side = "left" if number % 2 else "right"
    made = hand(side, number)
    valid = np.ones(21, dtype=bool)
    valid[4] = number != COUNT - 1
    return Sample(
        image=np.zeros((2, 2, 3), np.uint8),
        camera=Camera(2, 2, 1.0, 1.0, 0.5, 0.5),
        side=side,
        joints_m=made.joints_m,
        joints_valid=valid,
        vertices_m=made.vertices_m,
        dataset="fake",
        key=f"s/{number:03d}",
        params=None if number % 3 == 0 else made.params,
    )


@pytest.fixture
def read(monkeypatch):
    """Keys that were read, of a reader that there is for this test."""
    asked: list[str] = []

    def get(_, key: str) -> Sample:
        asked.append(key)
        return sample(int(key[2:]))

    fake = SimpleNamespace(index=lambda root, split: [f"s/{n:03d}" for n in range(COUNT)], read=get)
    load = plugins.load
    monkeypatch.setattr(plugins, "load", lambda package, name: fake if name == "fake" else load(package, name))
    return asked


def test_angles_are_those_of_the_labels_and_are_read_again(read, tmp_path):
    made = angles.make(tmp_path, "fake", "train", part=4)
    assert made.keys.tolist() == [f"s/{n:03d}" for n in range(COUNT - 1)]
    for i in range(COUNT - 1):
        label = sample(i)
        layer = ManoLayer.stand_in(label.side)
        params = hand(label.side, i).params
        true = BIOMECHANICAL.of_pose(params.pose, layer.joint_frames)
        assert made.left[i] == (label.side == "left")
        assert made.labelled[i] == (i % 3 != 0)
        if made.labelled[i]:
            np.testing.assert_allclose(np.rad2deg(made.angles[i]), np.rad2deg(true), atol=1.0)
            np.testing.assert_array_equal(made.betas[i], params.betas)
            np.testing.assert_allclose(made.all_angles[i], ALL_ANGLES.of_pose(params.pose, layer.joint_frames))
    assert made.off_m.max() < 1e-3
    assert len(read) == COUNT
    again = angles.make(tmp_path, "fake", "train", part=4)
    assert len(read) == COUNT
    np.testing.assert_array_equal(again.angles, made.angles)


def test_it_goes_on_where_it_stopped_and_mends_what_is_damaged(read, tmp_path):
    first = angles.make(tmp_path, "fake", "train", part=4)
    folder = angles.folder_of(tmp_path, "fake", "train")
    (folder / "part_0001.npz").write_bytes((folder / "part_0001.npz").read_bytes()[:100])
    (folder / "part_0002.npz").unlink()
    del read[:]
    again = angles.make(tmp_path, "fake", "train", part=4)
    assert read == [f"s/{n:03d}" for n in range(4, COUNT)]
    np.testing.assert_array_equal(again.angles, first.angles)
    del read[:]
    angles.make(tmp_path, "fake", "train", part=5)
    assert len(read) == COUNT


def test_another_models_labels_and_unknown_joints_are_not_taken(read, tmp_path, monkeypatch):
    label = sample(1)
    layer = ManoLayer.stand_in(label.side)
    assert label.params is not None
    other = replace(label, params=replace(label.params, pose=label.params.pose + 0.3))
    assert angles._own_params(layer, label) is not None
    assert angles._own_params(layer, other) is None
    mixed = replace(label, vertices_m=np.random.default_rng(0).permutation(label.vertices_m))
    assert np.isnan(angles._own_vertices(layer, mixed)).all()
    monkeypatch.setattr(angles, "_fitted", lambda samples: angles._NONE)
    with pytest.raises(DatasetError, match="21 joints"):
        angles.make(tmp_path, "fake", "train")


def test_the_command_says_how_far_off_the_hands_are(read, tmp_path):
    out = tmp_path / "figures.json"
    arguments = ["angles", "--dataset", "fake", "--data", str(tmp_path), "--json", str(out)]
    assert command.main(arguments) == 0
    figures = json.loads(out.read_text())
    assert figures["n"] == COUNT - 1
    assert 0 <= figures["off_median_mm"] <= figures["off_max_mm"] < 1.0
