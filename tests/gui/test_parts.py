"""Actions, jobs, themes, the image view, and what importing the package costs."""

import re
import subprocess
import sys
import threading
from collections import Counter

import numpy as np
import pytest

from gui import actions, icons, theme
from gui.annotate_actions import ACTIONS as ANNOTATE
from gui.banner import Banner, show_unexpected
from gui.capture_actions import ACTIONS as CAPTURE
from gui.image_view import ImageView
from gui.qt import Qt, QtCore, QtGui, QtWidgets
from gui.worker import Job
from hoi_core.errors import ConfigError, FitError

pytestmark = pytest.mark.gui


@pytest.mark.parametrize("table", [CAPTURE, ANNOTATE], ids=["capture", "annotate"])
def test_actions_are_unique_and_documented(table):
    assert max(Counter(a.id for a in table).values()) == 1
    assert max(Counter(key for a in table for key in a.keys).values()) == 1
    for action in table:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", action.id)
        assert len(action.tip) > 8
        assert not action.icon or action.icon in icons.SHAPES
        assert action.tip in actions.sheet_html(table, theme.DARK) or not action.keys


def test_a_table_and_its_functions_must_match(qtbot):
    window = QtWidgets.QMainWindow()
    qtbot.addWidget(window)
    with pytest.raises(ValueError, match=r"record\.quit"):
        actions.install(window, CAPTURE, {a.id: lambda: None for a in CAPTURE if a.id != "record.quit"})


def run(qtbot, work):
    job, heard = Job(work), []
    job.progressed.connect(lambda share, text: heard.append((share, text)))
    job.succeeded.connect(lambda value: heard.append(("ok", value)))
    job.failed.connect(lambda error: heard.append(("failed", error)))
    job.cancelled.connect(lambda: heard.append(("cancelled", None)))
    with qtbot.waitSignal(job.ended):
        job.start()
    job.wait()
    return heard


def test_a_job_reports_progress_and_result(qtbot):
    main = threading.get_ident()

    def work(progress, cancelled):
        progress(0.5, "half")
        return threading.get_ident() != main

    assert run(qtbot, work) == [(0.5, "half"), ("ok", True)]


def test_a_job_hands_over_errors(qtbot):
    def refuse(progress, cancelled):
        raise FitError("no keypoints.", "Click some.")

    def break_down(progress, cancelled):
        raise ZeroDivisionError("division by zero")

    assert run(qtbot, refuse)[0][1].hint == "Click some."
    assert "ZeroDivisionError" in run(qtbot, break_down)[0][1].message


def test_a_job_can_be_cancelled(qtbot):
    job, heard = Job(lambda _progress, cancelled: next(iter(cancelled, True), None)), []
    job.cancelled.connect(lambda: heard.append("cancelled"))
    job.succeeded.connect(lambda _: heard.append("ok"))
    with qtbot.waitSignal(job.ended):
        job.start()
        job.cancel()
    job.wait()
    assert heard == ["cancelled"]


@pytest.mark.parametrize("colours", [theme.DARK, theme.LIGHT], ids=["dark", "light"])
def test_text_is_legible(colours):
    """WCAG contrast of text, and of every light on its surface."""

    def luminance(value):
        channels = np.array([int(value[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    def contrast(a, b):
        high, low = sorted((luminance(a), luminance(b)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    assert contrast(colours.text, colours.surface) > 7
    for name in ("muted", "good", "warn", "bad", "accent"):
        assert contrast(getattr(colours, name), colours.surface) > 4.3, name


def test_the_style_sheet_has_no_gaps():
    for colours in (theme.DARK, theme.LIGHT):
        assert "$" not in theme.style_sheet(colours)


def test_banner_copies_its_details(qtbot):
    banner = Banner(theme.DARK)
    qtbot.addWidget(banner)
    banner.show_error(FitError("it diverged at frame 12.", "Click that frame."))
    qtbot.mouseClick(banner.copy, Qt.LeftButton)
    copied = QtWidgets.QApplication.clipboard().text()
    assert "FitError: it diverged at frame 12." in copied
    assert "hint: Click that frame." in copied
    qtbot.mouseClick(banner.dismiss, Qt.LeftButton)
    assert not banner.isVisible()


def test_an_unexpected_error_is_shown_with_its_trace(qtbot, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    banner = Banner(theme.DARK)
    qtbot.addWidget(banner)
    show_unexpected(banner)
    try:
        {}["left"]
    except KeyError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    assert "KeyError" in banner.title.text()
    assert "test_parts.py" in banner.details
    show_unexpected(banner)
    known = FitError("it diverged.", "Click more.")
    sys.excepthook(FitError, known, None)
    assert banner.hint.text() == "Click more."


def test_image_view_paints_what_it_is_given(qtbot):
    view = ImageView(theme.DARK, "Left", smooth=False, zoomable=True)
    qtbot.addWidget(view)
    view.resize(200, 200)
    image = np.zeros((10, 20, 3), np.uint8)
    image[:, 10:] = [200, 30, 90]
    view.set_image(image)
    shot = view.grab().toImage()
    assert shot.pixelColor(150, 120).getRgb()[:3] == (200, 30, 90)
    assert shot.pixelColor(50, 120).getRgb()[:3] == (0, 0, 0)
    assert view.target() == QtCore.QRectF(1, 64, 198, 99)
    view.set_image(np.full((4, 4), 77, np.uint8))
    assert view.grab().toImage().pixelColor(100, 120).getRgb()[:3] == (77, 77, 77)
    view.set_image(None)
    assert not view.has_image


def test_zooming_keeps_the_point_under_the_pointer(qtbot):
    view = ImageView(theme.DARK, "Left", zoomable=True)
    qtbot.addWidget(view)
    view.resize(302, 229)
    view.set_image(np.zeros((100, 150, 3), np.uint8))
    at = QtCore.QPointF(200, 150)

    def share():
        where = view.target()
        return (at.x() - where.x()) / where.width(), (at.y() - where.y()) / where.height()

    before = share()
    turn = QtCore.QPoint(0, 240)
    view.wheelEvent(
        QtGui.QWheelEvent(at, at, QtCore.QPoint(), turn, Qt.NoButton, Qt.NoModifier, Qt.NoScrollPhase, False)
    )
    assert view.target().width() > 400
    assert share() == pytest.approx(before, abs=0.01)
    qtbot.mouseDClick(view, Qt.LeftButton)
    assert view.target().width() == pytest.approx(300, abs=2)


def test_a_zoomed_image_leaves_no_empty_stripe_where_it_is_large_enough(qtbot):
    view = ImageView(theme.DARK, "Left", zoomable=True)
    qtbot.addWidget(view)
    view.resize(428, 504)
    view.set_image(np.zeros((480, 640, 3), np.uint8))
    for zoom, share in ((1.0, 0.2), (1.52, 0.2), (1.52, 0.9), (3.0, 0.05), (3.0, 0.97)):
        view.look_at(share, share, zoom)
        where, area = view.target(), view.area()
        for low, high, first, last in (
            (where.left(), where.right(), area.left(), area.right()),
            (where.top(), where.bottom(), area.top(), area.bottom()),
        ):
            if high - low >= last - first:
                assert low <= first + 1e-6
                assert high >= last - 1e-6
            else:
                assert low - first == pytest.approx(last - high)
    # What was asked for is shown again once there is room for it.
    view.look_at(0.2, 0.5, 1.0)
    view.look_at(0.2, 0.5, 4.0)
    assert (view.area().center().x() - view.target().left()) / view.target().width() == pytest.approx(0.2)


def test_importing_the_package_loads_neither_qt_nor_torch():
    code = "import sys, gui; sys.exit(any(m in sys.modules for m in ('torch', 'PyQt5')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_windows_load_no_torch():
    code = "import sys, gui.capture_window, gui.annotate_window; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("display", "reason"), [("", "neither DISPLAY"), (":4095", "does not answer")])
def test_without_a_display_that_answers_there_is_an_error_not_an_abort(monkeypatch, display, reason):
    from gui import qt

    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setattr(qt.QtWidgets.QApplication, "instance", lambda: None)
    with pytest.raises(ConfigError, match=reason):
        qt.application("test")
