"""`hoi-run`: what it writes, what it refuses, and which detector it takes for which images."""

import json
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_cli import _show
from hoi_cli import run as command
from hoi_core import live
from hoi_core.detect import Detection
from hoi_core.errors import ConfigError
from hoi_core.live import Follower, LiveHand, Reading
from hoi_core.mano import ManoLayer
from hoi_core.shots import SeenObject, Shot
from hoi_core.types import Camera

WIDTH, HEIGHT = 96, 64


class Bright:
    """Finds one right hand around the bright pixels, and its joints on them."""

    least_confidence = 0.02
    in_space = False
    computed_by = "numpy"

    def detect(self, rgb):
        rows, columns = np.nonzero(rgb[..., 0] > 128)
        return [Detection("right", (columns.min(), rows.min(), columns.max(), rows.max()), 0.9)] if len(rows) else []

    def read(self, rgb, camera, box, side):
        found = self.detect(rgb)
        if not found:
            return Reading(np.full((21, 2), np.nan), np.zeros(21))
        corners = np.array(found[0].box).reshape(2, 2)
        steps = np.linspace(0.0, 1.0, 21)[:, None]
        return Reading(corners[0] + steps * (corners[1] - corners[0]), np.ones(21))


@pytest.fixture
def film(tmp_path):
    """Eight images, the hand in the last six."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (WIDTH, HEIGHT))
    for k in range(8):
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        if k > 1:
            image[20:50, 20 + 2 * k : 50 + 2 * k] = 255
        writer.write(image)
    writer.release()
    return path


@pytest.fixture
def bright(monkeypatch):
    monkeypatch.setattr(command, "_follower", lambda *args, **kwargs: Follower(Bright(), Bright()))


def test_a_video_becomes_lines_an_overlay_and_figures(film, bright, tmp_path):
    out, lines, figures = (tmp_path / name for name in ("hands.mp4", "hands.jsonl", "figures.json"))
    flags = ["--video", str(film), "--out", str(out), "--jsonl", str(lines), "--json", str(figures)]
    assert command.main(["any.onnx", *flags]) == 0
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [row["index"] for row in rows] == list(range(8))
    assert [len(row["hands"]) for row in rows] == [0, 0, 1, 1, 1, 1, 1, 1]
    last = rows[-1]["hands"][0]
    assert (last["identity"], last["side"]) == (0, "right")
    assert np.array(last["joints_px"]).mean(0) == pytest.approx([20 + 14 + 14.5, 34.5], abs=2)
    told = json.loads(figures.read_text())
    assert (told["images"], told["share_with_hands"], told["identities"], told["stopped"]) == (8, 0.75, 1, False)
    assert told["computed_by"] == "numpy"
    written = cv2.VideoCapture(str(out))
    images = [written.read()[1] for _ in range(8)]
    assert images[7].shape == (HEIGHT, WIDTH, 3)
    # The first image has a caption alone, the last one a skeleton too, in colours that the film has not.
    saturation = [np.ptp(image.astype(int), axis=-1).max() for image in images]
    assert saturation[0] < 60 < saturation[7]


def test_it_stops_after_so_many_images(film, bright, tmp_path):
    lines = tmp_path / "hands.jsonl"
    assert command.main(["any.onnx", "--video", str(film), "--limit", "3", "--jsonl", str(lines)]) == 0
    assert len(lines.read_text().splitlines()) == 3


def test_angles_of_a_hand_are_written_for_machines(tmp_path):
    hand, camera = ManoLayer.stand_in("left"), Camera(WIDTH, HEIGHT, 80.0, 80.0, 47.5, 31.5)
    out = hand(np.zeros((1, 3)), np.zeros((1, 45)), trans_m=np.array([[0.0, 0.0, 0.5]]))
    reading = Reading(np.zeros((21, 2)), np.ones(21), out.joints_m[0], out.vertices_m[0])
    lines = _show._Angles(tmp_path / "robot.jsonl")
    shot = Shot(3, 0.1, np.zeros((HEIGHT, WIDTH, 3), np.uint8), camera)
    lines.add(shot, [LiveHand(7, "left", (0.0, 0.0, 9.0, 9.0), reading)], 10.0)
    lines.close()
    about, row = (json.loads(line) for line in (tmp_path / "robot.jsonl").read_text().splitlines())
    assert about["unit"] == "rad"
    assert {joint["name"] for joint in about["joints"]} == set(row["angles_rad"])
    assert (row["index"], row["identity"], row["side"]) == (3, 7, "left")
    assert max(map(abs, row["angles_rad"].values())) < np.deg2rad(2.0)  # a flat hand


def test_angles_of_joints_in_the_image_alone_are_refused(film, bright, tmp_path, capsys):
    assert command.main(["any.onnx", "--video", str(film), "--angles", str(tmp_path / "robot.jsonl")]) == 2
    assert "space" in capsys.readouterr().err
    assert not (tmp_path / "robot.jsonl").exists()  # refused before anything began
    assert command.main(["any.onnx", "--video", str(film), "--ik-net", "net.onnx"]) == 2
    assert "--angles" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "word"),
    [([], "--camera"), (["--video", "a.mp4", "--sequence", "seq_001"], "--camera"), (["--video", "none.mp4"], "none")],
)
def test_it_says_what_is_wrong_with_the_source(flags, word, bright, capsys):
    assert command.main(["any.onnx", *flags]) == 2
    assert word in capsys.readouterr().err


def finder(monkeypatch, detector, simulated, mediapipe):
    """What `hoi-run` would take."""
    taken = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if mediapipe else None)
    monkeypatch.setattr(live, "open_finder", lambda path, threads=0: taken.append(Path(path).stem) or Bright())
    monkeypatch.setattr("hoi_core.shipped.path", lambda name: Path(f"{name}.onnx"))
    monkeypatch.setattr(
        "annotate.keypoints.mediapipe.HandsInImages.__enter__", lambda self: taken.append("mediapipe") or self
    )
    config = command.Config(model=Path("any.onnx"), detector=detector)
    with ExitStack() as stack:
        command._finder(config, "film", stack, simulated=simulated)
    return taken[0]


def test_a_detector_of_rendered_hands_is_the_default_for_rendered_hands_alone(monkeypatch):
    assert finder(monkeypatch, "", simulated=True, mediapipe=True) == "hand_detector"
    assert finder(monkeypatch, "", simulated=False, mediapipe=True) == "mediapipe"
    assert finder(monkeypatch, "shipped", simulated=False, mediapipe=True) == "hand_detector"
    assert finder(monkeypatch, "own.onnx", simulated=False, mediapipe=False) == "own"
    with pytest.raises(ConfigError, match="rendered") as error:
        finder(monkeypatch, "", simulated=False, mediapipe=False)
    assert "mediapipe" in str(error.value.hint)


def test_objects_are_drawn_and_written(tmp_path):
    camera = Camera(WIDTH, HEIGHT, 80.0, 80.0, 47.5, 31.5)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    shot = Shot(3, 0.1, image, camera, (SeenObject("mug", (20.0, 15.0, 60.0, 50.0)),))
    drawn = _show.overlay(shot, [], 10.0)
    assert drawn[30, 20].max() > 150
    assert image.max() == 0
    lines = _show._Lines(tmp_path / "hands.jsonl")
    lines.add(shot, [], 10.0)
    lines.close()
    told = json.loads((tmp_path / "hands.jsonl").read_text())
    assert told["objects"] == [{"object": "mug", "box_px": [20.0, 15.0, 60.0, 50.0]}]
