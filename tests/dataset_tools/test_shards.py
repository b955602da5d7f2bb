"""Shards hold every sample once, with labels that fit their pictures; a run that was stopped goes on."""

import json
import tarfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest

from dataset_tools import shards
from dataset_tools.convert import Terms
from dataset_tools.cut_out import cut_out
from dataset_tools.readers import _tiny_ours, ours
from dataset_tools.shards import Plan, make_shards
from hoi_cli import data
from hoi_core import camera as cameras
from hoi_core import sequence as sequences
from hoi_core.errors import ConsentError, DatasetError, StorageError
from hoi_core.mano import ManoLayer
from hoi_core.sequence.consent import Consent, set_consent

PLAN = Plan("ours", "all", size_px=128, per_shard=2, seed=3)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three frames of a right hand, three of a left one."""
    return _tiny_ours.write(tmp_path_factory.mktemp("ours"), frames=3)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def records(folder):
    out = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as shard:
            parts = {entry.name: shard.extractfile(entry).read() for entry in shard}
        for name in sorted(name for name in parts if name.endswith(".json")):
            stem = name.removesuffix(".json")
            out.append((json.loads(parts[name]), parts[f"{stem}.jpg"], parts[f"{stem}.vertices.npy"]))
    return out


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_label_moves_with_the_picture(root, split):
    sample = ours.read(root, ours.index(root, split)[1])
    pixels = cameras.project(sample.camera, sample.joints_m)
    shown = cut_out(replace(sample, joints_px=pixels), 128)
    assert shown.image.shape == (128, 128, 3)
    assert shown.side == sample.side
    there = cameras.project(shown.camera, shown.joints_m)
    np.testing.assert_allclose(shown.joints_px, there, atol=1e-6)
    assert ((there > 0) & (there < 127)).all()
    # The drawn bones are bright; the ground is not.
    whole = np.rint(there).astype(int)
    assert (shown.image[whole[:, 1], whole[:, 0], 0] > 120).all()
    params = shown.params
    posed = ManoLayer.from_env(shown.side)(params.orient[None], params.pose[None], params.betas, params.trans_m[None])
    np.testing.assert_allclose(posed.joints_m[0], shown.joints_m, atol=1e-6)
    np.testing.assert_allclose(posed.vertices_m[0], shown.vertices_m, atol=1e-6)
    world = [cameras.transform(s.camera.T_world_cam, s.joints_m) for s in (sample, shown)]
    np.testing.assert_allclose(world[0], world[1], atol=1e-9)
    for one, other in zip(sample.objects, shown.objects, strict=True):
        places = [s.camera.T_world_cam @ o.T_cam_obj for s, o in ((sample, one), (shown, other))]
        np.testing.assert_allclose(places[0], places[1], atol=1e-9)


def test_shards_hold_every_sample_once(root, tmp_path):
    made = make_shards(root, PLAN, tmp_path / "out")
    assert (made.samples, made.shards, made.kept) == (6, 3, 0)
    found = records(tmp_path / "out")
    keys = [record["key"] for record, _, _ in found]
    assert sorted(keys) == sorted(ours.index(root, "all"))
    assert keys != sorted(keys)
    for record, picture, mesh in found:
        sample = cut_out(ours.read(root, record["key"]), 128)
        assert np.abs(np.array(record["joints_m"]) - sample.joints_m).max() < 1e-9
        assert np.abs(np.load(BytesIO(mesh), allow_pickle=False) - sample.vertices_m).max() < 1e-5
        assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape == (128, 128, 3)
    listed = json.loads((tmp_path / "out" / "shards.json").read_text())["shardlist"]
    assert listed == [{"url": f"all-{n:06d}.tar", "nsamples": 2} for n in range(3)]


def test_two_workers_and_a_stopped_run_give_the_same(root, tmp_path):
    make_shards(root, PLAN, tmp_path / "one")
    whole = contents(tmp_path / "one")
    make_shards(root, PLAN, tmp_path / "two", workers=2)
    assert contents(tmp_path / "two") == whole
    (tmp_path / "two" / "all-000001.tar").unlink()
    (tmp_path / "two" / "all-000001.tar.77.part").write_bytes(b"half")
    assert make_shards(root, PLAN, tmp_path / "two").kept == 2
    assert contents(tmp_path / "two") == whole


def test_another_plan_or_other_labels_do_not_mix(root, tmp_path):
    copied = _tiny_ours.write(tmp_path / "data", frames=2)
    make_shards(copied, PLAN, tmp_path / "out")
    kept = contents(tmp_path / "out")
    for plan in (replace(PLAN, seed=4), replace(PLAN, size_px=64), replace(PLAN, per_shard=3)):
        with pytest.raises(DatasetError, match="other samples, labels or options"):
            make_shards(copied, plan, tmp_path / "out")
    folder = copied / "sequences" / "seq_001"
    with sequences.open_annotation(folder) as labels:
        revision = labels.load()
    sequences.write_revision(folder, replace(revision, comment="moved"))
    with pytest.raises(DatasetError, match="other samples, labels or options"):
        make_shards(copied, PLAN, tmp_path / "out")
    assert contents(tmp_path / "out") == kept
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match="holds no shards"):
        make_shards(copied, PLAN, tmp_path / "mine")


def test_a_full_disk_keeps_what_is_finished(root, tmp_path, monkeypatch):
    shard = shards.Shard

    def full(path: Path):
        if "000001" in path.name:
            raise OSError(28, "No space left on device")
        return shard(path)

    monkeypatch.setattr(shards, "Shard", full)
    with pytest.raises(StorageError, match="no space left"):
        make_shards(root, PLAN, tmp_path / "out")
    monkeypatch.undo()
    assert make_shards(root, PLAN, tmp_path / "out").kept == 1


def test_consent_counts_here_too(tmp_path):
    root = _tiny_ours.write(tmp_path / "data", frames=1)
    set_consent(root, "p01", Consent("1", ("record",), _tiny_ours.date(2026, 1, 1), None))
    with pytest.raises(ConsentError):
        make_shards(root, PLAN, tmp_path / "out", terms=Terms("publish"))
    make_shards(root, PLAN, tmp_path / "out")
    assert "Do not hand it on" in (tmp_path / "out" / "LICENCE.txt").read_text()


def test_command(root, tmp_path, capsys):
    arguments = ["shard", "--data", str(root), "--split", "all", "--out", str(tmp_path / "out"), "--workers", "1"]
    assert data.main([*arguments, "--json", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text())["samples"] == 6
    assert data.main(arguments) == 0
    assert "1 of them were there already" in capsys.readouterr().out
    assert data.main([*arguments, "--per-shard", "0"]) == 2
