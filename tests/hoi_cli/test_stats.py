"""hoi-data stats: sums and weighted means over sequences, files for the datasheet, errors that name the sequence."""

import csv
import json
import math
from pathlib import Path

import pytest

from hoi_cli.data import main
from hoi_cli.data.stats import totals, write_csv
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


def test_a_table_has_every_column_once_and_empty_cells_for_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "stats.csv"
    write_csv(path, [row("a"), row("b", joint_error_mm=2.5)])
    with path.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["sequence"] == "a"
    assert first["joint_error_mm"] == first["agreement_mm"] == ""
    assert second["joint_error_mm"] == "2.5"


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
    out, table = labelled / "stats.json", labelled / "stats.csv"
    code = main(["stats", "--data", str(labelled), "--json", str(out), "--csv", str(table)])
    said = capsys.readouterr()
    assert code == 2
    assert "1 of 2 sequences could not be read: seq_002" in said.err
    figures = json.loads(out.read_text())
    assert figures["dataset"]["sequences"] == 1
    assert figures["sequences"][0]["agreement_mm"] is None
    assert "seq_002 is broken" in figures["failed"]["seq_002"]
    assert len(table.read_text().splitlines()) == 2
    assert "seq_001 r001 by auto" in said.out


def test_no_labels_says_what_to_type(tmp_path: Path, capsys) -> None:
    assert main(["stats", "--data", str(tmp_path)]) == 2
    assert "hoi-annotate all --auto" in capsys.readouterr().err
