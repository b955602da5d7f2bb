"""Rings, ledger, disk space, signals: what the recorder is made of."""

import os
import resource
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture import disk, memory, stopping
from capture.absence import Start
from capture.ledger import Ledger
from capture.ring import Rings
from hoi_core.errors import StorageError
from hoi_core.sequence import NOT_DELIVERED, QUEUE_FULL, UNPLUGGED, Clock, Epoch
from hoi_core.types import Camera, Frame, StreamInfo

CAMERA = Camera(64, 48, 60.0, 60.0, 32.0, 24.0)
LEFT = StreamInfo("left/color", "camera", (48, 64, 3), "uint8", 30.0, CAMERA, "901")
RIGHT = replace(LEFT, name="right/color", serial="902")
PERIOD_NS = 33_333_333
CLOCKS = {"left/color": Clock.line(0, 0, 0.0), "right/color": Clock.line(0, 0, 0.0)}


def frame(stream: str, n: int, late_ns: int = 0) -> Frame:
    t_ns = n * PERIOD_NS
    return Frame(stream, n, t_ns, t_ns + late_ns, "hardware_clock", np.zeros((1, 1), np.uint8))


def test_a_full_ring_refuses_and_the_others_do_not():
    rings = Rings([[LEFT], [RIGHT]], seconds=0.1)
    assert [rings.put(frame("left/color", n)) for n in range(4)] == [True, True, True, False]
    assert rings.fill == 1.0
    assert rings.put(frame("right/color", 0))
    rings.close()
    assert not rings.put(frame("right/color", 1))
    taken = [rings.take() for _ in range(4)]
    assert [(f.stream, f.frame_number) for f in taken] == [
        ("left/color", 0),
        ("right/color", 0),
        ("left/color", 1),
        ("left/color", 2),
    ]
    assert rings.take() is None


def test_a_waiting_writer_is_woken():
    rings, got = Rings([[LEFT]]), []
    writer = threading.Thread(target=lambda: got.extend([rings.take(), rings.take()]))
    writer.start()
    rings.put(frame("left/color", 7))
    rings.close()
    writer.join(timeout=10.0)
    assert [f.frame_number if f else None for f in got] == [7, None]


def columns(numbers: dict[str, list[int]]) -> dict[str, dict[str, np.ndarray]]:
    return {
        name: {"frame_number": np.array(own, np.int64), "t_device_ns": np.array(own, np.int64) * PERIOD_NS}
        for name, own in numbers.items()
    }


@settings(max_examples=40)
@given(
    left=st.sets(st.integers(1, 88), max_size=30),
    right=st.sets(st.integers(1, 88), max_size=30),
    every=st.integers(1, 40),
)
def test_what_is_said_while_recording_is_what_is_said_at_the_end(left, right, every):
    """However the frames come in, the moments and drops of all ticks are those of the whole, up to the last ones."""
    ledger = Ledger([LEFT, RIGHT])
    numbers = {
        "left/color": [n for n in range(90) if n not in left],
        "right/color": [n for n in range(90) if n not in right],
    }
    drops, moments, index = [], [], []
    for n in range(90):
        for name, own in numbers.items():
            if n in own:
                ledger.add(frame(name, n))
        if n % every == 0 and (books := ledger.tick(CLOCKS)) is not None:
            drops += books.drops
            moments += books.moments.t_ns.tolist()
            index += books.moments.index["right/color"].tolist() if "right/color" in books.moments.index else []
    whole = ledger.finish(CLOCKS, columns(numbers), whole=False, epochs=[])
    assert {(d.stream, d.frame_number) for d in whole.drops} == {
        *(("left/color", n) for n in left),
        *(("right/color", n) for n in right),
    }
    said = {(d.stream, d.frame_number) for d in drops}
    assert len(said) == len(drops)
    assert said <= {(d.stream, d.frame_number) for d in whole.drops}
    assert moments == whole.moments.t_ns[: len(moments)].tolist()
    assert index == whole.moments.index["right/color"][: len(index)].tolist()
    if every < 10:
        assert len(moments) > 90 - 10 - every - 12


def test_reasons_come_from_what_is_known():
    ledger = Ledger([LEFT, RIGHT])
    ledger.refuse(frame("left/color", 5))
    ledger.refuse(frame("left/color", 30))
    numbers = {
        "left/color": [n for n in range(30) if n not in (5, 9)],
        "right/color": [*range(8), *range(20, 25)],
    }
    epochs = [Epoch("right/color", 20, 20, 0, "unplugged")]
    books = ledger.finish(CLOCKS, columns(numbers), whole=False, epochs=epochs, ended={"right/color": UNPLUGGED})
    found = {(d.stream, d.frame_number): d.reason for d in books.drops}
    expected = {("left/color", 5): QUEUE_FULL, ("left/color", 30): QUEUE_FULL, ("left/color", 9): NOT_DELIVERED}
    expected |= {("right/color", n): UNPLUGGED for n in (*range(8, 20), *range(25, 30))}
    assert found == expected
    times = {(d.stream, d.frame_number): d.t_ns for d in books.drops}
    assert all(abs(t_ns - n * PERIOD_NS) < 100 for (_, n), t_ns in times.items())


def test_an_hour_keeps_no_more_in_memory_than_a_minute():
    ledger = Ledger([LEFT, RIGHT])
    kept = []
    for n in range(3600):
        ledger.add(frame("left/color", n))
        ledger.add(frame("right/color", n))
        if n % 15 == 14:
            ledger.tick(CLOCKS)
            kept.append(len(ledger._tails["left/color"].number))
    assert max(kept[30:]) == max(kept[:30]) < 120


def test_a_recording_that_cannot_fit_is_refused_with_both_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "free_bytes", lambda _: 500_000_000)
    disk.require_space(tmp_path, [LEFT], 60.0)
    big = replace(LEFT, shape=(480, 640, 3))
    with pytest.raises(StorageError, match=r"recording 3600 s needs 59\.8 GB, 500 MB are free"):
        # 640 x 480 x 3 x 30 x 0.6 bytes a second, and 64 MiB to close the file.
        disk.require_space(tmp_path, [big], 3600.0)


def test_a_full_disk_says_what_the_rest_would_have_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "free_bytes", lambda _: 1_000_000)
    error = disk.explained(StorageError("no space left.", "Free some."), tmp_path, 10e6, 100.0)
    assert "no space left; the 100 s that were left need 1.1 GB, 1 MB are free." in error.message
    assert error.hint == "Free some."


def test_the_first_signal_stops_and_the_second_is_the_system_s():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append("second"))
    try:
        with stopping.stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.wait(5.0)
            assert stop.signal == signal.SIGTERM
            assert seen == []
            os.kill(os.getpid(), signal.SIGTERM)
            assert seen == ["second"]
    finally:
        signal.signal(signal.SIGTERM, before)


def missed(books, stream: str) -> list[tuple[int, str]]:
    return [(d.frame_number, d.reason) for d in books.drops if d.stream == stream]


def test_a_device_that_was_lost_when_the_take_began_misses_frames_from_its_first_moment_on():
    # The right camera was lost after its frame 69 and came back with 130; the take began with the left one's 100.
    start = Start(99 * PERIOD_NS, {"left/color": (99, 99 * PERIOD_NS), "right/color": (69, 69 * PERIOD_NS)})
    ledger = Ledger([LEFT, RIGHT], replace(start, lost=["right/color"]))
    numbers = {"left/color": [*range(100, 200)], "right/color": [*range(130, 200)]}
    epochs = [Epoch("right/color", 130, 130, 0, "unplugged")]
    books = ledger.finish(CLOCKS, columns(numbers), whole=False, epochs=epochs)
    assert missed(books, "right/color") == [(n, UNPLUGGED) for n in range(100, 130)]
    assert [d.t_ns for d in books.drops] == [n * PERIOD_NS for n in range(100, 130)]
    assert missed(books, "left/color") == []


def test_the_reference_that_was_lost_when_the_take_began_has_moments_from_its_start():
    start = Start(99 * PERIOD_NS, {"left/color": (69, 69 * PERIOD_NS), "right/color": (99, 99 * PERIOD_NS)})
    ledger = Ledger([LEFT, RIGHT], replace(start, lost=["left/color"]))
    numbers = {"left/color": [*range(130, 150)], "right/color": [*range(100, 150)]}
    books = ledger.finish(CLOCKS, columns(numbers), whole=False, epochs=[Epoch("left/color", 130, 130, 0, "unplugged")])
    assert missed(books, "left/color") == [(n, UNPLUGGED) for n in range(100, 130)]
    assert books.moments.index["left/color"].tolist() == [-1] * 30 + [*range(20)]
    assert books.moments.index["right/color"].tolist() == [*range(50)]


@pytest.mark.parametrize("lost", ["left/color", "right/color"])
@pytest.mark.parametrize("known", [True, False])
def test_a_device_that_was_lost_all_the_take_misses_every_frame_of_it(lost, known):
    there = "left/color" if lost == "right/color" else "right/color"
    before = {there: (99, 99 * PERIOD_NS)} | ({lost: (69, 69 * PERIOD_NS)} if known else {})
    ledger = Ledger([LEFT, RIGHT], Start(99 * PERIOD_NS, before, [lost]))
    clocks = CLOCKS if known else {there: CLOCKS[there]}
    books = ledger.finish(
        clocks, columns({there: [*range(100, 150)], lost: []}), whole=False, epochs=[], ended={lost: UNPLUGGED}
    )
    first = 100 if known else 0  # what never delivered is counted from 0
    assert missed(books, lost) == [(n, UNPLUGGED) for n in range(first, first + 50)]
    assert books.moments.index[there].tolist() == [*range(50)]
    np.testing.assert_allclose([d.t_ns for d in books.drops], books.moments.t_ns, atol=100)


@given(
    gap=st.integers(0, 40),
    first=st.integers(100, 120),
    ppm=st.floats(-150.0, 150.0),
)
@settings(max_examples=30)
def test_whatever_a_camera_that_goes_on_counting_misses_at_the_start_is_listed_exactly(gap, first, ppm):
    """A gap of numbers over the start of a take: of it, what lies in the take is missing."""
    start = Start(99 * PERIOD_NS, {"left/color": (99, 99 * PERIOD_NS), "right/color": (first - gap - 1, 0)})
    t_before = (first - gap - 1) * PERIOD_NS
    start = replace(start, before={**start.before, "right/color": (first - gap - 1, t_before)})
    clocks = {**CLOCKS, "right/color": Clock.line(100 * PERIOD_NS, 1_000_000, ppm)}
    numbers = {"left/color": [*range(100, 160)], "right/color": [*range(first, 160)]}
    books = Ledger([LEFT, RIGHT], start).finish(clocks, columns(numbers), whole=False, epochs=[])
    assert [n for n, _ in missed(books, "right/color")] == [n for n in range(100, first) if n >= first - gap]


def test_the_silence_of_a_camera_over_ten_minutes_is_counted_by_its_own_rate():
    # 150 ppm are 2.7 frames in ten minutes.
    clocks = {**CLOCKS, "right/color": Clock.line(0, 0, 150.0)}
    numbers = {"left/color": [*range(18_100)], "right/color": [*range(100)]}
    books = Ledger([LEFT, RIGHT]).finish(
        clocks, columns(numbers), whole=False, epochs=[], ended={"right/color": NOT_DELIVERED}
    )
    end_ns = 18_099 * PERIOD_NS
    expected = round(end_ns / (PERIOD_NS * (1.0 + 150e-6)))
    assert missed(books, "right/color") == [(n, NOT_DELIVERED) for n in range(100, expected + 1)]


def test_memory_is_given_back_when_a_backlog_is_worked_off(monkeypatch):
    now, given = [100.0], []
    monkeypatch.setattr(memory.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(memory, "give_back", lambda: given.append(now[0]))
    rings, backlog = Rings([[LEFT]], seconds=1.0), memory.Backlog()

    def second(come: int, gone: int, *, changed: bool = False) -> None:
        for n in range(come):
            rings.put(frame("left/color", n))
        for _ in range(gone):
            rings.take()
        now[0] += 1.0
        backlog.note(rings.take_highest(), rings.fill, changed=changed)

    second(2, 2)
    assert given == []
    second(20, 10)
    assert given == []  # it still waits
    second(0, 10)
    assert given == [103.0]
    second(20, 20)  # too soon after
    assert given == [103.0]
    for _ in range(6):
        second(1, 1)
    assert given == [103.0, 108.0]
    second(0, 0, changed=True)
    for _ in range(3):
        second(1, 1)
    assert given == [103.0, 108.0, 113.0]


def test_freed_images_of_another_thread_leave_no_memory_behind():
    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() * 1e-6

    def images() -> None:
        # Small ones in between that stay keep the allocator from giving back by itself.
        for _ in range(300):
            kept.append(np.ones(600_000, np.uint8))
            stay.append(bytearray(2000))

    kept, stay = [], []
    memory.give_back()
    before = resident_mb()
    maker = threading.Thread(target=images)
    maker.start()
    maker.join()
    kept.clear()
    memory.give_back()
    assert resident_mb() < before + 20.0
