"""When everything happened in a recording: from real files, whole and killed."""

import numpy as np
import pytest

from gui import timetable as tables
from gui.timetable import timetable
from hoi_core.sequence import open_capture

# As tests/gui/recordings.py writes them.
MOMENTS, PERIOD_NS = 60, 33_333_333
LOST, AWAY, RECORDER = 7, range(20, 30), 40


@pytest.fixture
def table(recordings, tmp_path):
    recordings.record(tmp_path)
    with open_capture(tmp_path) as capture:
        return timetable(capture)


def test_every_moment_has_its_time_and_skew(table):
    assert len(table) == MOMENTS
    np.testing.assert_allclose(table.t_s, np.arange(MOMENTS) * PERIOD_NS * 1e-9, atol=1e-9)
    assert table.seconds == pytest.approx((MOMENTS - 1) * PERIOD_NS * 1e-9)
    here = np.isfinite(table.skew_ms["right/color"])
    np.testing.assert_allclose(table.skew_ms["right/color"][here], 4.0)
    np.testing.assert_allclose(table.skew_ms["left/color"], 0.0)


def test_a_missing_frame_has_the_reason_of_its_drop(table):
    assert table.reason("right/color", LOST) == "not delivered"
    assert table.reason("right/depth", RECORDER) == "queue full"
    assert {table.reason("right/color", n) for n in AWAY} == {"unplugged"}
    assert table.reason("right/color", LOST + 1) == ""
    assert table.reason("left/color", LOST) == ""
    states = table.states["right/color"]
    assert states[LOST] == tables.MISSING
    assert states[RECORDER] == tables.OURS
    assert set(states[list(AWAY)]) == {tables.LOST}
    assert (np.delete(states, [LOST, RECORDER, *AWAY]) == tables.PRESENT).all()


def test_what_happened_can_be_jumped_to(table):
    marks = [event for event in table.events if event.kind == "mark"]
    assert [(event.text, event.first_s) for event in marks] == [("grasp", 1.5)]
    away = [event for event in table.events if event.kind == "loss"]
    assert len(away) == 2  # colour and depth
    assert away[0].text == f"{len(AWAY)} frames unplugged"
    assert [event.kind for event in table.events if event.kind == "restart"] == ["restart"]
    gaps = ("drop", "loss", "restart")
    found, moment = [], 0
    while (moment := table.jump(moment, gaps, 1)) is not None:
        found.append(moment)
    assert found == [LOST, AWAY.start, AWAY.stop, RECORDER]
    assert table.jump(LOST, gaps, -1) is None
    assert table.jump(MOMENTS - 1, ("mark",), -1) == round(1.5e9 / PERIOD_NS)


@pytest.mark.parametrize("moment", [0, 1, 17, MOMENTS - 1])
def test_a_time_and_its_moment_belong_together(table, moment):
    t_s = table.t_s[moment]
    assert table.moment_at(t_s) == moment
    assert table.moment_near(t_s + 0.4 * table.period_s) == moment
    assert table.moment_at(t_s + 0.9 * table.period_s) == moment


def test_moments_go_on_where_only_the_reference_has_ended(recordings, tmp_path):
    recordings.record(tmp_path, last_left=45)
    with open_capture(tmp_path) as capture:
        assert len(capture.sync) == 45
        table = timetable(capture)
    assert len(table) == MOMENTS
    assert (table.index["left/color"][45:] == -1).all()
    # The others' frames stand at their own times; image n is frame n of the sensor, which lost none.
    np.testing.assert_array_equal(table.index["edge128/gray"], np.arange(MOMENTS))
    assert table.reason("left/color", 50) == tables.NO_PARTNER


def test_a_killed_recording_has_the_moments_of_all_its_frames(recordings, tmp_path):
    writer = recordings.record(tmp_path, close=False)
    try:
        with open_capture(tmp_path) as capture:
            assert capture.never_closed
            table = timetable(capture)
        assert len(table) == MOMENTS
        assert table.reason("right/color", LOST) == "not delivered"
    finally:
        writer.close()


def test_a_recording_without_frames_is_an_empty_table(recordings, tmp_path):
    recordings.record(tmp_path, moments=0)
    with open_capture(tmp_path) as capture:
        table = timetable(capture)
    assert len(table) == 0
    assert table.seconds == 0.0
    assert table.moment_near(1.0) == 0
