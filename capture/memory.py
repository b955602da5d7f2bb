"""Memory that a backlog took, given back to the system when it is worked off."""

from __future__ import annotations

import ctypes
import time

BACKLOG = 0.1
"""Share in use of a ring from which on what waits is more than a moment's delay: some fifty megabytes."""
_REST_S = 5.0


def give_back() -> None:
    """Return freed memory to the system; takes some ten milliseconds, does nothing without GNU's C library.

    Images are freed in threads other than those that made them: the allocator keeps that memory for the thread that
    made it, and after a backlog or a camera's return that is hundreds of megabytes which nobody uses.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Backlog:
    """Watches a ring, and gives memory back when it has emptied after it was well filled."""

    def __init__(self) -> None:
        self._high = False
        self._rested_s = 0.0

    def note(self, highest: float, fill: float, *, changed: bool = False) -> bool:
        """Take in how full the ring was and is; returns whether memory was given back.

        Args:
            highest: greatest share in use since the last time.
            fill: share in use now.
            changed: whether something else has freed much, such as a camera that was opened again.
        """
        self._high = self._high or highest > BACKLOG or changed
        now = time.monotonic()
        if not self._high or fill > 0.5 * BACKLOG or now < self._rested_s:
            return False
        self._high, self._rested_s = False, now + _REST_S
        give_back()
        return True
