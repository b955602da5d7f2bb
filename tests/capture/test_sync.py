"""Pairing and the drop ledger, with hypothesis choosing which frames get lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.sync import NOT_DELIVERED, StreamTimes, align, nearest
from capture.view_figures import depth_fill

PERIOD = 33_333_333
PHASES = {"left/color": 0, "left/depth": -200_000, "right/color": 9_000_000, "edge128/gray": -4_000_000}
FIRST_NUMBERS = {"left/color": 0, "left/depth": 0, "right/color": 100, "edge128/gray": 7}
N = 60


def streams(lost: set[tuple[str, int]]) -> dict[str, StreamTimes]:
    """The twin rig's streams without the lost frames; each has its own phase, counter and jitter."""
    out = {}
    for name, phase in PHASES.items():
        rng = np.random.default_rng(len(name))
        kept = np.array([k for k in range(N) if (name, k) not in lost])
        jitter = rng.integers(-500_000, 500_000, N)[kept]
        out[name] = StreamTimes(kept + FIRST_NUMBERS[name], kept * PERIOD + phase + jitter)
    return out


LOSSES = st.sets(st.tuples(st.sampled_from(sorted(PHASES)), st.integers(0, N - 1)), max_size=20)


@settings(max_examples=60)
@given(LOSSES)
def test_the_ledger_lists_exactly_what_was_lost(lost):
    # A moment that nobody saw at either end cannot be known.
    edges = [k for k in (0, N - 1) if all((name, k) in lost for name in PHASES)]
    if edges:
        return
    moments, drops = align(streams(lost), "left/color", PERIOD, whole=True)
    assert {(d.stream, d.frame_number - FIRST_NUMBERS[d.stream]) for d in drops} == lost
    assert len(drops) == len(lost)
    assert len(moments.t_ns) == N
    for name in PHASES:
        index = moments.index[name]
        for k in range(N):
            assert (index[k] == -1) == ((name, k) in lost)
        used = index[index >= 0]
        assert len(np.unique(used)) == len(used) == N - sum(stream == name for stream, _ in lost)
        numbers = streams(lost)[name].number[used] - FIRST_NUMBERS[name]
        np.testing.assert_array_equal(numbers, np.flatnonzero(index >= 0))
    for drop in drops:
        expected = (drop.frame_number - FIRST_NUMBERS[drop.stream]) * PERIOD + PHASES[drop.stream]
        assert abs(drop.t_ns - expected) < 2_500_000
        assert drop.reason == NOT_DELIVERED


def test_skew_is_the_difference_of_the_cameras_phases():
    moments, drops = align(streams(set()), "left/color", PERIOD, whole=True)
    assert drops == []
    assert np.median(moments.skew_ns["right/color"]) == pytest.approx(9_000_000, abs=500_000)
    assert not moments.skew_ns["left/color"].any()


def test_live_streams_that_start_and_stop_apart_have_no_drops():
    late = streams({("right/color", k) for k in range(10)} | {("left/depth", N - 1)})
    moments, drops = align(late, "left/color", PERIOD, whole=False)
    assert drops == []
    assert moments.index["right/color"][:10].tolist() == [-1] * 10


def test_clocks_that_slip_by_a_frame_do_not_invent_drops():
    """Over ten minutes 100 ppm are two frames: the counters relate differently at the two ends."""
    k = np.arange(18_000)
    slow = np.arange(17_998)
    given_streams = {
        "left/color": StreamTimes(k, k * PERIOD),
        "right/color": StreamTimes(slow, np.rint(slow * PERIOD * 1.0001).astype(np.int64)),
    }
    moments, drops = align(given_streams, "left/color", PERIOD, whole=True)
    assert drops == []
    used = moments.index["right/color"]
    assert (np.diff(used[used >= 0]) > 0).all()


def test_nearest_uses_each_frame_once_and_nothing_from_afar():
    index, skew = nearest(np.array([0, 10, 20, 100]), np.array([1, 12, 13]), 5.0)
    assert index.tolist() == [0, 1, -1, -1]
    assert skew.tolist() == [1, 2, 0, 0]
    assert nearest(np.array([0, 10]), np.array([], dtype=np.int64), 5.0)[0].tolist() == [-1, -1]
    assert nearest(np.array([4]), np.array([3]), 5.0)[0].tolist() == [0]


def test_depth_fill_is_the_share_of_measured_pixels():
    depth = np.zeros((480, 640), np.uint16)
    depth[:, :320] = 700
    assert depth_fill(depth) == pytest.approx(0.5)
