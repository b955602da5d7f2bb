"""Which detection is which hand: followed through time, matched between views, and given a side by all their votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from annotate.epipolar import epipolar_miss_px
from annotate.evidence import undistorted_px, without_distortion
from hoi_core import camera as cameras
from hoi_core.conventions import N_JOINTS, SIDES, Side
from hoi_core.types import F64, Camera, HandKeypoints

_FEWEST = 6
_STEP = 0.6
"""A hand moves less than this part of its size between two frames that show it."""
_LONGEST_GAP = 5
_MATCH_PX = 20.0
_PALM = (0, 9)
_PALM_M = 0.095
"""From the wrist to the base of the middle finger."""
_SIZE_PX = 20.0
"""A hand that is wrong by a factor of e is as unlikely as one that misses its epipolar lines by this."""


@dataclass(frozen=True, eq=False)
class Detection:
    """One hand that a detector found in one image."""

    points: F64
    """(21, 3) u px, v px, confidence; NaN where absent."""
    right: float
    """Probability that it is a right hand."""


@dataclass(eq=False)
class _Track:
    """A hand followed through the images of one view."""

    view: str
    found: dict[int, Detection] = field(default_factory=dict)
    """moment -> detection."""


def assign_sides(
    detections: Mapping[str, Sequence[Sequence[Detection]]], views: Mapping[str, Camera]
) -> dict[Side, HandKeypoints]:
    """Bring what a detector found in single images to hands of a recording.

    A detector errs about the side in single images and from single views; all images of a hand vote together.

    Args:
        detections: view -> for each of the M moments, the hands that were found.
        views: view -> its camera, with distortion.
    """
    tracks = [track for view, images in detections.items() for track in _follow(view, images)]
    moments = max((len(images) for images in detections.values()), default=0)
    hands: dict[Side, HandKeypoints] = {}
    for side, group in _sides(_same_hands(tracks, views)):
        if side not in hands:
            nothing = np.full((moments, N_JOINTS, 3), np.nan)
            hands[side] = HandKeypoints({view: nothing.copy() for view in detections})
        for track in group:
            for m, detection in track.found.items():
                hands[side].by_view[track.view][m] = detection.points
    return hands


def _follow(view: str, images: Sequence[Sequence[Detection]]) -> list[_Track]:
    """Link the detections of one view from image to image."""
    tracks: list[_Track] = []
    for m, found in enumerate(images):
        live = [track for track in tracks if m - max(track.found) <= _LONGEST_GAP]
        cost = np.array([[_step(track, m, detection) for detection in found] for track in live])
        taken: set[int] = set()
        for row, column in _pairs(cost, 1.0):
            live[row].found[m] = found[column]
            taken.add(column)
        tracks += [_Track(view, {m: detection}) for k, detection in enumerate(found) if k not in taken]
    return tracks


def _step(track: _Track, moment: int, detection: Detection) -> float:
    """How far a detection is from where the track was last seen, 1 at the farthest that a hand can be."""
    last = max(track.found)
    before, now = track.found[last].points[:, :2], detection.points[:, :2]
    both = np.isfinite(before).all(-1) & np.isfinite(now).all(-1)
    if both.sum() < _FEWEST:
        return np.inf
    size = max(float(np.ptp(before[both], axis=0).max()), float(np.ptp(now[both], axis=0).max()), 1.0)
    moved = float(np.median(np.linalg.norm(now[both] - before[both], axis=-1)))
    return moved / (size * _STEP * np.sqrt(moment - last))


def _pairs(cost: F64, limit: float) -> list[tuple[int, int]]:
    """The cheapest pairs of rows and columns below a limit."""
    if cost.size == 0:
        return []
    rows, columns = linear_sum_assignment(np.minimum(cost, 1e6))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if cost[r, c] < limit]


def _same_hands(tracks: Sequence[_Track], views: Mapping[str, Camera]) -> list[list[_Track]]:
    """Tracks of all views that show one hand: those that keep to each other's epipolar lines."""
    cost = np.full((len(tracks), len(tracks)), np.inf)
    for i, a in enumerate(tracks):
        for j, b in enumerate(tracks[:i]):
            if a.view != b.view:
                cost[i, j] = _unlikeness(a, b, views)
    groups = [[track] for track in tracks]
    # The surest pairs first; a group holds one track of a view at a time.
    order = np.unravel_index(np.argsort(cost, axis=None), cost.shape)
    for i, j in zip(*order, strict=True):
        if cost[i, j] > _MATCH_PX:
            break
        one, other = (next(group for group in groups if tracks[k] in group) for k in (i, j))
        if one is not other and not any(_together(a, b) for a in one for b in other if a.view == b.view):
            groups.remove(other)
            one.extend(other)
    return groups


def _unlikeness(a: _Track, b: _Track, views: Mapping[str, Camera]) -> float:
    """How badly two tracks fit one hand, px: epipolar distance, and what a hand of the wrong size would be as bad as.

    Hands beside each other along the line between the cameras share their epipolar lines. Paired wrongly they meet
    nearer or farther than they are, and so come out too small or too large.
    """
    shared = sorted(a.found.keys() & b.found.keys())
    if not shared:
        return float("inf")
    pixels = [
        undistorted_px(views[track.view], np.stack([track.found[m].points[:, :2] for m in shared])) for track in (a, b)
    ]
    ideal = [without_distortion(views[track.view]) for track in (a, b)]
    miss = epipolar_miss_px(ideal[0], pixels[0], ideal[1], pixels[1])
    miss = miss[np.isfinite(miss)]
    if len(miss) < _FEWEST:
        return float("inf")
    wrist, knuckle = np.moveaxis(cameras.triangulate(ideal, np.stack(pixels)[:, :, list(_PALM)]), 1, 0)
    length_m = np.linalg.norm(knuckle - wrist, axis=-1)
    length_m = length_m[np.isfinite(length_m) & (length_m > 0)]
    wrong_size = abs(np.log(np.median(length_m) / _PALM_M)) if len(length_m) else 0.0
    return float(np.median(miss) + _SIZE_PX * wrong_size)


def _together(a: _Track, b: _Track) -> bool:
    return not a.found.keys().isdisjoint(b.found.keys())


def _sides(groups: Sequence[list[_Track]]) -> list[tuple[Side, list[_Track]]]:
    """Give each hand the side that its detections say, the clearest first; two hands at once have two sides."""
    votes = [sum(2.0 * d.right - 1.0 for track in group for d in track.found.values()) for group in groups]
    sizes = [sum(len(track.found) for track in group) for group in groups]
    chosen: list[tuple[Side, list[_Track]]] = []
    for k in sorted(range(len(groups)), key=lambda k: (-abs(votes[k]), -sizes[k])):
        liked: Side = "right" if votes[k] >= 0 else "left"
        for side in sorted(SIDES, key=lambda side: side != liked):
            rivals = [track for other, group in chosen if other == side for track in group]
            if not any(a.view == b.view and _together(a, b) for a in groups[k] for b in rivals):
                chosen.append((side, groups[k]))
                break
    return chosen
