"""A person's path through the annotation window, over a small real recording and the real session."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from annotate.session import AnnotationSession
from gui.qt import Qt, QtCore, QtGui, QtWidgets
from hoi_core.draw import world_to_pixels
from hoi_core.errors import SequenceError
from hoi_core.sequence import open_annotation, open_truth
from hoi_core.types import MARKS, STATUSES

pytestmark = [pytest.mark.gui, pytest.mark.slow]
MOMENTS, FRAME, INDEX_TIP = 12, 5, 8
CLICKED = (0, 1, 5, 9, 13, 17)
"""The six joints that the window asks for: the wrist and the bases of the five fingers."""


@pytest.fixture
def root(tmp_path):
    """A recording that nobody has labelled."""
    path = Path(__file__).parents[1] / "annotate" / "recording.py"
    spec = importlib.util.spec_from_file_location("gui_flow_recording", path)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    folder = tmp_path / "data" / "sequences" / "seq_001"
    module.record(folder, module.Take(moments=MOMENTS, start_s=1.2, scale=0.5, click_px=1.0))
    (folder / "annotation.h5").unlink()
    return tmp_path / "data"


def open_window(qtbot, annotate_in, root):
    window = annotate_in(AnnotationSession.open(root, "seq_001", "maria"))
    qtbot.waitUntil(lambda: window.views["left"].has_image)
    return window


def send(widget, kind, pos, button, buttons):
    where = QtCore.QPointF(widget.mapToGlobal(pos))
    event = QtGui.QMouseEvent(kind, QtCore.QPointF(pos), where, button, buttons, Qt.NoModifier)
    QtWidgets.QApplication.sendEvent(widget, event)


def at(window, view, pixel):
    return QtCore.QPoint(*np.round(window.views[view].to_widget(np.asarray(pixel))).astype(int).tolist())


def track(window):
    return window.session.revision.hands["right"]


def test_click_fit_drag_undo_accept_suggest_save_and_reopen(qtbot, annotate_in, root):
    window = open_window(qtbot, annotate_in, root)
    session = window.session
    assert not session.revision_name
    with open_truth(root / "sequences" / "seq_001") as truth:
        true_m = truth.load().hands["right"].joints_m
    for frame in range(0, MOMENTS, FRAME):
        click_six(qtbot, window, frame, true_m[frame])
    held = session.revision.keypoints["right"]
    assert all((held.marks[view][FRAME] & MARKS["clicked"]).sum() == len(CLICKED) for view in session.views)

    qtbot.keyClick(window, Qt.Key_R)
    qtbot.waitUntil(lambda: not window.work.running, timeout=120_000)
    assert "fit is done" in window.banner.title.text()
    assert track(window).valid[FRAME]
    error_m = np.linalg.norm(track(window).joints_m[FRAME] - true_m[FRAME], axis=1)
    assert np.median(error_m) < 0.02
    fitted = track(window)

    window.go_to(FRAME)
    drag(qtbot, window, "left", INDEX_TIP, QtCore.QPoint(24, -12))
    assert STATUSES[track(window).status[FRAME]] == "edited"
    moved_m = np.linalg.norm(track(window).joints_m[FRAME] - fitted.joints_m[FRAME], axis=1)
    assert moved_m[INDEX_TIP] > 0.005
    qtbot.keyClick(window, Qt.Key_Z, Qt.ControlModifier)
    assert track(window).joints_m.tobytes() == fitted.joints_m.tobytes()
    assert track(window).status.tobytes() == fitted.status.tobytes()

    qtbot.keyClick(window, Qt.Key_A)
    assert STATUSES[track(window).status[FRAME]] == "accepted"
    assert window.frame == FRAME + 1
    suggested = session.suggestion(window.frame)
    qtbot.keyClick(window, Qt.Key_E)
    assert window.frame == (suggested.frame if suggested is not None else FRAME + 1)

    qtbot.keyClick(window, Qt.Key_S, Qt.ControlModifier)
    qtbot.waitUntil(lambda: not session.dirty, timeout=30_000)
    name, saved = session.revision_name, track(window)
    with pytest.raises(SequenceError, match="maria"):
        AnnotationSession.open(root, "seq_001", "jo")
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=60_000)

    with open_annotation(root / "sequences" / "seq_001") as annotation:
        stored = annotation.load(name)
    assert stored.author == "maria"
    assert stored.hands["right"].joints_m.tobytes() == saved.joints_m.tobytes()
    again = open_window(qtbot, annotate_in, root)
    assert again.session.revision_name == name
    assert not again.session.recovered
    # The history outlives the window.
    again.go_to(0)
    qtbot.keyClick(again, Qt.Key_Z, Qt.ControlModifier)
    assert STATUSES[track(again).status[FRAME]] != "accepted"
    assert again.frame == FRAME


def click_six(qtbot, window, frame, joints_m):
    """Place six joints in each view, one click after another."""
    window.go_to(frame)
    window._draw()
    for view, camera in ((v, window.session.camera(v)) for v in window.session.views):
        pixels = world_to_pixels(camera, joints_m)
        for joint in CLICKED:
            window.selection.choose_joint(joint)
            if not window.selection.placing:
                qtbot.keyClick(window, Qt.Key_P)
            window._draw()
            qtbot.mouseClick(window.views[view], Qt.LeftButton, pos=at(window, view, pixels[joint]))
            placed = window.session.revision.keypoints["right"].by_view[view][frame, joint, :2]
            assert placed == pytest.approx(pixels[joint], abs=1.0)
    qtbot.keyClick(window, Qt.Key_Escape)


def drag(qtbot, window, view, joint, by):
    """Drag a joint with the pointer until the hand has followed."""
    window.selection.choose_joint(joint)
    window._draw()
    canvas, start = window.views[view], at(window, view, window.pair.joint_px(view, "right", joint))
    before = canvas.picture.hands[0].joints_px[joint].copy()
    send(canvas, QtCore.QEvent.MouseButtonPress, start, Qt.LeftButton, Qt.LeftButton)
    assert window.selection.joint == joint
    for share in (1, 2, 3):
        send(canvas, QtCore.QEvent.MouseMove, start + by * share / 3, Qt.NoButton, Qt.LeftButton)
    qtbot.waitUntil(lambda: bool(window.gripper.latencies_s), timeout=60_000)
    # The hand is shown where it is dragged while the button is still down.
    assert np.linalg.norm(canvas.picture.hands[0].joints_px[joint] - before) > 1.0
    send(canvas, QtCore.QEvent.MouseButtonRelease, start + by, Qt.LeftButton, Qt.NoButton)
