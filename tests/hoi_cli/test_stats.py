"""hoi-data stats: sums and weighted means over sequences, files for the datasheet, errors that name the sequence."""

import csv
import json
import math
import sys
from pathlib import Path

import pytest

from dataset_tools.readers import freihand, ours
from hoi_cli.data import main
from hoi_cli.data._labels import totals
from hoi_core.errors import SequenceError


def row(name: str, **more: object) -> dict[str, object]:
    base: dict[str, object] = {
        "sequence": name, "revision": "r001", "author": "auto", "software": "x", "frames": 100,
        "labelled_share_right": 0.9, "frames_accepted": 0, "frames_edited": 0, "human_seconds": 0.0, "clicks": 0,
        "accepted_without_edit_share": math.nan, "agreement_frames": 0, "agreement_mm": math.nan,
        "fingertip_clicked": 0, "fingertip_clicked_mm": math.nan, "fingertip_nearest": 5, "fingertip_nearest_mm": 2.0,
        "sensor_offset_ms": math.nan, "expected_error_mm": 2.0,
    }  # fmt: skip
    return base | more


def test_totals_weigh_each_sequence_by_what_it_counts() -> None:
    rows = [
        row("a", frames=100, human_seconds=50.0, clicks=10, agreement_frames=1, agreement_mm=4.0),
        row("b", frames=300, human_seconds=150.0, agreement_frames=3, agreement_mm=8.0, joint_error_mm=3.0),
        row("c", frames=100, frames_accepted=8, frames_edited=2, accepted_without_edit_share=0.5),
    ]
    found = totals(rows)
    assert found["frames"] == 500
    assert found["human_seconds_per_frame"] == pytest.approx(0.4)
    assert found["clicks_per_frame"] == pytest.approx(0.02)
    assert found["agreement_mm"] == pytest.approx(7.0)
    assert found["joint_error_mm"] == 3.0
    assert found["accepted_without_edit_share"] == 0.5
    assert math.isnan(found["fingertip_clicked_mm"])
    assert math.isnan(totals([])["joint_error_mm"])


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch) -> Path:
    """Two sequences of empty files, of which the second cannot be read."""

    def statistics(root: Path, name: str):
        if name == "seq_002":
            raise SequenceError("seq_002 is broken.", "Restore it.")
        return type("Figures", (), {"row": lambda self: row(name)})()

    for name in ("seq_001", "seq_002"):
        folder = tmp_path / "sequences" / name
        folder.mkdir(parents=True)
        (folder / "capture.h5").touch()
        (folder / "annotation.h5").touch()
    monkeypatch.setattr("annotate.trust.statistics.sequence_statistics", statistics)
    return tmp_path


def test_one_broken_sequence_is_named_and_the_others_are_counted(labelled: Path, capsys) -> None:
    out, folder = labelled / "stats.json", labelled / "tables"
    code = main(["stats", "--data", str(labelled), "--json", str(out), "--csv", str(folder)])
    said = capsys.readouterr()
    assert code == 2
    assert "1 of 2 sequences could not be read: seq_002" in said.err
    figures = json.loads(out.read_text())
    assert figures["dataset"]["sequences"] == 1
    assert figures["sequences"][0]["agreement_mm"] is None
    assert "seq_002 is broken" in figures["failed"]["seq_002"]
    # The files are empty: their labels were made up, and there are no pictures to look at.
    assert list(figures["not_measured"]) == ["ours"]
    (line,) = csv.DictReader((folder / "labels.csv").open(newline=""))
    assert line["sequence"] == "seq_001"
    assert line["agreement_mm"] == ""
    assert "seq_001 r001 by auto" in said.out


def test_no_labels_says_what_to_type(tmp_path: Path, capsys) -> None:
    assert main(["stats", "--data", str(tmp_path)]) == 2
    assert "hoi-annotate all --auto" in capsys.readouterr().err


def test_pictures_of_labelled_sequences_are_looked_at_and_others_left_alone(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    ours.tiny(tmp_path)
    (tmp_path / "sequences" / "seq_002" / "annotation.h5").unlink()
    rows = type("Figures", (), {"row": lambda self: row("seq_001")})
    monkeypatch.setattr("annotate.trust.statistics.sequence_statistics", lambda root, name: rows())
    out = tmp_path / "stats.json"
    assert main(["stats", "--data", str(tmp_path), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert figures["dataset"]["sequences"] == 1
    assert figures["tables"]["datasets"][0]["samples"] == 1
    assert {"by": "participant", "value": "p01", "samples": 1}.items() <= figures["tables"]["counts"][0].items()
    assert "poses reach" in capsys.readouterr().out


def test_another_dataset_has_tables_and_a_page_but_no_figures_of_labels(tmp_path: Path, capsys) -> None:
    (tmp_path / "freihand").mkdir()
    freihand.tiny(tmp_path / "freihand")
    out, folder, html = tmp_path / "stats.json", tmp_path / "tables", tmp_path / "stats.html"
    arguments = ["--dataset", "freihand", "--json", str(out), "--csv", str(folder), "--html", str(html)]
    assert main(["stats", "--data", str(tmp_path), *arguments]) == 0
    said = capsys.readouterr().out
    assert "Dataset: freihand | Size: 9 | Mesh: ✓ | Multi-view: × | Multi-modality: ×" in said.replace("\n", " ")
    figures = json.loads(out.read_text())
    assert "dataset" not in figures
    assert [record["edges"] for record in figures["tables"]["sparsity"]].count("sobel") == 8
    expected = {
        "datasets",
        "counts",
        "quantities",
        "angles",
        "poses",
        "views",
        "bones",
        "sparsity",
        "table5",
        "samples",
    }
    assert {path.stem for path in folder.iterdir()} == expected
    samples = list(csv.DictReader((folder / "samples.csv").open(newline="")))
    assert [line["key"] for line in samples] == freihand.index(tmp_path / "freihand", "all")
    assert html.read_text().count("<svg") > 10


def test_a_dataset_that_is_absent_is_told_after_the_others(tmp_path: Path, capsys) -> None:
    (tmp_path / "freihand").mkdir()
    freihand.tiny(tmp_path / "freihand")
    assert main(["stats", "--data", str(tmp_path), "--dataset", "freihand+stb", "--sample", "2"]) == 2
    said = capsys.readouterr()
    assert "2 samples of freihand" in said.out
    assert "expected stb" in said.err


def test_plots_are_refused_before_the_work_where_they_cannot_be_drawn(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["stats", "--data", str(tmp_path), "--dataset", "freihand", "--html", str(tmp_path / "a.html")]) == 2
    assert "hoi-toolkit[plots]" in capsys.readouterr().err
