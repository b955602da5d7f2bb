# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread that looks for the calibration board in a session's newest images."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capture.device import image_streams
from hoi_core.errors import HoiError
from hoi_core.types import U8

from .qt import QtCore, Signal
from .sessions import CaptureSession

if TYPE_CHECKING:
    from capture.calibrate import Board, Collector, Guidance

log = logging.getLogger(__name__)
# Five looks a second are enough to follow a hand-held board and leave the processor to the cameras.
_PERIOD_S = 0.2
_SILENT_S = 1.0
_WAITING = "Hold the board so that all cameras see it, and keep it still."
_ALL_SEE = "All cameras see the board. Check now."
_ENOUGH = 12

Look = Callable[[Mapping[str, U8]], "Guidance"]


@dataclass(frozen=True)
class Seen:
    """What was found in one image of each view."""

    images: Mapping[str, U8]
    """view -> `(H, W, 3)` RGB or `(H, W)` gray."""
    guidance: Guidance
    """Corners in these images, what is collected, and what to do next."""


def collecting(session: CaptureSession, collector: Collector) -> Look:
    """A look that collects shots, with the depth that the cameras measure meanwhile."""
    from capture.calibrate.live import depth_points

    # A look that was begun before a pause may still run when the next one begins.
    alone = threading.Lock()
    depths = {info.view: info for info in session.streams if info.depth_scale_m is not None}

    def look(images: Mapping[str, U8]) -> Guidance:
        measured = {}
        for view, info in depths.items():
            frame = session.latest(info.name) if view in images and view in collector.factory else None
            if frame is not None:
                measured[view] = depth_points(frame, info, collector.factory[view])
        with alone:
            return collector.add(images, measured)

    return look


class BoardWatch(QtCore.QObject):
    """Hands the newest images to a function until it is stopped; nothing waits for it.

    Args:
        session: a running one.
        look: says what is in the images; called on the thread.

    Signals:
        seen(Seen): after each look.
        failed(HoiError): looking has ended with an error.
    """

    seen = Signal(object)
    failed = Signal(object)

    def __init__(self, session: CaptureSession, look: Look) -> None:
        # Without a parent: the thread keeps it alive until its last look has ended, so that nobody needs to wait.
        super().__init__()
        self._session, self._look = session, look
        self._streams = {view: info.name for view, info in image_streams(session.streams).items()}
        self._looked: dict[str, int] = {}
        self._last_s = time.monotonic()
        self._end = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._thread = threading.Thread(target=self._run, name="board", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look that is under way; returns at once."""
        self._end.set()
        self._go.set()

    @property
    def ended(self) -> bool:
        """Whether the thread has ended."""
        return not self._thread.is_alive()

    def pause(self, *, paused: bool) -> None:
        """Look no more for a while, or go on."""
        if paused:
            self._go.clear()
        else:
            self._go.set()

    def _run(self) -> None:
        while not self._end.is_set():
            self._go.wait()
            started = time.monotonic()
            try:
                images = self._newest()
                if images and not self._end.is_set():
                    self.seen.emit(Seen(images, self._look(images)))
            except HoiError as error:
                self.failed.emit(error)
                return
            except Exception as error:
                # A bug in the search must reach the person instead of leaving a still picture.
                log.exception("looking for the board failed")
                message = f"unexpected {type(error).__name__}: {error}."
                self.failed.emit(HoiError(message, "Copy the details and report them."))
                return
            self._end.wait(max(_PERIOD_S - (time.monotonic() - started), 0.02))

    def _newest(self) -> dict[str, U8]:
        """The newest image of each view; nothing while one that is not silent has none that is new."""
        now = time.monotonic()
        frames = {view: self._session.latest(stream) for view, stream in self._streams.items()}
        fresh = {
            view: frame
            for view, frame in frames.items()
            if frame is not None and frame.t_host_ns != self._looked.get(view)
        }
        # A silent camera's last image would be taken for one of now.
        if not fresh or (len(fresh) < len(frames) and now - self._last_s < _SILENT_S):
            return {}
        self._last_s = now
        self._looked.update({view: frame.t_host_ns for view, frame in fresh.items()})
        return {view: np.asarray(frame.image, np.uint8) for view, frame in fresh.items()}


def checker(board: Board) -> Look:
    """A look for the daily check: where the board is now, and whether all views see enough of it."""
    from capture.calibrate import Guidance, ViewGuidance, detect
    from capture.calibrate.collect import GRID
    from capture.calibrate.detect import COARSE_PX

    def look(images: Mapping[str, U8]) -> Guidance:
        views = {}
        for view, image in images.items():
            found = detect(board, image) if image.shape[1] >= COARSE_PX else None
            corners_px = found.corners_px if found is not None else np.zeros((0, 2))
            views[view] = ViewGuidance(len(corners_px), corners_px, np.zeros(GRID, np.int64), 0, 0.0)
        large = [view for view, image in images.items() if image.shape[1] >= COARSE_PX]
        ready = len(large) > 1 and all(views[view].corners >= _ENOUGH for view in large)
        share = sum(views[view].corners >= _ENOUGH for view in large) / max(len(large), 1)
        return Guidance(False, _ALL_SEE if ready else _WAITING, views, 0, share, ready)

    return look
