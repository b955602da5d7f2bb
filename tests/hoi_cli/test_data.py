"""hoi-data: what it says about datasets that are missing, damaged or empty."""

import json
from pathlib import Path

import pytest

from dataset_tools.readers import _tiny_ours
from hoi_cli import _run, data
from hoi_core.errors import StorageError
from hoi_core.sequence import read_table


@pytest.fixture
def root(tmp_path):
    return _tiny_ours.write(tmp_path / "my data \u00fc", frames=2)


@pytest.mark.parametrize("command", [["list"], ["check"], ["check", "seq_001"], ["compare", "seq_001"]])
@pytest.mark.parametrize("kind", ["none", "a file"])
def test_a_root_that_is_no_folder_is_one_line(tmp_path, capsys, command, kind):
    if kind == "a file":
        (tmp_path / "root").touch()
    assert data.main([*command, "--data", str(tmp_path / "root")]) == 2
    said = capsys.readouterr().err
    assert f"found {kind}" in said
    assert "--data" in said
    assert len(said.strip().splitlines()) == 1


def test_check_goes_on_after_a_damaged_sequence(root, capsys):
    capture = root / "sequences" / "seq_001" / "capture.h5"
    capture.write_bytes(capture.read_bytes()[: capture.stat().st_size // 2])
    assert data.main(["check", "--data", str(root), "--json", str(root / "new" / "c.json")]) == 2
    found = json.loads((root / "new" / "c.json").read_text())
    assert "truncated" in found["seq_001"][0]
    assert "seq_002" in found
    assert "seq_001" in capsys.readouterr().err


def test_list_shows_a_damaged_sequence_and_keeps_the_dataset_in_the_next_command(root, capsys):
    (root / "sequences" / "seq_001" / "annotation.h5").write_bytes(b"no HDF5")
    assert data.main(["list", "--data", str(root)]) == 0
    shown = capsys.readouterr().out
    assert "not an HDF5 file" in " ".join(shown.split())
    assert f"hoi-data check --data '{root}'" in shown


def test_the_next_command_quotes_the_dataset():
    assert _run.with_data("hoi-data list", Path("my data")) == "hoi-data list --data 'my data'"
    assert _run.with_data("hoi-data list", None) == "hoi-data list"


def test_what_the_system_refuses_is_one_line(tmp_path, capsys, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "data/x")

    monkeypatch.setattr(data, "job", refuse)
    assert data.main(["list", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("hoi-data: cannot use data/x: Permission denied.")


def test_recover_enters_a_recording_into_the_protocol(root):
    assert data.main(["recover", "seq_001", "--data", str(root)]) == 0
    assert "seq_001" in read_table(root, "protocol")["sequence"].tolist()


def test_figures_that_cannot_be_written_leave_the_old_ones(tmp_path, monkeypatch):
    out = tmp_path / "figures.json"
    _run.write_json(out, {"n": 1})

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"figures\.json: No space left"):
        _run.write_json(out, {"n": 2})
    assert json.loads(out.read_text()) == {"n": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]
