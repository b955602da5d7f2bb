"""hoi-annotate from the command line: help, errors in one line, figures for machines."""

import json
from pathlib import Path

import pytest

from annotate import auto
from hoi_cli.annotate import main
from hoi_core.errors import FitError, HoiError, StorageError


def test_unknown_sequence_is_one_line_and_exit_code_two(tmp_path: Path, capsys) -> None:
    assert main(["seq_999", "--auto", "--data", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "seq_999" in said
    assert "hoi-capture" in said
    assert len(said.strip().splitlines()) == 1


def test_help_names_the_example(capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "hoi-annotate seq_001 --auto" in capsys.readouterr().out


def test_foreign_file_is_refused(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "sequences" / "seq_001"
    folder.mkdir(parents=True)
    (folder / "capture.h5").write_bytes(b"this is no HDF5 file")
    assert main(["seq_001", "--auto", "--data", str(tmp_path)]) == 2
    assert "capture.h5" in capsys.readouterr().err


REPORT = auto.Report("r001", 180, 0.99, 2.1, 1.2, 3.6, 11, ("right",), problems={"no evidence": 2})


def stand_in(monkeypatch, failing: dict[str, HoiError]) -> list[str]:
    """Fits that take no time, of recordings that are empty files; returns the sequences that were fitted."""
    fitted: list[str] = []

    def annotate(root: Path, sequence: str, *args, **more) -> auto.Report:
        if sequence in failing:
            raise failing[sequence]
        fitted.append(sequence)
        return REPORT

    monkeypatch.setattr(auto, "annotate", annotate)
    monkeypatch.setattr("hoi_core.sequence.repair", lambda *args: None)
    return fitted


def recordings(root: Path, *names: str) -> None:
    for name in names:
        (root / "sequences" / name).mkdir(parents=True)
        (root / "sequences" / name / "capture.h5").touch()


def test_one_failing_sequence_does_not_stop_the_others(tmp_path: Path, monkeypatch, capsys) -> None:
    recordings(tmp_path, "seq_001", "seq_002", "seq_003")
    fitted = stand_in(monkeypatch, {"seq_002": FitError("no keypoints.", "Click some.")})
    out = tmp_path / "figures.json"
    assert main(["all", "--auto", "--data", str(tmp_path), "--json", str(out)]) == 2
    said = capsys.readouterr()
    assert fitted == ["seq_001", "seq_003"]
    assert "1 of 3 sequences" in said.err
    assert "seq_002: no keypoints. Click some." in " ".join(said.out.split())
    assert [row["sequence"] for row in json.loads(out.read_text())] == ["seq_001", "seq_002", "seq_003"]
    assert json.loads(out.read_text())[1]["error"].startswith("no keypoints")


def test_the_number_of_angles_reaches_the_fit(tmp_path: Path, monkeypatch) -> None:
    recordings(tmp_path, "seq_001")
    stand_in(monkeypatch, {})
    asked: list[auto.Config] = []
    fitted = auto.annotate

    def asked_for(root: Path, name: str, config: auto.Config, *args, **more) -> auto.Report:
        asked.append(config)
        return fitted(root, name)

    monkeypatch.setattr(auto, "annotate", asked_for)
    for flags in ([], ["--dof", "45"], ["--dof", "23"]):
        assert main(["seq_001", "--auto", "--data", str(tmp_path), *flags]) == 0
    assert asked[0] == asked[1] == auto.Config(keypoints="auto")
    assert asked[2].hand.terms == {"limits": {"dof": 23}}
    with pytest.raises(SystemExit):
        main(["seq_001", "--auto", "--data", str(tmp_path), "--dof", "24"])


def test_a_full_disk_stops_all(tmp_path: Path, monkeypatch) -> None:
    recordings(tmp_path, "seq_001", "seq_002")
    fitted = stand_in(monkeypatch, {"seq_001": StorageError("no space.", "Make some.")})
    assert main(["all", "--auto", "--data", str(tmp_path)]) == 2
    assert fitted == []


def test_finished_sequences_are_left_alone_unless_again(tmp_path: Path, monkeypatch, capsys) -> None:
    recordings(tmp_path, "seq_001", "seq_002")
    fitted = stand_in(monkeypatch, {})
    monkeypatch.setattr(auto, "finished", lambda folder, config: "r007" if folder.name == "seq_001" else "")
    assert main(["seq_001", "seq_002", "seq_001", "--auto", "--data", str(tmp_path)]) == 0
    assert fitted == ["seq_002"]
    assert "finished before (r007)" in capsys.readouterr().out
    assert main(["seq_001", "--auto", "--data", str(tmp_path)]) == 0
    assert fitted == ["seq_002"]
    assert main(["seq_001", "--auto", "--again", "--data", str(tmp_path)]) == 0
    assert fitted == ["seq_002", "seq_001"]


def test_an_unknown_name_among_many_is_found_before_any_work(tmp_path: Path, monkeypatch, capsys) -> None:
    recordings(tmp_path, "seq_001")
    fitted = stand_in(monkeypatch, {})
    assert main(["seq_001", "seq_01", "--auto", "--data", str(tmp_path)]) == 2
    assert fitted == []
    assert "Did you mean seq_001" in capsys.readouterr().err


def test_the_window_takes_one_sequence(tmp_path: Path, capsys) -> None:
    recordings(tmp_path, "seq_001", "seq_002")
    assert main(["seq_001", "seq_002", "--data", str(tmp_path)]) == 2
    assert "--auto" in capsys.readouterr().err


def test_nothing_to_annotate_says_so(tmp_path: Path, capsys) -> None:
    assert main(["all", "--auto", "--data", str(tmp_path)]) == 2
    assert "hoi-capture" in capsys.readouterr().err


def test_figures_are_written_for_machines(tmp_path: Path, monkeypatch, capsys) -> None:
    folder = tmp_path / "sequences" / "seq_001"
    folder.mkdir(parents=True)
    (folder / "capture.h5").touch()
    stand_in(monkeypatch, {})
    out = tmp_path / "figures.json"
    assert main(["seq_001", "--auto", "--data", str(tmp_path), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert figures["frames"] == 180
    assert figures["valid_share"] == 0.99
    assert figures["median_reprojection_px"] == 2.1
    assert figures["seconds_per_frame"] == pytest.approx(0.02)
    assert figures["problems"] == {"no evidence": 2}
    said = capsys.readouterr().out
    assert "hoi-data compare seq_001" in said
    assert "2 no evidence" in said
