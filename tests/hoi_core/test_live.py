"""A follower finds hands when it must and reads those that it follows; shots come from videos and recordings."""

import threading
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hoi_core import shots
from hoi_core.detect import Detection
from hoi_core.errors import ConfigError, DeviceError
from hoi_core.live import Follower, Reading
from hoi_core.track import Settings
from hoi_core.types import Camera

WIDTH, HEIGHT = 160, 120
CAMERA = Camera(WIDTH, HEIGHT, 140.0, 140.0, 79.5, 59.5)
COLOURS = {"right": (255, 0, 0), "left": (0, 0, 255)}


def picture(**places):
    """Hands as squares of 24 px in the colour of their side."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for side, (x, y) in places.items():
        image[y - 12 : y + 12, x - 12 : x + 12] = COLOURS[side]
    return image


class ByColour:
    """Finds and reads the coloured squares."""

    least_confidence = 0.02
    in_space = False

    def __init__(self):
        self.looks = 0

    def detect(self, rgb):
        self.looks += 1
        found = []
        for side, colour in COLOURS.items():
            rows, columns = np.nonzero((rgb == colour).all(-1))
            if len(rows):
                found.append(Detection(side, (columns.min(), rows.min(), columns.max(), rows.max()), 0.9))
        return found

    def read(self, rgb, camera, box, side):
        x0, y0, x1, y1 = (max(round(v), 0) for v in box)
        rows, columns = np.nonzero((rgb[y0 : y1 + 1, x0 : x1 + 1] == COLOURS[side]).all(-1))
        if not len(rows):
            return Reading(np.full((21, 2), np.nan), np.zeros(21))
        middle = np.array([x0 + columns.mean(), y0 + rows.mean()])
        spread = np.random.default_rng(0).uniform(-12, 12, (21, 2))
        return Reading(middle + spread - spread.mean(0), np.ones(21))


def test_hands_are_found_once_and_followed_from_then_on():
    eyes = ByColour()
    follower = Follower(eyes, eyes, Settings(look_every=5))
    for k in range(20):
        hands = follower.step(picture(right=(20 + 3 * k, 40), left=(140 - 3 * k, 90)), CAMERA)
        # The second hand counts once it was found and read three times.
        assert [(hand.identity, hand.side) for hand in hands] == [(0, "right"), (1, "left")][: 2 if k > 1 else 1]
        np.testing.assert_allclose(hands[0].reading.joints_px.mean(0), [20 + 3 * k - 0.5, 39.5], atol=6)
    assert eyes.looks == 3 + 3  # until both hands are followed, and then every fifth frame


def test_a_hand_that_comes_later_is_found_while_one_is_followed():
    eyes = ByColour()
    follower = Follower(eyes, eyes)
    assert follower.step(picture(), CAMERA) == []
    assert len(follower.step(picture(left=(100, 50)), CAMERA)) == 1
    counts = [len(follower.step(picture(left=(100, 50), right=(30, 50)), CAMERA)) for _ in range(4)]
    assert counts == [1, 1, 2, 2]


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (WIDTH, HEIGHT))
    for k in range(6):
        writer.write(np.full((HEIGHT, WIDTH, 3), (0, 20 * k, 200), np.uint8))
    writer.release()
    return path


def test_a_video_gives_its_images_in_rgb_with_times_and_a_guessed_camera(video):
    with shots.open_video(video, 60.0) as film:
        taken = list(film.shots)
    assert (film.fps, film.count, len(taken)) == (20.0, 6, 6)
    assert [round(shot.t_s, 3) for shot in taken] == [0.0, 0.05, 0.1, 0.15, 0.2, 0.25]
    red, _, blue = taken[0].rgb.mean((0, 1))
    assert red > 180
    assert blue < 20
    # Half the width is seen under half the angle.
    assert taken[0].camera.fx == pytest.approx(80 / np.tan(np.pi / 6))


def test_shots_end_when_somebody_says_so_or_after_so_many(video):
    stop = threading.Event()
    with shots.open_video(video) as film:
        assert len(list(shots.until(stop, film.shots, 4))) == 4
    stop.set()
    with shots.open_video(video) as film:
        assert list(shots.until(stop, film.shots)) == []


def test_what_cannot_be_opened_says_so(tmp_path):
    with pytest.raises(DeviceError, match="nothing"), shots.open_video(tmp_path / "nothing.mp4"):
        pass
    with pytest.raises(ConfigError, match="degrees"), shots.open_video(tmp_path / "nothing.mp4", 0.0):
        pass


def test_objects_of_labels_come_with_the_images_that_show_them():
    corners = np.array([[x, y, z] for x in (-0.02, 0.02) for y in (-0.02, 0.02) for z in (0.0, 0.0)])
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 2, 3] = 0.56
    poses[1, 0, 3] = 5.0  # far beside the image
    labels = SimpleNamespace(
        objects={
            "mug": SimpleNamespace(T_world_obj=poses, valid=np.array([True, True, False])),
            "box": SimpleNamespace(T_world_obj=poses, valid=np.ones(3, bool)),
        }
    )
    seen = [shots.objects_at(CAMERA, labels, row, {"mug": corners}) for row in range(3)]
    assert [[thing.name for thing in each] for each in seen] == [["mug"], [], []]
    # 140 px * 0.02 / 0.56 = 5 px to either side of the middle.
    np.testing.assert_allclose(seen[0][0].box, (74.5, 54.5, 84.5, 64.5))
