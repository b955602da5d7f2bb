"""Continued counters and clocks, against cameras that we take away, give back and reset."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.continuity import CLOCK_RESET, COUNTER_RESET, ESTIMATED, RESTARTED, UNPLUGGED, WRAP, Continuity
from hoi_core.sequence.clocks import raw_values
from hoi_core.types import Camera, Frame, StreamInfo

CAMERA = Camera(4, 4, 1.0, 1.0, 0.0, 0.0)
IMAGE = np.zeros((4, 4), np.uint8)
PERIOD = 33_333_333
WRAP_NS = (1 << 32) * 1000
STREAMS = [StreamInfo(f"left/{kind}", "camera", (4, 4), "uint8", 30.0, CAMERA, "1") for kind in ("color", "depth")]


class Camera435:
    """Two imagers at true times k * period on a drifting clock, with delivery delays; `k` is the true number."""

    def __init__(self, seed: int, drift_ppm: float = 40.0, origin_ns: int = 55 * 10**9, jitter_ns: float = 2e6):
        self.rng = np.random.default_rng(seed)
        self.rate = 1.0 + drift_ppm * 1e-6
        self.clock_ns, self.zero_k, self.jitter_ns = origin_ns, 0, jitter_ns
        self.domain = "hardware_clock"

    def at(self, k: int, stall_ns: int = 0) -> list[tuple[int, Frame]]:
        out = []
        for info, phase in zip(STREAMS, (0, -400_000), strict=True):
            true = 10**12 + k * PERIOD + phase
            device = self.clock_ns + round(k * PERIOD * self.rate) + phase
            late = abs(self.rng.normal(0.0, self.jitter_ns)) + 3e6 + stall_ns
            out.append((k, Frame(info.name, k - self.zero_k, device, true + int(late), self.domain, IMAGE)))
        return out

    def replug(self, k: int) -> None:
        """Counter and clock begin anew, at frame k."""
        self.zero_k = k - int(self.rng.integers(0, 3))
        self.clock_ns = int(self.rng.integers(0, 10**8)) - round(k * PERIOD * self.rate)

    def reset_clock(self, k: int) -> None:
        self.clock_ns = int(self.rng.integers(0, 10**10)) - round(k * PERIOD * self.rate)


def run(continuity, deliveries):
    """(true k, continued frame) of everything that comes out, in the order in which frames went in."""
    keys: dict[str, list[int]] = {}
    out = []
    for k, frame in deliveries:
        keys.setdefault(frame.stream, []).append(k)
        out += continuity.continue_(frame)
    out += continuity.flush()
    got = {}
    for frame in out:
        got.setdefault(frame.stream, []).append(frame)
    return {name: list(zip(keys[name], got[name], strict=True)) for name in got}


@settings(max_examples=25)
@given(
    st.integers(0, 10_000),
    st.integers(40, 400),
    st.integers(15, 900),
    st.floats(-100, 100),
    st.lists(st.integers(0, 9), max_size=8),
)
def test_the_gap_after_a_replug_is_exactly_what_was_missed(seed, before, away, drift_ppm, stalled):
    camera, continuity = Camera435(seed, drift_ppm), Continuity(STREAMS)
    deliveries = [pair for k in range(before) for pair in camera.at(k, 30_000_000 if k == before - 1 else 0)]
    frames = run_part(continuity, deliveries)
    continuity.reopened()
    camera.replug(before + away)
    later = [
        pair
        for k in range(before + away, before + away + 60)
        for pair in camera.at(k, 40_000_000 if k - before - away in stalled else 0)
    ]
    frames += run_part(continuity, later) + continuity.flush()
    expected = [k for k, _ in deliveries + later]
    assert [f.frame_number for f in sorted(frames, key=order)] == sorted(expected)
    assert {e.reason for e in continuity.epochs} == {UNPLUGGED}
    assert len(continuity.epochs) == len(STREAMS)
    assert len({e.time_added_ns for e in continuity.epochs}) == 1  # the imagers agree
    for info in STREAMS:
        own = [f for f in frames if f.stream == info.name]
        assert (np.diff([f.t_device_ns for f in own]) > 0).all()
        number = np.array([f.frame_number for f in own])
        t_ns = np.array([f.t_device_ns for f in own])
        raw = [f for _, f in deliveries + later if f.stream == info.name]
        got = raw_values(continuity.epochs, info.name, number, t_ns)
        assert got[0].tolist() == [f.frame_number for f in raw]
        assert got[1].tolist() == [f.t_device_ns for f in raw]


def order(frame: Frame) -> tuple[int, str]:
    return frame.frame_number, frame.stream


def run_part(continuity: Continuity, deliveries) -> list[Frame]:
    return [frame for _, raw in deliveries for frame in continuity.continue_(raw)]


@pytest.mark.parametrize("seed", range(8))
def test_a_clock_that_is_reset_goes_on_to_a_tenth_of_a_millisecond(seed):
    camera, continuity = Camera435(seed), Continuity(STREAMS)
    frames = run_part(continuity, [pair for k in range(200) for pair in camera.at(k)])
    camera.reset_clock(200)
    frames += run_part(continuity, [pair for k in range(200, 400) for pair in camera.at(k)]) + continuity.flush()
    assert [e.reason for e in continuity.epochs] == [CLOCK_RESET] * 2
    assert CLOCK_RESET not in ESTIMATED
    for info in STREAMS:
        own = [f for f in frames if f.stream == info.name]
        assert [f.frame_number for f in own] == list(range(400))
        k = np.arange(400)
        ideal = own[0].t_device_ns + np.rint(k * PERIOD * camera.rate)
        assert np.abs(np.array([f.t_device_ns for f in own]) - ideal).max() < 100_000


def test_a_clock_that_is_reset_while_the_host_is_busy_invents_no_gap():
    camera, continuity = Camera435(11), Continuity(STREAMS)
    frames = run_part(continuity, [pair for k in range(200) for pair in camera.at(k)])
    camera.reset_clock(200)
    busy = [pair for k in range(200, 300) for pair in camera.at(k, min(k - 199, 60) * 10_000_000)]
    frames += run_part(continuity, busy) + continuity.flush()
    assert [e.reason for e in continuity.epochs] == [CLOCK_RESET] * 2
    own = [f for f in frames if f.stream == "left/color"]
    assert [f.frame_number for f in own] == list(range(300))
    assert np.abs(np.diff([f.t_device_ns for f in own]) - PERIOD * camera.rate).max() < 200_000


def test_a_counter_that_is_reset_goes_on_by_the_clock():
    camera, continuity = Camera435(3), Continuity(STREAMS)
    frames = run_part(continuity, [pair for k in range(100) for pair in camera.at(k)])
    camera.zero_k = 112
    frames += run_part(continuity, [pair for k in range(112, 200) for pair in camera.at(k)]) + continuity.flush()
    numbers = [f.frame_number for f in frames if f.stream == "left/depth"]
    assert numbers == [*range(100), *range(112, 200)]
    assert [e.reason for e in continuity.epochs] == [COUNTER_RESET] * 2
    assert {e.time_added_ns for e in continuity.epochs} == {0}


def test_a_restart_that_nobody_noticed_is_continued_too():
    camera, continuity = Camera435(4), Continuity(STREAMS)
    frames = run_part(continuity, [pair for k in range(100) for pair in camera.at(k)])
    camera.replug(170)
    frames += run_part(continuity, [pair for k in range(170, 260) for pair in camera.at(k)]) + continuity.flush()
    assert [f.frame_number for f in frames if f.stream == "left/color"] == [*range(100), *range(170, 260)]
    assert {e.reason for e in continuity.epochs} == {RESTARTED}


def test_the_wrap_of_the_hardware_clock_is_exact():
    camera = Camera435(5, origin_ns=WRAP_NS - 50 * PERIOD)
    continuity = Continuity(STREAMS)
    deliveries = []
    for k in range(100):
        for key, frame in camera.at(k):
            # Mid-exposure is half an exposure before the stamp that wraps: it may come out negative.
            wrapped = (frame.t_device_ns + 4_000_000) % WRAP_NS - 4_000_000
            deliveries.append((key, Frame(frame.stream, k, wrapped, frame.t_host_ns, frame.clock_domain, IMAGE)))
    frames = run_part(continuity, deliveries) + continuity.flush()
    assert [(e.reason, e.time_added_ns) for e in continuity.epochs] == [(WRAP, WRAP_NS)] * 2
    own = [f.t_device_ns for f in frames if f.stream == "left/color"]
    assert np.abs(np.diff(own) - PERIOD * camera.rate).max() < 2


def test_drops_stalls_and_repeated_frames_are_no_resets():
    camera, continuity = Camera435(6), Continuity(STREAMS)
    kept = [k for k in range(300) if k % 7 and not 100 <= k < 160]
    deliveries = [pair for k in kept for pair in camera.at(k, 500_000_000 if 200 < k < 215 else 0)]
    doubled = [pair for pair in deliveries for _ in range(2)]
    frames = run_part(continuity, doubled)
    assert continuity.epochs == []
    assert [f.frame_number for f in frames if f.stream == "left/color"] == kept


def test_two_replugs_of_a_camera_whose_clock_librealsense_translates():
    camera, continuity = Camera435(7, drift_ppm=0.0), Continuity(STREAMS)
    camera.domain = "global_time"
    k, frames, kept = 0, [], []
    for away in (0, 90, 250):
        k += away
        if away:
            continuity.reopened()
            camera.zero_k = k
        kept += range(k, k + 50)
        frames += run_part(continuity, [pair for j in range(k, k + 50) for pair in camera.at(j)])
        k += 50
    frames += continuity.flush()
    assert [f.frame_number for f in frames if f.stream == "left/color"] == kept
    assert {e.time_added_ns for e in continuity.epochs} == {0}
    assert {e.reason for e in continuity.epochs} == {UNPLUGGED}
