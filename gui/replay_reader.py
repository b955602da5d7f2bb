# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread that reads a recording for its window: only this thread touches the files, so the window never waits."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from hoi_core import draw
from hoi_core.errors import HoiError, StorageError
from hoi_core.sequence import Capture, open_capture
from hoi_core.types import U8, Frame, StreamInfo

from .feed import Picture, Wanted
from .pictures import picture, title
from .qt import QtCore, Signal
from .replay_labels import Labels
from .timetable import Timetable, timetable

log = logging.getLogger(__name__)
_CACHE_BYTES = 96 << 20
_AHEAD = 4
_LABELLED = ("color", "gray", "edge")
# A label stands for a moment this far away at most; the moments of labels are those of the recording.
_LABEL_NS = 1e6


@dataclass(frozen=True)
class Opened:
    """What a window needs to know of a recording before it shows any of it."""

    path: Path
    """The first capture file."""
    summary: str
    """Who did what, in one line."""
    state: str
    """`complete`, `stopped early` or `never closed`."""
    segments: int
    """Number of capture files."""
    infos: tuple[StreamInfo, ...]
    """Every stream."""
    fields: Mapping[str, Mapping[str, np.ndarray]]
    """stream -> `frame_number`, `exposure_us`: (N,) each."""
    table: Timetable
    """When everything happened."""
    labels: str
    """Name of the revision that can be laid over the pictures; empty if there is none."""


@dataclass(frozen=True)
class Shown:
    """The pictures of one moment; places whose stream has no frame there are not among them."""

    moment: int
    """Number of the moment."""
    pictures: tuple[Picture, ...]
    """At the camera's own size; twice that with labels."""


@dataclass(frozen=True)
class Request:
    """What a window wants to see."""

    moment: int = 0
    """Number of the moment."""
    wanted: tuple[Wanted, ...] = ()
    """The pictures."""
    labels: bool = False
    """Whether labels are laid over them."""
    step: int = 0
    """Which way the next request will probably go, in moments: 0 for no way."""


@dataclass
class _Cache:
    """The frames used last, up to a number of bytes."""

    frames: OrderedDict[tuple[str, int], Frame] = field(default_factory=OrderedDict)
    size: int = 0

    def get(self, key: tuple[str, int], read: Callable[[], Frame]) -> Frame:
        if key in self.frames:
            self.frames.move_to_end(key)
            return self.frames[key]
        frame = self.frames[key] = read()
        self.size += frame.image.nbytes
        while self.size > _CACHE_BYTES and len(self.frames) > 1:
            self.size -= self.frames.popitem(last=False)[1].image.nbytes
        return frame


class ReplayReader(QtCore.QObject):
    """Reads what was asked for last; requests that were overtaken are never read.

    Args:
        path: of a sequence's folder or capture file.

    Signals:
        opened(Opened): the recording can be shown.
        shown(Shown): the pictures of a moment.
        failed(HoiError): the recording cannot be opened, or a part of it not be read.
        saved(tuple of paths): pictures were written.
    """

    opened = Signal(object)
    shown = Signal(object)
    failed = Signal(object)
    saved = Signal(object)

    def __init__(self, path: Path) -> None:
        # Without a parent: the thread keeps it alive until its last read has ended, so that closing never waits.
        super().__init__()
        self._path = path
        self._wake = threading.Condition()
        self._request: Request | None = None
        self._errands: list[Callable[[Capture], None]] = []
        self._ahead: list[Request] = []
        self._end = False
        self._cache = _Cache()
        self._table: Timetable | None = None
        self._labels: Labels | None = None
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)

    def start(self) -> None:
        """Open the recording and begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is being read; returns at once."""
        with self._wake:
            self._end = True
            self._wake.notify()

    def wait(self, seconds: float = 5.0) -> bool:
        """Wait for the end after `stop`, so that the files are closed. Returns whether it has come."""
        if self._thread.is_alive():
            self._thread.join(timeout=seconds)
        return not self._thread.is_alive()

    def ask(self, request: Request) -> None:
        """Ask for pictures; replaces what was asked for before and not begun."""
        with self._wake:
            self._request = request
            self._wake.notify()

    def save(self, request: Request, path: Path, heading: str) -> None:
        """Write the wanted pictures of a moment side by side as one PNG."""
        with self._wake:
            self._errands.append(lambda capture: self._write_sheet(capture, request, path, heading))
            self._wake.notify()

    def save_frames(self, moment: int, folder: Path) -> None:
        """Write every stream's own image of a moment as a PNG; depth with its 16 bits."""
        with self._wake:
            self._errands.append(lambda capture: self._write_frames(capture, moment, folder))
            self._wake.notify()

    def _run(self) -> None:
        try:
            with open_capture(self._path) as capture:
                self._begin(capture)
                self._serve(capture)
        except HoiError as error:
            self.failed.emit(error)
        except Exception as error:
            # A bug in reading must reach the person instead of leaving an empty window.
            log.exception("the recording could not be read")
            self.failed.emit(HoiError(f"unexpected {type(error).__name__}: {error}.", "Copy the details."))

    def _begin(self, capture: Capture) -> None:
        table = self._table = timetable(capture)
        header, folder = capture.header, capture.path.parent
        who = (header.participant, " ".join(header.objects), header.scenario, header.action, f"rig {header.rig}")
        state = "complete" if capture.complete else "never closed" if capture.never_closed else "stopped early"
        if Labels.exist(folder):
            try:
                self._labels = Labels(folder)
            except HoiError as error:
                # The recording is worth looking at without them.
                self.failed.emit(error)
        opened = Opened(
            path=capture.path,
            summary="  ·  ".join(word for word in who if word),
            state=state,
            segments=len(capture.paths),
            infos=tuple(stream.info for stream in capture.streams.values()),
            fields={
                name: {"frame_number": stream.frame_number, "exposure_us": stream.exposure_us}
                for name, stream in capture.streams.items()
            },
            table=table,
            labels=self._labels.name if self._labels is not None else "",
        )
        self.opened.emit(opened)

    def _serve(self, capture: Capture) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._end or self._request or self._errands or self._ahead)
                if self._end:
                    return
                request, self._request = self._request, None
                errands, self._errands = self._errands, []
            for errand in errands:
                self._guarded(errand, capture)
            if request is not None:
                self._guarded(partial(self._show, request), capture)
                self._ahead = self._next(request)
            elif self._ahead:
                self._fetch(capture, self._ahead.pop(0))

    def _guarded(self, errand: Callable[[Capture], None], capture: Capture) -> None:
        try:
            errand(capture)
        except HoiError as error:
            self.failed.emit(error)

    def _show(self, request: Request, capture: Capture) -> None:
        self.shown.emit(self._made(capture, request))

    def _next(self, request: Request) -> list[Request]:
        """What will probably be asked for soon."""
        count = len(self._table) if self._table is not None else 0
        moments = [request.moment + k * request.step for k in range(1, _AHEAD + 1)] if request.step else []
        return [Request(moment, request.wanted) for moment in moments if 0 <= moment < count]

    def _fetch(self, capture: Capture, request: Request) -> None:
        for stream in {wanted.stream for wanted in request.wanted}:
            try:
                self._frame(capture, stream, request.moment)
            except HoiError:
                # It is told when it is shown.
                return

    def _frame(self, capture: Capture, stream: str, moment: int) -> Frame | None:
        table = self._table
        if table is None or stream not in capture.streams or not 0 <= moment < len(table):
            return None
        index = int(table.index[stream][moment])
        return self._cache.get((stream, index), lambda: capture.streams[stream].frame(index)) if index >= 0 else None

    def _made(self, capture: Capture, request: Request) -> Shown:
        found = []
        for wanted in request.wanted:
            frame = self._frame(capture, wanted.stream, request.moment)
            if frame is not None:
                found.append(Picture(wanted, self._picture(capture, frame, wanted, request)))
        return Shown(request.moment, tuple(found))

    def _picture(self, capture: Capture, frame: Frame, wanted: Wanted, request: Request) -> U8:
        info = capture.streams[wanted.stream].info
        # At its own size: the window zooms into it.
        made = picture(frame, wanted.mode, info.depth_scale_m, (frame.image.shape[1], frame.image.shape[0]))
        view, _, kind = wanted.stream.partition("/")
        if not request.labels or self._labels is None or kind != "color" or wanted.mode not in _LABELLED:
            return made
        n = self._labels.frame_at(int(self._table.t_ns[request.moment]), _LABEL_NS) if self._table else None
        return made if n is None else self._labels.draw_on(made, info.camera, view, n)

    def _write_sheet(self, capture: Capture, request: Request, path: Path, heading: str) -> None:
        pictures = self._made(capture, request).pictures
        if not pictures:
            raise HoiError("no stream has a frame at this moment, so there is nothing to save.", "Step to another one.")
        labelled = [
            draw.label(draw.to_rgb(made.pixels), title(made.wanted.stream.split("/")[0], made.wanted.mode))
            for made in pictures
        ]
        sheet = draw.label(draw.montage(labelled, columns=2), heading, corner="bottom-left")
        _write_png(path, sheet)
        self.saved.emit((path,))

    def _write_frames(self, capture: Capture, moment: int, folder: Path) -> None:
        paths = []
        for name in capture.streams:
            frame = self._frame(capture, name, moment)
            if frame is not None:
                path = folder / f"{capture.path.parent.name}_{moment:05d}_{name.replace('/', '_')}.png"
                _write_png(path, np.asarray(frame.image))
                paths.append(path)
        self.saved.emit(tuple(paths))


def _write_png(path: Path, image: np.ndarray) -> None:
    pixels = image[..., ::-1] if image.ndim == 3 else image
    done, data = cv2.imencode(".png", np.ascontiguousarray(pixels))
    try:
        if not done:
            raise OSError("the image cannot be encoded")
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}.", "Choose another folder.") from error
