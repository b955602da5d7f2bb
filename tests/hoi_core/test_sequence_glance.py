"""A glance says what the whole files say, and is as strict about whose labels they are."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from hoi_core.errors import SequenceError
from hoi_core.sequence import Binding, CaptureHeader, CaptureWriter, glance, open_annotation, open_capture
from hoi_core.sequence import write_revision as write_labels
from hoi_core.sequence import writer as writer_module
from hoi_core.types import Camera, Frame, HandTrack, Revision, StreamInfo

PERIOD_NS = 33_333_333
LENS = (0.1, 0.2, 0.0, 0.0, 0.3)
CAMERAS = {"left": Camera(8, 6, 61.5, 61.0, 3.8, 2.2, LENS), "back": Camera(8, 6, 50.0, 51.0, 3.0, 2.0)}
STREAMS = [
    *(StreamInfo(f"{view}/color", "camera", (6, 8, 3), "uint8", 30.0, camera) for view, camera in CAMERAS.items()),
    StreamInfo("left/depth", "camera", (6, 8), "uint16", 30.0, CAMERAS["left"], "", 0.001),
    StreamInfo("edge128/gray", "sensor", (4, 4), "uint8", 30.0, CAMERAS["back"]),
    StreamInfo("edge128/edge", "sensor", (4, 4), "uint8", 30.0, CAMERAS["back"]),
]
MOMENTS = 40


def record(folder, monkeypatch, *, segment_s: float) -> CaptureWriter:
    now = [0.0]
    monkeypatch.setattr(writer_module.time, "monotonic", lambda: now[0])
    writer = CaptureWriter.create(folder / "capture.h5", CaptureHeader("seq_001", "p01"), STREAMS, segment_s=segment_s)
    for n in range(MOMENTS):
        now[0] = n / 30
        for info in STREAMS:
            image = np.full(info.shape, n, info.dtype)
            writer.append(Frame(info.name, n, n * PERIOD_NS, n * PERIOD_NS + 5, "hardware_clock", image))
        writer.sync(n * PERIOD_NS, {info.name: n for info in STREAMS}, {})
    return writer


def label(folder) -> None:
    """Labels of two hands, bound to the recording."""
    rng = np.random.default_rng(0)

    def hand() -> HandTrack:
        return HandTrack(
            orient=np.zeros((MOMENTS, 3)),
            pose=np.zeros((MOMENTS, 45)),
            betas=np.zeros(10),
            trans_m=np.zeros((MOMENTS, 3)),
            joints_m=rng.normal(size=(MOMENTS, 21, 3)),
            joint_cov_m2=np.zeros((MOMENTS, 21, 3, 3)),
            valid=rng.random(MOMENTS) > 0.3,
            status=rng.integers(0, 5, MOMENTS).astype(np.uint8),
            joint_source=np.zeros((MOMENTS, 21), np.uint8),
        )

    frames = {"left": np.arange(MOMENTS), "back": np.arange(MOMENTS) - 1}
    with open_capture(folder) as capture:
        binding = Binding(capture.content_hash(), mano_source="b" * 64)
    revision = Revision(np.arange(MOMENTS), {"right": hand(), "left": hand()}, {}, {}, frames)
    write_labels(folder, revision, binding=binding)


@pytest.fixture(params=["one file", "segments", "killed"])
def labelled(request, tmp_path, monkeypatch):
    writer = record(tmp_path / "running", monkeypatch, segment_s=1e9 if request.param == "one file" else 0.5)
    folder = tmp_path / "seq_001"
    if request.param == "killed":
        writer.flush()
        shutil.copytree(tmp_path / "running", folder)
    writer.close()
    if request.param != "killed":
        shutil.copytree(tmp_path / "running", folder)
    assert len(list(folder.glob("capture*.h5"))) == (1 if request.param == "one file" else 3)
    label(folder)
    return folder


def test_it_is_what_the_whole_files_say(labelled):
    seen = glance(labelled)
    with open_capture(labelled) as capture, open_annotation(labelled) as labels:
        revision = labels.load()
        assert (seen.revision, seen.binding) == ("r000", labels.binding)
        assert set(seen.cameras) == {"left", "back"}
        for view, camera in seen.cameras.items():
            expected = capture.views[view].camera
            np.testing.assert_array_equal(camera.T_world_cam, expected.T_world_cam)
            assert (camera.fx, camera.distortion) == (expected.fx, expected.distortion) != (0.0, ())
    assert set(seen.hands) == {"right", "left"}
    for side, places in seen.hands.items():
        for name in ("joints_m", "valid", "status"):
            np.testing.assert_array_equal(getattr(places, name), getattr(revision.hands[side], name))
    for view, frames in revision.frame_index.items():
        np.testing.assert_array_equal(seen.frame_index[view], frames)


def test_labels_of_another_recording_are_refused(labelled):
    with h5py.File(labelled / "annotation.h5", "r+") as file:
        file.attrs["capture_hash"] = "c" * 64
    with pytest.raises(SequenceError, match="labels of another recording"):
        glance(labelled)


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A folder to copy."""
    folder = tmp_path_factory.mktemp("closed") / "seq_001"
    with pytest.MonkeyPatch.context() as patched:
        record(folder, patched, segment_s=0.5).close()
    label(folder)
    return folder


@pytest.mark.parametrize("where", ["cameras/left/depth/crc32", "sensors/edge128/edge/frame_number", "sync/index"])
def test_every_number_counts(closed, tmp_path, where):
    folder = Path(shutil.copytree(closed, tmp_path / "seq_001"))
    with h5py.File(folder / "capture.h5", "r+") as file:
        file[where][2] += 1
    with pytest.raises(SequenceError, match="labels of another recording"):
        glance(folder)


@pytest.mark.parametrize(
    ("file", "where"),
    [
        ("capture", "cameras/back/color/crc32"),
        ("capture", "cameras/left/depth/frames"),
        ("capture", "sync/index"),
        ("annotation", "revisions/r000/hands/left/joints_m"),
        ("annotation", "revisions/r000/t_ns"),
    ],
)
@pytest.mark.parametrize("put", [None, np.zeros((3, 2)), np.array([b"text"])])
def test_damage_is_a_typed_error(closed, tmp_path, file, where, put):
    folder = Path(shutil.copytree(closed, tmp_path / "seq_001"))
    with h5py.File(folder / f"{file}.h5", "r+") as content:
        del content[where]
        if put is not None:
            content[where] = put
    with pytest.raises(SequenceError):
        glance(folder)


def test_what_is_missing_is_named(closed, tmp_path):
    folder = Path(shutil.copytree(closed, tmp_path / "seq_001"))
    for name, message in (
        ("capture.002.h5", r"goes on in capture\.002\.h5, which is missing"),
        ("capture.h5", r"capture\.h5, found none"),
        ("annotation.h5", r"annotation\.h5, found none"),
    ):
        (folder / name).unlink()
        with pytest.raises(SequenceError, match=message):
            glance(folder)
