"""The annotation window over labels in memory."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from gui import annotate_window, theme
from gui.annotate.picture import Layers, base_image, bodies, overlay
from gui.frame_facts import facts, has_evidence, judge, keyframes, score, span_between, statuses
from gui.qt import Qt
from hoi_core.errors import StorageError
from hoi_core.types import STATUSES, HandKeypoints

pytestmark = pytest.mark.gui


@pytest.fixture
def window(annotate_in, annotation_session):
    return annotate_in(annotation_session)


def status(session, frame):
    return STATUSES[session.revision.hands["right"].status[frame]]


def trigger(window, *ids):
    for name in ids:
        window.actions_by_id[name].trigger()


def test_shows_both_views_with_the_hand(qtbot, window, annotation_session):
    qtbot.waitUntil(lambda: all(view.has_image for view in window.views.values()))
    qtbot.waitUntil(lambda: window.views["left"].picture.overlay is not None)
    picture = window.views["left"].picture
    assert (picture.image == 60).all()
    assert picture.image.shape == (48, 64, 3)
    assert picture.hands[0].side == "right"


def test_a_mesh_is_drawn_where_it_is_seen(annotation_session):
    shown = bodies(annotation_session, 0, Layers(objects=False))
    drawn = overlay(shown, annotation_session.camera("left"))
    left, top, width, height = drawn.box_px
    # The quad lies around the world's origin, which the camera has in its middle.
    assert left < 31.5 < left + width
    assert top < 23.5 < top + height
    assert drawn.rgba[..., 3].max() > 0
    assert overlay([], annotation_session.camera("left")) is None
    assert bodies(annotation_session, 7, Layers(objects=False)) == []
    assert base_image(annotation_session, "left", 0, Layers(depth=True)).shape == (48, 64, 3)


def test_steps_through_frames_and_stays_inside(window):
    trigger(window, "frame.ahead", "frame.ahead", "frame.back")
    assert window.frame == 1
    trigger(window, "frame.ahead_ten")
    assert window.frame == 11
    trigger(window, "frame.ahead_hundred")
    assert window.frame == 39
    trigger(window, "frame.back_hundred")
    assert window.frame == 0
    trigger(window, "frame.last", "frame.back_ten")
    assert window.frame == 29
    assert "Frame 29 of 40" in window.info.frame.text()
    assert "0.97 s" in window.info.frame.text()


def test_keys_step_and_judge(qtbot, window, annotation_session):
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key_Right)
    qtbot.keyClick(window, Qt.Key_Right, Qt.ShiftModifier)
    assert window.frame == 11
    qtbot.keyClick(window, Qt.Key_A)
    qtbot.keyClick(window, Qt.Key_X)
    assert (status(annotation_session, 11), status(annotation_session, 12)) == ("accepted", "rejected")
    qtbot.keyClick(window, Qt.Key_Z, Qt.ControlModifier)
    assert status(annotation_session, 12) == "auto"
    qtbot.keyClick(window, Qt.Key_K)
    qtbot.keyClick(window, Qt.Key_M)
    assert window.layers == Layers(mesh=False, keypoints=False)


def test_a_view_without_image_says_so(qtbot, window):
    window.go_to(9)
    qtbot.waitUntil(lambda: not window.views["right"].has_image)
    assert window.views["left"].has_image


def test_accept_and_reject_can_be_undone(window, annotation_session):
    trigger(window, "label.accept", "label.reject")
    assert window.frame == 2
    assert (status(annotation_session, 0), status(annotation_session, 1)) == ("accepted", "rejected")
    assert window.windowTitle().startswith("seq_001 *")
    trigger(window, "edit.undo", "edit.undo")
    assert (status(annotation_session, 0), status(annotation_session, 1)) == ("auto", "auto")
    trigger(window, "edit.redo")
    assert status(annotation_session, 0) == "accepted"


def test_a_frame_without_label_cannot_be_accepted(window, annotation_session):
    window.go_to(7)
    trigger(window, "label.accept")
    assert status(annotation_session, 7) == "none"
    assert window.frame == 7
    assert window.banner.isVisible()


def test_accept_all_good_takes_only_small_residuals(window, annotation_session):
    trigger(window, "label.accept_rest")
    residual = annotation_session.revision.residuals["reprojection_px"]
    accepted = np.array(statuses(annotation_session.revision, "right")) == "accepted"
    assert np.array_equal(accepted, (residual <= 3.0) & (np.arange(40) != 7))


def test_figures_take_over_other_colours(window):
    assert theme.DARK.good in window.info.values["Reprojection"].styleSheet()
    theme.dress(window, theme.LIGHT)
    for label in (window.info.values["Reprojection"], window.info.values["Depth"]):
        assert theme.LIGHT.good in label.styleSheet()
    assert theme.LIGHT.status("auto") in window.info.status.styleSheet()


def test_goes_to_the_suggestion_and_says_why(window, annotation_session):
    assert "frame 39 – far from any keyframe, expected error 4.2 mm" in window.words.suggested.text()
    trigger(window, "frame.suggest")
    assert window.frame == 39
    annotation_session.set_status(range(40), "accepted")
    trigger(window, "frame.suggest")
    assert window.frame == 39
    assert "No frame" in window.banner.title.text()


def test_save_writes_a_revision_in_the_background(qtbot, window, annotation_session):
    trigger(window, "label.accept", "file.save")
    qtbot.waitUntil(lambda: annotation_session.revision_name == "r002")
    qtbot.waitUntil(window.actions_by_id["file.save"].isEnabled)
    assert not window.windowTitle().startswith("seq_001 *")
    assert "r002" in window.banner.title.text()


def test_labels_cannot_change_while_a_revision_is_written(qtbot, window, annotation_session):
    writing, save = threading.Event(), annotation_session.save

    def slow_save(comment=""):
        writing.wait(20.0)
        return save(comment)

    annotation_session.save = slow_save
    changing = ("label.accept", "label.reject", "label.accept_rest", "edit.undo")
    trigger(window, "label.accept")
    assert all(window.actions_by_id[name].isEnabled() for name in changing)
    trigger(window, "file.save")
    assert not any(window.actions_by_id[name].isEnabled() for name in changing)
    writing.set()
    qtbot.waitUntil(lambda: all(window.actions_by_id[name].isEnabled() for name in changing))
    assert not window.actions_by_id["edit.redo"].isEnabled()
    assert annotation_session.revision_name == "r002"


def test_a_save_that_failed_says_so_and_can_be_done_again(qtbot, window, annotation_session):
    save = annotation_session.save

    def refuse(comment=""):
        raise StorageError("the disk is full.", "Free some space.")

    annotation_session.save = refuse
    trigger(window, "label.accept", "file.save")
    qtbot.waitUntil(window.banner.isVisible)
    assert window.banner.title.text() == "The disk is full."
    annotation_session.save = save
    qtbot.waitUntil(window.actions_by_id["file.save"].isEnabled)
    trigger(window, "file.save")
    qtbot.waitUntil(lambda: annotation_session.revision_name == "r002")


def test_work_is_counted_on_the_frame_it_was_done_at(window, annotation_session):
    window.edits.touch()
    counted = annotation_session.seconds.get(0, 0.0) + window.edits._portion_s
    window.edits._last_touch -= 3.0
    trigger(window, "frame.ahead")
    assert annotation_session.seconds[0] - counted == pytest.approx(3.0, abs=0.5)


def test_fit_runs_in_the_background_and_can_be_undone(qtbot, window, annotation_session):
    trigger(window, "label.fit")
    assert not window.actions_by_id["label.fit"].isEnabled()
    qtbot.waitUntil(window.actions_by_id["label.fit"].isEnabled)
    assert annotation_session.revision.comment == "fitted again"
    trigger(window, "edit.undo")
    assert annotation_session.revision.comment == ""


def test_a_failed_fit_shows_its_hint(qtbot, window, annotation_session):
    annotation_session.fail_fit = True
    trigger(window, "label.fit")
    qtbot.waitUntil(window.banner.isVisible)
    assert window.banner.title.text() == "Too few keypoints: 3."
    assert window.banner.hint.text() == "Click more."


def test_the_timeline_goes_where_it_is_clicked(window):
    timeline = window.timeline
    timeline.resize(1000, 140)
    middle = (40 + 1000 - 14) / 2
    assert timeline.frame_at(middle + 1) == 20
    assert timeline.frame_at(-5) == 0
    assert timeline.frame_at(2000) == 39
    timeline.chosen.emit(23)
    assert window.frame == 23


def test_playing_reaches_the_end_and_stops(qtbot, window):
    window.go_to(37)
    trigger(window, "frame.play")
    qtbot.waitUntil(lambda: window.frame == 39)
    qtbot.waitUntil(lambda: not window.player.playing)


def test_a_sequence_without_moments_can_be_looked_at(annotate_in, annotation_session):
    full = annotation_session.revision
    annotation_session.n_frames = 0
    annotation_session.revision = replace(
        full, t_ns=full.t_ns[:0], hands={}, objects={}, keypoints={}, frame_index={}, residuals={}
    )
    annotation_session.saved = annotation_session.revision
    window = annotate_in(annotation_session)
    trigger(window, "frame.play", "frame.ahead", "label.accept", "label.accept_rest", "frame.suggest")
    assert not window.player.playing
    assert window.frame == 0


def test_unsaved_work_is_asked_about(qtbot, annotation_session):
    window = annotate_window.AnnotateWindow(annotation_session, theme.LIGHT)
    qtbot.addWidget(window)
    window.show()
    window.judge("accepted")
    answers = iter(["stay", "save"])
    window.ask_before_closing = lambda: next(answers)
    window.close()
    assert window.isVisible()
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert annotation_session.revision_name == "r002"
    assert annotation_session.closed


def test_closing_cancels_a_fit(qtbot, annotation_session):
    window = annotate_window.AnnotateWindow(annotation_session, theme.LIGHT)
    qtbot.addWidget(window)
    window.show()
    window.shop.fit()
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert annotation_session.closed


def test_the_score_is_the_worse_residual_in_units_of_its_limit(annotation_session):
    revision = annotation_session.revision
    px = np.array([1.5, np.nan, 9.0, np.nan])
    m = np.array([0.01, 0.0025, np.nan, np.nan])
    small = replace(revision, residuals={"reprojection_px": px, "depth_m": m})
    assert score(small) == pytest.approx([2.0, 0.5, 3.0, np.nan], nan_ok=True)
    assert [judge(value) for value in score(small)] == ["warn", "good", "bad", "idle"]
    assert np.isnan(score(replace(revision, residuals={}))).all()


def test_moments_with_evidence_are_known(annotation_session):
    revision = annotation_session.revision
    points = np.full((40, 21, 3), np.nan)
    points[::5, 4] = 1.0
    assert np.flatnonzero(
        has_evidence(replace(revision, keypoints={"right": HandKeypoints({"left": points})}))
    ).tolist() == list(range(0, 40, 5))


def test_facts_of_a_frame(annotation_session):
    found = facts(annotation_session.revision, "right", 3)
    assert found.seconds == pytest.approx(0.1, abs=1e-6)
    assert found.sigma_mm == pytest.approx(2.0)
    assert found.depth_mm == pytest.approx(2.0)
    assert found.sources == (("fitted", 21),)
    assert found.evidence == (("left", 21), ("right", 21))
    missing = facts(annotation_session.revision, "right", 7)
    assert missing.status == "none"
    assert missing.sources == ()


def test_keyframes_and_the_span_between_them(annotation_session):
    annotation_session.set_status([3], "accepted")
    annotation_session.set_status([11], "edited")
    revision = annotation_session.revision
    assert keyframes(revision, "right").tolist() == [3, 11]
    assert keyframes(revision, "left").tolist() == []
    assert span_between(revision, "right", 5) == (3, 11)
    assert span_between(revision, "right", 3) == (3, 11)
    assert span_between(revision, "right", 11) is None
    assert span_between(revision, "right", 1) is None
