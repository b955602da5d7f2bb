"""What a new fit takes over from the labels before it: what a person accepted, clicked, wrote and locked."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from annotate.keypoints import Keypoints
from hoi_core.conventions import Side
from hoi_core.types import MARKS, STATUSES, Bool, HandKeypoints, HandTrack, ObjectTrack, Revision

Track = TypeVar("Track", HandTrack, ObjectTrack)
_SETTLED = tuple(STATUSES.index(name) for name in ("edited", "accepted"))
_REJECTED = STATUSES.index("rejected")
_PER_SEQUENCE = "betas"


def settled(track: HandTrack | ObjectTrack | None, moments: int) -> Bool:
    """`(M,)` moments that no fit may change: edited, accepted, or taken out by a person."""
    if track is None:
        return np.zeros(moments, dtype=bool)
    by_person = np.isin(track.status, _SETTLED) & track.valid
    return np.asarray(by_person | ((track.status == _REJECTED) & ~track.valid))


def keep_settled(fitted: Track, before: Track | None) -> Track:
    """The fitted track with the settled moments of the one before, bit for bit.

    Args:
        fitted: new labels of the M moments.
        before: earlier labels of the same moments. A hand's shape is one for the sequence: where any moment of it is
            settled, the fit must have held it.
    """
    if before is None:
        return fitted
    kept = settled(before, len(fitted.valid))
    if not kept.any():
        return fitted
    merged = {}
    for name, values in vars(fitted).items():
        old = getattr(before, name)
        where = kept.reshape(-1, *(1,) * (values.ndim - 1))
        merged[name] = old if name == _PER_SEQUENCE else np.where(where, old, values)
    return replace(fitted, **merged)


def with_clicks(found: Keypoints, before: Revision | None) -> Keypoints:
    """Keypoints of a provider, in which what a person clicked overrules what a detector found."""
    if before is None:
        return found
    hands: dict[Side, HandKeypoints] = dict(found.hands)
    for side, clicks in before.keypoints.items():
        hands[side] = _overruled(hands[side], clicks) if side in hands else clicks
    return replace(found, hands=hands)


def _overruled(found: HandKeypoints, clicks: HandKeypoints) -> HandKeypoints:
    by_view, marks = dict(found.by_view), dict(found.marks)
    for view, codes in clicks.marks.items():
        # An occluded joint without a place tells as much: whatever was found there is a guess.
        said = codes > 0
        clicked = (codes & MARKS["clicked"]) > 0
        if not said.any() or view not in by_view:
            continue
        by_view[view] = np.where(clicked[..., None], clicks.by_view[view], by_view[view])
        marks[view] = np.where(said, codes, marks.get(view, np.zeros_like(codes))).astype(np.uint8)
    return HandKeypoints(by_view, marks)


def with_notes(revision: Revision, before: Revision | None) -> Revision:
    """The revision with what a person noted in the one before and no fit touches."""
    if before is None:
        return revision
    return replace(
        revision,
        locked=before.locked,
        object_points=before.object_points,
        comments=before.comments,
        work_s=before.work_s,
    )
