"""View offsets from motion, on blobs that we move ourselves: two views, sampled at their own times."""

from functools import cache

import numpy as np
import pytest

from capture.motion import MotionTrack, ViewOffset, applied, coarse, estimate
from hoi_core.sequence import Clock

LEFT, RIGHT, SENSOR = "left/color", "right/color", "edge128/gray"


def wander(seed: int, amplitude: float = 0.18):
    """Smooth paths of six points in space, as functions of time: sums of sines up to 4 Hz."""
    rng = np.random.default_rng(seed)
    hz = rng.uniform(0.3, 4.0, (6, 3, 7))
    size = amplitude * rng.uniform(0.4, 1.0, hz.shape) / (1.0 + hz)
    phase = rng.uniform(0.0, 2.0 * np.pi, hz.shape)
    return lambda t: (size * np.sin(2.0 * np.pi * hz * t + phase)).sum(-1)


def draw(points: np.ndarray, angle: float, shape: tuple[int, int], rng) -> np.ndarray:
    """The points as soft blobs, seen from one side, with the noise of an image."""
    height, width = shape
    u = width * (0.5 + 0.8 * (np.cos(angle) * points[:, 0] + np.sin(angle) * points[:, 1]))
    v = height * (0.5 + 0.8 * points[:, 2])
    across = np.exp(-0.5 * ((np.arange(width) - u[:, None]) / (0.06 * height)) ** 2)
    down = np.exp(-0.5 * ((np.arange(height) - v[:, None]) / (0.06 * height)) ** 2)
    image = 60.0 + (down * (50.0 + 15.0 * np.arange(6))[:, None]).T @ across
    return np.clip(image + rng.normal(0.0, 2.0, shape), 0, 255).astype(np.uint8)


@cache
def record(seed: int, seconds: float, amplitude: float = 0.18, lost: float = 0.02):
    """A track of three views of one motion; the clocks are true."""
    rng, at = np.random.default_rng(seed), wander(seed, amplitude)
    track = MotionTrack()
    views = {LEFT: (0.0, 0.0), RIGHT: (1.3, 0.0043), SENSOR: (0.5, 0.021)}
    for k in range(int(seconds * 30)):
        for name, (angle, phase) in views.items():
            if rng.random() < lost:
                continue
            t = k / 30.0 + phase
            shape = (64, 64) if name == SENSOR else (60, 80)
            track.add(name, round(t * 1e9), draw(at(t), angle, shape, rng))
    return track, {name: Clock.line(0, 10**12, 0.0) for name in views}


def late(clocks, **by_ms):
    names = {"left": LEFT, "right": RIGHT, "edge128": SENSOR}
    shift = {names[view]: round(ms * 1e6) for view, ms in by_ms.items()}
    return {name: Clock.line(0, 10**12 + shift.get(name, 0), 0.0) for name in clocks}


@pytest.mark.parametrize(("seed", "right_ms"), [(0, -50.0), (0, 3.0), (1, 50.0)])
def test_offsets_are_found_from_images_to_two_milliseconds(seed, right_ms):
    track, clocks = record(seed, 12.0)
    found = estimate(track, late(clocks, right=right_ms, edge128=-20.0), LEFT)
    assert found[RIGHT].offset_ns * 1e-6 == pytest.approx(-right_ms, abs=2.0)
    assert found[SENSOR].offset_ns * 1e-6 == pytest.approx(20.0, abs=2.0)
    # Twelve seconds without depth are too little to rely on.
    assert 0.8e6 < found[RIGHT].sigma_ns < 3e6
    assert not found[RIGHT].sure


def test_more_motion_makes_an_estimate_sure_enough_to_be_used():
    track, clocks = record(3, 42.0)
    found = estimate(track, late(clocks, right=-10.0, edge128=-20.0), LEFT)
    assert found[RIGHT].sure
    assert found[SENSOR].sure
    assert found[RIGHT].offset_ns * 1e-6 == pytest.approx(10.0, abs=2.0)
    assert found[SENSOR].offset_ns * 1e-6 == pytest.approx(20.0, abs=2.0)


def test_halves_of_a_recording_that_disagree_make_it_unsure():
    whole, clocks = record(3, 42.0)
    broken = MotionTrack()
    for k, block in enumerate(whole.blocks()):
        for name, times in block.times.items():
            # Nobody said that the right camera's clock jumped by 8 ms half-way.
            jump = 8_000_000 if name == RIGHT and k > 3 else 0
            shape = (32, 32) if name == SENSOR else (24, 32)
            for t, cells in zip(times, block.cells[name], strict=True):
                broken.add(name, t + jump, cells.astype(np.uint8).reshape(shape))
    assert not estimate(broken, clocks, LEFT)[RIGHT].sure


def test_still_images_and_motion_that_is_not_shared_tell_nothing():
    still, clocks = record(7, 6.5, amplitude=0.0)
    assert not any(found.sure for found in estimate(still, clocks, LEFT).values())
    apart, _ = record(0, 12.0)
    other, _ = record(1, 12.0)
    mixed = MotionTrack()
    for name, source in ((LEFT, apart), (RIGHT, other)):
        for block in source.blocks():
            for t, cells in zip(block.times[name], block.cells[name], strict=True):
                mixed.add(name, t, cells.astype(np.uint8).reshape(24, 32))
    assert not any(found.sure for found in estimate(mixed, clocks, LEFT).values())


def test_too_little_to_tell_from_gives_no_offsets():
    track, clocks = record(1, 1.0)
    assert estimate(track, clocks, LEFT) == {}
    assert estimate(MotionTrack(), clocks, LEFT) == {}


def test_a_track_keeps_two_streams_of_a_camera_apart_and_stays_small():
    track = MotionTrack()
    image = np.zeros((480, 640, 3), np.uint8)
    for k in range(0, 30 * 400, 5):
        for name in (LEFT, "left/depth", SENSOR):
            track.add(name, k * 33_333_333, image if name == LEFT else image[:128, :128, 0])
    assert track.streams == sorted([LEFT, SENSOR])
    assert len(track.blocks()) <= 11
    assert coarse(image).shape == (32 * 24,)
    assert coarse(np.zeros((128, 128), np.uint8)).shape == (32 * 32,)


def test_the_common_clock_is_that_of_the_fastest_device_and_doubt_changes_nothing():
    clocks = {name: Clock.line(0, 0, 0.0) for name in (LEFT, "left/depth", RIGHT, "right/depth", SENSOR)}
    offsets = {RIGHT: ViewOffset(30_000_000, 700_000.0, sure=True), SENSOR: ViewOffset(9_000_000, 4e6, sure=False)}
    out = applied(clocks, offsets, LEFT)
    # The right camera's frames came 30 ms sooner: all others were late by that.
    assert out[RIGHT].motion_offset_ns == out["right/depth"].motion_offset_ns == 0
    assert out[LEFT].motion_offset_ns == out["left/depth"].motion_offset_ns == -30_000_000
    assert out[SENSOR].motion_offset_ns == -30_000_000
    assert np.isnan(out[SENSOR].motion_sigma_ns)
    small = {RIGHT: ViewOffset(900_000, 800_000.0, sure=True)}
    assert applied(clocks, small, LEFT)[RIGHT].motion_offset_ns == 0
    assert applied(clocks, small, LEFT)[RIGHT].motion_sigma_ns == 800_000.0
