"""Depth images of a recording while it is fitted: hands and objects look at the same ones, decoded once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from hoi_core.sequence import Capture

_SHARE = 1 / 8


@contextmanager
def depth_kept(capture: Capture) -> Iterator[None]:
    """Within it, decoded depth images stay in memory, as many as fit in an eighth of the machine's."""
    streams = [view.depth for name, view in capture.views.items() if f"{name}/depth" in capture.streams]
    most = int(_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with ExitStack() as stack:
        for stream in streams:
            stack.enter_context(stream.keeping(most // len(streams)))
        yield
