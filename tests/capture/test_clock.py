"""The clock fit against clocks that we made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.clock import Arrivals, fit, fit_all
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


@settings(max_examples=30, deadline=None)
@given(st.floats(-100, 100), st.integers(0, 1000))
def test_drift_and_offset_are_found_below_stalls_and_jitter(drift_ppm, seed):
    t_device, t_host = arrivals(drift_ppm, 60.0, seed)
    clock = fit(t_device, t_host)
    assert clock.drift_ppm == pytest.approx(drift_ppm, abs=15.0)
    truth = t_device + 5_000_000_000 + (t_device - t_device[0]) * drift_ppm * 1e-6
    assert np.abs(clock.to_common_ns(t_device) - truth).max() < 1e6
    assert (clock.to_common_ns(t_device) <= t_host + 1).all()


def test_a_short_recording_gets_no_drift():
    t_device, t_host = arrivals(0.0, 1.0, 3)
    clock = fit(t_device, t_host)
    assert clock.drift_ppm == 0.0
    assert clock.offset_ns == (t_host - t_device).min()


def test_one_pair_is_enough():
    clock = fit(np.array([10]), np.array([25]))
    assert clock.to_common_ns(np.array([10, 20])).tolist() == [25, 35]


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


def test_a_long_recording_is_fitted_from_its_lowest_pairs():
    t_device, t_host = arrivals(35.0, 600.0, 8)
    clock = fit(t_device, t_host)
    assert clock.drift_ppm == pytest.approx(35.0, abs=1.0)
    truth = t_device + 5_000_000_000 + (t_device - t_device[0]) * 35e-6
    assert np.abs(clock.to_common_ns(t_device) - truth).max() < 0.5e6
