"""Everything that goes wrong on purpose: the truth says exactly what was withheld, and the devices behave as real ones.

Played on real librealsense software devices, through the code that reads a real D435.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.devices import realsense, simulated
from capture.simulation.clocks import DeviceClock, dropper
from capture.simulation.faults import ClockReset, Faults, Stall, Unplug
from capture.simulation.player import Player
from capture.simulation.software_bus import SoftwareBus
from capture.simulation.software_d435 import Shot, SoftwareD435
from capture.simulation.timeline import DROPPED, OVERLOADED, STALLED, UNPLUGGED, Timeline
from hoi_core.config import from_dict
from hoi_core.errors import ConfigError, DeviceError
from hoi_core.sequence import open_truth

FAULTS = Faults(
    stalls=(Stall("right", 0.5, 0.4),),
    unplugs=(Unplug("left", 0.6, 0.4), Unplug("edge128", 0.3, 0.2)),
    clock_resets=(ClockReset("right", 1.4),),
    latency_ms={"left": 25.0},
    delay_jitter_ms=2.0,
)


def timeline(faults: Faults = Faults(), name: str = "left", rate: float = 0.0, jitter_ns: int = 0) -> Timeline:  # noqa: B008
    clock = DeviceClock(30.0, 4_000_000, 50.0, 10**12, jitter_ns)
    return Timeline(name, clock, faults, dropper([1], rate), own_clock=True)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Two seconds with every fault, read and reopened as a recorder does it: frames, errors, truth."""
    folder = tmp_path_factory.mktemp("played")
    got: dict[str, list] = {}
    errors: dict[str, str] = {}
    config = simulated.Config(seed=2, seconds=2.2, drawn_s=0.5, drop_rate=0.05, faults=FAULTS, noise="cached")
    with simulated.open(config) as rig:
        ending = threading.Event()

        def read(name, device) -> None:
            lost = False
            while not ending.is_set():
                try:
                    if lost:
                        device.reopen()
                        lost = False
                    for frame in device.read(0.05):
                        got.setdefault(frame.stream, []).append(frame)
                except DeviceError as error:
                    errors.setdefault(name, error.message)
                    lost = True
                    ending.wait(0.02)

        readers = [
            threading.Thread(target=read, args=pair) for pair in zip(simulated.DEVICES, rig.devices, strict=True)
        ]
        for reader in readers:
            reader.start()
        rig.start()
        assert rig._player.finished.wait(60.0)
        time.sleep(0.1)
        ending.set()
        for reader in readers:
            reader.join()
        rig.write_truth(folder)
        yield rig, got, errors, folder


def test_what_did_not_arrive_is_what_the_truth_lists(played):
    rig, got, _, folder = played
    with open_truth(folder) as truth:
        lost = {(drop.stream, drop.frame_number): drop.reason for drop in truth.drops}
        for stream, frames in got.items():
            missing = {n for s, n in lost if s == stream}
            assert len(frames) + len(missing) == rig.config.frames
            assert truth.clocks[stream][0].tolist() == list(range(rig.config.frames))
    assert set(lost.values()) == {DROPPED, STALLED, UNPLUGGED}


def test_continued_by_its_gaps_each_frame_has_the_truth_s_number_and_time(played):
    rig, got, _, folder = played
    with open_truth(folder) as truth:
        for stream, frames in got.items():
            lost = {drop.frame_number for drop in truth.drops if drop.stream == stream}
            numbers = np.array([n for n in range(rig.config.frames) if n not in lost])
            arrived = np.array([frame.t_host_ns for frame in frames])
            late_ms = (arrived - truth.clocks[stream][1][numbers]) * 1e-6
            # Never early; a busy machine may be late.
            assert late_ms.min() > (25.0 if stream.startswith("left") else 0.0) - 0.1
            assert np.median(late_ms) < 60.0


def test_counter_and_clock_start_anew_only_when_it_is_plugged_in_again(played):
    _, got, errors, _ = played
    for stream, frames in got.items():
        raw = np.array([frame.frame_number for frame in frames])
        clock_s = np.array([frame.t_device_ns for frame in frames]) * 1e-9
        back = np.flatnonzero(np.diff(raw) < 0)
        if stream.startswith("right"):
            assert len(back) == 0
            # The clock alone started anew, at 1.4 s.
            reset = np.flatnonzero(np.diff(clock_s) < 0)
            assert len(reset) == 1
            assert 0.0 <= clock_s[reset[0] + 1] < 0.1
            continue
        assert len(back) == 1
        assert raw[back[0] + 1] < 3
        assert 0.8 < clock_s[back[0] + 1] < 3.0
    assert "unplugged" in errors["left"]
    assert "unplugged" in errors["edge128"]
    assert "right" not in errors


def test_an_unplugged_camera_is_gone_for_librealsense_and_comes_back_as_a_new_device(rigs):
    bus = SoftwareBus(
        {
            view: lambda serial=serial: SoftwareD435(serial, rigs.COLOR, rigs.DEPTH, rigs.T_COLOR_DEPTH)
            for view, serial in (("left", "901"), ("right", "902"))
        }
    )
    config = realsense.Config(serial="901", view="left", width=64, height=48)

    def listed() -> set[str]:
        return {info.serial for info in realsense.find(bus.context)}

    with realsense.open(config, bus.context) as camera:
        assert bus.ready("left")
        bus.unplug("left")
        assert listed() == {"902"}
        assert not bus.ready("left")
        with pytest.raises(DeviceError, match=r"901.*unplugged"):
            camera.read(0.01)
        with pytest.raises(DeviceError):
            camera.reopen()
        bus.plug("left")
        assert listed() == {"901", "902"}
        # It is there, but nobody has opened it: it does not stream.
        assert not bus.ready("left")
        camera.reopen()
        bus.push("left", Shot(0, 900.0), rigs.color_image(1), rigs.depth_image(1))
        frames = camera.read(1.0)
        frames += [] if len(frames) == 2 else camera.read(1.0)
        assert {frame.frame_number for frame in frames} == {0}
        np.testing.assert_array_equal(next(f for f in frames if f.stream == "left/color").image, rigs.color_image(1))


@settings(max_examples=40)
@given(
    at_s=st.floats(0.01, 5.0),
    seconds=st.floats(0.01, 5.0),
    kind=st.sampled_from(["stalls", "unplugs"]),
    jitter_ns=st.integers(0, 2_000_000),
)
def test_frames_are_withheld_exactly_while_the_fault_lasts(at_s, seconds, kind, jitter_ns):
    event = (Stall if kind == "stalls" else Unplug)("left", at_s, seconds)
    line = timeline(Faults(**{kind: (event,)}), jitter_ns=jitter_ns)
    numbers = np.arange(320)
    true_s = line.clock.true_ns(numbers) * 1e-9
    missing = np.array([bool(line.missing(int(n))) for n in numbers])
    inside = (true_s >= at_s) & (true_s < at_s + seconds)
    # Times are rounded to a nanosecond.
    sure = (np.abs(true_s - at_s) > 2e-9) & (np.abs(true_s - at_s - seconds) > 2e-9)
    np.testing.assert_array_equal(missing[sure], inside[sure])
    other = timeline(Faults(**{kind: (event,)}), name="right")
    assert not any(other.missing(int(n)) for n in numbers)


def test_after_a_restart_the_device_counts_from_zero_and_from_its_boot():
    line = timeline()
    before = line.stamp(50)
    line.restart(60, plugged_ns=1_900_000_000)
    after, later = line.stamp(60), line.stamp(90)
    assert before.frame_number == 50
    assert (after.frame_number, later.frame_number) == (0, 30)
    since_s = (line.true_ns(60) - 1_900_000_000) * 1e-9
    assert after.t_device_ns * 1e-9 == pytest.approx(0.8 + since_s * (1 + 50e-6), abs=1e-6)
    # It goes on at its own rate: one second by its clock for thirty frames.
    assert later.t_device_ns - after.t_device_ns == pytest.approx(1e9, abs=5)


def test_a_clock_reset_leaves_the_counter_alone():
    line = timeline(Faults(clock_resets=(ClockReset("left", 1.0),)))
    numbers = [line.stamp(n).frame_number for n in (29, 30, 31)]
    shown = [line.stamp(n).t_device_ns for n in (29, 30, 31)]
    assert numbers == [29, 30, 31]
    assert shown[0] > 10**12
    # Frame 30 exposes 4 ms after the reset, less the 50 ppm by which its clock runs fast.
    assert shown[1] == pytest.approx(4e6, abs=6e4)
    assert shown[2] - shown[1] == pytest.approx(1e9 / 30, abs=2)


def test_deliveries_are_late_by_the_latency_and_never_overtake_each_other():
    line = timeline(Faults(latency_ms={"left": 40.0}, delay_jitter_ms=30.0))
    due = np.array([line.due_ns(n) for n in range(3000)])
    delay_ms = (due - line.clock.true_ns(np.arange(3000))) * 1e-6
    assert (np.diff(due) >= 0).all()
    assert delay_ms.min() >= 40.0
    # Half-normal: the median lies at 0.674 sigma; waiting for the frame before adds a little.
    assert 0.674 * 30.0 < np.median(delay_ms - 40.0) < 1.3 * 0.674 * 30.0


def test_a_live_device_loses_the_share_asked_and_the_same_frames_each_time():
    one, again = dropper([3], 0.1), dropper([3], 0.1)
    lost = [n for n in range(5000) if one(n)]
    assert lost == [n for n in range(5000) if again(n)]
    assert 400 < len(lost) < 600
    assert not one(0)


def test_an_endless_play_that_is_late_by_far_leaves_frames_out_and_says_so():
    made = []
    line = timeline()

    class Nowhere:
        def ready(self, name):
            return True

    player = Player({"left": line}, lambda name, n: made.append(n) or player.end() or (None, None), Nowhere(), None)
    player.begin()
    player.start_host_ns -= 10 * 10**9
    player.make()
    # Ten seconds late at 30 frames a second.
    assert 285 <= made[0] <= 305
    assert line.lost == dict.fromkeys(range(made[0]), OVERLOADED)


def test_faults_come_from_a_rig_file_with_their_own_keys():
    values = {
        "seconds": 9,
        "faults": {
            "stalls": [{"device": "left", "at_s": 1, "seconds": 2}],
            "unplugs": [{"device": "right", "at_s": 4.0, "seconds": 0.5}],
            "clock_resets": [{"device": "edge128", "at_s": 3}],
            "latency_ms": {"right": 12.5},
            "delay_jitter_ms": 2,
        },
    }
    faults = from_dict(simulated.Config, values).faults
    assert faults == Faults(
        (Stall("left", 1.0, 2.0),), (Unplug("right", 4.0, 0.5),), (ClockReset("edge128", 3.0),), {"right": 12.5}, 2.0
    )
    assert faults.last_s == pytest.approx(4.5)
    with pytest.raises(ConfigError, match="at_s"):
        from_dict(simulated.Config, {"faults": {"stalls": [{"device": "left", "at": 1, "seconds": 2}]}})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Faults(stalls=(Stall("left", 0.0, 1.0),)), "at_s above 0"),
        (lambda: Faults(unplugs=(Unplug("left", 1.0, float("nan")),)), "seconds between"),
        (lambda: Faults(clock_resets=(ClockReset("left", float("nan")),)), "at_s above 0"),
        (lambda: Faults(latency_ms={"left": -1.0}), "latency_ms of left"),
        (lambda: Faults(delay_jitter_ms=float("inf")), "delay_jitter_ms"),
        (lambda: simulated.Config(faults=Faults(stalls=(Stall("middle", 1.0, 1.0),))), "device 'middle'"),
        (lambda: simulated.Config(seconds=2.0, faults=Faults(unplugs=(Unplug("left", 1.0, 1.0),))), "frames must come"),
    ],
)
def test_faults_without_sense_are_refused(make, said):
    with pytest.raises(ConfigError, match=said):
        make()
