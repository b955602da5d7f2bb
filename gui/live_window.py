# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the images of a running model; closing the window, or the key q, stops it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event

from hoi_core.live import LiveHand
from hoi_core.shots import Shot
from hoi_core.types import U8

from . import theme
from .image_view import ImageView
from .qt import Qt, QtGui, QtWidgets, application

Drawing = Callable[[Shot, Sequence[LiveHand], float], U8]
"""Image, hands and images a second to what is shown."""


class LiveWindow:
    """A window that is fed image by image from the loop that runs the model."""

    def __init__(self, title: str, drawing: Drawing, stop: Event) -> None:
        """Open it.

        Args:
            title: of the window.
            drawing: makes the picture.
            stop: set when a person closes the window.

        Raises:
            ConfigError: there is no PyQt5 or no display.
        """
        self._app = application("hoi-run")
        self._drawing = drawing
        self.window = _Window(theme.apply(self._app, "dark"), title, stop)
        self.window.show()

    def add(self, shot: Shot, hands: Sequence[LiveHand], per_second: float) -> None:
        """Show the next image."""
        self.window.view.set_image(self._drawing(shot, hands, per_second))
        self._app.processEvents()


class _Window(QtWidgets.QMainWindow):
    def __init__(self, colours: theme.Theme, title: str, stop: Event) -> None:
        super().__init__()
        self._stop = stop
        self.view = ImageView(colours, title, zoomable=True)
        self.setCentralWidget(self.view)
        self.setWindowTitle(title)
        self.resize(960, 740)

    def keyPressEvent(self, event: QtGui.QKeyEvent | None) -> None:
        """Q and Escape stop."""
        if event is not None and event.key() in (Qt.Key_Q, Qt.Key_Escape):
            self.close()

    def closeEvent(self, event: QtGui.QCloseEvent | None) -> None:
        """Tell the loop."""
        self._stop.set()
        super().closeEvent(event)
