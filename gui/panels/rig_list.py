# SPDX-License-Identifier: GPL-3.0-or-later
"""The rigs that can be opened, one card each, with the button that opens or closes it."""

from __future__ import annotations

from collections.abc import Sequence

from gui.health import Level
from gui.lab import RigChoice
from gui.qt import Qt, QtWidgets, Signal
from gui.session_host import HostState
from gui.theme import set_level

_BUTTON_PX = 92


class RigCard(QtWidgets.QFrame):
    """One rig.

    Signals:
        opened(name), closed().
    """

    opened = Signal(str)
    closed = Signal()

    def __init__(self, rig: RigChoice) -> None:
        super().__init__()
        self.setObjectName("well")
        self.rig = rig
        name = QtWidgets.QLabel(rig.name)
        name.setObjectName("title")
        self.state = QtWidgets.QLabel()
        devices = QtWidgets.QLabel("\n".join(rig.devices) or "no devices")
        devices.setObjectName("muted")
        devices.setWordWrap(True)
        devices.setVisible(bool(rig.devices) or not rig.problem)
        problem = QtWidgets.QLabel(rig.problem)
        problem.setWordWrap(True)
        problem.setVisible(bool(rig.problem))
        set_level(problem, "bad")
        if rig.path is not None:
            self.setToolTip(str(rig.path))
        self.button = QtWidgets.QPushButton("Open")
        self.button.setFocusPolicy(Qt.TabFocus)
        self.button.clicked.connect(self._press)
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(14, 10, 12, 12)
        grid.setVerticalSpacing(4)
        self.button.setMinimumWidth(_BUTTON_PX)
        grid.addWidget(name, 0, 0)
        grid.addWidget(self.state, 0, 1, Qt.AlignRight)
        grid.addWidget(self.button, 0, 2)
        grid.addWidget(devices, 1, 0, 1, 3)
        grid.addWidget(problem, 2, 0, 1, 3)
        grid.setColumnStretch(0, 1)
        grid.setHorizontalSpacing(12)

    def show_state(self, state: HostState, *, own: bool) -> None:
        """Show what the window's one open rig is doing; `own` if it is this one."""
        words = {"opening": "opening …", "open": "open", "closing": "closing …", "failed": "could not be opened"}
        shown = words.get(state, "") if own else ""
        self.state.setText(f"● {shown}" if shown else "")
        levels: dict[str, Level] = {"open": "good", "failed": "bad"}
        set_level(self.state, levels.get(state, "warn"))
        self.button.setText("Close" if own and state in ("open", "opening") else "Open")
        self.button.setObjectName("" if (own and state == "open") or self.rig.problem else "primary")
        self.button.style().unpolish(self.button)
        self.button.style().polish(self.button)
        # A rig whose problem is known may be opened all the same: the error says more.
        self.button.setEnabled(state not in ("opening", "closing") or (own and state == "opening"))

    def _press(self) -> None:
        if self.button.text() == "Close":
            self.closed.emit()
        else:
            self.opened.emit(self.rig.name)


class RigList(QtWidgets.QScrollArea):
    """Cards below each other.

    Signals:
        opened(name), closed(): a person pressed a card's button.
    """

    opened = Signal(str)
    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self.cards: list[RigCard] = []
        self._rigs: tuple[RigChoice, ...] = ()
        self._shown: tuple[HostState, str] = ("closed", "")

    def show_rigs(self, rigs: Sequence[RigChoice]) -> None:
        """Show these rigs."""
        if tuple(rigs) == self._rigs:
            return
        self._rigs = tuple(rigs)
        body = QtWidgets.QWidget()
        body.setObjectName("plain")
        column = QtWidgets.QVBoxLayout(body)
        column.setContentsMargins(0, 0, 6, 0)
        column.setSpacing(8)
        self.cards = [RigCard(rig) for rig in rigs]
        for card in self.cards:
            card.opened.connect(self.opened)
            card.closed.connect(self.closed)
            column.addWidget(card)
        column.addStretch(1)
        self.setWidget(body)
        self.show_state(*self._shown)

    def show_state(self, state: HostState, rig: str) -> None:
        """Show which rig is open."""
        self._shown = (state, rig)
        for card in self.cards:
            card.show_state(state, own=card.rig.name == rig and state != "closed")
