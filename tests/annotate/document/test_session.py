"""A person's work on a small real recording: read, edit, drag, refit, save, open again."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotate import auto
from annotate.document.drag import window
from annotate.document.lock import LabelsTakenError
from annotate.document.near import Nearby
from annotate.session import AnnotationSession
from hoi_core import camera as cameras
from hoi_core.errors import ConfigError, FitError, SequenceError
from hoi_core.sequence import open_annotation, open_truth, write_revision
from hoi_core.types import STATUSES, ObjectTrack

MOMENTS = 31
FRAME = 15
INDEX_TIP = 8
MIDDLE_BASE = 9
CUBE = """v -0.02 -0.02 -0.02
v 0.02 -0.02 -0.02
v 0.02 0.02 -0.02
v -0.02 0.02 -0.02
v -0.02 -0.02 0.02
v 0.02 -0.02 0.02
v 0.02 0.02 0.02
v -0.02 0.02 0.02
f 1 4 3 2
f 5 6 7 8
f 1 2 6 5
f 2 3 7 6
f 3 4 8 7
f 4 1 5 8
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, record) -> Path:
    root = tmp_path_factory.mktemp("session")
    record(root / "sequences" / "seq_001", moments=MOMENTS, start_s=1.2, scale=0.5, click_px=1.0)
    (root / "objects" / "o01").mkdir(parents=True)
    (root / "objects" / "o01" / "mesh.obj").write_text(CUBE)
    return root


@pytest.fixture(scope="module")
def annotated(recorded: Path, tmp_path_factory) -> Path:
    """Labels as good as a fit's: the true pose, on the hand model that the fit would use."""
    root = shutil.copytree(recorded, tmp_path_factory.mktemp("annotated") / "data")
    folder = root / "sequences" / "seq_001"
    with open_truth(folder) as truth:
        true = truth.load().hands["right"]
    with open_annotation(folder) as annotation:
        clicks = annotation.load()
    layer = auto.hand_model(folder, "right")
    joints_m = np.asarray(layer(true.orient, true.pose, true.betas, true.trans_m).joints_m)
    hand = replace(true, joints_m=joints_m, status=np.full(MOMENTS, STATUSES.index("auto"), np.uint8))
    residuals = {"reprojection_px": np.ones(MOMENTS), "depth_m": np.zeros(MOMENTS)}
    fitted = replace(clicks, hands={"right": hand}, residuals=residuals, author="auto", parent="r000")
    write_revision(folder, fitted)
    return root


@pytest.fixture
def root(annotated: Path, tmp_path: Path) -> Path:
    return shutil.copytree(annotated, tmp_path / "data")


@pytest.fixture
def session(root: Path):
    with AnnotationSession.open(root, "seq_001", "maria") as opened:
        yield opened


def bits(track) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in vars(track).items()}


def changed(before, after) -> np.ndarray:
    """Frames whose hand label differs in any bit."""
    differs = np.zeros(len(before.valid), bool)
    for name, old in vars(before).items():
        if name != "betas":
            new = getattr(after, name)
            differs |= [a.tobytes() != b.tobytes() for a, b in zip(old, new, strict=True)]
    return np.flatnonzero(differs)


def test_what_was_seen(session):
    assert (session.n_frames, session.sides, session.revision_name) == (MOMENTS, ("right",), "r001")
    assert session.image("left", 2).shape == (240, 320, 3)
    assert session.depth_m("right", 2).shape == (240, 320)
    points_m, colors = session.cloud(2, every=8)
    assert points_m.shape == colors.shape
    assert colors.dtype == np.uint8
    assert len(points_m) > 100
    # The table lies at z = 0 and everything else above it.
    assert np.percentile(points_m[:, 2], 5) > -0.05
    assert session.sensor_image(2) is None
    assert session.sensor_camera is None
    with pytest.raises(ConfigError, match="no view"):
        session.camera("top")


def test_triangulation_and_epipolar_lines_agree_with_the_cameras(session):
    clicked = np.isfinite(session.revision.keypoints["right"].by_view["left"][FRAME, :, 0])
    joints_m = session.triangulated("right", FRAME)
    assert np.isfinite(joints_m[clicked]).all()
    with open_truth(session.folder) as truth:
        true_m = truth.load().hands["right"].joints_m[FRAME]
    assert np.nanmedian(np.linalg.norm(joints_m - true_m, axis=1)) < 0.01
    left, right = session.camera("left"), session.camera("right")
    px = [cameras.project(c, cameras.transform(c.T_cam_world, true_m[:1]))[0] for c in (left, right)]
    line = session.epipolar("left", tuple(px[0]), "right")
    apart = np.diff(line, axis=0)
    normals = np.stack([-apart[:, 1], apart[:, 0]], axis=1) / np.linalg.norm(apart, axis=1)[:, None]
    assert np.abs(((px[1] - line[:-1]) * normals).sum(1)).min() < 0.1


def test_a_drag_is_one_step_that_undo_takes_back(session):
    before = session.revision
    session.prepare("right", FRAME)
    drag = session.begin_drag("right", FRAME)
    camera = session.camera("left")
    joints_m = before.hands["right"].joints_m[FRAME]
    start = cameras.project(camera, cameras.transform(camera.T_cam_world, joints_m[INDEX_TIP : INDEX_TIP + 1]))[0]
    shown = []
    worker = threading.Thread(
        target=lambda: shown.extend(drag.move("left", INDEX_TIP, (start[0] + k, start[1])) for k in range(1, 5))
    )
    worker.start()
    worker.join()
    assert session.revision is before
    there = cameras.project(camera, cameras.transform(camera.T_cam_world, shown[-1].joints_m[INDEX_TIP, None]))[0]
    assert np.linalg.norm(there - start - [4.0, 0.0]) < 1.0
    drag.finish()
    after = session.revision.hands["right"]
    np.testing.assert_allclose(after.joints_m[FRAME], shown[-1].joints_m, atol=1e-9)
    np.testing.assert_allclose(session.vertices_m("right", FRAME), shown[-1].vertices_m, atol=1e-9)
    assert STATUSES[after.status[FRAME]] == "edited"
    assert session.revision.keypoints["right"].by_view["left"][FRAME, INDEX_TIP, 0] == pytest.approx(start[0] + 4.0)
    assert session.undo_text == f"Drag the right hand of frame {FRAME}"
    with pytest.raises(ConfigError, match="over"):
        drag.move("left", INDEX_TIP, (1.0, 1.0))
    session.undo()
    assert bits(session.revision.hands["right"]) == bits(before.hands["right"])


def test_a_drag_leaves_settled_frames_and_cancels_without_a_trace(session):
    session.set_status([FRAME - 2, FRAME + 3], "accepted")
    before = session.revision
    drag = session.begin_drag("right", FRAME)
    drag.move("left", INDEX_TIP, (100.0, 100.0))
    drag.cancel()
    assert session.revision is before
    drag = session.begin_drag("right", FRAME)
    drag.move("left", INDEX_TIP, (100.0, 100.0))
    drag.finish()
    moved = changed(before.hands["right"], session.revision.hands["right"])
    assert FRAME in moved
    assert not {FRAME - 2, FRAME + 3} & set(moved)


def test_refit_between_holds_what_is_settled(session):
    session.set_status([10], "accepted")
    before = session.revision.hands["right"]
    told = []
    session.refit_between("right", 5, 20, lambda share, what: told.append(share))
    moved = changed(before, session.revision.hands["right"])
    assert told == sorted(told)
    assert len(moved)
    assert set(moved) <= set(range(6, 20)) - {10}
    with pytest.raises(FitError, match="cancelled"):
        session.refit_between("right", 5, 20, cancelled=lambda: True)
    with pytest.raises(ConfigError, match="before the last"):
        session.refit_between("right", 20, 5)


def test_a_gap_can_be_refitted(session):
    before_m = session.revision.hands["right"].joints_m.copy()
    session.delete_label("right", [12, 13])
    assert not session.revision.hands["right"].valid[[12, 13]].any()
    session.refit_between("right", 8, 18)
    found = session.revision.hands["right"]
    assert found.valid[[12, 13]].all()
    assert np.linalg.norm(found.joints_m[12] - before_m[12], axis=1).mean() < 0.01


def test_interpolation_goes_through_the_keyframes(session):
    with pytest.raises(ConfigError, match="keyframes"):
        session.interpolate("right", 5, 15)
    session.set_status([5, 9, 15], "accepted")
    before = session.revision.hands["right"]
    session.interpolate("right", 5, 15)
    after = session.revision.hands["right"]
    assert list(changed(before, after)) == [6, 7, 8, 10, 11, 12, 13, 14]
    # One 30th of a second apart, the hand is a few millimetres from where the fit saw it, and its joints its mesh's.
    assert np.linalg.norm(after.joints_m[7] - before.joints_m[7], axis=1).mean() < 0.01
    layer = auto.hand_model(session.folder, "right")
    row = slice(7, 8)
    again = layer(after.orient[row], after.pose[row], after.betas, after.trans_m[row]).joints_m
    np.testing.assert_allclose(after.joints_m[row], again, atol=1e-12)
    # Halfway in time, a joint has turned half of the way.
    from hoi_core import rotation

    a, b, c = (rotation.exp_so3(after.orient[k]) for k in (5, 7, 9))
    np.testing.assert_allclose(rotation.slerp(a, c, 0.5), b, atol=1e-4)


def test_hands_are_swapped_and_swapped_back(session):
    before = session.revision.keypoints["right"].by_view["left"].copy()
    session.swap_hands([FRAME])
    held = session.revision.keypoints
    np.testing.assert_array_equal(held["left"].by_view["left"][FRAME], before[FRAME])
    assert np.isnan(held["right"].by_view["left"][FRAME]).all()
    np.testing.assert_array_equal(held["right"].by_view["left"][FRAME - 5], before[FRAME - 5])
    assert not session.revision.hands["right"].valid[FRAME]
    session.swap_hands([FRAME])
    np.testing.assert_array_equal(session.revision.keypoints["right"].by_view["left"], before)


def test_residuals_follow_the_keypoints(session):
    before = session.revision.residuals["reprojection_px"]
    for joint in range(21):
        session.set_keypoint("right", FRAME, "left", joint, (0.0, 0.0))
        session.set_keypoint("right", FRAME, "right", joint, (0.0, 0.0))
    after = session.revision.residuals["reprojection_px"]
    assert after[FRAME] > 100.0
    np.testing.assert_array_equal(np.delete(before, FRAME), np.delete(after, FRAME))


def test_objects_are_nudged_and_clicked(session):
    pose = np.eye(4)
    session.set_object_pose("o01", 3, pose)
    session.nudge_object("o01", 3, (0.001, 0.0, 0.0), (0.0, 0.0, np.pi / 2))
    session.nudge_object("o01", 3, (0.001, 0.0, 0.0), (0.0, 0.0, 0.0), "object")
    np.testing.assert_allclose(session.object_pose("o01", 3)[:3, 3], [0.001, 0.001, 0.0], atol=1e-12)
    T = session.camera("left").T_world_cam
    at = session.object_pose("o01", 3)
    session.nudge_object("o01", 3, (0.0, 0.0, 0.01), (0.0, 0.0, 0.0), "camera:left")
    np.testing.assert_allclose(session.object_pose("o01", 3)[:3, 3], at[:3, 3] + 0.01 * T[:3, 2], atol=1e-12)
    for call in (
        lambda: session.nudge_object("o01", 4, (0, 0, 0), (0, 0, 0)),
        lambda: session.nudge_object("o01", 3, (0, 0, 0), (0, 0, 0), "camera:top"),
        lambda: session.nudge_object("o01", 3, (np.nan, 0, 0), (0, 0, 0)),
        lambda: session.set_object_pose("o01", 3, 2 * pose),
        lambda: session.set_object_pose("mug", 3, pose),
        lambda: session.remove_object_point("o01", 0),
        lambda: session.add_object_point("o01", 3, "top", (1.0, 1.0), (0.0, 0.0, 0.0)),
    ):
        with pytest.raises(ConfigError):
            call()


def test_an_object_is_placed_by_clicks(session):
    vertices_m, faces = session.object_mesh("o01")
    assert faces.max() < len(vertices_m)
    T = np.eye(4)
    T[:3, 3] = [0.01, 0.0, 0.03]
    corners = np.array([[x, y, z] for x in (-0.02, 0.02) for y in (-0.02, 0.02) for z in (-0.02, 0.02)])
    for view in ("left", "right"):
        camera = session.camera(view)
        seen = cameras.project(camera, cameras.transform(camera.T_cam_world @ T, corners))
        for px, corner in zip(seen, corners, strict=True):
            session.add_object_point("o01", 6, view, tuple(px), corner)
    session.place_object("o01", 6)
    # The depth image shows no such cube, and has its say.
    np.testing.assert_allclose(session.object_pose("o01", 6)[:3, 3], T[:3, 3], atol=2e-3)
    np.testing.assert_allclose(session.object_pose("o01", 6)[:3, :3], T[:3, :3], atol=0.05)
    session.remove_object_point("o01", 0)
    assert len(session.revision.object_points["o01"].view) == 15


def test_a_fit_keeps_what_a_person_did_meanwhile(session):
    with pytest.raises(FitError, match="cancelled"):
        session.fit(lambda share, what: None, lambda: True)
    told: list[float] = []
    session.set_status([4], "accepted")
    fitted = session.fit(lambda share, what: told.append(share), lambda: False)
    assert told == sorted(told)
    session.set_comment(7, "the sleeve hides it")
    session.set_status([6], "accepted")
    before = session.revision.hands["right"]
    session.adopt(fitted)
    assert not {4, 6} & set(changed(before, session.revision.hands["right"]))
    assert session.revision.comments == {7: "the sleeve hides it"}
    assert session.undo().text == "Fit all frames"


def test_two_sessions_cannot_write_but_anyone_may_look(session, root):
    with pytest.raises(SequenceError, match="maria"):
        AnnotationSession.open(root, "seq_001", "jonas")
    session.set_status([2], "accepted")
    with AnnotationSession.open(root, "seq_001", read_only=True) as looking:
        assert looking.statuses()[2] == "accepted"
        for change in (
            lambda: looking.set_status([3], "accepted"),
            looking.undo,
            looking.save,
            lambda: looking.begin_drag("right", FRAME),
        ):
            with pytest.raises(SequenceError, match="look at only"):
                change()
        looking.work(3, 1.0)


def test_saved_and_opened_again(root):
    with AnnotationSession.open(root, "seq_001", "maria") as session:
        session.set_status([2, 3], "accepted")
        session.work(2, 12.0)
        assert session.dirty
    with AnnotationSession.open(root, "seq_001", "jonas") as session:
        assert session.recovered
        assert session.statuses()[1:5] == ("auto", "accepted", "accepted", "auto")
        assert session.save("checked") == "r002"
        assert not session.dirty
        assert session.stored("r001").author == "auto"
    with open_annotation(root / "sequences" / "seq_001") as annotation:
        saved = annotation.load()
    assert (saved.author, saved.parent, saved.comment, saved.human_seconds) == ("jonas", "r001", "checked", 12.0)


def test_blind_labels_hide_the_labels(root):
    with AnnotationSession.open(root, "seq_001", "maria", blind=True) as session:
        assert session.sides == ()
        assert session.vertices_m("right", FRAME) is None
        with pytest.raises(FitError, match="keypoints"):
            session.fit(lambda share, what: None, lambda: False)
        session.set_keypoint("right", FRAME, "left", 0, (10.0, 10.0))
        assert session.save() == "r002"
    with AnnotationSession.open(root, "seq_001") as session:
        assert session.revision_name == "r001"


def test_blind_work_is_led_through_the_drawn_frames_and_compared(annotated, tmp_path):
    root = shutil.copytree(annotated, tmp_path / "data")
    with AnnotationSession.open(root, "seq_001") as session:
        assert session.to_repeat == ()
        session.set_status(range(4, 14), "accepted")
        session.save()
    with AnnotationSession.open(root, "seq_001", "maria", blind=True) as session:
        (frame,) = session.to_repeat
        assert 4 <= frame < 14
        assert session.suggestion(0).frame == frame
        labels = session.stored(session.revisions[-1])
        track = labels.hands["right"]
        apart = replace(track, joints_m=track.joints_m + np.array([0.003, 0.0, 0.0]), status=np.ones_like(track.status))
        session.adopt(replace(labels, hands={"right": apart}))
        assert session.suggestion(0).frame == frame
        session.set_status([frame], "accepted")
        assert session.suggestion(0) is None
        found = session.agreement(session.save())
    assert found.moments == 1
    assert found.joint_mm == pytest.approx(3.0, abs=0.01)


def test_a_second_writer_is_told_who_writes(root):
    with AnnotationSession.open(root, "seq_001", "maria"):
        with pytest.raises(LabelsTakenError, match="maria"):
            AnnotationSession.open(root, "seq_001", "jo")
        with AnnotationSession.open(root, "seq_001", "jo", read_only=True) as looking:
            assert looking.read_only


def test_a_recording_without_labels_can_be_clicked(recorded, tmp_path):
    root = shutil.copytree(recorded, tmp_path / "data")
    (root / "sequences" / "seq_001" / "annotation.h5").unlink()
    with pytest.raises(SequenceError, match="no labels"):
        AnnotationSession.open(root, "seq_001", blind=True)
    with AnnotationSession.open(root, "seq_001") as session:
        assert session.statuses() == ("none",) * MOMENTS
        session.set_keypoint("left", 0, "left", 4, (3.0, 4.0), occluded=True)
        session.set_occluded("left", 0, "left", 4, False)
        session.set_locked("left", 0, [4], True)
        assert session.revision.keypoints["left"].marks["left"][0, 4] == 1
        session.prepare("left", 0)
        for call in (
            lambda: session.begin_drag("left", 0),
            lambda: session.copy_from("left", 0, 1),
            lambda: session.delete_label("left", [0]),
            lambda: session.set_status([0], "accepted"),
            lambda: session.set_status([MOMENTS], "rejected"),
            lambda: session.set_keypoint("left", 0, "left", 21, (1.0, 1.0)),
            lambda: session.set_keypoint("left", 0, "left", 2, (np.inf, 1.0)),
            lambda: session.work(0, -1.0),
            lambda: session.stored("r009"),
        ):
            with pytest.raises(ConfigError):
                call()
        assert session.save() == "r000"


def test_object_labels_are_judged_with_the_frame(root):
    folder = root / "sequences" / "seq_001"
    with open_annotation(folder) as annotation:
        now = annotation.load()
    poses = np.tile(np.eye(4), (MOMENTS, 1, 1))
    track = ObjectTrack(poses, np.ones(MOMENTS, bool), np.ones(MOMENTS, np.uint8))
    write_revision(folder, replace(now, objects={"o01": track}))
    with AnnotationSession.open(root, "seq_001") as session:
        session.set_status([3], "accepted")
        session.set_status([4], "rejected", "right")
        assert STATUSES[session.revision.objects["o01"].status[3]] == "accepted"
        assert STATUSES[session.revision.objects["o01"].status[4]] == "auto"
        assert session.statuses("right")[3:5] == ("accepted", "rejected")


def test_locked_joints_stay_while_another_is_dragged(session):
    before_m = session.revision.hands["right"].joints_m[FRAME]
    session.set_locked("right", FRAME, [0, 5], True)
    drag = session.begin_drag("right", FRAME)
    camera = session.camera("left")
    tip = cameras.project(camera, cameras.transform(camera.T_cam_world, before_m[INDEX_TIP, None]))[0]
    shown = drag.move("left", INDEX_TIP, (tip[0] + 5.0, tip[1]))
    away_m = np.linalg.norm(shown.joints_m - before_m, axis=1)
    assert away_m[[0, 5]].max() < 5e-4
    assert away_m[INDEX_TIP] > 1e-3
    drag.cancel()


def test_depth_points_of_an_object_are_not_the_hands(session):
    """An object whose surface lies where the depth of the knuckles is takes these points from a drag's evidence."""

    def points_near() -> int:
        models = session._shelf.models(session.sides)
        clouds = window(Nearby(session._capture), session.revision, models, "right", FRAME).evidence.clouds
        base_m = session.revision.hands["right"].joints_m[FRAME, MIDDLE_BASE]
        row = FRAME  # the window begins with the recording
        near = 0
        for cloud in clouds.values():
            own = cloud.points_m[cloud.start[row] : cloud.start[row + 1]]
            near += int((np.linalg.norm(own - base_m, axis=1) < 0.025).sum())
        return near

    alone = points_near()
    assert alone > 5
    T = np.eye(4)
    # A face of the cube, 20 mm from its middle, lies through the points that the cameras see there.
    seen_m = session.cloud(FRAME, 1)[0]
    base_m = session.revision.hands["right"].joints_m[FRAME, MIDDLE_BASE]
    top_m = seen_m[np.linalg.norm(seen_m - base_m, axis=1) < 0.025].mean(0)
    T[:3, 3] = top_m - [0.0, 0.0, 0.02]
    session.set_object_pose("o01", FRAME, T)
    session.prepare("right", FRAME)
    assert points_near() < alone
