"""Judgements of the health bar."""

import math
from types import SimpleNamespace

import pytest

from gui.health import level_above, level_below, lights, rate_level, worst
from gui.panels.record_panel import clock

GOOD = SimpleNamespace(
    fps={"a": 30.0, "b": 29.5},
    skew_ms=2.0,
    dropped=0,
    buffer_share=0.1,
    disk_minutes=95.0,
    depth_fill={"left": 0.9, "right": 0.8},
    exposure_us={"a": 6000.0, "b": math.nan},
)
NOMINAL = {"a": 30.0, "b": 30.0}


def judged(**changes):
    figures = SimpleNamespace(**{**vars(GOOD), **changes})
    return {light.name: light for light in lights(figures, NOMINAL)}


def test_all_good():
    found = judged()
    assert {light.level for light in found.values()} == {"good"}
    assert found["Frame rate"].value == "29.5 fps"
    assert found["Depth fill"].value == "80 %"
    assert found["Exposure"].value == "6.0 ms"
    assert found["Disk left"].value == "95 min"
    assert all(light.tip and light.word for light in found.values())


@pytest.mark.parametrize(
    ("changes", "name", "level"),
    [
        ({"fps": {"a": 30.0, "b": 24.0}}, "Frame rate", "warn"),
        ({"fps": {"a": 30.0}}, "Frame rate", "bad"),
        ({"skew_ms": 12.0}, "Sync skew", "warn"),
        ({"skew_ms": 33.0}, "Sync skew", "bad"),
        ({"skew_ms": math.nan}, "Sync skew", "idle"),
        ({"dropped": 2}, "Dropped", "warn"),
        ({"dropped": 40}, "Dropped", "bad"),
        ({"buffer_share": 0.9}, "Buffer", "bad"),
        ({"disk_minutes": 3.0}, "Disk left", "bad"),
        ({"depth_fill": {}}, "Depth fill", "idle"),
        ({"depth_fill": {"left": 0.9, "right": 0.3}}, "Depth fill", "bad"),
        ({"exposure_us": {"a": 20000.0}}, "Exposure", "warn"),
    ],
)
def test_each_fault_is_seen(changes, name, level):
    assert judged(**changes)[name].level == level


def test_levels():
    assert [level_below(x, 1, 2) for x in (1, 2, 3)] == ["good", "warn", "bad"]
    assert [level_above(x, 2, 1) for x in (2, 1, 0)] == ["good", "warn", "bad"]
    assert rate_level(0.0, 30.0) == "bad"
    assert worst(["good", "warn", "idle"]) == "warn"
    assert worst([]) == "idle"


def test_clock():
    assert clock(0) == "00:00.0"
    assert clock(83.26) == "01:23.2"
