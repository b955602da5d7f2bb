"""The window that plays a recording, over real files."""

import itertools
import threading
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from gui import theme
from gui.panels.replay_timeline import binned_most, runs
from gui.qt import Qt, QtCore
from gui.timetable import LOST as DEVICE_AWAY
from gui.view_window import ViewWindow
from hoi_core.sequence import CaptureWriter, writer
from hoi_core.sequence.reader import ImageStream

pytestmark = pytest.mark.gui
# As tests/gui/recordings.py writes them.
MOMENTS, LOST, AWAY = 60, 7, range(20, 30)


@pytest.fixture
def make(qtbot):
    made = []

    def open_window(folder):
        window = ViewWindow(folder, theme.DARK)
        window.resize(1000, 700)
        window.show()
        made.append(window)
        qtbot.waitUntil(lambda: window.recording is not None or window.banner.isVisible())
        return window

    yield open_window
    for window in made:
        window.close()
        assert window.reader.wait()
        window.deleteLater()


@pytest.fixture
def window(qtbot, make, recordings, tmp_path):
    folder = tmp_path / "sequences" / "seq_001"
    recordings.record(folder)
    opened = make(folder)
    qtbot.waitUntil(lambda: opened.shown_moment == 0 and opened.views.large[0].has_image)
    return opened


def show(qtbot, window, moment):
    window.go_to(moment)
    qtbot.waitUntil(lambda: window.shown_moment == moment)


def pixel(view):
    """The value in the middle of the picture that a view shows."""
    image = view._pixels
    return image[image.shape[0] // 2, image.shape[1] // 2]


def test_all_streams_show_the_same_moment(qtbot, window):
    for moment in (0, 33, MOMENTS - 1, 12):
        show(qtbot, window, moment)
        # The recordings paint the number of each image.
        for view in window.views.large:
            assert (pixel(view) == moment).all()
        gray = window.views.small[2]
        assert gray.title == "Sensor gray"
        assert pixel(gray) == moment


def test_captions_tell_number_skew_and_exposure(qtbot, window):
    show(qtbot, window, 33)
    assert window.views.large[1].note == "frame 33  ·  +4.0 ms  ·  exposed 8.5 ms"
    assert window.views.large[0].note.startswith("frame 33  ·  +0.0 ms")


@pytest.mark.parametrize(("moment", "reason"), [(LOST, "not delivered"), (AWAY.start, "unplugged"), (40, "queue full")])
def test_a_missing_frame_is_shown_as_missing_with_its_reason(qtbot, window, moment, reason):
    show(qtbot, window, moment)
    left, right = window.views.large
    assert left.has_image
    assert not right.has_image
    assert right.empty_text == f"no frame: {reason}"
    assert right.note == "missing"
    assert f"right/color {reason}" in window.transport.note.text()
    show(qtbot, window, moment - 1)
    assert right.has_image


def test_keys_jump_between_gaps_and_marks(qtbot, window):
    for key, moment in ((Qt.Key_E, LOST), (Qt.Key_E, AWAY.start), (Qt.Key_E, AWAY.stop), (Qt.Key_M, 45)):
        qtbot.keyClick(window, key)
        assert window.moment == moment
    assert window.transport.note.text() == "Mark: grasp"
    qtbot.keyClick(window, Qt.Key_E, Qt.ShiftModifier)
    assert window.moment == 40
    qtbot.keyClick(window, Qt.Key_End)
    assert window.moment == MOMENTS - 1
    qtbot.keyClick(window, Qt.Key_Right)
    assert window.moment == MOMENTS - 1


@pytest.mark.parametrize(("speed", "factor"), [("half", 0.5), ("true", 1.0), ("double", 2.0)])
def test_it_plays_by_the_clock(window, monkeypatch, speed, factor):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    window.set_speed(speed)
    window.go_to(3)
    window.toggle_play()
    start_s = window.seconds
    for passed_s in (0.11, 0.37, 0.8):
        now[0] = 100.0 + passed_s
        window._play_tick()
        # The moment shown is the last one that has come by then.
        due_s = start_s + factor * passed_s
        assert due_s - window.recording.table.period_s < window.seconds <= due_s + 1e-6
    now[0] += 60.0
    window._play_tick()
    assert window.moment == MOMENTS - 1
    assert not window.playing


def test_scrubbing_never_waits_for_the_disk(qtbot, window, monkeypatch):
    """While the disk stalls, the window goes on, and afterwards only the last moment asked for is read."""
    stalled, go_on, read = threading.Event(), threading.Event(), []
    original = ImageStream.frame

    def slow(self, i):
        if not go_on.is_set():
            stalled.set()
            go_on.wait(10)
        read.append((self.name, i))
        return original(self, i)

    monkeypatch.setattr(ImageStream, "frame", slow)
    window.go_to(50)
    assert stalled.wait(5)
    for moment in range(10, 19):
        window.go_to(moment)
        qtbot.wait(1)
        assert window.timeline.frame == moment
    assert window.shown_moment == 0
    go_on.set()
    qtbot.waitUntil(lambda: window.shown_moment == 18)
    asked = {i for name, i in read if name == "left/color"}
    assert not asked & set(range(10, 18))


def test_frames_are_read_once_while_they_are_near(qtbot, window, monkeypatch):
    show(qtbot, window, 5)
    show(qtbot, window, 9)
    read = []
    original = ImageStream.frame
    monkeypatch.setattr(ImageStream, "frame", lambda self, i: read.append((self.name, i)) or original(self, i))
    show(qtbot, window, 5)
    assert ("left/color", 5) not in read


def test_modes_and_captions_change_what_is_shown(qtbot, window):
    show(qtbot, window, 33)
    qtbot.keyClick(window, Qt.Key_4)
    qtbot.waitUntil(lambda: window.views.large[0].title == "Left depth" and window.views.large[0].has_image)
    assert window.views.large[0]._pixels.ndim == 3
    assert window.modes.buttons["depth"].isChecked()
    assert window.modes.buttons["infrared"].isHidden()
    assert not window.actions_by_id["view.infrared"].isEnabled()
    window.views.set_place(2, "gray")
    qtbot.waitUntil(lambda: window.views.small[0].has_image and window.views.small[0]._pixels.ndim == 2)


def test_the_picture_and_the_frames_are_saved(qtbot, window, tmp_path):
    show(qtbot, window, 33)
    sheet = tmp_path / "out.png"
    with qtbot.waitSignal(window.reader.saved):
        window.save_sheet(sheet)
    assert cv2.imread(str(sheet)).shape[1] >= 2 * 64
    with qtbot.waitSignal(window.reader.saved) as saved:
        window.reader.save_frames(33, tmp_path)
    assert len(saved.args[0]) == 6
    depth = cv2.imread(str(tmp_path / "seq_001_00033_left_depth.png"), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    assert (depth == 533).all()
    color = cv2.imread(str(tmp_path / "seq_001_00033_left_color.png"))
    assert (color == 33).all()
    with qtbot.waitSignal(window.reader.failed) as failed:
        window.save_sheet(tmp_path / "nowhere" / "out.png")
    assert "cannot write" in failed.args[0].message


def test_a_killed_recording_is_shown_to_its_last_frame(qtbot, make, recordings, tmp_path):
    writer = recordings.record(tmp_path / "seq_009", close=False)
    try:
        window = make(tmp_path / "seq_009")
        assert window.state.text() == "never closed"
        assert "killed" in window.banner.hint.text()
        show(qtbot, window, MOMENTS - 1)
        assert (pixel(window.views.large[0]) == MOMENTS - 1).all()
    finally:
        window.close()
        window.reader.wait()
        writer.close()


def test_a_recording_in_several_files_plays_through(qtbot, make, recordings, tmp_path, monkeypatch):
    create, ticks = CaptureWriter.create, itertools.count()
    monkeypatch.setattr(CaptureWriter, "create", lambda *a, **k: create(*a, **{**k, "segment_s": 1.0}))
    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: 0.01 * next(ticks)))
    folder = tmp_path / "seq_003"
    recordings.record(folder)
    assert len(list(folder.glob("capture*.h5"))) > 2
    window = make(folder)
    assert window.recording.segments == len(list(folder.glob("capture*.h5")))
    for moment in (0, 31, MOMENTS - 1):
        show(qtbot, window, moment)
        assert (pixel(window.views.large[0]) == moment).all()


def test_a_recording_that_cannot_be_opened_says_what_to_do(make, tmp_path):
    folder = tmp_path / "seq_004"
    folder.mkdir()
    (folder / "capture.h5").write_bytes(b"not a recording")
    window = make(folder)
    assert window.state.text() == "cannot be opened"
    assert window.banner.hint.text()
    for act in (window.toggle_play, window.ask, lambda: window.go_to(3), lambda: window.jump(("mark",), 1)):
        act()
    assert window.moment == 0


def test_the_timeline_is_a_map_of_the_recording(qtbot, window):
    timeline = window.timeline
    x = timeline.x_of(25.5)
    lane = 2
    text = timeline.text_at(x, 26 + lane * 13 + 4)
    assert "moment 25" in text
    assert "right/color: unplugged" in text
    assert "10 frames unplugged" in text
    qtbot.mouseClick(timeline, Qt.LeftButton, pos=QtCore.QPoint(round(timeline.x_of(12.5)), 30))
    assert window.moment == 12


def test_the_lane_of_a_lost_device_is_not_painted_as_there(window):
    timeline = window.timeline
    image = timeline._painted().toImage()
    y = 26 + 2 * 13 + 4
    there, away = (image.pixelColor(round(timeline.x_of(n + 0.5)), y).name() for n in (15, 25))
    assert away == theme.DARK.idle
    assert there != away
    assert window.recording.table.states["right/color"][25] == DEVICE_AWAY


def test_theme_changes_everywhere(window):
    assert window.grab().toImage().pixelColor(3, 300).name() == theme.DARK.window
    window.toggle_theme()
    assert window.timeline._theme == theme.LIGHT
    assert window.grab().toImage().pixelColor(3, 300).name() == theme.LIGHT.window
    window.toggle_theme()
    assert window.timeline._theme == theme.DARK


def test_other_windows_follow_the_theme(make, recordings, tmp_path):
    recordings.record(tmp_path / "seq_001")
    first, second = make(tmp_path / "seq_001"), make(tmp_path / "seq_001")
    first.toggle_theme()
    assert second.timeline._theme == theme.LIGHT
    second.toggle_theme()
    assert first.timeline._theme == theme.DARK


@pytest.mark.parametrize("bins", [1, 7, 60, 200])
def test_no_peak_of_the_skew_is_lost_by_drawing_it_smaller(bins):
    values = np.full(60, np.nan)
    values[[3, 41]] = 2.0, 17.0
    drawn = binned_most(values, bins)
    assert len(drawn) == min(bins, 60)
    assert np.nanmax(drawn) == 17.0


def test_runs_cover_everything_once():
    states = np.array([0, 0, 1, 2, 2, 2, 0], np.uint8)
    assert runs(states) == [(0, 1, 0), (2, 2, 1), (3, 5, 2), (6, 6, 0)]
    assert runs(states[:0]) == []
