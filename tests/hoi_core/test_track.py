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
    tracker.read(0, joints(400, 100), SURE)
    tracker.next_frame()
    assert not tracker.wants_look
    tracker.looked([hand("left", 100, 100, 0.5), hand("right", 400, 100, 0.8)])
    assert [t.identity for t in tracker.tracks] == [0]


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


def step(tracker, detections, readings):
    """One frame: detections, and what is read at each place: joints there and their confidence."""
    if tracker.wants_look:
        tracker.looked(detections)
    for track in tracker.tracks:
        middle = np.array(track.box).reshape(2, 2).mean(0)
        x, y, size, confidence = min(readings, key=lambda r: np.hypot(r[0] - middle[0], r[1] - middle[1]))
        tracker.read(track.identity, joints(x, y, size), np.full(21, confidence))
    tracker.next_frame()
    return [(track.identity, track.side) for track in tracker.tracks if track.proven]


def test_a_further_hand_counts_once_it_was_found_and_read_in_three_frames():
    tracker = HandTracker(Settings(proof=3))
    both = [hand("right", 100, 100, 0.9), hand("left", 300, 100, 0.8)]
    places = [(100, 100, 60, 0.8), (300, 100, 60, 0.6)]
    counts = [len(step(tracker, both, places)) for _ in range(5)]
    assert counts == [1, 1, 2, 2, 2]
    # An object hides most of it now: what is proven may be read at half of the other's confidence.
    assert [len(step(tracker, both, [places[0], (300, 100, 60, 0.45)])) for _ in range(8)] == [2] * 8


def test_what_a_detector_takes_for_a_hand_beside_one_that_is_read_well_never_counts():
    tracker = HandTracker()
    # The false one is found in every frame, and more surely than the hand.
    both = [hand("right", 100, 100, 0.5), hand("left", 300, 100, 0.9)]
    for _ in range(30):
        assert step(tracker, both, [(100, 100, 60, 0.85), (300, 100, 60, 0.35)]) == [(1, "right")]


def test_a_false_hand_does_not_keep_the_place_of_a_true_one():
    tracker = HandTracker(Settings(hands=2))
    places = [(100, 100, 60, 0.85), (300, 100, 60, 0.3), (500, 100, 60, 0.8)]
    found = [hand("right", 100, 100), hand("left", 300, 100, 0.95), hand("left", 500, 100, 0.5)]
    for _ in range(4):
        shown = step(tracker, found, places)
    assert [side for _, side in shown] == ["right", "left"]
    assert max(track.box[0] for track in tracker.tracks) > 450


def test_a_second_hand_within_the_first_never_counts():
    tracker = HandTracker()
    # Fingers: 30 px of a hand of 120 px, an overlap of 1 / 16, but all of it lies within.
    found = [hand("right", 100, 100), Detection("left", square(300, 300, 30), 0.8)]
    for k in range(12):
        inside = Detection("left", square(130, 130, 30), 0.8)
        assert len(step(tracker, [found[0], found[1] if k == 0 else inside], [(100, 100, 120, 0.9)])) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_side_that_was_read_is_not_changed_by_a_detector_that_guesses(seed):
    tracker = HandTracker(Settings(hands=2))
    rng = np.random.default_rng(seed)
    for _ in range(100):
        # Right in six of ten images; looked for in every frame, since there is no second hand.
        found = [hand("right" if rng.random() < 0.6 else "left", 100, 100, 0.7)]
        if tracker.wants_look:
            tracker.looked(found)
        for track in tracker.tracks:
            if tracker.wants_side(track.identity):
                assert tracker.judged(track.identity, 0.8, 0.55) == "right"
            tracker.read(track.identity, joints(100, 100), SURE)
        tracker.next_frame()
        assert [track.side for track in tracker.tracks] == ["right"]


def test_a_wrong_side_is_mended_by_what_is_read_later():
    tracker = HandTracker(Settings(hands=1))
    tracker.looked([hand("left", 100, 100)])
    assert tracker.judged(0, 0.5, 0.5) == "left"  # readings that cannot tell leave it to the detector
    tracker.read(0, joints(100, 100), SURE)
    sides = [tracker.judged(0, 0.8, 0.6) for _ in range(3)]
    assert sides == ["right"] * 3


def test_a_side_that_is_known_is_never_asked_for():
    tracker = HandTracker(Settings(hands=1, side="left"))
    for _ in range(4):
        follow(tracker, [("right", 100, 100)])
        assert not tracker.wants_side(0)
        assert [track.side for track in tracker.tracks] == ["left"]


def test_a_side_is_asked_for_in_the_first_frames_and_then_now_and_again():
    tracker = HandTracker(Settings(hands=1, look_every=4, proof=3))
    asked = []
    for _ in range(12):
        tracker.looked([hand("right", 100, 100)])
        asked.append(tracker.wants_side(0))
        tracker.read(0, joints(100, 100), SURE)
        tracker.next_frame()
    assert asked == [True] * 3 + [False, True] + [False] * 3 + [True] + [False] * 3
