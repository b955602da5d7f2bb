"""annotation.h5, truth.h5 and the tables: round trips, bindings, and crashes between two steps."""

from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoi_core.errors import ConfigError, SequenceError, StorageError
from hoi_core.sequence import (
    Binding,
    CaptureHeader,
    annotation,
    open_annotation,
    open_truth,
    read_table,
    register_recording,
    set_row,
    write_revision,
    write_truth,
)
from hoi_core.types import (
    JOINT_SOURCES,
    PROBLEMS,
    STATUSES,
    Camera,
    HandKeypoints,
    HandTrack,
    ObjectPoints,
    ObjectTrack,
    Revision,
)

BINDING = Binding("a" * 64)


def revision(moments: int, seed: int = 0, sides: tuple[str, ...] = ("right",)) -> Revision:
    rng = np.random.default_rng(seed)

    def hand() -> HandTrack:
        joints = rng.normal(size=(moments, 21, 3))
        joints[::3] = np.nan
        return HandTrack(
            orient=rng.normal(size=(moments, 3)),
            pose=rng.normal(size=(moments, 45)),
            betas=rng.normal(size=10),
            trans_m=rng.normal(size=(moments, 3)),
            joints_m=joints,
            joint_cov_m2=rng.normal(size=(moments, 21, 3, 3)),
            valid=rng.random(moments) > 0.3,
            status=rng.integers(0, len(STATUSES), moments).astype(np.uint8),
            joint_source=rng.integers(0, len(JOINT_SOURCES), (moments, 21)).astype(np.uint8),
        )

    track = ObjectTrack(rng.normal(size=(moments, 4, 4)), rng.random(moments) > 0.5, np.ones(moments, np.uint8))
    return Revision(
        t_ns=np.sort(rng.integers(0, 2**60, moments)),
        hands={side: hand() for side in sides},
        objects={"o01": track},
        keypoints={side: hand_keypoints(rng, moments) for side in sides},
        frame_index={"left": np.arange(moments), "right": np.arange(moments) - 1},
        residuals={"depth_m": rng.random(moments), "left/reprojection_px": rng.random(moments)},
        author="auto",
        parent="r000",
        comment="tighter – ünïcode",
        keypoint_source="clicked",
        human_seconds=1.5,
        locked={side: rng.random((moments, 21)) > 0.5 for side in sides},
        problems={side: rng.integers(0, len(PROBLEMS), moments).astype(np.uint8) for side in sides},
        object_points={
            "o01": ObjectPoints(np.arange(3), ("left", "left", "right"), rng.random((3, 2)), np.ones((3, 3)))
        },
        comments={0: "the sleeve – hides it"},
        work_s=rng.random(moments),
        corrections={"left": rng.normal(size=8)},
    )


def hand_keypoints(rng: np.random.Generator, moments: int) -> HandKeypoints:
    return HandKeypoints(
        {"left": rng.normal(size=(moments, 21, 3))}, {"left": rng.integers(0, 4, (moments, 21)).astype(np.uint8)}
    )


def assert_same(a, b) -> None:
    for field in fields(a):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, dict):
            assert list(left) == list(right)
            for key in left:
                if hasattr(left[key], "__dataclass_fields__"):
                    assert_same(left[key], right[key])
                else:
                    np.testing.assert_array_equal(left[key], right[key])
        elif isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right)
            assert left.dtype == right.dtype
        else:
            assert left == right


@settings(max_examples=15)
@given(moments=st.integers(0, 7), seed=st.integers(0, 99), sides=st.sampled_from([(), ("right",), ("left", "right")]))
def test_revisions_come_back_as_they_were(tmp_path_factory, moments, seed, sides):
    folder = tmp_path_factory.mktemp("seq")
    given_revision = revision(moments, seed, sides)
    assert write_revision(folder, given_revision, binding=BINDING) == "r000"
    with open_annotation(folder) as file:
        assert_same(given_revision, file.load())
        assert file.binding == BINDING


def test_revisions_are_added_and_the_last_is_current(tmp_path):
    first, second = revision(4, 1), replace(revision(5, 2), author="maria")
    write_revision(tmp_path, first, binding=BINDING)
    assert write_revision(tmp_path, second) == "r001"
    with open_annotation(tmp_path / "annotation.h5") as file:
        assert file.revisions == ["r000", "r001"]
        assert file.current == "r001"
        assert_same(file.load("r000"), first)
        assert_same(file.load(), second)
        assert file.about("r001")["author"] == "maria"
        with pytest.raises(ConfigError, match="no revision named 'r007'"):
            file.load("r007")


@pytest.mark.parametrize("step", ["write_revision_group", "os.replace"])
def test_a_crash_at_any_step_leaves_the_old_revision_current(tmp_path, monkeypatch, step):
    write_revision(tmp_path, revision(4, 1), binding=BINDING)

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"hoi_core.sequence.annotation.{step}", crash)
        with pytest.raises(KeyboardInterrupt):
            write_revision(tmp_path, revision(4, 2))
    with open_annotation(tmp_path) as file:
        assert file.revisions == ["r000"]
        assert_same(file.load(), revision(4, 1))
    assert write_revision(tmp_path, revision(4, 2)) == "r001"


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    write_revision(tmp_path, revision(4, 1), binding=BINDING)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(annotation.shutil, "copyfile", full)
        with pytest.raises(StorageError, match="no space left"):
            write_revision(tmp_path, revision(4, 2))
    with open_annotation(tmp_path) as file:
        assert file.revisions == ["r000"]


def test_labels_of_another_recording_are_refused(tmp_path):
    with pytest.raises(SequenceError, match="Give the binding"):
        write_revision(tmp_path, revision(2))
    write_revision(tmp_path, revision(2), binding=BINDING)
    with pytest.raises(SequenceError, match="another capture_hash and mano_source"):
        write_revision(tmp_path, revision(2), binding=Binding("b" * 64, "c" * 64))


def test_malformed_revisions_are_refused_before_anything_is_written(tmp_path):
    good = revision(3)
    wrong = {"right": HandKeypoints({"left": np.zeros((2, 21, 3))})}
    with pytest.raises(SequenceError, match=r"keypoints/left must have shape \(3, 21, 3\)"):
        write_revision(tmp_path, replace(good, keypoints=wrong), binding=BINDING)
    odd = replace(good.hands["right"], status=np.full(3, 77, np.uint8))
    with pytest.raises(SequenceError, match="hands/right/status must hold 0 to 4, got 77"):
        write_revision(tmp_path, replace(good, hands={"right": odd}), binding=BINDING)
    thing = replace(good.objects["o01"], status=np.full(3, 9, np.uint8))
    with pytest.raises(SequenceError, match="objects/o01/status must hold 0 to 4, got 9"):
        write_revision(tmp_path, replace(good, objects={"o01": thing}), binding=BINDING)
    assert not list(tmp_path.iterdir())


def test_bad_annotation_files_are_typed_errors(tmp_path):
    with pytest.raises(SequenceError, match="found none"):
        open_annotation(tmp_path)
    write_revision(tmp_path, revision(3), binding=BINDING)
    path = tmp_path / "annotation.h5"
    with h5py.File(path, "a") as file:
        del file["revisions/r000/t_ns"]
    with open_annotation(path) as file, pytest.raises(SequenceError, match=r"r000 of .* is damaged"):
        file.load()
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(SequenceError, match="truncated"):
        open_annotation(path)


def test_a_damaged_revision_or_pointer_is_a_typed_error(tmp_path):
    write_revision(tmp_path, revision(3), binding=BINDING)
    with h5py.File(tmp_path / "annotation.h5", "a") as file:
        file["revisions"].copy("r000", "by_hand")
        del file["revisions/by_hand/hands/right/pose"]
        file["revisions/by_hand/hands/right/pose"] = np.zeros((3, 10))
        file.attrs["current"] = "r007"
    with open_annotation(tmp_path) as file:
        with pytest.raises(SequenceError, match="current revision r007 does not exist"):
            file.load()
        with pytest.raises(SequenceError, match=r"r007 of .* is damaged"):
            file.about("r007")
        with pytest.raises(SequenceError, match=r"pose must have shape \(3, 45\)"):
            file.load("by_hand")
    assert write_revision(tmp_path, revision(3)) == "r001"


def test_truth_comes_back(tmp_path):
    truth = revision(5)
    camera = Camera(640, 480, 600.0, 601.0, 320.0, 240.0, T_world_cam=np.diag([1.0, -1.0, -1.0, 1.0]))
    vertices = np.random.default_rng(0).normal(size=(5, 778, 3)).astype(np.float32)
    clocks = {"left/color": (np.arange(5), np.arange(5) * 33_333_333)}
    write_truth(
        tmp_path,
        truth,
        vertices_m=vertices,
        cameras={"left/color": camera},
        clocks=clocks,
        drops=[("left/color", 3, "injected")],
    )
    with h5py.File(tmp_path / "truth.h5") as raw:
        # The contract's layout: a revision at the root, and beside it what only truth has.
        assert {"t_ns", "hands", "objects", "vertices_m", "cameras", "clocks", "drops"} <= set(raw)
    with open_truth(tmp_path) as file:
        assert_same(file.load(), truth)
        np.testing.assert_array_equal(file.vertices_m, vertices)
        np.testing.assert_array_equal(file.cameras["left/color"].T_world_cam, camera.T_world_cam)
        np.testing.assert_array_equal(file.clocks["left/color"][1], clocks["left/color"][1])
        assert list(file.cameras) == ["left/color"]
        (drop,) = file.drops
        assert (drop.stream, drop.frame_number, drop.t_ns, drop.reason) == ("left/color", 3, 99_999_999, "injected")


def test_a_damaged_truth_is_a_typed_error(tmp_path):
    write_truth(tmp_path, revision(2), vertices_m=np.zeros((2, 778, 3), np.float32), cameras={}, clocks={})
    with h5py.File(tmp_path / "truth.h5", "a") as file:
        del file["t_ns"]
    with open_truth(tmp_path) as file, pytest.raises(SequenceError, match=r"truth\.h5 is damaged"):
        file.load()
    with h5py.File(tmp_path / "truth.h5", "a") as file:
        del file["vertices_m"]
    with pytest.raises(SequenceError, match=r"truth\.h5 is damaged"):
        open_truth(tmp_path)


def test_tables_keep_what_others_wrote(tmp_path):
    header = CaptureHeader("seq_001", "p01", ("o01", "o02"), "s1", created="2026-01-01T00:00:00+00:00")
    register_recording(tmp_path, header, seconds=6.0, drops=2, status="recorded")
    set_row(tmp_path, "participants", {"participant": "p01", "handedness": "right", "room": "2"})
    register_recording(tmp_path, replace(header, sequence="seq_002"), seconds=5.0, drops=0, status="recorded")
    set_row(tmp_path, "protocol", {"sequence": "seq_001", "status": "rejected"})
    people = read_table(tmp_path, "participants")
    assert people.loc[0, ["participant", "handedness", "room"]].tolist() == ["p01", "right", "2"]
    assert len(people) == 1
    protocol = read_table(tmp_path, "protocol")
    assert protocol["sequence"].tolist() == ["seq_001", "seq_002"]
    assert protocol["status"].tolist() == ["rejected", "recorded"]
    assert protocol["drops"].tolist() == ["2", "0"]
    assert read_table(tmp_path, "objects")["object"].tolist() == ["o01", "o02"]
    assert (tmp_path / "dataset.json").exists()


def test_a_table_without_its_key_is_a_typed_error(tmp_path):
    (tmp_path / "objects.csv").write_text("name\nmug\n")
    with pytest.raises(SequenceError, match="no column 'object'"):
        read_table(tmp_path, "objects")


GOLDEN = Path(__file__).with_name("golden")
"""Files written by the versions that their names say, of numbers that count up in steps of a seventh."""


def counted(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=float).reshape(shape) / 7


@pytest.mark.parametrize("version", ["1_0", "1_1"])
def test_files_of_every_version_still_open(version):
    with open_annotation(GOLDEN / f"annotation_{version}.h5") as file:
        assert file.revisions == ["r000", "r001"]
        held = {name: file.load(name) for name in file.revisions}
        newest = held["r001"]
        current = file.current
    hand = newest.hands["right"]
    np.testing.assert_array_equal(hand.valid, [True, True, False, True])
    np.testing.assert_array_equal(hand.pose[hand.valid], counted(4, 45)[hand.valid])
    assert np.isnan(hand.joints_m[2]).all()
    np.testing.assert_array_equal(hand.betas, counted(10))
    np.testing.assert_array_equal(newest.objects["o01"].T_world_obj[:, 0, 3], [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(newest.residuals["reprojection_px"], counted(4))
    np.testing.assert_array_equal(newest.keypoints["right"].by_view["left"][1], counted(4, 21, 3)[1])
    np.testing.assert_array_equal(newest.frame_index["right"], [0, 1, -1, 3])
    assert newest.human_seconds == 2.5
    if version == "1_0":
        assert (current, newest.parent, newest.comment) == ("r001", "r000", "fitted – once")
        # Keypoints without a hand to belong to were those of the only hand there was.
        assert list(held["r000"].keypoints) == ["right"]
        assert (newest.purpose, newest.comments, newest.locked, newest.work_s) == ("labels", {}, {}, None)
    else:
        assert (current, newest.purpose, newest.parent) == ("r000", "blind", "r000")
        assert newest.comments == {3: "the sleeve – hides it"}
        assert newest.object_points["o01"].view == ("left", "right")
        assert newest.keypoints["right"].marks["left"][1, 0] == 3
        assert set(newest.residuals) == {"reprojection_px", "left/depth_m"}
        np.testing.assert_array_equal(newest.problems["left"], [0, 1, 2, 3])


@pytest.mark.parametrize("version", ["1_0", "1_1"])
def test_files_of_every_version_take_new_revisions(tmp_path, version):
    path = tmp_path / "annotation.h5"
    path.write_bytes((GOLDEN / f"annotation_{version}.h5").read_bytes())
    with open_annotation(path) as file:
        old = file.load("r001")
    assert write_revision(path, revision(4)) == "r002"
    with open_annotation(path) as file:
        assert_same(file.load("r001"), old)
        assert file.current == "r002"
