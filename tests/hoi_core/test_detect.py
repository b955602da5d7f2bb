"""Whole images go into the detector and boxes come back in their pixels."""

import numpy as np
import pytest

from hoi_core.detect import STRIDE, DetectorModel, Letterbox, boxes_of_cells, decoded, letterboxed
from hoi_core.edges import EdgeParams
from hoi_core.runtime import Sidecar

SIZE = 64


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (64, 64), (30, 20), (1280, 720)])
def test_a_place_in_the_square_is_the_same_place_in_the_image(width, height):
    image = np.zeros((height, width, 3), np.uint8)
    u, v = round(0.7 * width), round(0.3 * height)
    spread = max(width, height) // 32
    image[v - spread : v + spread + 1, u - spread : u + spread + 1] = 255
    square, place = letterboxed(image, SIZE)
    assert square.shape == (SIZE, SIZE, 3)
    weight = np.where((square == 114).all(-1), 0.0, square[..., 0].astype(float))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    middle = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    back = place.to_image(np.array([[*middle, *middle]]))[0]
    np.testing.assert_allclose(back, [u, v, u, v], atol=0.15 / place.scale)


def test_the_square_is_gray_beside_the_image():
    square, place = letterboxed(np.full((20, 40, 3), 200, np.uint8), SIZE)
    assert place == Letterbox(1.6, 0, 16)
    assert (square[:16] == 114).all()
    assert (square[16:48] == 200).all()
    assert (square[48:] == 114).all()


def test_cells_say_where_boxes_are():
    boxes = np.zeros((1, 4, 3, 5))
    boxes[0, :, 1, 2] = 0.5, -0.25, np.log(4.0), np.log(2.0)
    # The middle of cell (2, 1) is (19.5, 11.5) px; half a cell right, a quarter up; 32 x 16 px.
    np.testing.assert_allclose(boxes_of_cells(boxes)[0, 1, 2], [7.5, 1.5, 39.5, 17.5])


def outputs(*hands):
    """Centres, boxes and sides of hands (side, column, row, width px, score) in a grid of 8 x 8."""
    centres, boxes, sides = np.full((1, 8, 8), -9.0), np.zeros((4, 8, 8)), np.zeros((1, 8, 8))
    for side, u, v, width, score in hands:
        centres[0, v, u] = np.log(score / (1 - score))
        boxes[2:, v, u] = np.log(width / STRIDE)
        sides[0, v, u] = 1.0 if side == "right" else -1.0
    return centres, boxes, sides


def test_peaks_are_hands_and_their_slopes_are_not():
    found = decoded(*outputs(("right", 2, 2, 16, 0.9), ("right", 3, 2, 16, 0.8), ("left", 6, 6, 24, 0.7)), 0.5)
    assert [(side, round(score, 6)) for side, _, score in found] == [("right", 0.9), ("left", 0.7)]
    np.testing.assert_allclose(found[0][1], [11.5, 11.5, 27.5, 27.5])


def test_boxes_that_lie_on_each_other_are_one_hand():
    found = decoded(*outputs(("right", 2, 2, 60, 0.6), ("left", 4, 2, 60, 0.8)), 0.5)
    assert [side for side, *_ in found] == ["left"]
    apart = decoded(*outputs(("right", 2, 2, 30, 0.6), ("left", 5, 2, 30, 0.8)), 0.5)
    assert [side for side, *_ in apart] == ["left", "right"]


def test_what_is_unsure_is_left_out():
    assert decoded(*outputs(("right", 2, 2, 16, 0.4)), 0.5) == []


class Session:
    """A network that always says the same."""

    def __init__(self, *hands):
        self.says = [x[None].astype(np.float32) for x in outputs(*hands)]

    def run(self, names, feeds):
        assert names == ["centres", "boxes", "sides"]
        self.shown = feeds["image"]
        return self.says


def sidecar():
    return Sidecar(
        model="hand_detector", precision="fp32", sha256="", size=SIZE, edges=EdgeParams(), crop_scale=1.3,
        length_unit_m=0.2, root_unit_m=0.18, joint_order="openpose21", tips="smplx", side="right",
        hand_model="stand-in", licence="", task="detect", input="rgb",
    )  # fmt: skip


def test_boxes_come_back_in_pixels_of_the_image_cut_at_its_border():
    session = Session(("right", 4, 4, 16, 0.9), ("left", 0, 4, 32, 0.8))
    image = np.full((320, 640, 3), 255, np.uint8)
    found = DetectorModel(session, sidecar()).detect(image)
    assert [one.side for one in found] == ["right", "left"]
    # The square is a tenth of the image in size, which lies 16 rows below its upper edge.
    np.testing.assert_allclose(found[0].box, ((27.5 + 0.5) * 10 - 0.5, (27.5 - 16 + 0.5) * 10 - 0.5, 439.5, 279.5))
    assert found[1].box[0] == -0.5
    assert session.shown.shape == (1, 3, SIZE, SIZE)
    assert session.shown[0, :, 20:40].min() == session.shown[0, :, 20:40].max() == 1.0
    assert (abs(session.shown[0, :, :16] - (114 / 127.5 - 1)) < 1e-6).all()
    assert DetectorModel(session, sidecar()).detect(image, least_score=0.85) == found[:1]
