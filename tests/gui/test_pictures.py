"""What is shown of each kind of frame."""

import numpy as np
import pytest

from gui.pictures import fit, picture, source
from hoi_core import edges
from hoi_core.draw import HOLE_COLOUR
from hoi_core.types import Frame


def frame(stream, image):
    return Frame(stream, 1, 0, 0, "host", image)


def test_depth_is_coloured_and_a_hole_stays_a_hole():
    image = np.repeat(np.array([[0, 400, 900]], np.uint16), 3, axis=0)
    made = picture(frame("left/depth", image), "depth", 0.001, (6, 6))
    assert made.shape == (6, 6, 3)
    assert tuple(made[0, 0]) == HOLE_COLOUR
    assert made[0, 2, 0] > made[0, 5, 0]
    # Nothing is invented between a hole and what stands beside it.
    assert len(np.unique(made.reshape(-1, 3), axis=0)) == 3


def test_edges_of_the_sensor_are_made_brighter():
    made = picture(frame("edge128/edge", np.array([[0, 50, 200]], np.uint8)), "edge", None, (3, 1))
    assert made.tolist() == [[0, 150, 255]]


def test_gray_and_edges_of_a_camera_come_from_its_colour():
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, 320:] = (200, 30, 90)
    gray = picture(frame("left/color", image), "gray", None, (640, 480))
    assert gray.shape == (480, 640)
    assert int(gray[0, 600]) == round(0.299 * 200 + 0.587 * 30 + 0.114 * 90)
    edge = picture(frame("left/color", image), "edge", None, (640, 480))
    assert set(np.flatnonzero(edge[100])) == set(np.flatnonzero(edges.sobel_edges(gray)[100])) != set()


@pytest.mark.parametrize(("room", "size"), [((400, 400), (400, 300)), ((1000, 300), (400, 300)), ((1, 1), (1, 1))])
def test_a_picture_keeps_its_shape(room, size):
    assert fit(640, 480, room) == size


def test_the_stream_behind_a_picture():
    names = frozenset({"left/color", "left/depth", "edge128/gray", "edge128/edge"})
    assert source("left", "edge", names) == "left/color"
    assert source("edge128", "edge", names) == "edge128/edge"
    assert source("left", "infrared", names) == ""
    assert source("edge128", "depth", names) == ""
