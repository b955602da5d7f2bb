"""The verdict strip and the report of a take."""

import math
from dataclasses import replace

import pytest

from capture.annotatable import Reading, Verdict
from capture.report import StreamReport, TakeReport, take_report
from gui import theme
from gui.panels.cadence import CadenceBar, cadence_level
from gui.panels.report import TakeReportView, tiles
from gui.panels.verdict import VerdictStrip, tip
from gui.qt import QtWidgets

pytestmark = pytest.mark.gui
GOOD = Reading("hand", "good", 0.1, "the hand is seen")
BLUR = Reading("blur", "warn", 3.0, "the hand is blurred: add light")
NO_HAND = Reading("hand", "bad", 0.0, "no hand: move into the view")
UNKNOWN = Reading("edges", "unknown", math.nan, "not seen yet")
DROPS = Reading("drops", "bad", 12.0, "12 frames lost")


@pytest.mark.parametrize(
    ("verdict", "pills"),
    [
        (None, [("Take", "idle", "Not judged yet")]),
        (Verdict({"left": (GOOD,)}), [("Take", "good", "Can be annotated"), ("left", "good", "good")]),
        (
            Verdict({"left": (GOOD, BLUR), "right": (NO_HAND, BLUR)}),
            [("Take", "bad", "Not good enough"), ("left", "warn", "blur"), ("right", "bad", "hand")],
        ),
        (
            Verdict({"edge128": (UNKNOWN,)}, (DROPS,)),
            [("Take", "bad", "Not good enough"), ("sensor", "idle", "no data"), ("drops", "bad", "fix")],
        ),
    ],
)
def test_every_light_has_a_word(qtbot, verdict, pills):
    strip = VerdictStrip(theme.DARK)
    qtbot.addWidget(strip)
    strip.show_verdict(verdict)
    assert strip.pills() == pills


def test_the_worst_comes_first_and_the_tip_has_all(qtbot):
    verdict = Verdict({"left": (GOOD, BLUR), "right": (NO_HAND,)}, (DROPS,))
    strip = VerdictStrip(theme.LIGHT)
    qtbot.addWidget(strip)
    strip.show_verdict(verdict)
    assert strip.advice.startswith("right: no hand")
    assert "+2 more" in strip.advice
    assert strip.advice in strip.words
    for reading in (GOOD, BLUR, NO_HAND, DROPS):
        assert reading.text in tip(verdict, theme.LIGHT)


def test_levels_are_painted_in_their_colours(qtbot):
    strip = VerdictStrip(theme.DARK)
    qtbot.addWidget(strip)
    strip.resize(700, strip.height())
    shades = []
    for reading in (GOOD, BLUR, NO_HAND):
        strip.show_verdict(Verdict({"left": (reading,)}))
        # The dot of the first pill.
        shades.append(strip.grab().toImage().pixelColor(14, strip.height() // 2).name())
    assert shades == [theme.DARK.good, theme.DARK.warn, theme.DARK.bad]


def stream(**changes):
    known = StreamReport(
        stream="left/color",
        frames=180,
        nominal_fps=30.0,
        fps=30.0,
        jitter_ms=0.4,
        longest_gap_ms=34.0,
        drops={},
        exposure_us=(8500.0, 8500.0),
        gain=(16.0, 16.0),
        locked=True,
    )
    return replace(known, **changes)


def report(*streams, **changes):
    known = TakeReport(
        sequence="seq_001",
        participant="p01",
        objects=("o01",),
        state="complete",
        seconds=6.0,
        moments=180,
        paired=180,
        streams=streams or (stream(),),
        skew_ms={"right/color": (3.9, 4.2, 5.0)},
        view_offset_ms={},
        depth_fill={"left": 0.93, "right": 0.62},
        verdict=Verdict({"left": (GOOD,)}),
        megabytes=300.0,
        segments=1,
        epochs=(),
        marks=((2.3, "grasp"),),
    )
    return replace(known, **changes)


def texts(widget):
    return [label.text() for label in widget.findChildren(QtWidgets.QLabel)]


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, "good"),
        ({"fps": 27.0}, "warn"),
        ({"fps": math.nan}, "bad"),
        ({"jitter_ms": 5.0}, "warn"),
        ({"longest_gap_ms": 2000.0}, "bad"),
        ({"longest_gap_ms": 100.0}, "warn"),
    ],
)
def test_cadence_is_judged_by_rate_scatter_and_gap(changes, level):
    assert cadence_level(stream(**changes)) == level


def test_the_cadence_is_drawn_to_scale(qtbot):
    bar = CadenceBar(theme.DARK, stream())
    qtbot.addWidget(bar)
    bar.resize(706, 22)
    # From half a period to 64 periods are seven octaves over 700 px.
    assert bar.x_of(1000 / 30) == pytest.approx(103.0)
    assert bar.x_of(4000 / 30) == pytest.approx(303.0)
    assert bar.x_of(1e9) == 703.0
    assert not bar.grab().isNull()


def test_the_large_figures_are_those_of_the_report():
    lossy = stream(drops={"not delivered": 2, "unplugged": 8}, locked=False)
    found = {name: (value, level) for name, value, _, level in tiles(report(stream(), lossy, paired=170))}
    assert found["Missing"] == ("10", "bad")  # 10 of 370 frames
    assert found["Paired"] == ("94.4 %", "warn")
    assert found["Skew"] == ("3.9 ms", "good")
    assert found["Depth fill"] == ("62 %", "warn")  # the worse view
    assert found["Exposure"] == ("moving", "warn")
    assert found["Length"][0] == "6.0 s"


def test_a_report_is_shown_and_copied(qtbot):
    view = TakeReportView(theme.DARK)
    qtbot.addWidget(view)
    assert not view.copy.isEnabled()
    made = report(verdict=Verdict({"left": (BLUR,), "right": (NO_HAND,)}), epochs=("right/color began anew",))
    view.show_report(made)
    said = "\n".join(texts(view))
    for words in ("Record it again", "seq_001", "right: no hand", "mark at 2.30 s: grasp", "right/color began anew"):
        assert words in said
    view.copy.click()
    assert QtWidgets.QApplication.clipboard().text() == "\n".join(made.lines())
    view.show_report(None)
    assert not view.copy.isEnabled()


def test_the_report_of_a_real_recording_is_shown(qtbot, recordings, tmp_path):
    recordings.record(tmp_path / "seq_001")
    made = take_report(tmp_path / "seq_001")
    view = TakeReportView(theme.LIGHT)
    qtbot.addWidget(view)
    view.show_report(made)
    said = "\n".join(texts(view))
    # 12 frames of each of the right view's streams are missing, for three reasons.
    assert "10 unplugged" in said
    assert "1 not delivered" in said
    assert "1 queue full" in said
    assert "24" in said
    view.set_theme(theme.DARK)
    assert not view.grab().isNull()
