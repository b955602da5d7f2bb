from __future__ import annotations

import itertools
import json
import shutil

import numpy as np
import pytest

from capture.report import take_report
from hoi_core.errors import SequenceError
from hoi_core.sequence import CaptureHeader, CaptureWriter
from hoi_core.sequence import writer as writer_module
from hoi_core.sequence.clocks import Clock, ClockPiece, Epoch
from hoi_core.types import Camera, Frame, StreamInfo

CAMERA = Camera(64, 48, 60.0, 60.0, 32.0, 24.0)
STREAMS = [
    StreamInfo("left/color", "camera", (48, 64, 3), "uint8", 30.0, CAMERA, "1"),
    StreamInfo("left/depth", "camera", (48, 64), "uint16", 30.0, CAMERA, "1", 0.001, np.eye(4)),
    StreamInfo("right/color", "camera", (48, 64, 3), "uint8", 30.0, CAMERA, "2"),
    StreamInfo("edge128/gray", "sensor", (128, 128), "uint8", 30.0, Camera(128, 128, 138, 138, 64, 64), "3"),
    StreamInfo("edge128/edge", "sensor", (128, 128), "uint8", 30.0, Camera(128, 128, 138, 138, 64, 64), "3"),
]
HEADER = CaptureHeader("seq_007", "p04", ("o012", "o013"), "kitchen", "stir", created="2026-01-01T00:00:00+00:00")
PERIOD_NS = 33_000_000
LOST = {("left/color", 5): "not delivered", ("left/color", 6): "not delivered", ("right/color", 8): "queue full"}


def image(info, fill=120):
    if info.name.endswith("/depth"):
        out = np.full(info.shape, 700, np.uint16)
        out[:12] = 0  # a quarter of the rows
        return out
    return np.full(info.shape, 0 if info.name.endswith("/edge") else fill, np.uint8)


def write(folder, *, frames=20, close=True, segment_s=1e9, exposure=lambda n: 8000.0):
    writer = CaptureWriter.create(folder / "capture.h5", HEADER, STREAMS, segment_s=segment_s)
    counts = dict.fromkeys([info.name for info in STREAMS], 0)
    for n in range(frames):
        index, skew = {}, {}
        for info in STREAMS:
            if (info.name, n) in LOST:
                continue
            late = 2_000_000 if info.name == "right/color" and n % 2 else 1_000_000 if info.name == "right/color" else 0
            t = n * PERIOD_NS + late
            light = exposure(n) if info.name == "left/color" else float("nan")
            writer.append(Frame(info.name, n, t, t, "hardware_clock", image(info), light, light / 500.0))
            index[info.name], skew[info.name] = counts[info.name], late
            counts[info.name] += 1
        writer.sync(n * PERIOD_NS, index, skew)
    for (name, n), reason in LOST.items():
        writer.drop(name, n, n * PERIOD_NS, reason)
    writer.mark(3 * PERIOD_NS, "spoon fell")
    writer.extend_epochs([Epoch("right/color", 10, 10, 5, "counter started anew")])
    writer.set_clock("right/color", Clock((ClockPiece(0, 0, 0, 0.0, 1e5),), 3_500_000, 400_000.0))
    writer.flush()
    if close:
        writer.close()
    return writer


def test_figures_of_a_take_with_known_faults(tmp_path):
    write(tmp_path)
    report = take_report(tmp_path)
    streams = {stream.stream: stream for stream in report.streams}
    left, right = streams["left/color"], streams["right/color"]
    assert (left.frames, right.frames, streams["left/depth"].frames) == (18, 19, 20)
    assert left.drops == {"not delivered": 2}
    assert right.drops == {"queue full": 1}
    assert left.fps == pytest.approx(1e9 / PERIOD_NS)
    assert left.jitter_ms == pytest.approx(0.0, abs=1e-6)
    assert left.longest_gap_ms == pytest.approx(3 * 33.0)
    assert right.jitter_ms > 0.4
    assert left.exposure_us == (8000.0, 8000.0)
    assert left.gain == (16.0, 16.0)
    assert left.locked is True
    assert right.locked is None
    assert (report.moments, report.paired) == (20, 17)
    # 1 ms for even numbers but 8, which is lost; 2 ms for odd ones.
    expected = np.array([1.0] * 9 + [2.0] * 10)
    assert report.skew_ms["right/color"] == pytest.approx((np.median(expected), np.percentile(expected, 95), 2.0))
    assert report.view_offset_ms == {"right/color": (pytest.approx(3.5), pytest.approx(0.4))}
    assert report.depth_fill == {"left": pytest.approx(0.75, abs=0.03)}
    assert report.seconds == pytest.approx(19 * 0.033)
    assert report.megabytes == pytest.approx((tmp_path / "capture.h5").stat().st_size / 1e6)
    assert report.megabytes_per_minute == pytest.approx(report.megabytes / report.seconds * 60)
    assert report.marks == ((pytest.approx(0.099), "spoon fell"),)
    assert report.epochs == ("right/color from frame 10 on, counter started anew",)
    assert (report.sequence, report.participant, report.objects) == ("seq_007", "p04", ("o012", "o013"))
    assert report.state == "complete"


def test_the_verdict_comes_from_the_images(tmp_path):
    write(tmp_path)
    verdict = take_report(tmp_path).verdict
    levels = {(view, r.name): r.level for view, readings in verdict.views.items() for r in readings}
    assert levels["left", "hand"] == "bad"
    assert levels["right", "hand"] == "unknown"
    assert levels["edge128", "edges"] == "bad"
    assert {r.name: r.level for r in verdict.take} == {"skew": "good", "drops": "bad"}
    assert verdict.shares["left/hand"] == 0.0
    assert take_report(tmp_path).level == "bad"


def test_moving_exposure_is_seen(tmp_path):
    write(tmp_path, exposure=lambda n: 8000.0 + 100.0 * n)
    left = take_report(tmp_path).streams[0]
    assert left.locked is False
    assert left.exposure_us == (8000.0, 9900.0)


def test_a_killed_recording_is_reported_as_far_as_it_goes(tmp_path):
    writer = write(tmp_path / "running", close=False)
    shutil.copytree(tmp_path / "running", tmp_path / "killed")
    writer.close()
    report = take_report(tmp_path / "killed")
    assert report.state == "never closed"
    assert report.moments == 20
    assert report.streams[0].frames == 18


def test_a_recording_in_segments_is_one_take(tmp_path, monkeypatch):
    write(tmp_path / "one")
    now = itertools.count()
    monkeypatch.setattr(writer_module.time, "monotonic", lambda: next(now) / 10)
    write(tmp_path / "many", segment_s=0.0)
    one, many = take_report(tmp_path / "one"), take_report(tmp_path / "many")
    assert many.segments > 1
    assert repr(many.streams) == repr(one.streams)  # NaN differs from itself
    assert many.skew_ms == one.skew_ms
    assert many.megabytes == pytest.approx(sum(p.stat().st_size for p in (tmp_path / "many").iterdir()) / 1e6)


def test_a_recording_without_frames_has_a_report(tmp_path):
    CaptureWriter.create(tmp_path / "capture.h5", HEADER, STREAMS).close(complete=False)
    report = take_report(tmp_path)
    assert (report.moments, report.seconds, report.state, report.level) == (0, 0.0, "stopped early", "bad")
    assert all(np.isnan(stream.fps) for stream in report.streams)
    assert any("0 of 0 moments" in line for line in report.lines())
    json.dumps(report.to_json(), allow_nan=False)


def test_the_report_can_be_read_by_people_and_machines(tmp_path):
    write(tmp_path)
    report = take_report(tmp_path)
    text = "\n".join(report.lines())
    for words in (
        "seq_007: bad, complete",
        "2 not delivered",
        "exposure 8.0 ms locked",
        "spoon fell",
        "no hand in view",
    ):
        assert words in text
    values = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert values["streams"][0]["drops"] == {"not delivered": 2}
    assert values["skew_ms"]["right/color"]["max"] == 2.0
    assert values["streams"][2]["exposure_us"] == [None, None]
    assert values["level"] == "bad"


def test_what_is_no_recording_is_a_typed_error(tmp_path):
    (tmp_path / "capture.h5").write_bytes(b"no")
    with pytest.raises(SequenceError):
        take_report(tmp_path)
