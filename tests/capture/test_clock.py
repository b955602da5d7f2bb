"""The clock fit against clocks that we made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.clock import Arrivals, Clocks, ClockTracker, fit, fit_all, jumps
from hoi_core.types import Camera, StreamInfo

CAMERA = Camera(4, 4, 1.0, 1.0, 0.0, 0.0)


def arrivals(
    drift_ppm: float, seconds: float, seed: int, offset_ns: int = 5_000_000_000
) -> tuple[np.ndarray, np.ndarray]:
    """Device and host times of a 30 fps stream with exponential delays of 2 ms and a stall now and then."""
    rng = np.random.default_rng(seed)
    t_device = np.arange(int(seconds * 30)) * 33_333_333 + 77_000_000_000
    delay = rng.exponential(2e6, len(t_device)) + (rng.random(len(t_device)) < 0.05) * rng.uniform(0, 80e6)
    t_host = t_device + offset_ns + (t_device - t_device[0]) * drift_ppm * 1e-6 + delay
    return t_device, t_host.astype(np.int64)


@settings(max_examples=30)
@given(st.floats(-100, 100), st.integers(0, 1000))
def test_drift_and_offset_are_found_below_stalls_and_jitter(drift_ppm, seed):
    t_device, t_host = arrivals(drift_ppm, 60.0, seed)
    clock = fit(t_device, t_host)
    assert clock.drift_ppm == pytest.approx(drift_ppm, abs=15.0)
    truth = t_device + 5_000_000_000 + (t_device - t_device[0]) * drift_ppm * 1e-6
    assert np.abs(clock.to_common_ns(t_device) - truth).max() < 1e6


def test_what_jitter_shows_in_a_short_recording_is_not_taken_for_drift():
    t_device, t_host = arrivals(0.0, 1.0, 3)
    assert abs(fit(t_device, t_host).drift_ppm) < 25.0
    assert fit(t_device, t_host, drift=False).drift_ppm == 0.0


def test_one_pair_is_enough():
    line = fit(np.array([10]), np.array([25]))
    assert line.to_common_ns(np.array([10, 20])).tolist() == [25, 35]


def true_series(seconds: float, drift_ppm: float, jitter: str, seed: int):
    """True times, device times by a formula of their own, and arrivals with 2 ms of jitter and 5 % stalls."""
    rng = np.random.default_rng(seed)
    n = int(seconds * 30)
    true = 10**12 + np.arange(n, dtype=np.int64) * 33_333_333
    device = 77 * 10**9 + np.rint((true - true[0]) * (1.0 + drift_ppm * 1e-6)).astype(np.int64)
    delay = {
        "two-sided": rng.normal(0.0, 2e6, n),
        "half-normal": np.abs(rng.normal(0.0, 2e6, n)),
        "exponential": rng.exponential(2e6, n),
    }[jitter]
    delay = delay + (rng.random(n) < 0.05) * rng.uniform(0.0, 80e6, n)
    return true, device, true + delay.astype(np.int64)


@pytest.mark.parametrize("jitter", ["two-sided", "half-normal", "exponential"])
@pytest.mark.parametrize("seconds", [6.0, 60.0])
@pytest.mark.parametrize("drift_ppm", [-100.0, 0.0, 100.0])
def test_every_frame_is_within_2_ms_of_the_truth_whatever_the_jitter(jitter, seconds, drift_ppm):
    for seed in range(4):
        true, device, host = true_series(seconds, drift_ppm, jitter, seed)
        tracker = ClockTracker()
        for pair in zip(device.tolist(), host.tolist(), strict=True):
            tracker.add(*pair)
        assert np.abs(tracker.clock().to_common_ns(device) - true).max() < 2e6


def test_a_host_that_slept_begins_a_new_piece_at_the_right_frame():
    true, device, host = true_series(30.0, 30.0, "half-normal", 5)
    slept = np.where(np.arange(len(host)) >= 400, -7 * 10**9, 0)
    assert jumps(device, host + slept) == pytest.approx([400], abs=1)
    clock = tracked(device, host + slept).clock()
    assert len(clock.pieces) == 2
    off = clock.to_common_ns(device) - true - slept
    assert np.abs(np.delete(off, [399, 400, 401])).max() < 2e6


@pytest.mark.parametrize("busy", [slice(0, 300), slice(300, 550), slice(500, 900)])
@pytest.mark.parametrize("backlog_ms", [60, 840])
def test_a_host_that_is_busy_for_long_does_not_move_the_clock(busy, backlog_ms):
    true, device, host = true_series(30.0, 30.0, "half-normal", 5)
    host[busy] += backlog_ms * 1_000_000
    clock = tracked(device, host).clock()
    assert len(clock.pieces) == 1
    assert np.abs(clock.to_common_ns(device) - true).max() < 2e6


def tracked(device: np.ndarray, host: np.ndarray) -> ClockTracker:
    tracker = ClockTracker()
    for pair in zip(device.tolist(), host.tolist(), strict=True):
        tracker.add(*pair)
    return tracker


def test_a_stalled_host_is_no_jump():
    true, device, host = true_series(30.0, 0.0, "half-normal", 6)
    host[300:345] = np.maximum(host[300:345], host[344])  # 1.5 s of frames arrive together
    assert jumps(device, host) == []
    tracker = ClockTracker()
    for pair in zip(device.tolist(), host.tolist(), strict=True):
        tracker.add(*pair)
    assert np.abs(tracker.clock().to_common_ns(device) - true).max() < 2e6


def test_a_tracker_stays_small_over_an_hour_and_follows_a_rate_that_bends():
    n = 3600 * 30
    true = np.arange(n, dtype=np.int64) * 33_333_333
    warming_ppm = 20.0 + 10.0 * (1.0 - np.exp(-true * 1e-9 / 900.0))
    device = np.cumsum(np.rint(33_333_333 * (1.0 + warming_ppm * 1e-6)).astype(np.int64))
    host = true + np.abs(np.random.default_rng(1).normal(0.0, 2e6, n)).astype(np.int64)
    tracker = ClockTracker()
    most = 0
    for d, h in zip(device.tolist(), host.tolist(), strict=True):
        tracker.add(d, h)
        most = max(most, len(tracker._device))
    assert most <= 60_000
    assert np.abs(tracker.clock().to_common_ns(device) - true).max() < 1e6


def test_a_camera_that_lost_its_clock_no_longer_shares_the_hosts():
    infos = [StreamInfo(f"{v}/color", "camera", (4, 4), "uint8", 30.0, CAMERA, v) for v in ("left", "right")]
    clocks = Clocks(infos)
    for k in range(300):
        t = k * 33_333_333
        clocks.add("left/color", "global_time", t, t + 1_000_000)
        if k == 150:
            clocks.split("right/color")
        clocks.add("right/color", "global_time", t + (7_000_000 if k >= 150 else 0), t + 1_000_000)
    fitted = clocks.fit()
    assert len(fitted["left/color"].pieces) == 1
    assert len(fitted["right/color"].pieces) == 2
    times = np.array([200 * 33_333_333 + 7_000_000])
    assert fitted["right/color"].to_common_ns(times)[0] == pytest.approx(200 * 33_333_333 + 1_000_000, abs=300_000)


def test_imagers_of_one_camera_share_a_clock_and_cameras_do_not():
    infos = [
        StreamInfo(name, "camera", (4, 4), "uint8", 30.0, CAMERA, serial)
        for name, serial in (("left/color", "1"), ("left/depth", "1"), ("right/color", "2"))
    ]
    times = {info.name: Arrivals(*arrivals(0.0, 3.0, seed), "hardware_clock") for seed, info in enumerate(infos)}
    clocks = fit_all(infos, times)
    assert clocks["left/color"] == clocks["left/depth"] != clocks["right/color"]
    translated = {name: Arrivals(a.t_device_ns, a.t_host_ns, "global_time") for name, a in times.items()}
    shared = fit_all(infos, translated)
    assert len(set(map(id, shared.values()))) == 1
    assert shared["left/color"].drift_ppm == 0.0
    assert fit_all(infos, {}) == {}


def test_a_long_recording_is_fitted_from_some_of_its_pairs():
    t_device, t_host = arrivals(35.0, 600.0, 8)
    clock = fit(t_device, t_host)
    assert clock.drift_ppm == pytest.approx(35.0, abs=1.0)
    truth = t_device + 5_000_000_000 + (t_device - t_device[0]) * 35e-6
    assert np.abs(clock.to_common_ns(t_device) - truth).max() < 0.5e6
