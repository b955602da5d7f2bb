"""The recording window over a session in memory."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gui import capture_window, theme
from gui.panels.live_views import picture
from gui.qt import Qt, QtWidgets
from hoi_core.draw import HOLE_COLOUR
from hoi_core.errors import StorageError
from hoi_core.types import Frame

pytestmark = pytest.mark.gui
CONFIG = capture_window.CaptureWindowConfig(Path("data"))


@pytest.fixture
def window(qtbot, capture_session):
    made = capture_window.CaptureWindow(lambda: capture_session, CONFIG, theme.DARK)
    qtbot.addWidget(made, before_close_func=lambda w: _close(qtbot, w))
    made.show()
    qtbot.waitUntil(lambda: made.state == "ready")
    return made


def _close(qtbot, window):
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())


def test_opens_with_the_next_free_name_and_live_pictures(qtbot, window, capture_session):
    assert capture_session.calls == ["start"]
    assert window.panel.sequence.text() == "seq_002"
    qtbot.waitUntil(lambda: all(view.has_image for view in (*window.views.large, *window.views.small)))
    qtbot.waitUntil(lambda: len(window.health_bar.cells) == 7)
    assert window.health_bar.cells[0].value.text() == "30.0 fps"
    assert "good" in window.health_bar.cells[0].word.text()


def test_space_records_and_stops(qtbot, window, capture_session):
    window.panel.objects.setText("o01, o07")
    window.actions_by_id["record.toggle"].trigger()
    assert window.state == "recording"
    assert capture_session.request.objects == ("o01", "o07")
    assert capture_session.request.seconds is None
    assert not window.panel.sequence.isEnabled()
    window.actions_by_id["record.toggle"].trigger()
    qtbot.waitUntil(lambda: window.state == "ready")
    assert capture_session.calls == ["start", "record", "save"]
    assert "seq_002 is saved" in window.banner.title.text()
    assert window.panel.sequence.text() == "seq_003"


@pytest.mark.parametrize(("paired", "kind"), [(180, "good"), (150, "warn")])
def test_a_recording_with_moments_that_lack_a_frame_is_no_good_news(
    qtbot, window, capture_session, monkeypatch, paired, kind
):
    report = capture_session.stop_recording

    def stop():
        return SimpleNamespace(**vars(report()) | {"paired": paired})

    shown = []
    monkeypatch.setattr(capture_session, "stop_recording", stop)
    monkeypatch.setattr(window.banner, "show_message", lambda kind, *_: shown.append(kind))
    window.toggle_recording()
    window.toggle_recording()
    qtbot.waitUntil(lambda: window.state == "ready")
    assert shown == [kind]


def test_keys_act_but_not_while_typing(qtbot, window):
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.panel.action.setFocus()
    qtbot.keyClicks(window.panel.action, "pick up d?")
    assert window.panel.action.text() == "pick up d?"
    assert window.state == "ready"
    qtbot.keyClick(window.panel.action, Qt.Key_Return)
    qtbot.keyClick(window, Qt.Key_D)
    assert window.views.large[0].title == "Left depth"
    qtbot.keyClick(window, Qt.Key_Space)
    assert window.state == "recording"


def test_the_question_mark_opens_the_list_of_keys(qtbot, window):
    window.actions_by_id["help.keys"].trigger()
    sheets = window.findChildren(QtWidgets.QDialog)
    assert [sheet.windowTitle() for sheet in sheets] == ["Keyboard shortcuts"]
    text = sheets[0].findChild(QtWidgets.QTextBrowser).toPlainText()
    assert "Space" in text
    assert "Start recording, or stop and save" in text
    sheets[0].close()


def test_a_recording_that_ends_by_itself_is_saved(qtbot, window, capture_session):
    window.toggle_recording()
    capture_session.recording = False
    qtbot.waitUntil(lambda: window.state == "ready")
    assert capture_session.calls[-1] == "save"


def test_a_countdown_can_be_cancelled_and_runs_out(qtbot, window, capture_session):
    window.panel.countdown.setValue(10)
    window.toggle_recording()
    assert window.state == "countdown"
    window.toggle_recording()
    assert window.state == "ready"
    window.toggle_recording()
    window._count_left = 0.05
    qtbot.waitUntil(lambda: window.state == "recording")
    assert capture_session.calls == ["start", "record"]


def test_a_taken_name_shows_an_error_and_stays_ready(window):
    window.panel.sequence.setText("seq_001")
    window.toggle_recording()
    assert window.state == "ready"
    assert window.banner.isVisible()
    assert "exists" in window.banner.title.text()
    assert window.banner.hint.text() == "Choose another name."


def test_a_background_error_becomes_a_banner_with_details(qtbot, window, capture_session):
    capture_session.error = StorageError("the disk is full.", "Free some space.")
    qtbot.waitUntil(window.banner.isVisible)
    assert window.banner.title.text() == "The disk is full."
    assert "StorageError" in window.banner.details
    assert "Python" in window.banner.details


def test_closing_while_recording_completes_the_file_first(qtbot, window, capture_session):
    window.toggle_recording()
    window.close()
    assert window.isVisible()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert capture_session.calls == ["start", "record", "stop while recording"]


def test_no_camera_offers_another_try(qtbot, capture_session):
    capture_session.fail_open = True
    window = capture_window.CaptureWindow(lambda: capture_session, CONFIG, theme.LIGHT)
    qtbot.addWidget(window, before_close_func=lambda w: _close(qtbot, w))
    window.show()
    qtbot.waitUntil(lambda: window.state == "failed")
    assert window.banner.hint.text() == "Plug one in."
    capture_session.fail_open = False
    window.toggle_recording()
    qtbot.waitUntil(lambda: window.state == "ready")


def test_closes_when_there_is_no_camera_and_while_opening(qtbot, capture_session):
    capture_session.fail_open = True
    for wait_for in ("failed", "opening"):
        window = capture_window.CaptureWindow(lambda: capture_session, CONFIG, theme.LIGHT)
        qtbot.addWidget(window)
        window.show()
        qtbot.waitUntil(lambda w=window, state=wait_for: w.state == state)
        _close(qtbot, window)


def test_depth_swaps_the_large_views(window):
    window.actions_by_id["view.depth"].trigger()
    assert [view.title for view in window.views.large] == ["Left depth", "Right depth"]
    window.actions_by_id["view.depth"].trigger()
    assert [view.title for view in window.views.large] == ["Left colour", "Right colour"]


def test_the_size_of_the_window_is_remembered(qtbot, capture_session):
    for size in ((1400, 850), (1111, 777)):
        window = capture_window.CaptureWindow(lambda: capture_session, CONFIG, theme.DARK)
        qtbot.addWidget(window)
        window.show()
        assert (window.width(), window.height()) == size
        window.resize(1111, 777)
        qtbot.waitUntil(lambda w=window: w.state == "ready")
        _close(qtbot, window)


def test_pictures_of_each_kind_of_stream():
    def frame(stream, image):
        return Frame(stream, 1, 0, 0, "host", image)

    depth = picture(frame("left/depth", np.array([[0, 400, 900]], np.uint16)), 0.001)
    assert tuple(depth[0, 0]) == HOLE_COLOUR
    assert depth[0, 1, 0] > depth[0, 2, 0]
    edge = picture(frame("edge128/edge", np.array([[0, 50, 200]], np.uint8)), None)
    assert edge.tolist() == [[0, 150, 255]]
    assert picture(frame("left/depth", np.zeros((480, 1280), np.uint16)), 0.001).shape == (120, 320, 3)
