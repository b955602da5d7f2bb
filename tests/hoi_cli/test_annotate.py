"""hoi-annotate from the command line: help, errors in one line, figures for machines."""

import json
from pathlib import Path

import pytest

from hoi_cli.annotate import main


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


def test_figures_are_written_for_machines(tmp_path: Path, monkeypatch, capsys) -> None:
    from annotate import auto

    folder = tmp_path / "sequences" / "seq_001"
    folder.mkdir(parents=True)
    (folder / "capture.h5").touch()
    report = auto.Report("r001", 180, 0.99, 2.1, 1.2, 3.6, 11)
    monkeypatch.setattr(auto, "annotate", lambda *args, **more: report)
    monkeypatch.setattr("hoi_core.sequence.repair", lambda *args: None)  # the recording is an empty file
    out = tmp_path / "figures.json"
    assert main(["seq_001", "--auto", "--data", str(tmp_path), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert figures["frames"] == 180
    assert figures["valid_share"] == 0.99
    assert figures["median_reprojection_px"] == 2.1
    assert figures["seconds_per_frame"] == pytest.approx(0.02)
    assert "hoi-data compare seq_001" in capsys.readouterr().out
