"""Ctrl-C and SIGTERM end a take cleanly; the second one ends the program at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop(threading.Event):
    """Set by the first signal."""

    def __init__(self) -> None:
        super().__init__()
        self.signal: signal.Signals | None = None
        """Which one came."""


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """An event that Ctrl-C or SIGTERM sets; after the first, signals do what they did before.

    Python hands signals to the main thread only, so that is where it must be entered.
    """
    stop = Stop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def first(number: int, _frame: FrameType | None) -> None:
        restore()
        stop.signal = signal.Signals(number)
        stop.set()

    for number in _SIGNALS:
        signal.signal(number, first)
    try:
        yield stop
    finally:
        restore()
