"""Cards say what the data say and nothing else; versions notice every change."""

import json
import shutil
from dataclasses import replace
from datetime import date

import h5py
import numpy as np
import pytest
import yaml

from dataset_tools.publish import release as releases
from dataset_tools.publish.about import QUESTIONS, read_about
from dataset_tools.publish.card import Copy, Release, card, datasheet
from dataset_tools.publish.facts import facts_of
from dataset_tools.publish.permit import permit
from dataset_tools.readers import _tiny_ours, ours
from hoi_cli import data
from hoi_core import sequence as sequences
from hoi_core.errors import ConfigError, DatasetError
from hoi_core.sequence.withdraw import withdraw

DAY = date(2026, 6, 1)
FRAMES = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two recordings of p01 with three frames each, with tables that hold what must not leave."""
    root = _tiny_ours.write(tmp_path_factory.mktemp("data"), frames=FRAMES)
    sequences.set_row(
        root, "participants", {"participant": "p01", "handedness": "left", "notes": "lives-here", "age": "ninety"}
    )
    return root


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path / "data")


def granted(root):
    return permit(root, ours.INFO, sequences.list_sequences(root), "publish", DAY)


def release_of(root, accuracy=None, **more):
    allowed = granted(root)
    return Release(read_about(root), facts_of(root, allowed, accuracy), allowed, **more)


def header_of(text):
    return yaml.safe_load(text.split("---")[1])


def cell(text, name):
    """The second cell of the row that starts with a name."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return line.split("|")[2].strip()


class TestCard:
    def test_counts_are_those_of_the_files(self, root):
        text = card(release_of(root))
        assert cell(text, "recordings") == "2 (0.0 min)"
        assert cell(text, "moments (all views at one time)") == str(2 * FRAMES)
        assert cell(text, "participants") == "1"
        assert cell(text, "handedness") == "left: 1"
        assert cell(text, "left/color") == str(2 * FRAMES)
        assert cell(text, "moments with a labelled hand") == f"left: {FRAMES}, right: {FRAMES}"
        assert cell(text, "status (moments of a hand)") == f"auto: {2 * FRAMES}"
        assert cell(text, "source of joints") == f"fitted: {2 * FRAMES * 21}"
        assert cell(text, "hand model") == "stand-in: 2"

    def test_what_is_unknown_says_so(self, root):
        text = card(release_of(root))
        assert cell(text, "distance of labels made twice, the second time blind, mm") == "unknown"
        assert cell(text, "actions (recordings)") == "unknown: 2"
        assert "How well people agree was not measured." in text
        assert "Not said (`citation` in dataset.json)." in text
        told = card(release_of(root, {"agreement_mm": 3.25, "joint_error_mm": float("nan")}))
        assert cell(told, "distance of labels made twice, the second time blind, mm") == "3.25"
        assert cell(told, "error of joints against the truth (simulated recordings), mm") == "unknown"
        assert "How well people agree was not measured." not in told

    def test_nobody_can_be_recognised(self, root):
        folder = root / "sequences" / "seq_001"
        with sequences.open_annotation(folder) as annotation:
            revision = annotation.load()
        sequences.write_revision(folder, replace(revision, author="anna.miller", comment="p01 was tired"))
        for text in (card(release_of(root)), datasheet(release_of(root))):
            for secret in ("p01", "ninety", "lives-here", "anna", "tired"):
                assert secret not in text
        assert cell(card(release_of(root)), "current labels made by") == "a person: 1, a program: 1"

    @pytest.mark.parametrize(
        ("licence", "header"),
        [
            ("CC-BY-NC-SA-4.0", {"license": "cc-by-nc-sa-4.0"}),
            ("CC BY 4.0", {"license": "cc-by-4.0"}),
            ("Ask us", {"license": "other", "license_name": "Ask us", "license_link": "LICENCE.txt"}),
        ],
    )
    def test_the_header_is_what_the_hub_reads(self, root, licence, header):
        (root / "dataset.json").write_text(json.dumps({"licence": licence, "title": "Hands: ours"}))
        text = card(release_of(root, copy=Copy({"train": ["data/train-*.parquet"]}, 12_000, "all.")))
        found = header_of(text)
        assert {key: found.get(key) for key in header} == header
        assert found["pretty_name"] == "Hands: ours"
        assert found["size_categories"] == ["10K<n<100K"]
        assert found["configs"][0]["data_files"] == [{"split": "train", "path": ["data/train-*.parquet"]}]
        assert "12,000 samples" in text

    def test_the_datasheet_asks_everything_and_invents_nothing(self, root):
        (root / "dataset.json").write_text(json.dumps({"licence": "X", "datasheet": {"ethics": "Board 7, 2026."}}))
        text = datasheet(release_of(root))
        for heading in ("Motivation", "Composition", "Collection process", "Uses", "Distribution", "Maintenance"):
            assert f"## {heading}" in text
        assert f"**{QUESTIONS['ethics']}** Board 7, 2026." in text
        for key in set(QUESTIONS) - {"ethics"}:
            assert f"**{QUESTIONS[key]}** Not answered (`datasheet.{key}` in dataset.json)." in text

    def test_figures_of_the_calibration(self, root):
        (root / "calibrations").mkdir()
        values = {"figures": {"rms_px": {"left": 0.21, "right": 0.25}, "loop_mm": 1.5, "holdout_px": None}}
        (root / "calibrations" / "c1.json").write_text(json.dumps(values))
        with h5py.File(root / "sequences" / "seq_001" / "capture.h5", "a") as file:
            file.attrs["calibration"] = "c1"
        assert cell(card(release_of(root)), "c1") == "rms_px left 0.21, rms_px right 0.25, loop_mm 1.5"
        (root / "calibrations" / "c1.json").write_text("{")
        with pytest.raises(DatasetError, match=r"c1\.json"):
            release_of(root)


def make(root, version="1.0.0"):
    manifest = releases.describe(root, version, granted(root), "2026-06-01")
    releases.write(root, manifest, {"README.md": "x"})
    return manifest


def relabel(root, name="seq_001"):
    folder = root / "sequences" / name
    with sequences.open_annotation(folder) as annotation:
        revision = annotation.load()
    return sequences.write_revision(folder, replace(revision, comment="again"))


class TestVersions:
    def test_round_trip(self, root):
        manifest = make(root)
        assert releases.versions(root) == ["1.0.0"]
        assert releases.read(root, "1.0.0") == manifest
        assert releases.changes(root, manifest) == releases.Changes()

    def test_new_labels_and_recordings_are_told_and_break_nothing(self, root):
        manifest = make(root)
        relabel(root)
        shutil.copytree(root / "sequences" / "seq_001", root / "sequences" / "seq_003")
        (root / "dataset.json").write_text(json.dumps({"licence": "X", "splits": {"test": ["seq_002"]}}))
        found = releases.changes(root, manifest)
        assert found.broken == []
        assert found.since == [
            "seq_001 has the labels r001, had r000", "seq_003 was added", "the split test was changed"
        ]  # fmt: skip

    def test_every_change_of_what_was_released_is_found(self, root):
        (root / "objects" / "o1").mkdir(parents=True)
        mesh = root / "objects" / "o1" / "mesh.obj"
        mesh.write_text("v 0 0 0\n")
        capture, labels = (root / "sequences" / "seq_001" / f"{kind}.h5" for kind in ("capture", "annotation"))
        with h5py.File(capture, "a") as file:
            file.attrs["objects"] = '["o1"]'
        manifest = make(root)
        assert "objects/o1/mesh.obj" in manifest.files

        def times(file):
            file["cameras/left/color/t_device_ns"][1] += 1

        def joints(file):
            file["revisions/r000/hands/right/joints_m"][1, 3, 0] += 1e-9

        def gone(file):
            file.move("revisions/r000", "revisions/r007")
            file.attrs["current"] = "r007"

        for path, change, says in (
            (capture, times, "the recording seq_001 was changed"),
            (labels, joints, "the labels r000 of seq_001 were changed"),
            (labels, gone, "the labels r000 of seq_001 are gone"),
        ):
            kept = path.read_bytes()
            with h5py.File(path, "a") as file:
                change(file)
            assert releases.changes(root, manifest).broken == [says]
            path.write_bytes(b"HDF5?")
            assert "cannot be read" in releases.changes(root, manifest).broken[0]
            path.write_bytes(kept)
        mesh.write_text("v 0 0 1\n")
        assert releases.changes(root, manifest).broken == ["objects/o1/mesh.obj was changed"]
        mesh.unlink()
        shutil.rmtree(root / "sequences" / "seq_002")
        assert releases.changes(root, manifest).broken == ["seq_002 is gone", "objects/o1/mesh.obj is gone"]

    def test_the_manifest_itself_cannot_be_changed_unseen(self, root):
        manifest = replace(make(root), licence="CC-BY-4.0")
        assert "its manifest was changed" in releases.changes(root, manifest).broken[0]

    def test_versions_go_up_and_are_never_replaced(self, root):
        make(root)
        for version in ("1.0.0", "0.9.9", "1.0", "v2.0.0", "01.2.3", "../up", "2.0.0-rc1"):
            with pytest.raises(ConfigError):
                make(root, version)
        make(root, "1.0.10")
        make(root, "1.1.0")
        assert releases.versions(root) == ["1.0.0", "1.0.10", "1.1.0"]

    def test_a_stored_version_that_is_damaged(self, root):
        make(root)
        path = root / "releases" / "1.0.0" / "manifest.json"
        for text in ("", "{}", "[]", '{"format": "hoi-release", "format_version": "2.0"}'):
            path.write_text(text)
            with pytest.raises(DatasetError, match="malformed"):
                releases.read(root, "1.0.0")
        with pytest.raises(DatasetError, match=r"no version 3\.0\.0.*1\.0\.0"):
            releases.read(root, "3.0.0")

    def test_a_withdrawal_takes_its_entries_out(self, root):
        sequences.set_row(root, "protocol", {"sequence": "seq_001", "participant": "p01"})
        make(root)
        withdraw(root, "p01")
        left = (root / "releases" / "1.0.0" / "manifest.json").read_text()
        assert "seq_00" not in left
        assert "its manifest was changed" in releases.changes(root, releases.read(root, "1.0.0")).broken[0]

    def test_the_hash_of_labels_does_not_depend_on_how_they_are_stored(self, root, tmp_path):
        folder = root / "sequences" / "seq_001"
        with sequences.open_annotation(folder) as annotation:
            first, revision, binding = annotation.content_hash(), annotation.load(), annotation.binding
        sequences.write_revision(tmp_path / "annotation.h5", revision, binding=binding)
        with sequences.open_annotation(tmp_path / "annotation.h5") as annotation:
            assert annotation.content_hash("r000") == first
        changed = replace(revision, residuals={"reprojection_px": np.zeros(FRAMES)})
        other = sequences.write_revision(tmp_path / "annotation.h5", changed)
        with sequences.open_annotation(tmp_path / "annotation.h5") as annotation:
            assert annotation.content_hash(other) != first


def test_command(root, capsys, monkeypatch):
    arguments = ["card", "--data", str(root)]
    assert data.main([*arguments, "--json", str(root / "c.json")]) == 0
    assert (root / "card" / "DATASHEET.md").exists()
    assert json.loads((root / "c.json").read_text())["sequences"] == ["seq_001", "seq_002"]
    assert cell((root / "card" / "README.md").read_text(), "frames that a person accepted or edited") == "0"
    monkeypatch.setattr("hoi_cli.data.card.accuracy_of", lambda root, names: {})  # looked at once
    assert data.main([*arguments, "--release", "1.0.0"]) == 0
    assert "CC0-1.0" in (root / "releases" / "1.0.0" / "LICENCE.txt").read_text()
    assert data.main(arguments) == 0
    assert "since version 1.0.0: nothing has changed" in capsys.readouterr().out
    shutil.rmtree(root / "sequences" / "seq_002")
    assert data.main(arguments) == 2
    said = capsys.readouterr()
    assert "version 1.0.0 is no longer what was released: seq_002 is gone" in said.err
    assert data.main([*arguments, "--release", "1.0.1"]) == 0
    assert "since version 1.0.0: seq_002 is gone" in capsys.readouterr().out
