"""The detector that comes with the project: small, described, and it finds hands."""

import numpy as np
import pytest

from hoi_core import boxes, shipped
from hoi_core import camera as cameras
from hoi_core.crop import box_of
from hoi_core.detect import DetectorModel
from hoi_core.errors import AssetError
from hoi_core.mano import ManoLayer
from hoi_core.render import Light, Mesh, render_color
from hoi_core.rotation import exp_so3, log_so3
from hoi_core.runtime import load_as
from hoi_core.scene.skin import skin_colors
from hoi_core.types import Camera

CAMERA = Camera(320, 240, 300.0, 300.0, 159.5, 119.5, distortion_model="none")


@pytest.fixture(scope="module")
def detector():
    return load_as(DetectorModel, shipped.path(shipped.HAND_DETECTOR), threads=1)


def test_it_is_small_int8_and_has_a_card(detector):
    path = shipped.path(shipped.HAND_DETECTOR)
    assert path.stat().st_size < 3e6
    assert detector.sidecar.precision == "int8"
    assert detector.sidecar.hand_model == "stand-in"
    card = path.with_suffix(".md").read_text(encoding="utf8")
    assert "hoi-train --model hand_detector" in card
    assert "rendered" in card


def test_an_empty_picture_has_no_hands(detector):
    assert detector.detect(np.full((240, 320, 3), 120, np.uint8)) == []


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.5), (0.12, 0.06, 0.55), (-0.12, -0.05, 0.6)])
def test_a_rendered_hand_is_found_where_it_is(detector, place):
    layer = ManoLayer.stand_in("right")
    # Fingers up, all of them side by side.
    orient = log_so3(exp_so3(np.array([0.0, np.pi / 2, 0.0])) @ exp_so3(np.array([0.0, 0.0, np.pi / 2])))
    found = layer(orient[None], np.zeros((1, 45)), np.zeros((1, 10)), np.zeros((1, 3)))
    shift = np.array(place) - found.joints_m[0].mean(0)
    skin = skin_colors(layer, np.random.default_rng(0))
    mesh = Mesh(found.vertices_m[0] + shift, np.asarray(layer.closed_faces, np.int32), skin, 1)
    ground = np.full((240, 320, 3), (70, 90, 110), np.uint8)
    light = Light((0.3, -0.4, -0.85), (0.4, 0.4, 0.4), (0.7, 0.7, 0.7), 20.0, 0.2)
    image = render_color([mesh], CAMERA, light, ground, supersample=2)
    true = box_of(cameras.project(CAMERA, found.joints_m[0] + shift))
    hands = detector.detect(image)
    assert hands
    # Rough boxes will do: the joints that are read in one give the next.
    assert boxes.overlap(np.array([true]), np.array([hands[0].box]))[0, 0] > 0.3


def test_what_does_not_come_with_the_project_says_so():
    with pytest.raises(AssetError, match="nothing"):
        shipped.path("nothing")
