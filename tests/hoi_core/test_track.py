"""Hands keep their number and their side while they move, vanish, meet and come back."""

import numpy as np
import pytest

from hoi_core.detect import Detection
from hoi_core.track import HandTracker, Settings

SURE = np.ones(21)


def joints(x, y, size=60.0):
    """Joints all over a square around a place. `-> (21, 2)` px."""
    points = np.random.default_rng(3).random((21, 2))
    points = (points - points.min(0)) / np.ptp(points, axis=0) - 0.5
    return np.array([x, y]) + size * points


def square(x, y, size=60.0):
    return (x - size / 2, y - size / 2, x + size / 2, y + size / 2)


def hand(side, x, y, score=0.9):
    return Detection(side, square(x, y), score)


def follow(tracker, places, detections=None):
    """One frame: look if asked, then read each track at the nearest place."""
    if tracker.wants_look:
        tracker.looked(detections if detections is not None else [hand(s, x, y) for s, x, y in places])
    for track in tracker.tracks:
        middle = np.array(track.box).reshape(2, 2).mean(0)
        near = [p for p in places if np.hypot(p[1] - middle[0], p[2] - middle[1]) < 45]
        if near:
            tracker.read(track.identity, joints(*near[0][1:]), SURE)
        else:
            tracker.read(track.identity, np.full((21, 2), np.nan), np.zeros(21))
    tracker.next_frame()


def test_two_hands_that_move_keep_their_numbers_and_sides():
    tracker = HandTracker()
    for k in range(40):
        follow(tracker, [("right", 100 + 12 * k, 100), ("left", 700 - 12 * k, 300)])
    assert [(t.identity, t.side) for t in tracker.tracks] == [(0, "right"), (1, "left")]
    assert all(t.seen == 40 for t in tracker.tracks)


def test_the_box_of_the_next_frame_goes_on_as_the_hand_went():
    tracker = HandTracker()
    tracker.looked([hand("right", 100, 100)])
    tracker.read(0, joints(100, 100), SURE)
    np.testing.assert_allclose(tracker.tracks[0].box, square(100, 100))
    tracker.read(0, joints(110, 95), SURE)
    np.testing.assert_allclose(tracker.tracks[0].box, square(120, 90))
    tracker.read(0, joints(310, 95), SURE)  # no farther than half of its size
    np.testing.assert_allclose(tracker.tracks[0].box, square(340, 95))


def test_a_hand_that_left_is_given_up_and_comes_back_under_a_new_number():
    tracker = HandTracker(Settings(hands=1, patience=2))
    for _ in range(5):
        follow(tracker, [("right", 100, 100)])
    for _ in range(2):
        follow(tracker, [])
        assert [t.identity for t in tracker.tracks] == [0]
    follow(tracker, [])
    assert tracker.tracks == []
    assert tracker.wants_look
    follow(tracker, [("right", 400, 100)])
    assert [t.identity for t in tracker.tracks] == [1]


def test_one_bad_reading_does_not_move_the_hand():
    tracker = HandTracker(Settings(hands=1))
    for k in range(3):
        follow(tracker, [("right", 100 + 10 * k, 100)])
    assert not tracker.read(0, joints(120, 100), np.full(21, 0.001))
    assert not tracker.read(0, joints(120, 100, size=400.0), SURE)
    np.testing.assert_allclose(tracker.tracks[0].box, square(120, 100))
    assert tracker.read(0, joints(125, 100), SURE)


def test_what_a_model_reads_where_no_hand_is_does_not_keep_a_track_alive():
    tracker = HandTracker(Settings(hands=1, look_every=5, patience=1))
    tracker.looked([hand("right", 100, 100)])
    for _ in range(12):
        if tracker.wants_look:
            tracker.looked([])
        for track in tracker.tracks:
            tracker.read(track.identity, joints(100, 100), SURE)
        tracker.next_frame()
    assert tracker.tracks == []


def test_the_side_is_that_of_most_votes():
    tracker = HandTracker(Settings(hands=1, look_every=1))
    follow(tracker, [("right", 100, 100)], [hand("left", 100, 100, score=0.5)])
    assert tracker.tracks[0].side == "left"
    for _ in range(2):
        follow(tracker, [("right", 100, 100)])
    assert tracker.tracks[0].side == "right"
    follow(tracker, [("right", 100, 100)], [hand("left", 100, 100, score=0.6)])
    assert tracker.tracks[0].side == "right"
    assert tracker.tracks[0].identity == 0


def test_two_tracks_of_one_hand_become_the_older_one():
    tracker = HandTracker()
    tracker.looked([hand("right", 100, 100), hand("left", 200, 100)])
    for _ in range(3):
        tracker.read(0, joints(100, 100), SURE)
    tracker.read(1, joints(102, 101), SURE)
    tracker.next_frame()
    assert [t.identity for t in tracker.tracks] == [0]


def test_no_more_hands_than_asked_for_and_the_surest_first():
    tracker = HandTracker(Settings(hands=1))
    tracker.looked([hand("left", 100, 100, 0.5), hand("right", 400, 100, 0.8)])
    assert [t.side for t in tracker.tracks] == ["right"]
    assert not tracker.wants_look


def test_readings_of_a_hand_that_is_not_followed_are_refused():
    assert not HandTracker().read(7, joints(1, 1), SURE)


@pytest.mark.parametrize("every", [1, 4])
def test_a_look_is_due_every_so_many_frames(every):
    tracker = HandTracker(Settings(hands=1, look_every=every))
    looks = 0
    for _ in range(12):
        looks += tracker.wants_look
        follow(tracker, [("right", 100, 100)])
    assert looks == 12 // every
