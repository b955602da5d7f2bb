"""Checks of labels that need no truth: people's agreement, fingertips on depth, the sensor's time, and the cost."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotate.trust.agreement import joined, moments_to_repeat
from annotate.trust.fingertips import TIPS, check_fingertips
from annotate.trust.sensor_sync import check_sensor
from annotate.trust.statistics import cost_of, sequence_statistics
from hoi_core import camera as cameras
from hoi_core.mano import ManoLayer
from hoi_core.render import Mesh, render_depth
from hoi_core.sequence import CaptureHeader, CaptureWriter, open_annotation, open_capture, open_truth, write_revision
from hoi_core.types import MARKS, STATUSES, Camera, Frame, HandKeypoints, HandTrack, Revision, StreamInfo

MOMENTS = 12
_AUTO, _EDITED, _ACCEPTED = (STATUSES.index(name) for name in ("auto", "edited", "accepted"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, record) -> Path:
    path = tmp_path_factory.mktemp("trust") / "sequences" / "seq_001"
    record(path, moments=MOMENTS, start_s=1.2, scale=1.0, click_px=0.5)
    return path


@pytest.fixture(scope="module")
def labels(folder: Path) -> Revision:
    """The truth as labels, with the clicks of r000 marked as a person's."""
    with open_truth(folder) as truth, open_annotation(folder) as annotation:
        points = annotation.load("r000").keypoints["right"]
        true = truth.load()
    marks = {
        v: np.where(np.isfinite(p[..., 0]), MARKS["clicked"], 0).astype(np.uint8) for v, p in points.by_view.items()
    }
    return replace(true, keypoints={"right": HandKeypoints(points.by_view, marks)})


def moved(revision: Revision, shift_m: tuple[float, float, float]) -> Revision:
    hand = revision.hands["right"]
    return replace(
        revision, hands={"right": replace(hand, joints_m=hand.joints_m + shift_m, trans_m=hand.trans_m + shift_m)}
    )


def with_status(revision: Revision, codes: dict[int, int]) -> Revision:
    hand = revision.hands["right"]
    status = np.full(len(revision.t_ns), _AUTO, np.uint8)
    status[list(codes)] = list(codes.values())
    return replace(revision, hands={"right": replace(hand, status=status)})


def test_true_tips_lie_on_the_cloud_and_moved_ones_do_not(folder: Path, labels: Revision) -> None:
    with open_capture(folder) as capture:
        true = check_fingertips(capture, labels)
        off = check_fingertips(capture, moved(labels, (0.0, 0.0, 0.012)))
        few = check_fingertips(capture, labels, frames=3)
    assert true.nearest >= 3 * MOMENTS
    assert true.clicked >= 10
    # Depth noise and holes allow a few millimetres; a shift of 12 mm is seen whole by the clicks.
    assert true.nearest_mm < 3.0
    assert true.clicked_mm < 8.0
    assert off.clicked_mm > true.clicked_mm + 3.0
    assert off.nearest_mm > true.nearest_mm + 1.0
    assert few.nearest <= 3 * len(TIPS)
    assert few.clicked > 0


def test_tips_without_labels_or_depth_are_none(folder: Path, labels: Revision) -> None:
    hand = replace(labels.hands["right"], valid=np.zeros(MOMENTS, dtype=bool))
    with open_capture(folder) as capture:
        found = check_fingertips(capture, replace(labels, hands={"right": hand}))
    assert (found.clicked, found.nearest) == (0, 0)
    assert np.isnan(found.nearest_mm)


def test_agreement_is_the_distance_of_what_was_labelled_twice(labels: Revision) -> None:
    blind = with_status(moved(labels, (0.003, 0.0, 0.004)), {2: _EDITED, 7: _ACCEPTED})
    blind = replace(blind, purpose="blind")
    found = joined([(labels, blind)])
    assert found.moments == 2
    assert found.joint_mm == pytest.approx(5.0)
    assert found.by_joint_mm.shape == (21,)
    assert found.click_px == 0.0
    nothing = joined([(labels, replace(blind, hands={}, keypoints={}))])
    assert nothing.moments == 0
    assert np.isnan(nothing.joint_mm)
    assert np.isnan(nothing.click_px)


def test_moments_to_repeat_are_checked_ones_and_nobodys_choice(labels: Revision) -> None:
    checked = with_status(labels, dict.fromkeys(range(10), _ACCEPTED))
    found = moments_to_repeat(checked, "seq_001", share=0.3)
    assert len(found) == 3
    assert set(found) <= set(range(10))
    np.testing.assert_array_equal(found, moments_to_repeat(checked, "seq_001", share=0.3))
    others = {tuple(moments_to_repeat(checked, f"seq_{k:03d}", share=0.3)) for k in range(20)}
    assert len(others) > 5
    assert len(moments_to_repeat(with_status(labels, {}), "seq_001")) == 0


def test_cost_counts_work_clicks_and_what_needed_no_edit(folder: Path, labels: Revision, tmp_path: Path) -> None:
    path = tmp_path / "annotation.h5"
    with open_annotation(folder) as annotation:
        binding = annotation.binding
    automatic = replace(with_status(labels, {}), author="auto")
    write_revision(path, automatic, binding=binding)
    hand = with_status(labels, {1: _ACCEPTED, 2: _ACCEPTED, 3: _EDITED}).hands["right"]
    trans_m = hand.trans_m.copy()
    trans_m[2:4] += 0.001
    person = replace(automatic, author="ada", hands={"right": replace(hand, trans_m=trans_m)}, human_seconds=20.0)
    write_revision(path, person)
    write_revision(path, replace(person, human_seconds=5.0))
    with open_annotation(path) as annotation:
        cost = cost_of(annotation)
    clicks = sum(int((codes > 0).sum()) for codes in labels.keypoints["right"].marks.values())
    assert (cost.human_s, cost.clicks, cost.reviewed, cost.untouched) == (25.0, clicks, 3, 1)


def test_statistics_of_a_sequence(folder: Path, labels: Revision) -> None:
    nan = np.full((MOMENTS, 21, 3, 3), np.nan)
    cov = nan.copy()
    cov[:] = np.eye(3) * 1e-6
    hand = replace(labels.hands["right"], joint_cov_m2=cov, joint_source=np.full((MOMENTS, 21), 4, np.uint8))
    write_revision(folder, with_status(replace(labels, hands={"right": hand}, author="auto"), {4: _ACCEPTED}))
    row = sequence_statistics(folder.parents[1], "seq_001").row()
    assert row["frames"] == MOMENTS
    assert row["labelled_share_right"] == 1.0
    assert (row["frames_auto"], row["frames_accepted"]) == (MOMENTS - 1, 1)
    assert row["accepted_without_edit_share"] == 1.0
    assert row["joint_share_fitted"] == 1.0
    assert row["joint_error_mm"] == pytest.approx(0.0, abs=1e-6)
    assert row["expected_error_mm"] == pytest.approx(np.sqrt(3.0))
    assert np.isnan(row["sensor_offset_ms"])
    assert np.isnan(row["agreement_mm"])


SENSOR = Camera(128, 128, 150.0, 150.0, 63.5, 63.5)
_LATE_NS = 30_000_000


@pytest.fixture(scope="module")
def swung(tmp_path_factory) -> tuple[Path, np.ndarray, ManoLayer, HandTrack]:
    """A hand swinging before a sensor that looks 30 ms later than it says."""
    layer = ManoLayer.stand_in("right")
    t_ns = np.arange(60) * 33_333_333

    def hand_at(t_s: np.ndarray):
        trans_m = np.stack([0.06 * np.sin(5.0 * t_s), 0.05 * np.sin(3.1 * t_s), np.full_like(t_s, 0.45)], axis=-1)
        still = np.zeros((len(t_s), 3))
        return still, np.zeros((len(t_s), 45)), trans_m, layer(still, np.zeros((len(t_s), 45)), np.zeros(10), trans_m)

    path = tmp_path_factory.mktemp("swung") / "seq_001"
    path.mkdir()
    streams = [
        StreamInfo(
            "left/color",
            "camera",
            (48, 64, 3),
            "uint8",
            30.0,
            cameras.resize(Camera(640, 480, 600.0, 600.0, 320.0, 240.0), 64, 48),
        ),
        StreamInfo("edge128/gray", "sensor", (128, 128), "uint8", 30.0, SENSOR),
        StreamInfo("edge128/edge", "sensor", (128, 128), "uint8", 30.0, SENSOR),
    ]
    _, _, _, late = hand_at((t_ns + _LATE_NS) * 1e-9)
    with CaptureWriter.create(path / "capture.h5", CaptureHeader(sequence="seq_001"), streams) as writer:
        for m, now_ns in enumerate(t_ns.tolist()):
            mesh = Mesh(
                np.asarray(late.vertices_m[m]), layer.closed_faces.astype(np.int32), np.full((778, 3), 90, np.uint8), 1
            )
            _, segment = render_depth([mesh], SENSOR)
            inside = np.pad((segment == 1).astype(int), 1)
            border = (inside[1:-1, 1:-1] == 1) & (
                (inside[:-2, 1:-1] + inside[2:, 1:-1] + inside[1:-1, :-2] + inside[1:-1, 2:]) < 4
            )
            edge = np.where(border, 255, 0).astype(np.uint8)
            images = {"left/color": np.zeros((48, 64, 3), np.uint8), "edge128/gray": edge, "edge128/edge": edge}
            for name, image in images.items():
                writer.append(Frame(name, m + 1, now_ns, now_ns, "hardware_clock", image))
            writer.sync(now_ns, dict.fromkeys(images, m), dict.fromkeys(images, 0))
        writer.close()
    orient, pose, trans_m, hand = hand_at(t_ns * 1e-9)
    n = len(t_ns)
    track = HandTrack(
        orient, pose, np.zeros(10), trans_m, np.asarray(hand.joints_m), np.zeros((n, 21, 3, 3)), np.ones(n, dtype=bool),
        np.zeros(n, np.uint8), np.zeros((n, 21), np.uint8),
    )  # fmt: skip
    return path, np.asarray(hand.vertices_m), layer, track


def test_a_late_sensor_is_found_with_its_spread(swung) -> None:
    path, vertices_m, layer, _ = swung
    with open_capture(path) as capture:
        found = check_sensor(capture, "edge128", vertices_m, layer.faces)
    assert found.offset_ms == pytest.approx(30.0, abs=5.0)
    assert 0.0 < found.sigma_ms < 8.0
    assert found.frames > 40
    assert found.distance_px < 1.5


def test_a_hand_at_rest_tells_no_time(swung) -> None:
    path, vertices_m, layer, _ = swung
    still = np.broadcast_to(vertices_m[:1], vertices_m.shape)
    with open_capture(path) as capture:
        found = check_sensor(capture, "edge128", still, layer.faces)
    assert np.isnan(found.offset_ms)
    assert found.frames == 0
