"""Scenes are pure functions of their number, and their labels lie on the picture."""

from types import SimpleNamespace

import numpy as np
import pytest

from dataset_tools.scenes import SceneMaker, maker
from dataset_tools.scenes.rooms import Rooms
from dataset_tools.synth.backdrops import Backdrops

SIZE = 64


@pytest.fixture(scope="module")
def scenes():
    """Two dozen scenes before plain backdrops; painting rooms and solving grasps takes seconds."""
    made = SceneMaker(SIZE, seed=5, grasping=0.0)
    made._rooms = SimpleNamespace(draw=lambda size_px, rng: np.full((size_px, size_px, 3), 90, np.uint8))
    return made, [made.make(k) for k in range(36)]


def test_a_scene_depends_on_its_number_alone(scenes):
    made, found = scenes
    again = made.make(7)
    assert (again.color == found[7].color).all()
    assert [h.box for h in again.hands] == [h.box for h in found[7].hands]
    assert (found[8].color != found[7].color).any()


def test_there_are_images_of_none_one_and_two_hands_of_either_side(scenes):
    _, found = scenes
    assert {len(scene.hands) for scene in found} == {0, 1, 2}
    assert {hand.side for scene in found for hand in scene.hands} == {"right", "left"}


def test_boxes_hold_the_joints_that_the_image_shows(scenes):
    _, found = scenes
    for hand in (hand for scene in found for hand in scene.hands):
        x0, y0, x1, y1 = hand.box
        assert -0.5 <= x0 <= x1 <= SIZE - 0.5
        assert -0.5 <= y0 <= y1 <= SIZE - 0.5
        inside = (np.abs(hand.joints_px - (SIZE - 1) / 2) < SIZE / 2).all(1)
        shown = hand.joints_px[inside]
        if len(shown):
            assert (shown >= (x0 - 1e-9, y0 - 1e-9)).all()
            assert (shown <= (x1 + 1e-9, y1 + 1e-9)).all()
        if inside.all():
            np.testing.assert_allclose((x0, y0), hand.joints_px.min(0))
            np.testing.assert_allclose((x1, y1), hand.joints_px.max(0))


def test_what_must_be_found_can_be_seen(scenes):
    """Before a plain backdrop, the box of a hand differs from it."""
    _, found = scenes
    clear = [(scene, hand) for scene in found for hand in scene.hands if hand.clear]
    assert len(clear) > 10
    for scene, hand in clear:
        x0, y0, x1, y1 = (round(v) for v in hand.box)
        part = scene.color[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1].astype(int)
        assert (np.abs(part - 90).max(-1) > 8).mean() > 0.1
        assert hand.visible >= 0.25


def test_hands_keep_apart(scenes):
    made, _ = scenes
    rng, gaps_m = np.random.default_rng(0), []
    for _ in range(6):
        camera, _ = maker._random_camera(SIZE, rng)
        shown = made._hands(camera, rng)
        if len(shown) == 2:
            gaps_m.append(np.linalg.norm(shown[0].hand.joints_m[:, None] - shown[1].hand.joints_m, axis=-1).min())
    assert gaps_m
    assert min(gaps_m) > 0.035


def test_rooms_are_painted_alike_each_time():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Backdrops, "draw", lambda self, size_px, rng: np.zeros((size_px, size_px, 3), np.uint8))
        seed = next(k for k in range(99) if np.random.default_rng(k).random() >= 0.5)  # a room, not another backdrop
        one, other = (Rooms(3).draw(48, np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == (48, 48, 3)
    assert (one == other).all()
    assert one.std() > 10
