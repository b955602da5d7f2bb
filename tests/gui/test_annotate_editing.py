"""Correcting labels in the annotation window, by pointer and by keys alone, over labels in memory."""

import numpy as np
import pytest

from gui import theme
from gui.annotate.hand_map import HandMap, JointStates
from gui.annotate.palette import Palette, match
from gui.annotate.scene import Orbit, Scene, draw_scene, surface_point_m
from gui.annotate_actions import ACTIONS
from gui.qt import Qt, QtCore, QtGui, QtWidgets
from hoi_core.conventions import joint_words
from hoi_core.draw import world_to_pixels
from hoi_core.types import MARKS

pytestmark = pytest.mark.gui


@pytest.fixture
def window(qtbot, annotate_in, annotation_session):
    made = annotate_in(annotation_session)
    qtbot.waitUntil(lambda: made.views["left"].has_image)
    return made


def keys(qtbot, window, *presses):
    for key, modifier in presses:
        qtbot.keyClick(window, key, modifier)


def move_pointer(widget, pos):
    """A move with the left button held; the offscreen platform makes none of a moved cursor."""
    where = widget.mapToGlobal(pos)
    event = QtGui.QMouseEvent(
        QtCore.QEvent.MouseMove, QtCore.QPointF(pos), QtCore.QPointF(where), Qt.NoButton, Qt.LeftButton, Qt.NoModifier
    )
    QtWidgets.QApplication.sendEvent(widget, event)


def place_of(window, view, joint, *, evidence=False):
    canvas, marks = window.views[view], window.views[view].picture.hands[0]
    places = marks.evidence_px[:, :2] if evidence else marks.joints_px
    return QtCore.QPoint(*np.round(canvas.to_widget(places[joint])).astype(int).tolist())


def point(session, frame, view, joint, side="right"):
    return session.revision.keypoints[side].by_view[view][frame, joint]


def mark(session, frame, view, joint):
    return session.revision.keypoints["right"].marks[view][frame, joint]


def test_a_joint_is_dragged_with_the_pointer_and_the_drag_undone(qtbot, window, annotation_session):
    window.actions_by_id["view.follow"].setChecked(False)
    window.follow_toggled()
    window._draw()
    canvas, before = window.views["left"], point(annotation_session, 0, "left", 8).copy()
    start = place_of(window, "left", 8, evidence=True)
    joint = canvas.joint_at(QtCore.QPointF(start))[1]
    qtbot.mousePress(canvas, Qt.LeftButton, pos=start)
    assert window.selection.joint == joint
    for step in range(1, 6):
        move_pointer(canvas, start + QtCore.QPoint(6 * step, 3 * step))
    qtbot.waitUntil(lambda: len(window.gripper.latencies_s) > 0)
    qtbot.mouseRelease(canvas, Qt.LeftButton, pos=start + QtCore.QPoint(30, 15))
    assert annotation_session.drags[-1].ended == "finished"
    wanted = canvas.to_image(QtCore.QPointF(start + QtCore.QPoint(30, 15)))
    assert point(annotation_session, 0, "left", joint)[:2] == pytest.approx(wanted)
    assert annotation_session.statuses()[0] == "edited"
    window.actions_by_id["edit.undo"].trigger()
    if joint == 8:
        assert np.array_equal(point(annotation_session, 0, "left", 8), before)
    assert not annotation_session.dirty


def test_objects_stay_in_sight_while_a_joint_is_dragged(qtbot, window):
    window.go_to(3)
    keys(qtbot, window, (Qt.Key_2, Qt.NoModifier), (Qt.Key_Right, Qt.AltModifier))
    qtbot.waitUntil(lambda: len(window.gripper.latencies_s) > 0)
    picture = window.views["left"].picture
    assert picture.behind is not None
    # The cup alone: it covers less than the hand, which is another mesh.
    assert picture.behind.box_px != picture.overlay.box_px
    keys(qtbot, window, (Qt.Key_Escape, Qt.NoModifier))
    qtbot.waitUntil(lambda: window.views["left"].picture.behind is None)


def test_a_press_without_a_move_only_chooses(qtbot, window, annotation_session):
    canvas = window.views["left"]
    qtbot.mouseClick(canvas, Qt.LeftButton, pos=place_of(window, "left", 12, evidence=True))
    assert window.selection.joint is not None
    assert annotation_session.drags[-1].ended == "cancelled"
    assert not annotation_session.dirty


def test_a_drag_that_fails_says_why_and_changes_nothing(qtbot, window, annotation_session):
    annotation_session.fail_drag = True
    keys(qtbot, window, (Qt.Key_2, Qt.NoModifier), (Qt.Key_Right, Qt.AltModifier))
    qtbot.waitUntil(window.banner.isVisible)
    assert window.banner.title.text() == "The hand cannot follow."
    qtbot.waitUntil(lambda: not window.gripper.held)
    assert not annotation_session.dirty


def test_keys_move_a_joint_by_pixels_as_one_step(qtbot, window, annotation_session):
    before = point(annotation_session, 0, "left", 5).copy()
    keys(qtbot, window, (Qt.Key_2, Qt.NoModifier))
    assert window.selection.joint == 5
    keys(qtbot, window, *[(Qt.Key_Right, Qt.AltModifier)] * 3, (Qt.Key_Up, Qt.AltModifier | Qt.ShiftModifier))
    qtbot.waitUntil(lambda: not window.gripper.held)
    assert point(annotation_session, 0, "left", 5)[:2] == pytest.approx([before[0] + 3.0, before[1] - 10.0])
    assert len(annotation_session.done) == 1
    keys(qtbot, window, (Qt.Key_Z, Qt.ControlModifier))
    assert np.array_equal(point(annotation_session, 0, "left", 5), before)


def test_escape_lets_go_without_a_change(qtbot, window, annotation_session):
    keys(qtbot, window, (Qt.Key_2, Qt.NoModifier), (Qt.Key_Right, Qt.AltModifier), (Qt.Key_Escape, Qt.NoModifier))
    assert not window.gripper.held
    assert not annotation_session.dirty


def test_joints_are_chosen_by_fingers_and_tab(qtbot, window):
    chosen = window.selection
    keys(qtbot, window, (Qt.Key_1, Qt.NoModifier), (Qt.Key_1, Qt.NoModifier))
    assert joint_words(chosen.joint) == "thumb middle"
    keys(qtbot, window, *[(Qt.Key_1, Qt.NoModifier)] * 3)
    assert joint_words(chosen.joint) == "thumb base"
    keys(qtbot, window, (Qt.Key_5, Qt.NoModifier), (Qt.Key_Tab, Qt.NoModifier))
    assert joint_words(chosen.joint) == "little middle"
    keys(qtbot, window, (Qt.Key_0, Qt.NoModifier), (Qt.Key_Backtab, Qt.ShiftModifier))
    assert joint_words(chosen.joint) == "little tip"
    keys(qtbot, window, (Qt.Key_Escape, Qt.NoModifier))
    assert chosen.joint is None


def test_keys_lock_occlude_and_remove(qtbot, window, annotation_session):
    keys(qtbot, window, (Qt.Key_3, Qt.NoModifier), (Qt.Key_L, Qt.NoModifier), (Qt.Key_O, Qt.NoModifier))
    assert annotation_session.revision.locked["right"][0].nonzero()[0].tolist() == [9]
    assert mark(annotation_session, 0, "left", 9) & MARKS["occluded"]
    keys(qtbot, window, (Qt.Key_O, Qt.NoModifier), (Qt.Key_L, Qt.NoModifier))
    assert not annotation_session.revision.locked["right"].any()
    assert not mark(annotation_session, 0, "left", 9)
    keys(qtbot, window, (Qt.Key_Q, Qt.NoModifier), (Qt.Key_Delete, Qt.NoModifier))
    assert np.isnan(point(annotation_session, 0, "right", 9)[0])
    assert np.isfinite(point(annotation_session, 0, "left", 9)[0])
    keys(qtbot, window, (Qt.Key_L, Qt.ShiftModifier))
    assert annotation_session.revision.locked["right"][0].sum() == 20


def test_clicks_place_one_joint_after_another(qtbot, window, annotation_session):
    window.selection.choose_side("left")
    keys(qtbot, window, (Qt.Key_P, Qt.NoModifier))
    canvas = window.views["right"]
    wanted = []
    for n in range(3):
        pos = QtCore.QPoint(100 + 30 * n, 200)
        wanted.append(canvas.to_image(QtCore.QPointF(pos)))
        qtbot.mouseClick(canvas, Qt.LeftButton, pos=pos)
    for joint in range(3):
        assert point(annotation_session, 0, "right", joint, "left")[:2] == pytest.approx(wanted[joint])
    assert window.selection.joint == 3
    keys(qtbot, window, (Qt.Key_Escape, Qt.NoModifier))
    assert not window.selection.placing


def test_joints_are_placed_by_keys_alone(qtbot, window, annotation_session):
    keys(qtbot, window, (Qt.Key_H, Qt.NoModifier), (Qt.Key_4, Qt.NoModifier), (Qt.Key_P, Qt.NoModifier))
    start = window.keys.cursor_px()
    keys(qtbot, window, (Qt.Key_Right, Qt.AltModifier), (Qt.Key_Down, Qt.AltModifier | Qt.ShiftModifier))
    assert window.views["left"].cursor_px is not None
    keys(qtbot, window, (Qt.Key_Return, Qt.NoModifier))
    assert point(annotation_session, 0, "left", 13, "left")[:2] == pytest.approx((start[0] + 1, start[1] + 10))


def test_the_epipolar_line_of_the_chosen_joint_is_in_the_other_view(qtbot, window, annotation_session):
    keys(qtbot, window, (Qt.Key_2, Qt.NoModifier))
    qtbot.waitUntil(lambda: len(window.views["right"].epipolar_px) == 2)
    assert window.views["right"].epipolar_px[:, 1] == pytest.approx(point(annotation_session, 0, "left", 5)[1])
    assert len(window.views["left"].epipolar_px) == 0


def test_labels_are_copied_swapped_filled_and_removed(qtbot, window, annotation_session):
    window.go_to(7)
    keys(qtbot, window, (Qt.Key_C, Qt.NoModifier))
    assert annotation_session.statuses()[7] == "edited"
    keys(qtbot, window, (Qt.Key_I, Qt.NoModifier))
    assert "keyframe on both sides" in window.banner.title.text()
    annotation_session.set_status([20], "accepted")
    window.go_to(12)
    keys(qtbot, window, (Qt.Key_I, Qt.NoModifier))
    assert annotation_session.undo_text == "Interpolate 7 to 20"
    keys(qtbot, window, (Qt.Key_F, Qt.NoModifier))
    qtbot.waitUntil(lambda: annotation_session.undo_text == "Refit 7 to 20")
    qtbot.waitUntil(lambda: not window.work.running)
    keys(qtbot, window, (Qt.Key_H, Qt.ControlModifier))
    assert np.isfinite(point(annotation_session, 0, "left", 0, "left")[0])
    keys(qtbot, window, (Qt.Key_Delete, Qt.ControlModifier))
    assert annotation_session.statuses()[12] == "none"


def test_a_comment_is_written_by_keys_and_listed(qtbot, window, annotation_session):
    keys(qtbot, window, (Qt.Key_T, Qt.NoModifier))
    qtbot.keyClicks(window.info.comment, "blurred a lot")
    assert annotation_session.revision.comments == {}
    qtbot.keyClick(window.info.comment, Qt.Key_Return)
    assert annotation_session.revision.comments == {0: "blurred a lot"}
    window.tabs.review.show_kind("comments")
    assert "blurred a lot" in window.tabs.review.list.item(0).text()
    assert "blurred a lot" in window.timeline.words(0)


def test_a_comment_stays_with_its_frame_when_another_is_shown(qtbot, window, annotation_session):
    keys(qtbot, window, (Qt.Key_T, Qt.NoModifier))
    qtbot.keyClicks(window.info.comment, "here")
    window.go_to(5)
    assert annotation_session.revision.comments == {0: "here"}
    assert window.info.comment.text() == ""


def test_an_object_is_marked_and_moved_by_keys(qtbot, window, annotation_session):
    keys(qtbot, window, (Qt.Key_U, Qt.NoModifier), (Qt.Key_BracketRight, Qt.NoModifier))
    keys(qtbot, window, (Qt.Key_Return, Qt.NoModifier))
    marked = annotation_session.revision.object_points["o01"]
    assert marked.view == ("left",)
    assert marked.point_m[0] == pytest.approx(window.panes.mesh_points_m[0])
    keys(qtbot, window, (Qt.Key_Delete, Qt.ShiftModifier))
    assert len(annotation_session.revision.object_points["o01"].moment) == 0
    keys(qtbot, window, (Qt.Key_P, Qt.ShiftModifier))
    assert "four marked points" in window.banner.title.text()
    keys(qtbot, window, (Qt.Key_Escape, Qt.NoModifier), (Qt.Key_Escape, Qt.NoModifier), (Qt.Key_Y, Qt.NoModifier))
    keys(qtbot, window, (Qt.Key_Right, Qt.AltModifier))
    assert annotation_session.undo_text == "Move camera:left"
    assert annotation_session.object_pose("o01", 0)[0, 3] == pytest.approx(0.001)
    keys(qtbot, window, (Qt.Key_Y, Qt.ShiftModifier), (Qt.Key_PageUp, Qt.AltModifier))
    assert annotation_session.undo_text == "Move object"
    assert annotation_session.object_pose("o01", 0)[2, 3] == pytest.approx(0.001)


def test_labels_that_can_only_be_looked_at_stay(annotate_in, annotation_session):
    annotation_session.read_only = True
    window = annotate_in(annotation_session, theme.LIGHT)
    for name, action in window.actions_by_id.items():
        if action.isEnabled() and not name.startswith(("file.quit", "help.", "frame.choose")):
            action.trigger()
    assert not annotation_session.dirty
    assert window.words.kept.text() == "read only"


def test_the_palette_finds_an_action_by_a_few_letters(qtbot, window, annotation_session):
    palette = Palette(window, ACTIONS, window.actions_by_id)
    qtbot.addWidget(palette)
    palette.search("rejct")
    assert palette.list.item(0).data(Qt.UserRole) == "label.reject"
    palette._run(palette.list.item(0))
    qtbot.waitUntil(lambda: annotation_session.statuses()[0] == "rejected")
    assert match("xyz", "Accept") is None
    assert match("ac", "Accept") > match("ac", "Place by clicks")


def test_the_palette_lists_what_begins_or_holds_the_letters_and_not_what_strews_them(qtbot, window):
    palette = Palette(window, ACTIONS, window.actions_by_id)
    qtbot.addWidget(palette)
    palette.search("ref")
    ids = [palette.list.item(n).data(Qt.UserRole) for n in range(palette.list.count())]
    assert ids[:2] == ["label.refit", "view.wire"]
    assert "label.swap" not in ids
    assert palette.tip.text() == window.actions_by_id["label.refit"].statusTip()
    palette.search("")
    assert palette.list.count() > 60
    palette.search("qqq")
    assert palette.list.count() == 0
    assert "No action" in palette.tip.text()


def test_a_scene_that_was_moved_stays_so_beside_the_hand_until_a_double_click(qtbot, window):
    qtbot.waitUntil(lambda: window.panes._at_home)
    scene = window.panes.scene
    before = np.array(scene.orbit.centre_m)
    assert before == pytest.approx(scene.home.centre_m)
    scene.set_orbit(scene.orbit.shifted(0.03, 0.01))
    moved = np.array(scene.orbit.centre_m) - before
    assert np.linalg.norm(moved) > 0.02
    window.go_to(12)
    window._draw()
    assert not np.allclose(scene.home.centre_m, before)
    assert np.array(scene.orbit.centre_m) - scene.home.centre_m == pytest.approx(moved)
    qtbot.mouseDClick(scene, Qt.LeftButton, pos=scene.rect().center())
    assert scene.orbit.centre_m == scene.home.centre_m


def test_no_key_does_two_things():
    taken = [key for action in ACTIONS for key in action.keys]
    assert len(set(taken)) == len(taken)
    # Everything but choosing colours of the screen or quitting has a key, so a pointer is never needed.
    assert all(action.keys for action in ACTIONS)


def test_a_scene_shows_near_points_over_far_ones_and_tells_where_a_mesh_is():
    orbit = Orbit(distance_m=0.5)
    camera = orbit.camera(200, 160)
    assert world_to_pixels(camera, np.zeros((1, 3)))[0] == pytest.approx([99.5, 79.5])
    towards = camera.T_world_cam[:3, 3]
    points = np.array([0.2 * towards, 0.6 * towards])
    colours = np.array([[255, 0, 0], [0, 255, 0]], np.uint8)
    picture, _ = draw_scene(Scene(points, colours, []), camera, (0, 0, 0))
    assert picture[80, 100].tolist() == [0, 255, 0]
    from gui.annotate.picture import Body

    side, up = camera.T_world_cam[:3, 0], camera.T_world_cam[:3, 1]
    quad = 0.05 * np.array([-side - up, side - up, side + up, -side + up])
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    _, surface_m = draw_scene(Scene(points[:0], colours[:0], [Body(quad, faces, (9, 9, 9))]), camera, (0, 0, 0))
    assert surface_point_m(camera, surface_m, 100, 80) == pytest.approx([0, 0, 0], abs=2e-3)
    assert surface_point_m(camera, surface_m, 0, 0) is None


def test_the_hand_map_tells_joints_apart_and_mirrors_a_left_hand(qtbot):
    made = HandMap(theme.DARK)
    qtbot.addWidget(made)
    made.resize(300, 220)
    states = JointStates(np.ones((2, 21)), np.ones((2, 21), bool), np.zeros((2, 21), bool), np.zeros(21, bool))
    made.show_states(states, "right", 4)
    right = made.places()
    assert [made.joint_at(*at) for at in right] == list(range(21))
    made.show_states(states, "left", 4)
    assert made.places()[4, 0] == pytest.approx(made.width() - right[4, 0])
