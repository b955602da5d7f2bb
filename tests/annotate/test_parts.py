"""Work in parts: in order, each part once, failures told, and no waiting for one's own thread."""

import numpy as np
import pytest

from annotate.parts import at_once, in_parts


def test_every_part_is_done_once_and_told_in_order():
    done = []
    assert list(at_once(lambda k: done.append(k) or k * k, range(40))) == [k * k for k in range(40)]
    assert sorted(done) == list(range(40))


def test_parts_end_between_moments():
    moment = np.sort(np.random.default_rng(0).integers(0, 1000, 5000))
    spans = list(in_parts(lambda span: span, moment))
    assert [first for first, _ in spans] == [0, *(last for _, last in spans[:-1])]
    assert spans[-1][1] == len(moment)
    assert all(moment[last - 1] < moment[last] for _, last in spans[:-1])


def test_a_part_that_fails_is_told():
    def work(k):
        if k == 7:
            raise ValueError("part 7")
        return k

    with pytest.raises(ValueError, match="part 7"):
        list(at_once(work, range(20)))


def test_parts_within_parts_do_not_wait_for_themselves():
    def inner(k):
        return sum(at_once(lambda j: k * j, range(5)))

    assert list(at_once(inner, range(8))) == [10 * k for k in range(8)]
