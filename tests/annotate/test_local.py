"""A drag moves the joint under the pointer and nothing outside the window, and leaves a smooth track."""

import time
from dataclasses import replace

import numpy as np
import pytest

from annotate import fit as fitting
from annotate.evidence import Anchors
from annotate.local import LocalFit
from hoi_core import camera as cameras
from hoi_core.errors import FitError

FRAME, TIP = 20, 8


@pytest.fixture(scope="module")
def fitted(scene, unkind):
    """A sequence of 40 moments, fitted from near its truth."""
    made = scene(3, unkind=unkind)
    terms = fitting.load_terms()
    return made.evidence, fitting.fit(made.evidence, made.truth, terms).state, terms


def local(fitted, frame: int = FRAME, reach: int = 12) -> LocalFit:
    evidence, state, terms = fitted
    return LocalFit(evidence, state, terms, frame, reach=reach)


def pixel(fitted, joints_m: np.ndarray, view: str = "left") -> np.ndarray:
    evidence = fitted[0]
    camera = evidence.cameras[evidence.views.index(view)]
    return cameras.project(camera, cameras.transform(camera.T_cam_world, joints_m[None]))[0]


@pytest.mark.parametrize("view", ["left", "right"])
@pytest.mark.parametrize("joint", [TIP, 3, 10, 0])
def test_the_joint_follows_the_pointer(fitted, joint: int, view: str) -> None:
    drag = local(fitted)
    start = pixel(fitted, fitted[1].hands.joints_m[FRAME, joint], view)
    for shift in (2.0, 5.0, 9.0, 14.0):
        target = start + np.array([shift, -0.5 * shift])
        moved = drag.drag(joint, view, target)
        assert np.linalg.norm(pixel(fitted, moved.joints_m[drag.centre, joint], view) - target) < 1.0


def test_the_track_stays_smooth_and_meets_the_rest(fitted) -> None:
    drag = local(fitted)
    before = fitted[1].hands
    drag.drag(TIP, "left", pixel(fitted, before.joints_m[FRAME, TIP]) + 12.0)
    after = drag.state()
    for end in (0, 1, -2, -1):
        np.testing.assert_array_equal(after.trans_m[end], before.trans_m[drag.window][end])
        np.testing.assert_array_equal(after.rotations[end], before.rotations[drag.window][end])
    jump_mm = 1e3 * np.linalg.norm(np.diff(after.joints_m - before.joints_m[drag.window], axis=0), axis=-1)
    at_the_drag_mm = 1e3 * np.linalg.norm(after.joints_m - before.joints_m[drag.window], axis=-1)[drag.centre, TIP]
    assert at_the_drag_mm > 5.0
    assert jump_mm.max() < 0.5 * at_the_drag_mm


def test_locked_joints_stay(fitted) -> None:
    drag = local(fitted)
    before_m = fitted[1].hands.joints_m[FRAME]
    target = pixel(fitted, before_m[TIP]) + np.array([8.0, 4.0])
    after_m = drag.drag(TIP, "left", target, locked=[0, 12]).joints_m[drag.centre]
    assert 1e3 * np.linalg.norm(after_m[[0, 12]] - before_m[[0, 12]], axis=-1).max() < 0.5
    assert np.linalg.norm(pixel(fitted, after_m[TIP]) - target) < 1.0


def test_accepted_moments_stay_bit_for_bit(fitted) -> None:
    evidence, state, terms = fitted
    moments = np.array([17, 24])
    anchors = Anchors(moments, state.hands.taken(moments), np.full(2, 1e-4))
    drag = LocalFit(replace(evidence, anchors=anchors), state, terms, FRAME, reach=12)
    after = drag.drag(TIP, "left", pixel(fitted, state.hands.joints_m[FRAME, TIP]) + 6.0)
    rows = moments - drag.window.start
    np.testing.assert_array_equal(after.rotations[rows], state.hands.rotations[moments])


def test_a_drag_back_leaves_the_hand_near_where_it_was(fitted) -> None:
    drag = local(fitted)
    start = pixel(fitted, fitted[1].hands.joints_m[FRAME, TIP])
    still = drag.drag(TIP, "left", start).joints_m
    for shift in (6.0, 15.0, 6.0, 0.0):
        back = drag.drag(TIP, "left", start + shift)
    # Not to the last bit: on the way, depth points found other triangles.
    assert 1e3 * np.linalg.norm(back.joints_m - still, axis=-1).max() < 2.0


def test_the_window_ends_with_the_sequence(fitted) -> None:
    drag = local(fitted, frame=0)
    assert drag.window == slice(0, 13)
    assert drag.centre == 0
    target = pixel(fitted, fitted[1].hands.joints_m[0, TIP]) + 5.0
    moved = drag.drag(TIP, "left", target)
    assert np.linalg.norm(pixel(fitted, moved.joints_m[0, TIP]) - target) < 1.0


def test_no_move_of_a_drag_takes_a_tenth_of_a_second_of_work(fitted) -> None:
    drag = local(fitted, reach=30)
    drag.ready()
    start = pixel(fitted, fitted[1].hands.joints_m[FRAME, TIP])
    took = []
    for k in range(20):
        began = time.thread_time()
        drag.drag(TIP, "left", start + k)
        took.append(time.thread_time() - began)
    assert np.percentile(took, 90) < 0.1


def test_the_first_move_looks_at_few_moments_once_the_drag_is_ready(fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    prepare = fitting.prepare

    def counted(terms, evidence, state, stage):
        if "depth" in terms or "keypoints2d" in terms:
            looked.append(len(evidence.t_s))
        return prepare(terms, evidence, state, stage)

    monkeypatch.setattr("annotate.local.prepare", counted)
    drag = local(fitted)
    drag.ready()
    assert looked == [25]
    again = drag.fresh()
    for used in (drag, again):
        looked.clear()
        used.drag(TIP, "left", pixel(fitted, fitted[1].hands.joints_m[FRAME, TIP]) + 3.0)
        assert sum(looked) <= 7


def test_a_ready_drag_is_the_same_as_one_that_was_not(fitted) -> None:
    target = pixel(fitted, fitted[1].hands.joints_m[FRAME, TIP]) + 7.0
    cold, warm = local(fitted), local(fitted)
    warm.ready()
    warm.fresh().drag(TIP, "left", target + 20.0)
    used = warm.fresh()
    np.testing.assert_array_equal(cold.drag(TIP, "left", target).rotations, used.drag(TIP, "left", target).rotations)
    assert used.renewals == 0


def test_a_hand_that_moved_far_is_looked_at_again_where_it_is(fitted) -> None:
    drag = local(fitted)
    start = pixel(fitted, fitted[1].hands.joints_m[FRAME, TIP])
    for shift in range(0, 90, 10):
        moved = drag.drag(TIP, "left", start + shift)
    assert 1 <= drag.renewals <= 8
    assert np.linalg.norm(pixel(fitted, moved.joints_m[drag.centre, TIP]) - start - 80.0) < 1.5
    settled = drag.settle()
    assert np.linalg.norm(pixel(fitted, settled.joints_m[drag.centre, TIP]) - start - 80.0) < 1.5


@pytest.mark.parametrize(("joint", "view", "at"), [(21, "left", 5.0), (TIP, "up", 5.0), (TIP, "left", np.nan)])
def test_a_drag_of_nothing_is_refused(fitted, joint: int, view: str, at: float) -> None:
    with pytest.raises(FitError, match="Drag a joint"):
        local(fitted).drag(joint, view, np.full(2, at))


def test_a_frame_outside_is_refused(fitted) -> None:
    with pytest.raises(FitError, match="Choose a frame"):
        local(fitted, frame=40)
