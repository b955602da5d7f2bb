"""Clock models of several pieces, their rows, and the raw values behind continued ones."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hoi_core.camera import row_time_ns
from hoi_core.sequence.clocks import (
    UNKNOWN,
    Clock,
    ClockPiece,
    Epoch,
    clock_of,
    epoch_rows,
    epochs_of,
    raw_values,
    rows_of,
    scalar_of,
)

TWO = Clock(
    (ClockPiece(0, 0, 5_000, 0.0, 10.0), ClockPiece(1_000_000, 1_000_000, 7_000, 100.0, 20.0)),
    motion_offset_ns=-300,
    motion_sigma_ns=50.0,
)


def test_each_device_time_is_on_its_own_piece():
    t = np.array([-10, 999_999, 1_000_000, 2_000_000])
    expected = [-10 + 5_000, 999_999 + 5_000, 1_000_000 + 7_000, 2_000_000 + 7_000 + 100]
    assert TWO.to_common_ns(t).tolist() == [value - 300 for value in expected]
    assert TWO.to_common_ns(np.int64(999_999)).item() == 999_999 + 5_000 - 300


def test_rows_hold_the_whole_model_and_a_file_without_them_the_last_piece():
    assert clock_of(rows_of(TWO), scalar_of(TWO)) == TWO
    old = clock_of(None, scalar_of(TWO))
    late = np.array([1_500_000, 9_000_000])
    assert old.to_common_ns(late).tolist() == TWO.to_common_ns(late).tolist()
    assert np.isnan(clock_of(None, scalar_of(UNKNOWN)).drift_ppm)
    assert UNKNOWN.to_common_ns(np.array([3, 4])).tolist() == [3, 4]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.integers(0, 10**6))
def test_raw_values_undo_what_was_added(lengths, seed):
    rng = np.random.default_rng(seed)
    number, time, raw_number, raw_time, epochs = [], [], [], [], []
    n, t = 0, 0
    for k, length in enumerate(lengths):
        added, later = int(rng.integers(0, 1000)) * (k > 0), int(rng.integers(-(10**9), 10**9)) * (k > 0)
        n, t = n + 5, t + 10**8
        if k:
            epochs.append(Epoch("left/color", n, added, later, "unplugged"))
        for _ in range(length):
            number.append(n)
            time.append(t)
            raw_number.append(n - added)
            raw_time.append(t - later)
            n, t = n + 1, t + 33
    epochs.append(Epoch("left/depth", 3, 77, 88, "wrap"))
    again = epochs_of(epoch_rows(epochs))
    assert again == epochs
    got = raw_values(again, "left/color", np.array(number), np.array(time))
    assert got[0].tolist() == raw_number
    assert got[1].tolist() == raw_time


def test_rows_of_a_rolling_shutter_are_read_one_after_another():
    t = np.array([10**9])
    assert row_time_ns(t, np.array([239.5]), 480, 15_000.0).tolist() == [10**9]
    assert row_time_ns(t, np.array([0.0, 479.0]), 480, 15_000.0).tolist() == [10**9 - 7_500_000, 10**9 + 7_500_000]
    assert row_time_ns(t, np.array([12.0]), 480, 0.0).tolist() == [10**9]
