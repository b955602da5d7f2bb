# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices one below the other: a light, what it is, figures, and what to do if something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gui.health import Level
from gui.lab import DeviceInfo
from gui.qt import Qt, QtWidgets
from gui.sessions import DeviceState
from gui.theme import set_level

_STATES: dict[str, tuple[Level, str]] = {
    "ok": ("good", "streaming"),
    "silent": ("warn", "sends no frames"),
    "lost": ("bad", "lost"),
}


@dataclass(frozen=True)
class DeviceRow:
    """What is shown of a device."""

    name: str
    """What people call it."""
    facts: str
    """Serial number, firmware, connection."""
    level: Level
    """Judgement."""
    word: str
    """The same in a word."""
    advice: str = ""
    """What to do; empty when all is well."""


def plugged(info: DeviceInfo) -> DeviceRow:
    """A camera that is plugged in."""
    facts = [f"serial {info.serial}" if info.serial else "", f"firmware {info.firmware}" if info.firmware else ""]
    word = f"USB {info.usb}" if info.usb else "connected"
    shown = "  ·  ".join(fact for fact in facts if fact)
    # What to do about a slow connection is said once, above the list.
    advice = info.advice if info.usb_ok else ""
    return DeviceRow(info.product, shown, "good" if info.usb_ok else "warn", word, advice)


def opened(device: DeviceState) -> DeviceRow:
    """A device of the open rig."""
    level, word = _STATES.get(device.state, ("idle", device.state))
    return DeviceRow(device.name, f"serial {device.serial}" if device.serial else "", level, word, device.detail)


class DeviceList(QtWidgets.QWidget):
    """Rows of devices.

    Args:
        empty: what stands there while there are none.
    """

    def __init__(self, empty: str) -> None:
        super().__init__()
        self.rows: tuple[DeviceRow, ...] | None = None
        self._empty = empty
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self.show_rows(())

    def show_rows(self, rows: Sequence[DeviceRow]) -> None:
        """Show these; does nothing where nothing changed."""
        if tuple(rows) == self.rows:
            return
        self.rows = tuple(rows)
        while (item := self._column.takeAt(0)) is not None:
            item.widget().hide()
            item.widget().deleteLater()
        if not rows:
            empty = QtWidgets.QLabel(self._empty)
            empty.setObjectName("muted")
            empty.setWordWrap(True)
            self._column.addWidget(empty)
        for n, row in enumerate(rows):
            if n:
                line = QtWidgets.QFrame()
                line.setObjectName("line")
                self._column.addWidget(line)
            self._column.addWidget(_row(row))


def _row(row: DeviceRow) -> QtWidgets.QWidget:
    widget = QtWidgets.QWidget()
    name, facts, word, advice = (QtWidgets.QLabel(text) for text in (row.name, row.facts, f"● {row.word}", row.advice))
    name.setObjectName("strong")
    facts.setObjectName("muted")
    advice.setWordWrap(True)
    advice.setVisible(bool(row.advice))
    set_level(word, row.level)
    grid = QtWidgets.QGridLayout(widget)
    grid.setContentsMargins(0, 8, 0, 8)
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(0, 1)
    grid.addWidget(name, 0, 0)
    grid.addWidget(word, 0, 1, Qt.AlignRight)
    grid.addWidget(facts, 1, 0, 1, 2)
    grid.addWidget(advice, 2, 0, 1, 2)
    return widget
