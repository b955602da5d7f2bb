"""Worker processes that do not outlive whoever started them."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """In a worker process, as the `initializer` of its pool: end it when the process that started it ends.

    A process that is killed cannot tell its workers; they would wait for work for ever.
    """
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
