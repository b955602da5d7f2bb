"""What this core can do at best, to judge what the engine reaches."""

from __future__ import annotations

import time

_ROUNDS = 200_000
_REPEATS = 5


def multiply_adds_per_second(instruction_set: str) -> float:
    """Multiply-adds a second on registers alone, the best of some short runs of this thread.

    Args:
        instruction_set: of `hoi_core.native.instruction_sets`.

    Raises:
        ValueError: this processor does not have it.
    """
    from hoi_core.native import _engine

    found = []
    for _ in range(_REPEATS):
        start = time.thread_time()
        done = _engine.multiply_adds(instruction_set, _ROUNDS)
        found.append(done / (time.thread_time() - start))
    return max(found)
