"""Depth images of a recording while it is fitted: decoded once for hands and objects, ahead of use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Event, Thread

import numpy as np

from hoi_core.errors import HoiError
from hoi_core.sequence import Capture, ImageStream

_SHARE = 1 / 8


@contextmanager
def depth_kept(capture: Capture) -> Iterator[None]:
    """Within it, decoded depth images stay in memory, as many as fit in an eighth of the machine's.

    A thread decodes them, moment by moment, while the first guess still looks at keypoints.
    """
    streams = [view.depth for name, view in capture.views.items() if f"{name}/depth" in capture.streams]
    most = int(_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    stop = Event()
    reader = Thread(target=_read_ahead, args=(capture, streams, stop), name="depth", daemon=True)
    with ExitStack() as stack:
        for stream in streams:
            stack.enter_context(stream.keeping(most // len(streams)))
        reader.start()
        try:
            yield
        finally:
            stop.set()
            reader.join()


def _read_ahead(capture: Capture, streams: Sequence[ImageStream], stop: Event) -> None:
    """Decode what is kept, in the order of moments, until there is no more room."""
    if not streams:
        return
    for row in np.stack([capture.sync.index[stream.name] for stream in streams], axis=1):
        for stream, frame in zip(streams, row, strict=True):
            if stop.is_set() or not stream.room:
                return
            try:
                if frame >= 0:
                    stream[int(frame)]
            except (HoiError, IndexError):
                return  # whoever needs the image says what is wrong with it
