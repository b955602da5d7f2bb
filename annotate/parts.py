"""Work on parts of a sequence, on two threads; the parts, and so the result, do not depend on how many there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TypeVar

import numpy as np

from hoi_core.types import I64

S = TypeVar("S")
T = TypeVar("T")
_MOMENTS = 64
_THREADS = 2


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Threads of this process: a fork does not have those of its parent."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="fit")


def at_once(work: Callable[[S], T], parts: Sequence[S]) -> Iterator[T]:
    """Call `work` with each part, some at once, and yield what it returns, in order.

    The caller takes parts as well, and one more thread: to hand over every part would cost more than many of them.
    """
    if len(parts) < 2:
        return map(work, parts)
    done: dict[int, T] = {}
    left = iter(range(len(parts)))

    def take() -> None:
        for k in left:
            done[k] = work(parts[k])

    helper = _pool(os.getpid()).submit(take)
    try:
        take()
    finally:
        # One that never began has nothing to do any more.
        if not helper.cancel():
            helper.result()
    return (done[k] for k in range(len(parts)))


def in_parts(work: Callable[[tuple[int, int]], T], moment: I64) -> Iterator[T]:
    """Call `work` with the first row and the last (excluded) of each 64 moments, and yield what it returns, in order.

    Args:
        work: lets go of the interpreter's lock for most of its time; parts may run at once.
        moment: `(K,)` moment of each row, ascending.
    """
    if not len(moment):
        return iter(())
    borders = np.searchsorted(moment, np.arange(0, int(moment[-1]) + 1 + _MOMENTS, _MOMENTS)).tolist()
    spans = [(first, last) for first, last in pairwise(borders) if first < last]
    return at_once(work, spans)


def moment_parts(work: Callable[[tuple[int, int]], T], moments: int) -> Iterator[T]:
    """Call `work` with the first moment and the last (excluded) of each part, as `in_parts` does."""
    return in_parts(work, np.arange(moments))
