from __future__ import annotations

import json

import numpy as np
import pytest

from hoi_cli.data import main
from hoi_core.sequence import CaptureHeader, CaptureWriter, capture_path, read_table, register_recording
from hoi_core.types import Camera, Frame, StreamInfo

INFO = StreamInfo("left/color", "camera", (48, 64, 3), "uint8", 30.0, Camera(64, 48, 60, 60, 32, 24), "1")


def record(root, name, participant, objects):
    header = CaptureHeader(name, participant, objects)
    with CaptureWriter.create(capture_path(root, name), header, [INFO]) as writer:
        for n in range(4):
            t = n * 33_333_333
            writer.append(Frame("left/color", n, t, t, "host", np.full(INFO.shape, 99, np.uint8)))
            writer.sync(t, {"left/color": n}, {"left/color": 0})
    register_recording(root, header, seconds=0.1, drops=0, status="recorded")


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data"
    assert main(["protocol", "--init", "--catalogue", "simulated", "--data", str(root)]) == 0
    return root


def figures(path):
    return json.loads(path.read_text())


def test_from_a_plan_to_a_redo(root, tmp_path, capsys):
    out = tmp_path / "f.json"
    arguments = ["--data", str(root), "--json", str(out)]
    assert main(["protocol", "--participant", "p02", *arguments]) == 0
    cell = figures(out)["next"]
    assert cell["participant"] == "p02"
    record(root, "seq_001", "p02", tuple(cell["objects"]))
    assert main(["protocol", *arguments]) == 0
    assert figures(out)["done"] == 1
    assert "x" in capsys.readouterr().out
    assert main(["report", "seq_001", *arguments]) == 0
    assert figures(out)["streams"][0]["frames"] == 4
    assert main(["protocol", "--reject", "seq_001", "--reason", "dropped it", *arguments]) == 0
    assert figures(out)["done"] == 0
    assert read_table(root, "protocol").set_index("sequence").loc["seq_001", "notes"] == "dropped it"
    assert main(["protocol", "--reject", "seq_009", *arguments]) == 2


def test_planning_twice_is_refused(root):
    assert main(["protocol", "--init", "--data", str(root)]) == 2
    assert main(["protocol", "--init", "--replace", "--data", str(root)]) == 0


def test_no_dataset_is_told(tmp_path):
    assert main(["protocol", "--data", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "none").exists()


def test_consent_is_entered_and_shown(root, tmp_path):
    out = tmp_path / "f.json"
    arguments = ["--data", str(root), "--json", str(out)]
    entered = ["--date", "2026-03-01", "--scope", "record,share", "--expiry", "2030-01-01", "--version", "2"]
    assert main(["consent", "p01", *entered, *arguments]) == 0
    assert main(["consent", "p01", *arguments]) == 0
    expected = {"version": "2", "scope": "record, share", "date": "2026-03-01", "expiry": "2030-01-01"}
    assert figures(out) == {"participant": "p01", **expected}
    assert main(["consent", "p02", *arguments]) == 0
    assert main(["consent", "anna", "--date", "2026-03-01", *arguments]) == 2
    assert main(["consent", "p01", "--date", "01/02/2026", *arguments]) == 2


def test_withdrawal_lists_first_and_deletes_only_when_told(root, tmp_path, monkeypatch):
    record(root, "seq_001", "p01", ("o01",))
    record(root, "seq_002", "p02", ("o02",))
    monkeypatch.chdir(tmp_path)
    arguments = ["withdraw", "p01", "--data", str(root), "--json", str(tmp_path / "f.json")]
    assert main(arguments) == 0
    assert any(item["path"].endswith("capture.h5") for item in figures(tmp_path / "f.json")["items"])
    assert capture_path(root, "seq_001").exists()
    assert main([*arguments, "--yes", "--certificate", str(root / "c.json")]) == 2
    assert main([*arguments, "--yes", "--substitute", "anna"]) == 2
    assert capture_path(root, "seq_001").exists()
    assert main([*arguments, "--yes", "--substitute", "p09"]) == 0
    assert figures(tmp_path / "withdrawal_p01.json")["verified"] is True
    assert not capture_path(root, "seq_001").exists()
    assert capture_path(root, "seq_002").exists()
    assert "p09" in read_table(root, "protocol")["participant"].tolist()
    assert main([*arguments, "--yes"]) == 2
