# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the devices: which rigs there are, what is plugged in, and how the open rig is doing."""

from __future__ import annotations

from collections.abc import Sequence

from gui.lab import DeviceInfo, RigChoice
from gui.notice import Notice
from gui.panels.card import Card
from gui.panels.device_list import DeviceList, opened, plugged
from gui.panels.rig_list import RigList
from gui.qt import Qt, QtWidgets, Signal
from gui.session_host import HostState
from gui.sessions import CaptureSession, DeviceState
from hoi_core.errors import HoiError
from hoi_core.types import StreamInfo


class RigPage(QtWidgets.QWidget):
    """Rigs on the left, devices on the right.

    Signals:
        opened(rig), closed(): a person wants a rig opened, or the open one closed.
        refreshed(): a person wants the list read again.
    """

    opened = Signal(str)
    closed = Signal()
    refreshed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.rigs = RigList()
        self.plugged = DeviceList("No camera is plugged in. The simulated rig needs none.")
        self.state = DeviceList("Open a rig to see its devices.")
        self.bandwidth = Notice("good")
        self.usb = Notice("warn")
        self.streams = QtWidgets.QLabel()
        self.streams.setObjectName("muted")
        self.again = QtWidgets.QPushButton("Refresh")
        self.again.setToolTip("Read the rig files again. The devices need no refresh.")
        self.again.clicked.connect(self.refreshed)
        self.rigs.opened.connect(self.opened)
        self.rigs.closed.connect(self.closed)
        self._lay_out()

    def _lay_out(self) -> None:
        choose = Card(
            "Rigs", "A rig is a set of devices that record together, described by a file in the dataset's rigs folder."
        )
        choose.head.addWidget(self.again)
        choose.column.addWidget(self.rigs, 1)
        running = Card("Open rig")
        running.column.addWidget(self.state)
        running.column.addWidget(self.streams)
        running.column.addWidget(self.bandwidth)
        running.column.addStretch(1)
        connected = Card("Plugged in", "Updates by itself when a camera is plugged in or out.")
        connected.column.addWidget(self.usb)
        connected.column.addWidget(self.plugged)
        connected.column.addStretch(1)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(choose, 4)
        right = QtWidgets.QVBoxLayout()
        right.setSpacing(12)
        right.addWidget(running, 1)
        right.addWidget(connected, 1)
        row.addLayout(right, 5)

    def show_rigs(self, rigs: Sequence[RigChoice]) -> None:
        """Show the rigs that can be opened."""
        self.rigs.show_rigs(rigs)

    def show_plugged(self, devices: Sequence[DeviceInfo]) -> None:
        """Show what is plugged in; called again whenever that changes."""
        self.plugged.show_rows([plugged(info) for info in devices])
        slow = [info for info in devices if not info.usb_ok]
        if slow:
            names = ", ".join(f"{info.product} {info.serial}" for info in slow)
            self.usb.show_text(f"Slow connection: {names}", slow[0].advice)
        else:
            self.usb.hide()

    def show_state(self, state: HostState, rig: str, session: CaptureSession | None) -> None:
        """Show which rig is open and what it delivers."""
        self.rigs.show_state(state, rig)
        self.streams.setText(_streams_in_words(session.streams) if session is not None else "")
        self.streams.setTextFormat(Qt.RichText)
        if session is None:
            self.state.show_rows(())
            self.bandwidth.hide()

    def show_devices(self, devices: Sequence[DeviceState]) -> None:
        """Show how each device of the open rig is doing."""
        self.state.show_rows([opened(device) for device in devices])

    def show_bandwidth(self, words: str, error: HoiError | None = None) -> None:
        """Show whether the devices' modes fit through their connections."""
        self.bandwidth.set_level("bad" if error is not None else "good")
        text = error.message if error is not None else f"Bandwidth: {words}"
        self.bandwidth.show_text(text, error.hint if error is not None else "")


def _streams_in_words(streams: Sequence[StreamInfo]) -> str:
    rows = "".join(
        f"<tr><td style='padding-right:22px'>{info.name}</td>"
        f"<td style='padding-right:22px'>{info.shape[1]} × {info.shape[0]}</td><td>{info.fps:g} fps</td></tr>"
        for info in streams
    )
    return f"<table>{rows}</table>"
