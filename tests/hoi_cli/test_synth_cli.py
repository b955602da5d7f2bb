"""hoi-data synth as a user types it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_cli import bench, data


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Flags of two small images before a photograph: painting backgrounds takes longer than all else here."""
    folder = tmp_path_factory.mktemp("photographs")
    cv2.imwrite(str(folder / "a.png"), np.full((80, 80, 3), 90, np.uint8))
    return ["--count", "2", "--size", "32", "--backgrounds", str(folder)]


def test_making_a_set_says_where_it_is_and_what_to_type(small, tmp_path, capsys):
    root = tmp_path / "new data"
    figures = tmp_path / "f.json"
    assert data.main(["synth", *small, "--data", str(root), "--workers", "1", "--json", str(figures)]) == 0
    found = json.loads(figures.read_text())
    assert found["out"] == str(root / "synth" / "mano_render_32")
    assert (found["images"], found["made"]) == (2, 2)
    assert found["bytes"] == sum(path.stat().st_size for path in Path(found["out"]).iterdir())
    assert set(found["cpu_seconds"]) == {"make", "pack", "write"}
    assert f"hoi-train --dataset synth --data '{root}'" in " ".join(capsys.readouterr().out.split())
    assert data.main(["synth", *small, "--seed", "1", "--out", found["out"]]) == 2
    assert "seed 0 instead of 1" in capsys.readouterr().err


def test_a_dry_run_writes_nothing_but_its_figures(small, tmp_path):
    figures = tmp_path / "f.json"
    assert data.main(["synth", *small, "--data", str(tmp_path / "d"), "--dry-run", "--json", str(figures)]) == 0
    found = json.loads(figures.read_text())
    assert found["images"] == 2
    assert found["bytes"] > 2 * 778 * 3 * 4
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]


def test_a_contact_sheet_is_a_picture_and_nothing_else(small, tmp_path, capsys):
    sheet = tmp_path / "look" / "sheet.png"
    assert data.main(["synth", *small, "--data", str(tmp_path / "d"), "--contact-sheet", str(sheet)]) == 0
    assert cv2.imread(str(sheet)).shape[2] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["look"]
    assert data.main(["synth", *small, "--contact-sheet", str(tmp_path / "sheet.pdf")]) == 2
    assert ".png" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--size", "7"], ["--count", "-1"], ["--workers", "-1"], ["--occluders", "2"]])
def test_impossible_wishes_are_one_line(tmp_path, capsys, flags):
    assert data.main(["synth", *flags, "--data", str(tmp_path / "d")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_benchmark_writes_a_row_for_each_size(tmp_path, capsys):
    rows = tmp_path / "rows.json"
    assert bench.main(["synth", "--images", "2", "--sizes", "32", "--workers", "1", "--json", str(rows)]) == 0
    (row,) = json.loads(rows.read_text())
    assert (row["case"], row["size_px"], row["images"], row["workers"]) == ("synth", 32, 2, 1)
    assert row["per_second"] > 0
    assert "32x32" in capsys.readouterr().out
    assert bench.main(["synth", "--images", "0"]) == 2
    assert "--images" in capsys.readouterr().err
