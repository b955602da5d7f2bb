# SPDX-License-Identifier: GPL-3.0-or-later
"""Light and dark colours, one accent, one style sheet."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Literal, Protocol, runtime_checkable

from hoi_core.types import Status

from .health import Level
from .qt import QtCore, QtGui, QtWidgets

Mode = Literal["system", "light", "dark"]


@runtime_checkable
class Themed(Protocol):
    """A widget that paints or styles something by hand, and so must hear of other colours."""

    def set_theme(self, theme: Theme) -> None:
        """Take over these colours; the style sheet of the application is set already."""


@dataclass(frozen=True)
class Theme:
    """Colours by what they are for, as `#rrggbb`."""

    window: str
    surface: str
    raised: str
    border: str
    text: str
    muted: str
    accent: str
    accent_strong: str
    on_accent: str
    good: str
    warn: str
    bad: str
    bad_strong: str
    edited: str
    canvas: str
    idle: str

    def level(self, level: Level) -> str:
        """Colour of a judgement."""
        return {"good": self.good, "warn": self.warn, "bad": self.bad, "idle": self.idle}[level]

    def status(self, status: Status) -> str:
        """Colour of a label's status."""
        return {
            "none": self.idle,
            "auto": self.accent,
            "edited": self.edited,
            "accepted": self.good,
            "rejected": self.bad,
        }[status]


DARK = Theme(
    window="#14171c",
    surface="#1b1f26",
    raised="#262c35",
    border="#313945",
    text="#e7eaef",
    muted="#97a1b0",
    accent="#5aa2ff",
    accent_strong="#7db6ff",
    on_accent="#0b1420",
    good="#45bf92",
    warn="#e3ad45",
    bad="#f0625f",
    bad_strong="#d9403d",
    edited="#b48bf2",
    canvas="#0d0f13",
    idle="#6b7684",
)
LIGHT = Theme(
    window="#f3f5f8",
    surface="#ffffff",
    raised="#e9edf2",
    border="#d3d9e2",
    text="#1b222c",
    muted="#5b6675",
    accent="#1f6feb",
    accent_strong="#1559c4",
    on_accent="#ffffff",
    good="#14875a",
    warn="#a56900",
    bad="#c92f2c",
    bad_strong="#c92f2c",
    edited="#7a4fc9",
    canvas="#1b1f26",
    idle="#8b95a3",
)
FONTS = ("Inter", "Segoe UI", "Noto Sans", "Ubuntu", "Cantarell", "DejaVu Sans")


def choose(mode: Mode, app: QtWidgets.QApplication) -> Theme:
    """The colours of a mode; `system` follows the desktop's own palette."""
    if mode == "system":
        desktop = app.style().standardPalette() if app.property("hoi_theme") else app.palette()
        mode = "dark" if desktop.color(QtGui.QPalette.Window).lightness() < 128 else "light"
    return DARK if mode == "dark" else LIGHT


def palette(theme: Theme) -> QtGui.QPalette:
    """The colours as a Qt palette, for everything that the style sheet leaves alone."""
    roles = {
        QtGui.QPalette.Window: theme.window,
        QtGui.QPalette.WindowText: theme.text,
        QtGui.QPalette.Base: theme.surface,
        QtGui.QPalette.AlternateBase: theme.raised,
        QtGui.QPalette.Text: theme.text,
        QtGui.QPalette.Button: theme.raised,
        QtGui.QPalette.ButtonText: theme.text,
        QtGui.QPalette.BrightText: theme.bad,
        QtGui.QPalette.ToolTipBase: theme.raised,
        QtGui.QPalette.ToolTipText: theme.text,
        QtGui.QPalette.Highlight: theme.accent,
        QtGui.QPalette.HighlightedText: theme.on_accent,
        QtGui.QPalette.Link: theme.accent,
        QtGui.QPalette.PlaceholderText: theme.muted,
        QtGui.QPalette.Mid: theme.border,
    }
    out = QtGui.QPalette()
    for role, colour in roles.items():
        out.setColor(role, QtGui.QColor(colour))
    for role in (QtGui.QPalette.Text, QtGui.QPalette.ButtonText, QtGui.QPalette.WindowText):
        out.setColor(QtGui.QPalette.Disabled, role, QtGui.QColor(theme.idle))
    return out


def style_sheet(theme: Theme) -> str:
    """`theme.qss` with the colours filled in."""
    text = Path(__file__).with_name("theme.qss").read_text(encoding="utf8")
    return Template(text).substitute(asdict(theme))


def apply(app: QtWidgets.QApplication, mode: Mode = "system") -> Theme:
    """Dress the application; returns the colours for what is painted by hand."""
    theme = choose(mode, app)
    app.setStyle("Fusion")
    app.setPalette(palette(theme))
    font = app.font()
    known = set(QtGui.QFontDatabase().families())
    font.setFamily(next((name for name in FONTS if name in known), font.family()))
    font.setPointSizeF(9.5)
    app.setFont(font)
    app.setStyleSheet(style_sheet(theme))
    app.setProperty("hoi_theme", mode)
    return theme


def remembered_mode(mode: Mode) -> Mode:
    """The mode that a person chose last, where the program asks for none."""
    kept = str(QtCore.QSettings().value("theme", ""))
    return kept if mode == "system" and kept in ("light", "dark") else mode  # type: ignore[return-value]


def remember_mode(mode: Mode) -> None:
    """Keep a person's choice for the next time."""
    QtCore.QSettings().setValue("theme", mode)


def toggle(theme: Theme) -> None:
    """Change from these colours to the other ones in every window of the program, now and for the next time."""
    app = QtWidgets.QApplication.instance()
    if not isinstance(app, QtWidgets.QApplication):
        return
    mode: Mode = "light" if theme == DARK else "dark"
    other = apply(app, mode)
    for window in app.topLevelWidgets():
        if window.parent() is None:
            dress(window, other)
    remember_mode(mode)


def dress(root: QtWidgets.QWidget, theme: Theme) -> None:
    """Hand other colours to `root` and every widget below it that paints by hand."""
    for widget in (root, *root.findChildren(QtWidgets.QWidget)):
        if isinstance(widget, Themed):
            widget.set_theme(theme)


def set_level(widget: QtWidgets.QWidget, level: Level) -> None:
    """Colour a widget's text by a judgement, through the style sheet; costs nothing where nothing changes."""
    set_property(widget, "level", level)


def set_property(widget: QtWidgets.QWidget, name: str, value: str) -> None:
    """Set a property that the style sheet asks for."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def colour(value: str, alpha: int = 255) -> QtGui.QColor:
    """A `#rrggbb` with an opacity of 0 to 255."""
    out = QtGui.QColor(value)
    out.setAlpha(alpha)
    return out
