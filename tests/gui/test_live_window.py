"""The window of `hoi-run` shows what it is given, and stops the loop when it is closed."""

import threading

import numpy as np
import pytest

pytest.importorskip("PyQt5")

from gui.live_window import LiveWindow
from gui.qt import Qt
from hoi_core.shots import Shot
from hoi_core.types import Camera


@pytest.mark.gui
def test_images_are_shown_as_drawn_and_q_stops(qtbot):
    stop, drawn = threading.Event(), []

    def drawing(shot, hands, per_second):
        drawn.append((hands, per_second))
        return 255 - shot.rgb

    shown = LiveWindow("film", drawing, stop)
    qtbot.addWidget(shown.window)
    shot = Shot(0, 0.0, np.zeros((48, 64, 3), np.uint8), Camera(64, 48, 60.0, 60.0, 31.5, 23.5))
    shown.add(shot, [], 12.0)
    assert drawn == [([], 12.0)]
    assert shown.window.view.image_size == (64, 48)
    assert not stop.is_set()
    qtbot.keyClick(shown.window, Qt.Key_Q)
    assert stop.is_set()
