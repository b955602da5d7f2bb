# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the list of rigs and of what is plugged in up to date."""

from __future__ import annotations

from collections.abc import Sequence

from .jobs import Jobs
from .lab import Closing, DeviceInfo, Lab
from .qt import QtCore, Signal
from .sessions import CaptureSession


class DeviceKeeper(QtCore.QObject):
    """Follows plug and unplug from a thread of the driver.

    Signals:
        rigs(sequence of RigChoice), plugged(sequence of DeviceInfo): as they are now.
        bandwidth(words, HoiError or None): whether the open rig's modes fit through its connections.
    """

    rigs = Signal(object)
    plugged = Signal(object)
    bandwidth = Signal(str, object)

    def __init__(self, lab: Lab, jobs: Jobs, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._lab, self._jobs = lab, jobs
        self._watch: Closing | None = None
        self._closed = False
        # Whether a rig can be opened depends on what is plugged in.
        self.plugged.connect(lambda _devices: self.refresh())
        # The driver opens its context when it is first asked: some hundred milliseconds, so not on the window's thread.
        jobs.run("watch", lambda: lab.watch(self._on_change), self._watching)

    def refresh(self) -> None:
        """Read the rig files again."""
        self._jobs.run("rigs", self._lab.rigs, self.rigs.emit)

    def judge_bandwidth(self, session: CaptureSession) -> None:
        """Say whether what the rig delivers fits through its connections."""
        self._jobs.run(
            "bandwidth",
            lambda: self._lab.bandwidth(session.streams),
            lambda words: self.bandwidth.emit(words, None),
            lambda error: self.bandwidth.emit("", error),
        )

    def close(self) -> None:
        """End following."""
        self._closed = True
        watch, self._watch = self._watch, None
        if watch is not None:
            self._jobs.run("watch", watch.close, lambda _: None)

    def _on_change(self, devices: Sequence[DeviceInfo]) -> None:
        # From the driver's thread; the signal is queued to the window's.
        if not self._closed:
            self.plugged.emit(tuple(devices))

    def _watching(self, watch: Closing) -> None:
        self._watch = watch
        if self._closed:
            self.close()
