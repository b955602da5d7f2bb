# SPDX-License-Identifier: GPL-3.0-or-later
"""Line icons on a 24 x 24 grid, drawn for this program, in the colours of the theme."""

from __future__ import annotations

from .qt import Qt, QtCore, QtGui, QtSvg
from .theme import Theme

SHAPES: dict[str, str] = {
    "play": "<path d='M7 5 L19 12 L7 19 Z'/>",
    "pause": "<path d='M8 5 V19 M16 5 V19'/>",
    "first": "<path d='M6 5 V19 M19 5 L9 12 L19 19 Z'/>",
    "previous": "<path d='M15 5 L8 12 L15 19'/>",
    "next": "<path d='M9 5 L16 12 L9 19'/>",
    "mesh": "<path d='M12 3 L21 9 L17.5 20 H6.5 L3 9 Z M3 9 L21 9 M12 3 L6.5 20 M12 3 L17.5 20'/>",
    "keypoints": "<circle cx='6' cy='18' r='2.4'/><circle cx='10' cy='9' r='2.4'/><circle cx='18' cy='5.5' r='2.4'/>"
    "<path d='M7 15.8 L9 11.2 M12.2 8 L15.7 6.5'/>",
    "depth": "<path d='M12 3 L21 8 L12 13 L3 8 Z M3 12 L12 17 L21 12 M3 16 L12 21 L21 16'/>",
    "accept": "<path d='M4 13 L9.5 18.5 L20 6'/>",
    "reject": "<path d='M6 6 L18 18 M18 6 L6 18'/>",
    "fit": "<path d='M13 2 L5 14 H11 L10 22 L19 9 H13 Z'/>",
    "save": "<path d='M5 3 H16 L21 8 V21 H3 V3 Z M7 3 V9 H15 V3 M7 21 V14 H17 V21'/>",
    "undo": "<path d='M8 5 L4 9 L8 13 M4 9 H14 A5.5 5.5 0 0 1 14 20 H9'/>",
    "redo": "<path d='M16 5 L20 9 L16 13 M20 9 H10 A5.5 5.5 0 0 0 10 20 H15'/>",
    "suggest": "<circle cx='12' cy='12' r='8.5'/><circle cx='12' cy='12' r='3.2'/>"
    "<path d='M12 1 V6 M12 18 V23 M1 12 H6 M18 12 H23'/>",
    "rig": "<path d='M3 7 H15 V17 H3 Z M15 10.5 L21 7.5 V16.5 L15 13.5'/><circle cx='9' cy='12' r='2.4'/>",
    "calibrate": "<path d='M4 4 H20 V20 H4 Z M4 9.3 H20 M4 14.7 H20 M9.3 4 V20 M14.7 4 V20'/>",
    "record": "<circle cx='12' cy='12' r='8.5'/><circle cx='12' cy='12' r='4'/>",
    "coverage": "<path d='M4 4 H10 V10 H4 Z M14 4 H20 V10 H14 Z M4 14 H10 V20 H4 Z M14 17 L16.3 19.5 L20.5 14.5'/>",
    "theme": "<circle cx='12' cy='12' r='8.5'/>"
    "<path d='M12 3.5 V20.5 M12 7 H17.5 M12 10.3 H20 M12 13.7 H20 M12 17 H17.5'/>",
    "mark": "<path d='M6 21 V4 H18 L15 8.5 L18 13 H6'/>",
    "again": "<path d='M19.5 12 A7.5 7.5 0 1 1 16.8 6.2 M19.5 3 V7.5 H15'/>",
    "view": "<path d='M2.5 12 C6 5.5 18 5.5 21.5 12 C18 18.5 6 18.5 2.5 12 Z'/><circle cx='12' cy='12' r='2.8'/>",
    "report": "<path d='M6 3 H15 L19 7 V21 H6 Z M9.5 11 H15.5 M9.5 14.5 H15.5 M9.5 18 H13'/>",
    "edit": "<path d='M4 20 L5 15.5 L16 4.5 L19.5 8 L8.5 19 Z M13.5 7 L17 10.5'/>",
    "plug": "<path d='M9 3 V8 M15 3 V8 M6 8 H18 V11 A6 6 0 0 1 6 11 Z M12 17 V21'/>",
    "person": "<circle cx='12' cy='8' r='4'/><path d='M4.5 20.5 C5 15 19 15 19.5 20.5'/>",
    "help": "<circle cx='12' cy='12' r='9'/><path d='M9.3 9.3 A2.8 2.8 0 1 1 12 12.6 V14 M12 17.3 V17.4'/>",
}


def pixmap(name: str, colour: str, size: int = 18, scale: float = 2.0) -> QtGui.QPixmap:
    """Draw an icon in one colour, `size` px on a screen of the given pixel ratio."""
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'>"
        f"<g fill='none' stroke='{colour}' stroke-width='1.9' stroke-linejoin='round' stroke-linecap='round'>"
        f"{SHAPES[name]}</g></svg>"
    )
    out = QtGui.QPixmap(int(size * scale), int(size * scale))
    out.fill(Qt.transparent)
    painter = QtGui.QPainter(out)
    QtSvg.QSvgRenderer(QtCore.QByteArray(svg.encode())).render(painter)
    painter.end()
    out.setDevicePixelRatio(scale)
    return out


def icon(name: str, theme: Theme) -> QtGui.QIcon:
    """An icon that is accented when on and faded when disabled."""
    out = QtGui.QIcon(pixmap(name, theme.text))
    out.addPixmap(pixmap(name, theme.accent), QtGui.QIcon.Normal, QtGui.QIcon.On)
    out.addPixmap(pixmap(name, theme.accent), QtGui.QIcon.Active, QtGui.QIcon.On)
    out.addPixmap(pixmap(name, theme.idle), QtGui.QIcon.Disabled)
    return out
