# SPDX-License-Identifier: GPL-3.0-or-later
"""A message across the top of a window that does not stop the work: what happened, what to do, copy the details."""

from __future__ import annotations

import logging
import platform
import sys
import traceback
from types import TracebackType
from typing import Literal

from hoi_core import __version__
from hoi_core.errors import HoiError

from .notice import sentence
from .qt import QtCore, QtWidgets
from .theme import Theme

log = logging.getLogger(__name__)
Kind = Literal["info", "good", "warn", "bad"]


class Banner(QtWidgets.QFrame):
    """Hidden until `show_error` or `show_message`; a new message replaces the old one."""

    def __init__(self, theme: Theme, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.details = ""
        self.setObjectName("banner")
        self.title = QtWidgets.QLabel()
        self.hint = QtWidgets.QLabel(objectName="muted")
        for text in (self.title, self.hint):
            text.setWordWrap(True)
            text.setTextInteractionFlags(QtCore.Qt.TextSelectableByMouse)
        self.copy = QtWidgets.QPushButton("Copy details")
        self.copy.setToolTip("Copy the message, its kind and the versions, to paste into a report.")
        self.copy.clicked.connect(self._copy)
        self.dismiss = QtWidgets.QPushButton("Dismiss")
        self.dismiss.clicked.connect(self.hide)
        words = QtWidgets.QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(self.title)
        words.addWidget(self.hint)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(14, 8, 10, 8)
        row.addLayout(words, 1)
        row.addWidget(self.copy)
        row.addWidget(self.dismiss)
        self._timer = QtCore.QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.hide)
        self._kind: Kind = "info"
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Take over other colours."""
        self._theme = theme
        self._paint_edge()

    def show_error(self, error: HoiError) -> None:
        """Show what went wrong and what to do; stays until dismissed."""
        self.details = (
            f"{type(error).__name__}: {error.message}\nhint: {error.hint}\n"
            f"hoi-toolkit {__version__}, Python {platform.python_version()}, {platform.platform()}"
        )
        self._show("bad", sentence(error.message), error.hint)
        self.copy.show()

    def show_message(self, kind: Kind, title: str, hint: str = "", seconds: float = 0.0) -> None:
        """Show good or neutral news, for a while or until dismissed."""
        self.details = f"{title}\n{hint}"
        self._show(kind, title, hint)
        self.copy.hide()
        if seconds > 0:
            self._timer.start(int(seconds * 1000))

    def _show(self, kind: Kind, title: str, hint: str) -> None:
        self._timer.stop()
        self._kind = kind
        self._paint_edge()
        self.title.setText(title)
        self.hint.setText(hint)
        self.hint.setVisible(bool(hint))
        self.show()

    def _paint_edge(self) -> None:
        theme = self._theme
        edge = {"info": theme.accent, "good": theme.good, "warn": theme.warn, "bad": theme.bad}[self._kind]
        self.setStyleSheet(
            f"QFrame#banner {{ background: {theme.surface}; border: 1px solid {theme.border};"
            f" border-left: 4px solid {edge}; border-top-right-radius: 7px; border-bottom-right-radius: 7px; }}"
        )

    def _copy(self) -> None:
        QtWidgets.QApplication.clipboard().setText(self.details)


def show_unexpected(banner: Banner) -> None:
    """Show errors that nothing caught in a banner; without this, Qt would end the program and lose the recording."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.error("unexpected error", exc_info=(kind, error, trace))
        if isinstance(error, KeyboardInterrupt):
            QtWidgets.QApplication.closeAllWindows()
            return
        known = error if isinstance(error, HoiError) else None
        banner.show_error(
            known or HoiError(f"unexpected {kind.__name__}: {error}.", "Copy the details and report them.")
        )
        banner.details += "\n" + "".join(traceback.format_exception(kind, error, trace))

    sys.excepthook = hook
