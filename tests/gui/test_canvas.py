"""What a canvas paints, how often, and that what it keeps is never an old picture."""

from dataclasses import replace

import numpy as np
import pytest

from gui import theme
from gui.annotate.canvas import Canvas
from gui.annotate.picture import HandMarks, Overlay, Picture
from gui.annotate.selection import Selection

pytestmark = pytest.mark.gui
NOTHING, EVERYWHERE = np.zeros(21, bool), np.ones(21, bool)


def hand(shift=0.0):
    joints = np.stack([10 + 2 * np.arange(21), 8 + 1.5 * np.arange(21)], -1) + shift
    evidence = np.concatenate([joints + 1.0, np.full((21, 1), 0.8)], -1)
    return HandMarks("right", joints, evidence, NOTHING, NOTHING, NOTHING)


def picture(level=60, shift=0.0):
    image = np.full((48, 64, 3), level, np.uint8)
    mesh = np.zeros((10, 12, 4), np.uint8)
    mesh[2:8, 2:10] = (40, 90, 120, 160)
    over = Overlay(mesh, (20.0 + shift, 20.0, 12.0, 10.0))
    return Picture(image, over, hands=(hand(shift),), ellipse=(30.0, 20.0, 9.0, 4.0, 30.0))


def cup(x=8.0):
    """A mesh that stays while the hand is dragged."""
    return Overlay(np.full((10, 12, 4), 120, np.uint8), (x, 26.0, 12.0, 10.0))


@pytest.fixture
def make(qtbot, annotation_session):
    chosen = Selection(annotation_session)

    def made():
        canvas = Canvas(theme.DARK, "left", chosen)
        qtbot.addWidget(canvas)
        canvas.resize(240, 210)
        return canvas

    return made


def shot(canvas):
    """(H, W, 4) as it is painted now."""
    image = canvas.grab().toImage()
    bits = image.constBits()
    bits.setsize(image.byteCount())
    return np.frombuffer(bits, np.uint8).reshape(image.height(), image.width(), 4).copy()


CHANGES = {
    "another image": lambda c: c.set_picture(picture(level=90)),
    "a moved hand": lambda c: c.set_picture(picture(shift=5.0)),
    "a cup behind": lambda c: c.set_picture(replace(c.picture, behind=cup())),
    "a cup that moved": lambda c: c.set_picture(replace(c.picture, behind=cup(30.0))),
    "zoom": lambda c: c.look_at(0.4, 0.5, 2.0),
    "size": lambda c: c.resize(300, 180),
    "a joint": lambda c: c._selection.choose_joint(8),
    "a held joint": lambda c: c.set_held("right", 4, (40.0, 12.0)),
    "a held joint that moved": lambda c: c.set_held("right", 4, (44.0, 15.0)),
    "an epipolar line": lambda c: c.set_epipolar(np.array([[0.0, 3.0], [30.0, 20.0], [60.0, 30.0]])),
    "the joint let go": lambda c: c.let_go(),
    "the same image with other labels": lambda c: c.set_picture(replace(c.picture, overlay=None, hands=())),
    "a state": lambda c: c.set_state("good", "image 3"),
    "colours": lambda c: c.set_theme(theme.LIGHT),
    "no image": lambda c: c.set_picture(Picture()),
}


def test_what_is_kept_is_never_an_old_picture(make):
    canvas = make()
    canvas.set_picture(picture())
    before = shot(canvas)
    done = []
    for name, change in CHANGES.items():
        change(canvas)
        done.append(change)
        now, fresh = shot(canvas), make()
        # A canvas that never painted anything before, brought to the same state.
        fresh.set_picture(picture())
        for again in done:
            again(fresh)
        assert np.array_equal(now, shot(fresh)), name
        assert now.shape != before.shape or not np.array_equal(now, before), name
        before = now


def test_a_pointer_that_moves_paints_neither_image_nor_meshes_nor_hands_again(make, monkeypatch):
    painted = []
    for name in ("_paint_image", "_paint_overlay", "_paint_hand"):
        whole = getattr(Canvas, name)
        monkeypatch.setattr(
            Canvas, name, lambda self, *rest, name=name, whole=whole: (painted.append(name), whole(self, *rest))
        )
    canvas = make()
    canvas.set_picture(picture())
    canvas.set_held("right", 4, (40.0, 12.0))
    shot(canvas)
    assert sorted(painted) == ["_paint_hand", "_paint_image", "_paint_overlay"]
    for n in range(5):
        canvas.set_held("right", 4, (40.0 + n, 12.0))
        shot(canvas)
    assert len(painted) == 3
    canvas.set_picture(replace(canvas.picture, hands=(hand(2.0),)))
    shot(canvas)
    assert painted.count("_paint_image") == 1
    assert painted.count("_paint_hand") == 2
    # What stays behind a hand that follows is painted once, the hand's own mesh with every picture.
    canvas.set_picture(replace(canvas.picture, behind=cup()))
    shot(canvas)
    before = painted.count("_paint_overlay")
    canvas.set_picture(replace(canvas.picture, overlay=picture(shift=3.0).overlay))
    shot(canvas)
    assert painted.count("_paint_overlay") == before + 1


def test_a_held_joint_is_under_the_pointer_and_not_where_its_evidence_was(make):
    canvas = make()
    nowhere = np.full((21, 2), np.nan)
    canvas.set_picture(replace(picture(), overlay=None, ellipse=None, hands=(replace(hand(), joints_px=nowhere),)))
    plain = shot(canvas)
    canvas.set_held("right", 4, (50.0, 10.0))
    x, y = canvas.to_widget(np.array([50.0, 10.0])).round().astype(int)
    old_x, old_y = canvas.to_widget(canvas.picture.hands[0].evidence_px[4, :2]).round().astype(int)
    held = shot(canvas)
    assert not np.array_equal(held[y, x], plain[y, x])
    assert not np.array_equal(held[old_y, old_x], plain[old_y, old_x])
    canvas.let_go()
    assert np.array_equal(shot(canvas), plain)


def test_a_joint_is_not_marked_as_chosen_while_keys_move_the_object(make):
    canvas = make()
    canvas.set_picture(picture())
    plain = shot(canvas)
    canvas._selection.choose_joint(8)
    assert not np.array_equal(shot(canvas), plain)
    canvas._selection.set_target("object")
    assert np.array_equal(shot(canvas), plain)
