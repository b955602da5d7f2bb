import base64
import json
import re
import struct
import sys
import zlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.calibrate import Board, Calibration, Figures, calibrate, load_calibration, read_calibration, report_html
from capture.calibrate.images import match_folders, read_shots
from capture.calibrate.printing import print_board
from capture.calibrate.store import list_calibrations, next_identifier, write_calibration
from hoi_core.errors import CalibrationError, StorageError
from hoi_core.types import Camera

REAL = Path(__file__).resolve().parents[3] / "shared" / "real_data" / "charuco_rig"
TOML = "board_x = 8\nboard_y = 11\nsquare_length = 24.0\nmarker_length = 18.75\nmarker_bits = 4\ndict_size = 1000\n"


def a_calibration() -> Calibration:
    camera = Camera(
        640, 480, 600.5, 601.0, 320.0, 240.0, (0.1, -0.2, 0.0, 0.0, 0.0), T_world_cam=np.diag([1.0, -1, -1, 1])
    )
    figures = Figures({"left": 0.2}, 0.3, 500.0, float("nan"), 1.0)
    return Calibration("", {"left": camera}, Board(), figures)


class TestStore:
    def test_round_trip(self, tmp_path):
        written = write_calibration(tmp_path, a_calibration())
        read = load_calibration(tmp_path, written.id)
        assert read.board == Board()
        assert read.figures.rms_px == {"left": 0.2}
        assert np.isnan(read.figures.holdout_px)
        assert read.created == written.created
        np.testing.assert_array_equal(read.cameras["left"].T_world_cam, np.diag([1.0, -1, -1, 1]))
        assert replace(read.cameras["left"], T_world_cam=None) == replace(
            a_calibration().cameras["left"], T_world_cam=None
        )

    def test_nothing_is_overwritten(self, tmp_path):
        first, second = (write_calibration(tmp_path, a_calibration()) for _ in range(2))
        assert first.id != second.id
        assert list_calibrations(tmp_path) == [first.id, second.id]
        assert not list((tmp_path / "calibrations").glob(".*"))

    def test_identifiers_count_within_a_day(self, tmp_path):
        day = datetime(2026, 3, 1)
        assert next_identifier(tmp_path, day) == "2026-03-01_01"
        (tmp_path / "calibrations").mkdir()
        (tmp_path / "calibrations" / "2026-03-01_01.json").touch()
        assert next_identifier(tmp_path, day) == "2026-03-01_02"

    def test_files_with_nothing_but_cameras_are_read(self, tmp_path):
        (tmp_path / "calibrations").mkdir()
        camera = {"width": 64, "height": 48, "fx": 60, "fy": 60, "cx": 31.5, "cy": 23.5, "distortion": [0] * 5}
        values = {"cameras": {"left": camera | {"T_world_cam": np.eye(4).tolist()}}}
        (tmp_path / "calibrations" / "old.json").write_text(json.dumps(values))
        assert read_calibration(tmp_path, "old")["left"].fx == 60

    @pytest.mark.parametrize(
        ("content", "match"),
        [
            ("{", "malformed"),
            ("[]", "malformed"),
            ('{"cameras": {"left": {}}}', "malformed"),
            ('{"format": "other", "cameras": {}}', "malformed"),
            ('{"format": "hoi-calibration", "version": "2.0", "cameras": {}}', "version 2.0"),
        ],
    )
    def test_other_files_are_refused(self, tmp_path, content, match):
        (tmp_path / "calibrations").mkdir()
        (tmp_path / "calibrations" / "bad.json").write_text(content)
        with pytest.raises(CalibrationError, match=match):
            read_calibration(tmp_path, "bad")
        with pytest.raises(CalibrationError, match="found none"):
            read_calibration(tmp_path, "none")


class TestBoard:
    def test_file(self, tmp_path):
        path = tmp_path / "board.toml"
        path.write_text(TOML)
        assert Board.read(path) == Board(8, 11, 0.024, 0.01875, "4X4_1000")

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            (("board_x = 8\n", ""), "lacks board_x"),
            (("board_x = 8", "boardx = 8"), "lacks board_x"),
            (("= 24.0", "= 'long'"), "no number"),
            (("= 18.75", "= 30"), "smaller than the squares"),
            (("dict_size = 1000", "dict_size = 77"), "no marker dictionary"),
            (("board_x", "board x"), "not TOML"),
        ],
    )
    def test_bad_files(self, tmp_path, change, match):
        path = tmp_path / "board.toml"
        path.write_text(TOML.replace(*change))
        with pytest.raises(CalibrationError, match=match):
            Board.read(path)

    def test_png_says_its_true_size(self, tmp_path):
        print_board(Board(), tmp_path / "board.png")
        data = (tmp_path / "board.png").read_bytes()
        per_m = struct.unpack(">I", data[data.index(b"pHYs") + 4 :][:4])[0]
        image = cv2.imread(str(tmp_path / "board.png"), 0)
        dark = np.nonzero((image < 128).any(0))[0]
        assert (dark[-1] - dark[0] + 1) / per_m == pytest.approx(8 * 0.024, rel=1e-3)

    def test_a_page_has_room_for_a_large_board(self, tmp_path):
        board = Board(square_m=0.04, marker_m=0.03)
        assert print_board(board, tmp_path / "board.pdf") == pytest.approx((8 * 40 + 16, 11 * 40 + 16))
        box = next(line for line in (tmp_path / "board.pdf").read_bytes().split(b"\n") if b"MediaBox" in line)
        size = [float(x) for x in box.split(b"MediaBox [")[1].split(b"]")[0].split()[2:]]
        # A PDF's unit is 1/72 inch.
        assert size == pytest.approx([336 / 25.4 * 72, 456 / 25.4 * 72], abs=0.01)
        with pytest.raises(StorageError):
            print_board(board, tmp_path / "board.pdf" / "below.png")

    def test_pdf_is_black_where_the_board_is(self, tmp_path):
        width_mm, height_mm = print_board(Board(), tmp_path / "board.pdf")
        assert (width_mm, height_mm) == (210.0, 297.0)
        data = (tmp_path / "board.pdf").read_bytes()
        packed = data[data.index(b"stream\n") + 7 : data.index(b"endstream")].strip()
        stream = zlib.decompress(base64.a85decode(packed.removesuffix(b"~>"))).decode()
        areas = [float(w) * float(h) for w, h in re.findall(r"(\S+) (\S+) re f\*", stream)]
        black = (Board().image(240) < 128).mean()
        points2_per_m2 = (72 / 0.0254) ** 2
        assert sum(areas) == pytest.approx(black * 0.192 * 0.264 * points2_per_m2, rel=1e-3)
        with pytest.raises(CalibrationError, match="cannot write"):
            print_board(Board(), tmp_path / "board.gif")

    def test_a_pdf_without_its_library_says_what_helps(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "reportlab.lib.units", None)
        with pytest.raises(CalibrationError, match="needs reportlab"):
            print_board(Board(), tmp_path / "board.pdf")


class TestImages:
    def fill(self, folder: Path, names: list[str], board=None):
        folder.mkdir()
        image = (board or Board()).image(40, 40)
        for name in names:
            cv2.imwrite(str(folder / name), image)
        return folder

    def test_last_numbers_match(self, tmp_path):
        a = self.fill(tmp_path / "a", ["a-5-2.png", "a-5-10.png"])
        b = self.fill(tmp_path / "b", ["b-6-10.png", "b-7-2.png"])
        matched = match_folders({"a": a, "b": b})
        assert [(name, files["b"].name) for name, files in matched] == [("2", "b-7-2.png"), ("10", "b-6-10.png")]

    def test_counts_that_differ_are_refused(self, tmp_path):
        a = self.fill(tmp_path / "a", ["1.png", "2.png"])
        b = self.fill(tmp_path / "b", ["1.png"])
        with pytest.raises(CalibrationError, match="2 of a, 1 of b"):
            match_folders({"a": a, "b": b})
        with pytest.raises(CalibrationError, match="found none"):
            match_folders({"a": tmp_path / "none"})

    @pytest.mark.parametrize(
        ("board", "match"),
        [
            (Board(11, 8), "swapped"),
            (Board(dictionary="5X5_1000"), "not 5X5_1000"),
            (Board(7, 9), "not in the order|do not show"),
            (Board(marker_m=0.013), "markers of 0.54"),
        ],
    )
    def test_another_board_is_refused(self, tmp_path, board, match):
        names = [f"{k}.png" for k in range(3)]
        folders = {view: self.fill(tmp_path / view, names) for view in ("a", "b")}
        with pytest.raises(CalibrationError, match=match):
            read_shots(board, folders)


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the real board images are not beside the project")
def test_real_images(tmp_path):
    board = Board.read(REAL / "board.toml")
    found = calibrate(board, read_shots(board, {"back": REAL / "back", "mid": REAL / "mid"}))
    figures = found.figures
    # As OpenCV's own calibration of these images finds: 0.29, 0.20 and 0.34 px, 290.9 mm.
    assert figures.rms_px["back"] == pytest.approx(0.29, abs=0.03)
    assert figures.rms_px["mid"] == pytest.approx(0.20, abs=0.03)
    assert figures.stereo_rms_px == pytest.approx(0.34, abs=0.03)
    assert figures.baseline_mm == pytest.approx(290.9, abs=1.0)
    assert figures.holdout_px <= 0.7
    report_html(found, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "290." in page
    assert page.count("<svg") == 5
