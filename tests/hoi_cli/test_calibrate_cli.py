import json
from pathlib import Path

import pytest

from hoi_cli.calibrate import main

REAL = Path(__file__).resolve().parents[3] / "shared" / "real_data" / "charuco_rig"


def test_prints_the_board(tmp_path, capsys):
    assert main(["--print-board", str(tmp_path / "board.pdf")]) == 0
    assert (tmp_path / "board.pdf").read_bytes().startswith(b"%PDF")
    assert "210 x 297 mm" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--images", "left"], "view=DIR"),
        (["--images", "left=a", "left=b"], "each view once"),
        (["--images", "left=nowhere"], "found none"),
        (["--board", "nowhere.toml"], "found none"),
        (["--check"], "no calibration"),
    ],
)
def test_mistakes_are_one_line(tmp_path, capsys, arguments, words):
    assert main([*arguments, "--data", str(tmp_path)]) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert words in message


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the real board images are not beside the project")
def test_calibrates_real_images_and_checks_them(tmp_path):
    images = ["--board", str(REAL / "board.toml"), "--images", f"back={REAL / 'back'}", f"mid={REAL / 'mid'}"]
    assert main([*images, "--data", str(tmp_path), "--json", str(tmp_path / "f.json")]) == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    assert set(figures["rms_px"]) == {"back", "mid"}
    assert abs(figures["baseline_mm"] - 290.9) < 1.0
    assert figures["holdout_px"] <= 0.7
    assert (tmp_path / "calibrations" / f"{figures['id']}.html").is_file()
    assert main([*images, "--check", "--data", str(tmp_path)]) == 0
