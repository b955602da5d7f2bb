"""Asking a run to stop, and when it stops by itself."""

import math
import os
import signal
import threading

import pytest

from learning.stopping import Best, on_request


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_and_a_second_ctrl_c_ends(number):
    before = signal.getsignal(number)
    with on_request() as request:
        os.kill(os.getpid(), number)
        assert request.made
        os.kill(os.getpid(), signal.SIGTERM)  # asks again, no more
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(number) is before


def test_another_thread_leaves_signals_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with on_request() as request:
            seen.append((request.made, signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, True)]


def test_the_best_validation_is_the_smallest_and_never_nan():
    best = Best()
    assert [best.take(value, step) for step, value in ((10, 3.0), (20, math.nan), (30, 3.0), (40, 2.0))] == [
        True, False, False, True,
    ]  # fmt: skip
    assert (best.value, best.step) == (2.0, 40)
    assert not best.exhausted(60, 10, 3)
    assert best.exhausted(70, 10, 3)
    assert not best.exhausted(10_000, 10, 0)
