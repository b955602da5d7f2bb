"""Workers end with the process that started them, even if that is killed."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from hoi_core.errors import DatasetError
from hoi_core.workers import done

POOL = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from hoi_core.workers import end_with_parent

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert _runs(worker)
        parent.send_signal(signal.SIGKILL)
    for _ in range(600):
        if not _runs(worker):
            return
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    raise AssertionError("the worker outlived its parent")


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_done_once_and_told_by_its_number(workers: int) -> None:
    assert dict(done([partial(abs, -n) for n in range(5)], workers)) == {n: n for n in range(5)}


def test_a_worker_that_dies_is_an_error_in_words() -> None:
    with pytest.raises(DatasetError, match="ended from outside"):
        list(done([partial(os._exit, 1), partial(abs, -1)], 2))


def _runs(process: int) -> bool:
    """Whether a process is there and no zombie that nobody has waited for."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
