"""Files of older versions come to the present one and say the same; what cannot is left as it was."""

import errno
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from hoi_cli import data
from hoi_core import migrate as migrating
from hoi_core.errors import SequenceError, StorageError
from hoi_core.migrate import Outdated, migrate, outdated
from hoi_core.sequence import (
    CaptureHeader,
    CaptureWriter,
    check_sequence,
    open_annotation,
    open_capture,
    open_truth,
    write_truth,
)
from hoi_core.sequence._files import VERSIONS
from hoi_core.sequence._steps import STEPS
from hoi_core.types import Camera, HandKeypoints, Revision, StreamInfo

GOLDEN = Path(__file__).with_name("golden") / "annotation_1_0.h5"
N = 3


@pytest.fixture
def root(tmp_path, write_capture_1_0):
    """A sequence whose three files are of version 1.0."""
    folder = tmp_path / "data" / "sequences" / "seq_001"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 255, (N, 48, 64, 3)).astype(np.uint8)
    write_capture_1_0(folder / "capture.h5", colors, rng.integers(0, 9000, (N, 48, 64)).astype(np.uint16))
    shutil.copy(GOLDEN, folder / "annotation.h5")
    points = {"right": HandKeypoints({"left": np.full((2, 21, 3), 1.5)})}
    truth = Revision(np.arange(2), {}, {}, points, {"left": np.arange(2)}, author="simulated")
    write_truth(folder, truth, vertices_m=rng.normal(size=(2, 778, 3)), cameras={}, clocks={})
    with h5py.File(folder / "truth.h5", "a") as file:
        file.attrs["format_version"] = "1.0"
        for name in ("comments", "purpose", "problems"):
            del file.attrs[name]
        del file["keypoints"].attrs["side"]
    return tmp_path / "data"


def files(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def old_files(root):
    return [entry for entry in outdated(root) if isinstance(entry, Outdated)]


def test_every_older_version_leads_to_the_newest():
    for kind, version in STEPS:
        while (kind, version) in STEPS:
            later, _ = STEPS[kind, version]
            assert later > version
            version = later  # noqa: PLW2901
        assert version == VERSIONS[kind]


def test_everything_is_brought_to_the_newest_version_once(root):
    found = old_files(root)
    assert [(entry.path.name, entry.version) for entry in found] == [
        ("capture.h5", (1, 0)), ("annotation.h5", (1, 0)), ("truth.h5", (1, 0))
    ]  # fmt: skip
    for entry in found:
        migrate(entry)
        with h5py.File(entry.path) as file:
            assert file.attrs["format_version"] == "1.1"
    assert list(outdated(root)) == []
    assert len(files(root)) == 3


def test_a_recording_says_the_same(root):
    folder = root / "sequences" / "seq_001"
    with open_capture(folder) as capture:
        before = capture.content_hash()
        images = {name: np.stack(list(stream)) for name, stream in capture.streams.items()}
        clocks, drops, header = capture.clocks, capture.drops, capture.header
    migrate(old_files(root)[0])
    with h5py.File(folder / "capture.h5") as file:
        pieces = file["clock_pieces/left/depth"][()]
        assert pieces[["reference_ns", "offset_ns", "drift_ppm"]].tolist() == [(0, 77, 10.0)]
        assert len(file["marks"]) == len(file["epochs"]) == 0
    with open_capture(folder) as capture:
        assert capture.content_hash() == before
        for name, stream in capture.streams.items():
            np.testing.assert_array_equal(np.stack(list(stream)), images[name])
        assert repr((capture.clocks, capture.drops, capture.header)) == repr((clocks, drops, header))
    (folder / "annotation.h5").unlink()  # of another recording
    assert check_sequence(folder) == []


def test_labels_and_truth_say_the_same(root):
    folder = root / "sequences" / "seq_001"
    with open_annotation(folder) as labels, open_truth(folder) as truth:
        hashes = [labels.content_hash(name) for name in labels.revisions]
        about, side = labels.about("r000"), list(labels.load("r000").keypoints)
        true = truth.content_hash()
    assert len(side) == 1
    for entry in old_files(root)[1:]:
        migrate(entry)
    with open_annotation(folder) as labels, open_truth(folder) as truth:
        assert [labels.content_hash(name) for name in labels.revisions] == hashes
        assert labels.about("r000") == about
        assert truth.content_hash() == true
    with h5py.File(folder / "annotation.h5") as file:
        assert file["revisions/r000/keypoints"].attrs["side"] == side[0]
        assert file["revisions/r000"].attrs["purpose"] == "labels"


def test_what_would_say_something_else_stays_as_it_was(root, monkeypatch):
    before = files(root)

    def loses(file):
        file["revisions/r000/t_ns"][0] += 1

    monkeypatch.setitem(STEPS, ("hoi-annotation", (1, 0)), ((1, 1), loses))
    with pytest.raises(SequenceError, match="would say something else"):
        migrate(old_files(root)[1])
    assert files(root) == before


@pytest.mark.parametrize("kind", [0, 1])
def test_a_damaged_file_stays_as_it_was(root, kind):
    entry = old_files(root)[kind]
    with h5py.File(entry.path, "a") as file:
        del file[("clocks/left/color", "revisions/r000/keypoints")[kind]]
    before = files(root)
    with pytest.raises(SequenceError, match="damaged"):
        migrate(entry)
    assert files(root) == before


def test_a_full_disk_leaves_everything_as_it_was(root, monkeypatch):
    before = files(root)
    monkeypatch.setattr(migrating.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(StorageError, match="are free"):
        migrate(old_files(root)[0])
    monkeypatch.undo()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(migrating.shutil, "copyfile", full)
    with pytest.raises(StorageError, match="no space left"):
        migrate(old_files(root)[0])
    assert files(root) == before


def test_a_recording_that_was_never_closed_is_recovered_first(tmp_path):
    folder = tmp_path / "sequences" / "seq_001"
    stream = StreamInfo("left/color", "camera", (6, 8, 3), "uint8", 30.0, Camera(8, 6, 10.0, 10.0, 4.0, 3.0), "1")
    with CaptureWriter.create(tmp_path / "capture.h5", CaptureHeader("seq_001"), [stream]) as writer:
        writer.flush()
        folder.mkdir(parents=True)
        shutil.copy(tmp_path / "capture.h5", folder)
    with pytest.raises(SequenceError, match=r"never closed.*hoi-data recover seq_001"):
        migrate(Outdated(folder / "capture.h5", "hoi-capture", (1, 0)))


def test_command(root, capsys):
    before = files(root)
    assert data.main(["migrate", "--dry-run", "--data", str(root)]) == 0
    assert "3 files to migrate" in capsys.readouterr().out
    assert files(root) == before
    (root / "sequences" / "seq_002").mkdir()
    (root / "sequences" / "seq_002" / "capture.h5").write_bytes(b"no HDF5")
    assert data.main(["migrate", "--data", str(root), "--json", str(root / "m.json")]) == 2
    said = capsys.readouterr()
    assert "sequences/seq_001/truth.h5  1.0 -> 1.1" in said.out
    assert "1 files stay as they are" in said.err
    assert len(json.loads((root / "m.json").read_text())["files"]) == 3
    shutil.rmtree(root / "sequences" / "seq_002")
    assert data.main(["migrate", "--data", str(root)]) == 0
    assert "No file is of an older version." in capsys.readouterr().out
