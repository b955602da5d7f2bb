"""Jobs in worker processes that do not outlive whoever started them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from hoi_core.errors import DatasetError

_T = TypeVar("_T")


def done(jobs: Sequence[Callable[[], _T]], workers: int) -> Iterator[tuple[int, _T]]:
    """Do every job, in other processes if there are several workers.

    Args:
        jobs: what can be pickled.
        workers: processes.

    Yields:
        Number of the job and its result, in the order in which they are done.

    Raises:
        DatasetError: a worker was killed.
    """
    if min(workers, len(jobs)) < 2:
        for number, job in enumerate(jobs):
            yield number, job()
        return
    # A forked process would share our open HDF5 files.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), spawn, initializer=end_with_parent) as pool:
        try:
            numbers = {pool.submit(job): number for number, job in enumerate(jobs)}
            for finished in as_completed(numbers):
                yield numbers[finished], finished.result()
        except BrokenProcessPool as error:
            raise DatasetError(
                "a worker process was ended from outside; what is finished is kept.",
                "If memory ran out take fewer --workers; the same command goes on where it was.",
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


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
