"""Long plays: what was drawn is shown forwards and backwards without a jump, and every device sees its own time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.devices import simulated
from capture.simulation.clocks import DeviceClock
from capture.simulation.film import Reel
from hoi_core.errors import ConfigError


def triangle(t_s: np.ndarray, turn_s: float) -> np.ndarray:
    """Forwards to `turn_s` and back, by interpolation."""
    corners = np.arange(-4, 12) * turn_s
    return np.interp(t_s, corners, np.where(np.arange(-4, 12) % 2 == 0, 0.0, turn_s))


@settings(max_examples=60)
@given(frames=st.integers(2, 40), phase_ms=st.floats(-40.0, 40.0), jitter_ms=st.sampled_from([0.0, 0.02, 2.0]))
def test_each_slot_shows_the_scene_at_the_device_s_own_time(frames, phase_ms, jitter_ms):
    reel = Reel(frames, loop=True, fps=30.0)
    clock = DeviceClock(
        30.0, round(phase_ms * 1e6), 100.0, 0, round(jitter_ms * 1e6), 1, paced=False, jitter_period=reel.slots
    )
    numbers = np.arange(2 * reel.slots + 3)
    slots = np.array([reel.slot(int(n)) for n in numbers])
    shown_s = reel.scene_ns(clock)[reel.drawing(clock)[slots]] * 1e-9
    expected = triangle(clock.true_ns(numbers) * 1e-9, (frames - 1) / 30.0)
    # A drawing of the way forwards may stand in for one that is nearly the same.
    np.testing.assert_allclose(shown_s, expected, atol=1.1e-4)


def test_a_film_that_is_long_enough_is_shown_once():
    reel = Reel(10, loop=False, fps=30.0)
    assert [reel.slot(n) for n in (0, 9, 10, 99)] == [0, 9, 9, 9]
    assert reel.slots == 10


@pytest.fixture(scope="module")
def long_rig():
    config = simulated.Config(seed=5, seconds=100.0, drawn_s=3.0, object="can", skew_ms=11.0, noise="cached")
    with simulated.open(config) as rig:
        yield rig


def test_a_long_play_has_no_jump_and_truth_for_every_frame(long_rig):
    numbers = np.arange(long_rig.config.frames)
    slots = long_rig._slots(numbers)
    assert len(slots) == 3000
    for name in simulated.DEVICES:
        wrist = long_rig.scene.shown(name, slots).joints_m[:, 0]
        step = np.linalg.norm(np.diff(wrist, axis=0), axis=1)
        once = np.linalg.norm(np.diff(long_rig.scene.moments[name].joints_m[:90, 0], axis=0), axis=1)
        assert step.max() < 1.2 * once.max()
    # Both views see one and the same hand, forwards and backwards: 11 ms apart in time, not in opposite directions.
    play = long_rig.stage.cast.play
    for name in ("left", "right"):
        true_s = long_rig.clocks[name].true_ns(numbers[:400]) * 1e-9
        world = play.at(triangle(true_s, 89 / 30.0))
        shown = long_rig.scene.shown(name, slots[:400])
        np.testing.assert_allclose(shown.joints_m, world.joints_m, atol=2e-4)


def test_cached_noise_is_never_the_same_twice_in_a_row_and_as_strong_as_fresh_noise(long_rig):
    scene = long_rig.scene
    for slot in (50, 51):
        scene.draw(slot)
    one, two, again = (scene.develop("left", slot, n) for slot, n in ((50, 50), (51, 51), (50, 50)))
    for a, b, c in zip(one, two, again, strict=True):
        assert (a != b).mean() > 0.5
        np.testing.assert_array_equal(a, c)
    config = simulated.Config(seed=5, seconds=100.0, drawn_s=3.0, object="can", skew_ms=11.0)
    with simulated.open(config) as fresh:
        fresh.scene.draw(50)
        color, depth = fresh.scene.develop("left", 50, 1234)
    # The same picture under other noise.
    assert 1.0 < np.abs(color.astype(int) - one[0]).mean() < 4.0
    both = (depth > 0) & (one[1] > 0)
    assert both.mean() > 0.8
    assert np.median(np.abs(depth[both].astype(int) - one[1][both])) < 12
    window = scene._stocks["left"]._kept[50][0][0]
    x0, y0, x1, y1 = window
    assert 1.0 < np.abs(color.astype(int) - one[0])[y0:y1, x0:x1].mean() < 4.0


def test_live_stands_still_until_the_next_drawing_is_ready_and_never_jumps():
    with simulated.open(simulated.Config(seed=2, live=True, seconds=1.0, object="can")) as rig:
        shown = [rig._slot_of(n) for n in range(3)]
        for slot in range(10):
            rig.scene.draw(slot)
        shown += [rig._slot_of(n) for n in range(3, 20)]
        rig.scene.draw(10)
        shown += [rig._slot_of(n) for n in range(20, 23)]
        assert shown == [0, 0, 0, *range(1, 10), *[9] * 8, 10, 10, 10]
        rig.rewind()
        assert rig._slot_of(23) == 0
        assert rig._slots(np.array([5, 22, 23])).tolist() == [3, 10, 0]


@pytest.mark.parametrize("drawn_s", [0.1, 61.0, float("nan")])
def test_what_cannot_be_kept_in_memory_is_refused(drawn_s):
    with pytest.raises(ConfigError, match="drawn_s"):
        simulated.Config(drawn_s=drawn_s)
