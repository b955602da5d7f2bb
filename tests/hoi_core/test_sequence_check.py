"""The checks of a sequence find what is wrong."""

import runpy
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from hoi_core.errors import SequenceError
from hoi_core.sequence import Binding, check_sequence, open_annotation, open_capture, write_revision

CAPTURE = runpy.run_path(str(Path(__file__).with_name("test_sequence_capture.py")))
LABELS = runpy.run_path(str(Path(__file__).with_name("test_sequence_annotation.py")))


@pytest.fixture
def folder(tmp_path):
    CAPTURE["record"](tmp_path / "capture.h5", 6)
    return tmp_path


def sound(folder: Path):
    with open_capture(folder) as capture:
        given = LABELS["revision"](6)
        hand = replace(given.hands["right"], joints_m=np.ones((6, 21, 3)))
        return replace(given, t_ns=capture.sync.t_ns, hands={"right": hand}), Binding(capture.content_hash())


def test_a_sound_sequence_has_no_problems(folder):
    assert check_sequence(folder) == []
    revision, binding = sound(folder)
    write_revision(folder, revision, binding=binding)
    assert check_sequence(folder) == []


def test_a_changed_image_and_an_unlisted_gap_are_found(folder):
    with h5py.File(folder / "capture.h5", "a") as file:
        file["cameras/left/depth/frames"][2, 5, 5] += 1
        file["cameras/left/color/frame_number"][4:] += 3
        file["sync/index"][3, :] = file["sync/index"][2, :]
        file["sensors/edge128/gray/t_device_ns"][3] = 0
        file["sync/t_ns"][5] = 0
    problems = "\n".join(check_sequence(folder))
    assert "left/depth: image 2 is not what was recorded" in problems
    assert "left/color: 2 missing frames are not in the drop table, the first is 4" in problems
    assert "left/color: a frame belongs to two moments" in problems
    assert "edge128/gray: t_device_ns does not increase at frame 3" in problems
    assert "the moments' times do not increase" in problems


def test_foreign_labels_placeholders_and_nan_are_found(folder):
    revision, _ = sound(folder)
    joints = np.ones((6, 21, 3))
    joints[0] = -1.0
    joints[1, 4] = np.nan
    hand = replace(revision.hands["right"], joints_m=joints, valid=np.ones(6, bool))
    write_revision(folder, replace(revision, t_ns=revision.t_ns + 1, hands={"right": hand}), binding=Binding("0" * 64))
    problems = "\n".join(check_sequence(folder))
    for expected in ("another recording", "moments are not", "valid moments hold NaN", "placeholder"):
        assert expected in problems


def test_parameters_that_are_not_finite_are_found(folder):
    revision, binding = sound(folder)
    good = replace(revision.hands["right"], valid=np.ones(6, bool))
    pose = good.pose.copy()
    pose[2, 3] = np.nan
    write_revision(folder, replace(revision, hands={"right": replace(good, pose=pose)}), binding=binding)
    assert "r000: right hand: valid moments hold NaN" in check_sequence(folder)
    shapeless = replace(good, betas=np.full(10, np.nan))
    write_revision(folder, replace(revision, hands={"right": shapeless}))
    assert "r001: right hand: the shape holds NaN" in check_sequence(folder)


def test_labels_know_their_recording(folder):
    revision, _ = sound(folder)
    write_revision(folder, revision, binding=Binding("0" * 64))
    with (
        open_capture(folder) as capture,
        open_annotation(folder) as labels,
        pytest.raises(SequenceError, match="another recording"),
    ):
        labels.check_capture(capture)


def test_a_recording_that_was_cut_short_is_named(tmp_path):
    writer = CAPTURE["record"](tmp_path / "capture.h5", 2, close=False)
    writer.flush()
    assert "hoi-data recover" in check_sequence(tmp_path)[0]
    writer.close(complete=False)
    assert check_sequence(tmp_path) == []
