# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that imports PyQt5, and the start of an application."""

from __future__ import annotations

import ctypes
import os
import sys

from hoi_core.errors import ConfigError

try:
    from PyQt5 import QtCore, QtGui, QtSvg, QtWidgets
except ImportError as error:
    raise ConfigError(
        f"the windows need PyQt5, which does not load: {error}.",
        "Install it: pip install -e '.[gui]'; on Debian also: apt install libgl1 libegl1 libxkbcommon-x11-0.",
    ) from error

Qt = QtCore.Qt
Signal = QtCore.pyqtSignal

__all__ = ["Qt", "QtCore", "QtGui", "QtSvg", "QtWidgets", "Signal", "application"]


def application(name: str) -> QtWidgets.QApplication:
    """The running application, or a new one.

    Raises:
        ConfigError: there is no display to open a window on.
    """
    running = QtWidgets.QApplication.instance()
    if isinstance(running, QtWidgets.QApplication):
        return running
    missing = _no_screen()
    if missing:
        # Qt would abort the process; an error with a hint is kinder.
        raise ConfigError(
            f"a window needs a display, and {missing}.",
            "Run without a window (`--headless` or `--auto`), or under `xvfb-run -a`.",
        )
    QtWidgets.QApplication.setAttribute(Qt.AA_EnableHighDpiScaling, True)
    QtWidgets.QApplication.setAttribute(Qt.AA_UseHighDpiPixmaps, True)
    app = QtWidgets.QApplication([name])
    app.setApplicationName(name)
    app.setOrganizationName("hoi-toolkit")
    return app


def _no_screen() -> str:
    """Why no window can be opened; empty if one can, or if the user chose Qt's platform."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM") or os.environ.get("WAYLAND_DISPLAY"):
        return ""
    display = os.environ.get("DISPLAY")
    if not display:
        return "neither DISPLAY nor WAYLAND_DISPLAY is set"
    return "" if _x_answers() else f"the one that DISPLAY names, {display}, does not answer"


def _x_answers() -> bool:
    """Whether the X server that DISPLAY names takes connections; True where that cannot be asked."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    refused = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return not refused
