"""What looks at frames while they are recorded: it gets what time there is, and yields first."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from capture.annotatable import Verdict, Watcher
from hoi_core.types import Frame, StreamInfo

_JUDGED_PER_S = 2.5
_REST_S = 0.05
_BUSY = 0.25


class Watch(threading.Thread):
    """Judges the newest frames of every stream a few times a second.

    Args:
        streams: all streams.
        busy: share in use of the recorder's rings; above a quarter nothing is looked at.
    """

    def __init__(self, streams: Sequence[StreamInfo], busy: Callable[[], float]) -> None:
        super().__init__(name="watch", daemon=True)
        self.watcher = Watcher(streams, every_s=0.8 / _JUDGED_PER_S)
        self._busy = busy
        self._waiting: deque[Frame] = deque(maxlen=len(streams))
        self._ending = threading.Event()
        self._due_s: dict[str, float] = {}

    def offer(self, frame: Frame) -> None:
        """A frame that may be looked at; never waits, and forgets the oldest when nobody looks."""
        now = time.monotonic()
        if now < self._due_s.get(frame.stream, 0.0):
            return
        self._due_s[frame.stream] = now + 1.0 / _JUDGED_PER_S
        self._waiting.append(frame)

    def run(self) -> None:
        """Look until `end`."""
        while not self._ending.wait(_REST_S):
            while self._waiting and not self._ending.is_set():
                frame = self._waiting.popleft()
                if self._busy() <= _BUSY:
                    self.watcher.add(frame)

    def end(self) -> None:
        """Stop looking and wait for the thread."""
        self._ending.set()
        if self.is_alive():
            self.join(timeout=5.0)

    def verdict(self, skew_ms: float, drops: int) -> Verdict:
        """What is known now."""
        return self.watcher.verdict(skew_ms, drops)
