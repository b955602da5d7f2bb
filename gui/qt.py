# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that imports PyQt5, and the start of an application."""

from __future__ import annotations

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
    no_screen = not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if sys.platform.startswith("linux") and no_screen and not os.environ.get("QT_QPA_PLATFORM"):
        # Qt would abort the process; an error with a hint is kinder.
        raise ConfigError(
            "a window needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set.",
            "Run without a window (`--headless` or `--auto`), or under `xvfb-run -a`.",
        )
    QtWidgets.QApplication.setAttribute(Qt.AA_EnableHighDpiScaling, True)
    QtWidgets.QApplication.setAttribute(Qt.AA_UseHighDpiPixmaps, True)
    app = QtWidgets.QApplication([name])
    app.setApplicationName(name)
    app.setOrganizationName("hoi-toolkit")
    return app
