# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread that looks at a session for its window: makes the pictures and collects the figures."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hoi_core.errors import HoiError
from hoi_core.types import U8

from .pictures import picture
from .qt import QtCore, Signal
from .sessions import CaptureSession, DeviceState, Health

log = logging.getLogger(__name__)
# 25 pictures a second look live and leave more of the processor to the recorder.
_PICTURE_S = 0.04
_FIGURES_S = 0.25
_VERDICT_S = 0.5


@dataclass(frozen=True)
class Wanted:
    """A picture that a window has room for."""

    place: int
    """Where it goes; the window's own number."""
    stream: str
    """The stream to look at."""
    mode: str
    """What to show of it."""
    room: tuple[int, int]
    """Largest width and height, px of the screen."""


@dataclass(frozen=True)
class Picture:
    """A picture that is ready to paint."""

    wanted: Wanted
    """What it answers."""
    pixels: U8
    """`(H, W, 3)` RGB or `(H, W)` gray, at the size to paint."""


@dataclass(frozen=True)
class Figures:
    """What a session says about itself."""

    health: Health
    """The recorder's figures."""
    devices: tuple[DeviceState, ...]
    """Every device of the rig."""
    error: HoiError | None
    """Met in the background, and handed out once."""


class Feed(QtCore.QObject):
    """Looks at a session until it is stopped; a window that is slow to paint gets fewer pictures, never a queue.

    Signals:
        pictures(tuple of Picture): those that are new.
        figures(Figures): four times a second.
        verdict(Verdict): twice a second.
        hands(view -> Sight): whether each view shows a hand, four times a second.
    """

    pictures = Signal(object)
    figures = Signal(object)
    verdict = Signal(object)
    hands = Signal(object)

    def __init__(self, session: CaptureSession, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._scales = {info.name: info.depth_scale_m for info in session.streams}
        self._wanted: tuple[Wanted, ...] = ()
        self._shown: dict[Wanted, int] = {}
        self._taken = threading.Event()
        self._taken.set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for the picture that is being made, some milliseconds."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def want(self, wanted: Sequence[Wanted]) -> None:
        """Ask for these pictures from now on."""
        self._wanted = tuple(wanted)

    def taken(self) -> None:
        """Tell that the last pictures are on their way to the screen."""
        self._taken.set()

    def _run(self) -> None:
        due = {self._look: 0.0, self._measure: 0.0, self._judge: 0.0}
        every = {self._look: _PICTURE_S, self._measure: _FIGURES_S, self._judge: _VERDICT_S}
        while not self._end.is_set():
            now = time.monotonic()
            for step in [step for step, at in due.items() if at <= now]:
                due[step] = now + every[step]
                try:
                    step()
                except Exception:
                    # A bug in a preview must not end it, and must never end a recording.
                    log.exception("the preview met an error")
            self._end.wait(max(min(due.values()) - time.monotonic(), 0.001))

    def _look(self) -> None:
        if not self._taken.is_set():
            return
        new = [made for wanted in self._wanted if (made := self._picture(wanted)) is not None]
        if new:
            self._taken.clear()
            self.pictures.emit(tuple(new))

    def _picture(self, wanted: Wanted) -> Picture | None:
        frame = self._session.latest(wanted.stream)
        if frame is None or self._shown.get(wanted) == frame.frame_number:
            return None
        if len(self._shown) > 4 * len(self._wanted) + 8:
            self._shown.clear()
        self._shown[wanted] = frame.frame_number
        return Picture(wanted, picture(frame, wanted.mode, self._scales.get(wanted.stream), wanted.room))

    def _measure(self) -> None:
        session = self._session
        self.figures.emit(Figures(session.health(), tuple(session.devices()), session.take_error()))
        self.hands.emit(session.hands())

    def _judge(self) -> None:
        verdict: Any = self._session.verdict()
        if verdict is not None:
            self.verdict.emit(verdict)
