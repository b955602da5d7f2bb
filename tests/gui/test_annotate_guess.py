"""The annotation window asks a network for hand and object of a frame: one step by one key, and what came of it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from gui.qt import Qt
from hoi_core.errors import ConfigError
from hoi_core.types import ObjectTrack, Revision

pytestmark = pytest.mark.gui


@dataclass(frozen=True)
class Guess:
    revision: Revision
    told: str
    text: str = "Guess frame 3"


class Guesser:
    """Moves the cup of a frame, believes nothing, or refuses."""

    def __init__(self):
        self.asked, self.answer = [], "guess"

    def guess(self, session, side, frame, name):
        self.asked.append((side, frame, name))
        if self.answer == "refuse":
            raise ConfigError("nothing says where the hand is.", "Click six joints.")
        if self.answer == "nothing":
            return Guess(session.revision, "The network is not sure.")
        cup = session.revision.objects["o01"]
        T = cup.T_world_obj.copy()
        T[frame, 2, 3] = 0.5
        objects = {"o01": ObjectTrack(T, cup.valid, cup.status)}
        return Guess(replace(session.revision, objects=objects), "o01 is a guess.")


@pytest.fixture
def guesser():
    return Guesser()


@pytest.fixture
def window(qtbot, annotate_in, annotation_session, guesser):
    made = annotate_in(annotation_session, guesser=guesser)
    qtbot.waitUntil(lambda: made.views["left"].has_image)
    return made


def ask(qtbot, window):
    qtbot.keyClick(window, Qt.Key_J)
    qtbot.waitUntil(lambda: not window.work.running)


def test_a_guess_is_one_step_and_told(qtbot, window, annotation_session, guesser):
    window.go_to(3)
    ask(qtbot, window)
    assert guesser.asked == [("right", 3, "o01")]
    assert annotation_session.object_pose("o01", 3)[2, 3] == 0.5
    assert "o01 is a guess" in window.banner.title.text()
    qtbot.keyClick(window, Qt.Key_Z, Qt.ControlModifier)
    assert annotation_session.object_pose("o01", 3)[2, 3] == 0.0


@pytest.mark.parametrize(("answer", "words"), [("nothing", "not sure"), ("refuse", "Nothing says")])
def test_what_is_not_believed_changes_nothing(qtbot, window, annotation_session, guesser, answer, words):
    guesser.answer = answer
    before = annotation_session.revision
    ask(qtbot, window)
    assert annotation_session.revision is before
    assert words in window.banner.title.text()


def test_without_a_network_it_says_how_to_name_one(qtbot, annotate_in, annotation_session):
    window = annotate_in(annotation_session)
    window.actions_by_id["label.guess"].trigger()
    assert "network" in window.banner.title.text()
    assert "--grasp-model" in window.banner.hint.text()
    assert np.isfinite(annotation_session.revision.residuals["depth_m"]).all()
