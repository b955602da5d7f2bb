"""Opening a sequence that somebody else writes, and blind work."""

import pytest

from gui.annotate.ask import lock_box
from gui.annotate.words import agreement_words, blind_task
from gui.annotate_program import opened
from gui.annotate_window import AnnotateWindow
from gui.theme import DARK
from hoi_core.errors import SequenceError, StorageError

pytestmark = pytest.mark.gui
TAKEN = SequenceError("the labels of seq_001 are being written by maria.", "Close them there first.")


class Door:
    """A session behind a lock that is held for some tries; looking needs no lock."""

    def __init__(self, session, held):
        self.session, self.held, self.tries = session, held, []

    def open(self, look):
        self.tries.append(look)
        if not look and len(self.tries) <= self.held:
            raise TAKEN
        self.session.read_only = look
        return self.session


@pytest.mark.parametrize(
    ("held", "answers", "tries"),
    [(0, [], [False]), (9, ["look"], [False, True]), (2, ["again", "again"], [False] * 3), (9, ["close"], [False])],
)
def test_a_held_lock_is_asked_about(annotation_session, held, answers, tries):
    door, said = Door(annotation_session, held), iter(answers)
    session = opened(door.open, SequenceError, lambda error: next(said))
    assert door.tries == tries
    assert next(said, None) is None
    if "close" in answers:
        assert session is None
    else:
        assert session.read_only == ("look" in answers)


def test_other_errors_are_not_asked_about():
    def fail(_look):
        raise StorageError("the disk is full.", "Free some space.")

    with pytest.raises(StorageError):
        opened(fail, SequenceError, lambda error: "again")


def test_the_question_names_the_writer_and_offers_to_look(qtbot):
    box, answers = lock_box(TAKEN, can_look=True)
    qtbot.addWidget(box)
    assert "maria" in box.text()
    assert answers[box.defaultButton()] == "look"
    assert answers[box.escapeButton()] == "close"
    blind, answers = lock_box(TAKEN, can_look=False)
    qtbot.addWidget(blind)
    assert sorted(answers.values()) == ["again", "close"]


def test_blind_work_says_what_to_do_and_how_far_it_agrees(qtbot, annotation_session):
    annotation_session.blind, annotation_session.to_repeat = True, (3, 9)
    window = AnnotateWindow(annotation_session, DARK)
    window.ask_before_closing = lambda: "later"
    qtbot.addWidget(window)
    window.show()
    assert "E goes through the 2 frames" in window.banner.hint.text()
    annotation_session.set_status(range(40), "accepted")
    assert window.words.suggest() is None
    assert window.words.suggested.text() == "All 2 frames are labelled a second time."
    window.shop.save()
    qtbot.waitUntil(lambda: annotation_session.revision_name == "r002" and not window.work.running)
    assert window.banner.title.text() == "Saved as r002, beside the labels."
    assert "Over 2 frames your joints are 3.2 mm" in window.banner.hint.text()
    # A figure that a person wants to write down does not go by itself.
    assert not window.banner._timer.isActive()
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())


def test_nothing_drawn_and_nothing_labelled_twice_are_said(annotation_session):
    assert "Nobody has checked" in blind_task(annotation_session)
    assert "No frame is labelled twice" in agreement_words(annotation_session.agreement("r002"))
