"""When a run ends early: on Ctrl-C or SIGTERM after the step at work, or when validation gets no better."""

from __future__ import annotations

import logging
import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

logger = logging.getLogger(__name__)


@dataclass
class Request:
    """Whether someone asked the run to stop."""

    made: bool = False


@contextmanager
def on_request() -> Iterator[Request]:
    """Let Ctrl-C and SIGTERM ask for an end instead of tearing a step in two; a second Ctrl-C ends at once.

    Only the main thread is told of signals; in any other nothing changes.
    """
    request = Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, _: FrameType | None) -> None:
        if request.made and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.made = True
        logger.warning("stopping after this step ...")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Best:
    """The best validation so far; smaller is better."""

    value: float = math.inf
    """Of the figure that is watched."""
    step: int = 0
    """When it was found."""

    def take(self, value: float, step: int) -> bool:
        """Note a validation; returns whether it is the best so far. NaN never is."""
        if not value < self.value:
            return False
        self.value, self.step = value, step
        return True

    def exhausted(self, step: int, every: int, patience: int) -> bool:
        """Whether `patience` validations, one each `every` steps, have passed since the best one; never with 0."""
        return 0 < patience <= (step - self.step) // every
