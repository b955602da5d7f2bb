"""Hands from frame to frame: which is which, of which side, and where to look next. Needs no torch.

A hand that was read is looked for next where its joints were, moved on as they moved. A detector says where hands are
that nobody follows yet; now and then it is also asked whether those that are followed are still there. A detector errs,
so a further hand beside one that is read well must prove itself over some frames, and its side is what most evidence
says, not the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hoi_core.boxes import covered, overlap
from hoi_core.conventions import Side
from hoi_core.crop import Box, box_of
from hoi_core.detect import Detection
from hoi_core.types import F64

_FEWEST_JOINTS = 6
_SAME, _TWICE = 0.2, 0.6
"""Overlap from which on a detection is of a hand that is followed, and two hands that are followed are one."""
_WITHIN = 0.5
"""A hand of which so much lies in a better one has not proven that it is another."""
_GROWTH = 2.0
"""A hand that is so much larger or smaller than in the frame before was read wrongly."""
_SMALLEST_PX = 8.0
_AS_SURE, _STILL_SURE = 0.6, 0.45
"""A further hand is read at least so surely, compared to the one that is read best, before it is proven and after. On
the simulated rig what is no hand is mostly read with a third of a hand's confidence."""
_TRUST_OVER = 4.0
"""Frames over which the confidence of readings is taken together."""
_VOTES = 8.0
"""How many votes about a hand's side have a say."""
_LEAN, _READ_VOTE = 0.1, 6.0
"""How much surer, relatively, a hand must be read as one side than as the other to say all that a reading can, and for
how many detections that counts. Detectors look at a hand's outline, readings at its joints."""
_CHANGE = 1.0
"""Votes for the other side at which a hand changes its side."""


@dataclass(frozen=True)
class Settings:
    """How hands are followed."""

    hands: int = 2
    """Most hands at once."""
    look_every: int = 5
    """Frames between two looks at the whole image while all hands are followed."""
    least_confidence: float = 0.02
    """Mean confidence of the joints below which a hand was not read. Peaks of heatmaps are low even where they are
    right, so this only refuses what is no peak at all; who knows the model can ask for more."""
    patience: int = 2
    """How often in a row a hand may be missed, by reading or by looking, before it is given up."""
    proof: int = 3
    """Frames in which a further hand must be read, and looks that must find it, before it counts."""
    side: Side | None = None
    """Which hand everything is, where that is known."""


@dataclass(frozen=True)
class Track:
    """A hand that is followed."""

    identity: int
    """Its number; never used again for another."""
    side: Side
    """Which hand, by the votes of all detections and readings."""
    box: Box
    """Where to look for its joints in the next frame, px."""
    seen: int
    """Frames in which it was read."""
    proven: bool = False
    """Whether it counts: the one that is read best does at once, a further one after some frames."""


@dataclass(frozen=True)
class _State:
    """What is remembered of a hand."""

    track: Track
    right: float
    """Votes for the right hand, less those for the left."""
    last: Box
    """Box of its joints in the last frame that it was read in; of the detection before that."""
    trust: float = 0.0
    """Mean confidence of its joints, over the last readings."""
    found: int = 1
    """Looks that found it."""
    unread: int = 0
    """Readings that failed, in a row."""
    unseen: int = 0
    """Looks that did not find it, in a row."""
    weak: int = 0
    """Frames in a row in which it was read much less surely than another."""


class HandTracker:
    """Follows hands.

    Example:
        >>> tracker = HandTracker()
        >>> tracker.wants_look
        True
        >>> tracker.looked([Detection("right", (10.0, 10.0, 60.0, 80.0), 0.9)])
        >>> [(track.identity, track.side) for track in tracker.tracks]
        [(0, 'right')]
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._states: list[_State] = []
        self._next = 0
        self._since_look = self.settings.look_every
        self._since_doubt = 0

    @property
    def tracks(self) -> list[Track]:
        """Hands that are followed, in the order in which they came; those that are not proven too."""
        return [state.track for state in self._states]

    @property
    def wants_look(self) -> bool:
        """Whether the whole image should be looked at: a hand is missing, or it is time again."""
        return self._proven_count < self.settings.hands or self._since_look >= self.settings.look_every

    @property
    def _proven_count(self) -> int:
        return sum(track.proven for track in self.tracks)

    def wants_side(self, identity: int) -> bool:
        """Whether a hand should be read as either side: it is new, or it is time again."""
        if self.settings.side is not None:
            return False
        young = any(t.identity == identity and t.seen < self.settings.proof for t in self.tracks)
        return young or self._since_doubt >= self.settings.look_every

    def looked(self, found: Sequence[Detection]) -> None:
        """Take what a detector found in the whole image: new hands, and the fate of those that are followed."""
        self._since_look = 0
        left = sorted(found, key=lambda one: -one.score)
        states = []
        # The best hand chooses first, so that a false one beside it does not take its detection.
        for state in sorted(self._states, key=_rank):
            mine = _most_alike(state.track.box, left)
            if mine is None:
                states.append(replace(state, unseen=state.unseen + 1))
            else:
                left.remove(mine)
                box = state.track.box if state.track.seen else mine.box
                seen = replace(state, unseen=0, found=state.found + 1, track=replace(state.track, box=box))
                states.append(self._voted(seen, mine.score if mine.side == "right" else -mine.score))
        self._states = [s for s in states if s.unseen <= self.settings.patience]
        # One more than there can be, so that what will not be proven keeps no place from what could.
        room = self.settings.hands + (0 < self._proven_count < self.settings.hands)
        for one in left:
            boxes = [s.track.box for s in self._states]
            if len(boxes) < room and not (boxes and _of_one(one.box, boxes)):
                self._begin(one)
        self._states.sort(key=lambda s: s.track.identity)

    def judged(self, identity: int, as_right: float, as_left: float) -> Side:
        """Take how surely a hand was read as a right one and as a left one.

        Args:
            identity: of the track.
            as_right: mean confidence of its joints, read as those of a right hand.
            as_left: the same of a left hand.

        Returns:
            Which hand it is taken for now.
        """
        k = self._place(identity)
        lean = (as_right - as_left) / max(as_right + as_left, 1e-9)
        self._states[k] = self._voted(self._states[k], _READ_VOTE * float(np.clip(lean / _LEAN, -1.0, 1.0)))
        return self._states[k].track.side

    def read(self, identity: int, joints_px: F64, confidence: F64) -> bool:
        """Take what a model read of a hand in this frame.

        Args:
            identity: of the track.
            joints_px: `(21, 2)` px of the image.
            confidence: `(21,)` in [0, 1].

        Returns:
            Whether it is believed; a reading that is not counts as none.
        """
        if all(s.track.identity != identity for s in self._states):
            return False
        k = self._place(identity)
        state = self._states[k]
        box = self._believed(state, joints_px, confidence)
        if box is None:
            state = replace(state, unread=state.unread + 1)
            # What moved on while nobody could read it is looked for where it was.
            self._states[k] = replace(state, track=replace(state.track, box=state.last))
            if state.unread > self.settings.patience:
                del self._states[k]
            return False
        moved = _moved_on(state.last, box) if state.track.seen else box
        track = replace(state.track, box=moved, seen=state.track.seen + 1)
        mean = float(np.nanmean(confidence))
        trust = state.trust + (mean - state.trust) / min(track.seen, _TRUST_OVER)
        self._states[k] = replace(state, track=track, last=box, unread=0, trust=trust)
        return True

    def next_frame(self) -> None:
        """End a frame: hands that turned out to be one, and those that are none, are given up; others are proven."""
        self._since_look += 1
        self._since_doubt = self._since_doubt + 1 if self._since_doubt < self.settings.look_every else 1
        best = max((s.trust for s in self._states), default=0.0)
        kept: list[_State] = []
        for state in sorted(self._states, key=_rank):
            old = state.track.proven
            others = [s.last for s in kept]
            if others and _of_one(state.last, others, _TWICE if old else _SAME, apart=old):
                continue
            sure = state.trust >= (_STILL_SURE if old else _AS_SURE) * best
            now = replace(state, weak=0 if sure else state.weak + 1)
            if now.weak <= (self.settings.patience if old else 0):
                kept.append(self._proven(now, kept))
        self._states = sorted(kept, key=lambda s: s.track.identity)

    def _proven(self, state: _State, better: Sequence[_State]) -> _State:
        """A hand that counts once there is enough evidence; the one that is read best needs no more than a reading."""
        track = state.track
        proof = self.settings.proof if better else 1
        enough = min(track.seen, state.found) >= proof and sum(s.track.proven for s in better) < self.settings.hands
        return replace(state, track=replace(track, proven=track.proven or enough))

    def _place(self, identity: int) -> int:
        return next(k for k, s in enumerate(self._states) if s.track.identity == identity)

    def _begin(self, one: Detection) -> None:
        side = self.settings.side or one.side
        right = one.score if one.side == "right" else -one.score
        self._states.append(_State(Track(self._next, side, one.box, 0), right, one.box))
        self._next += 1

    def _voted(self, state: _State, vote: float) -> _State:
        """A hand about whose side there is one more vote, above 0 for the right one."""
        right = state.right * (1.0 - 1.0 / _VOTES) + vote
        side = state.track.side
        against = -right if side == "right" else right
        # What was read as one side in its first frame was never anything else: the first readings decide.
        if self.settings.side is None and against > (0.0 if state.track.seen == 0 else _CHANGE):
            side = "left" if side == "right" else "right"
        return replace(state, right=right, track=replace(state.track, side=side))

    def _believed(self, state: _State, joints_px: F64, confidence: F64) -> Box | None:
        """The box of joints that can be those of the hand; None where they cannot."""
        known = np.isfinite(joints_px).all(-1) & np.isfinite(confidence)
        if known.sum() < _FEWEST_JOINTS or confidence[known].mean() < self.settings.least_confidence:
            return None
        box = box_of(joints_px[:, :2], known)
        side, before = (max(b[2] - b[0], b[3] - b[1]) for b in (box, state.last))
        growth = max(side, before) / max(min(side, before), 1e-6)
        if side < _SMALLEST_PX or (state.track.seen and growth > _GROWTH):
            return None
        return box


def _rank(state: _State) -> tuple[bool, float, int]:
    """Which hand is believed before others: proven ones, those that are read more surely, the older ones."""
    return (not state.track.proven, -state.trust, state.track.identity)


def _of_one(box: Box, others: Sequence[Box], least: float = _SAME, *, apart: bool = False) -> bool:
    """Whether a box shows a hand that another one shows, by their overlap or, unless `apart`, as it lies within it."""
    a, b = np.array([box]), np.array(others).reshape(-1, 4)
    return bool(overlap(a, b).max() > least or (not apart and covered(a, b).max() > _WITHIN))


def _most_alike(box: Box, found: Sequence[Detection]) -> Detection | None:
    """The detection that overlaps a box most, if any does enough."""
    if not found:
        return None
    shares = overlap(np.array([box]), np.array([one.box for one in found]))[0]
    return found[int(np.argmax(shares))] if shares.max() > _SAME else None


def _moved_on(before: Box, now: Box) -> Box:
    """Where a box will be if it goes on as it did, but no farther than half its size."""
    limit = 0.5 * max(now[2] - now[0], now[3] - now[1])
    dx, dy = (0.5 * (now[k] + now[k + 2] - before[k] - before[k + 2]) for k in (0, 1))
    dx, dy = float(np.clip(dx, -limit, limit)), float(np.clip(dy, -limit, limit))
    return now[0] + dx, now[1] + dy, now[2] + dx, now[3] + dy
