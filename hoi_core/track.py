"""Hands from frame to frame: which is which, and where to look next. Needs no torch.

A hand that was read is looked for next where its joints were, moved on as they moved. A detector says where hands are
that nobody follows yet; now and then it is also asked whether those that are followed are still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hoi_core.boxes import overlap
from hoi_core.conventions import Side
from hoi_core.crop import Box, box_of
from hoi_core.detect import Detection
from hoi_core.types import F64

_FEWEST_JOINTS = 6
_SAME, _TWICE = 0.2, 0.6
"""Overlap from which on a detection is of a hand that is followed, and two hands that are followed are one."""
_GROWTH = 2.0
"""A hand that is so much larger or smaller than in the frame before was read wrongly."""
_SMALLEST_PX = 8.0
_VOTES = 4.0
"""How long former detections have a say in which side a hand is."""


@dataclass(frozen=True)
class Settings:
    """How hands are followed."""

    hands: int = 2
    """Most hands at once."""
    look_every: int = 5
    """Frames between two looks at the whole image while all hands are followed."""
    least_confidence: float = 0.02
    """Mean confidence of the joints below which a hand was not read. Peaks of heatmaps are low even where they are
    right, so this only refuses what is no peak at all."""
    patience: int = 2
    """How often in a row a hand may be missed, by reading or by looking, before it is given up."""


@dataclass(frozen=True)
class Track:
    """A hand that is followed."""

    identity: int
    """Its number; never used again for another."""
    side: Side
    """Which hand, by the votes of all detections."""
    box: Box
    """Where to look for its joints in the next frame, px."""
    seen: int
    """Frames in which it was read."""


@dataclass(frozen=True)
class _State:
    """What is remembered of a hand."""

    track: Track
    right: float
    """Votes for the right hand, less those for the left."""
    last: Box
    """Box of its joints in the last frame that it was read in; of the detection before that."""
    unread: int = 0
    """Readings that failed, in a row."""
    unseen: int = 0
    """Looks that did not find it, in a row."""


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

    @property
    def tracks(self) -> list[Track]:
        """Hands that are followed, in the order in which they came."""
        return [state.track for state in self._states]

    @property
    def wants_look(self) -> bool:
        """Whether the whole image should be looked at: a hand is missing, or it is time again."""
        return len(self._states) < self.settings.hands or self._since_look >= self.settings.look_every

    def looked(self, found: Sequence[Detection]) -> None:
        """Take what a detector found in the whole image: new hands, and the fate of those that are followed."""
        self._since_look = 0
        left = sorted(found, key=lambda one: -one.score)
        states = []
        for state in self._states:
            mine = _most_alike(state.track.box, left)
            if mine is None:
                states.append(replace(state, unseen=state.unseen + 1))
            else:
                left.remove(mine)
                states.append(_voted(replace(state, unseen=0), mine))
        self._states = [s for s in states if s.unseen <= self.settings.patience]
        for one in left:
            boxes = [s.track.box for s in self._states]
            if len(boxes) < self.settings.hands and not (boxes and _alike(one.box, boxes).max() > _SAME):
                self._begin(one)

    def read(self, identity: int, joints_px: F64, confidence: F64) -> bool:
        """Take what a model read of a hand in this frame.

        Args:
            identity: of the track.
            joints_px: `(21, 2)` px of the image.
            confidence: `(21,)` in [0, 1].

        Returns:
            Whether it is believed; a reading that is not counts as none.
        """
        k = next((k for k, s in enumerate(self._states) if s.track.identity == identity), None)
        if k is None:
            return False
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
        self._states[k] = replace(state, track=track, last=box, unread=0)
        return True

    def next_frame(self) -> None:
        """End a frame: hands that turned out to be one and the same become one."""
        self._since_look += 1
        kept: list[_State] = []
        for state in sorted(self._states, key=lambda s: (-s.track.seen, s.track.identity)):
            if not (kept and _alike(state.last, [s.last for s in kept]).max() > _TWICE):
                kept.append(state)
        self._states = sorted(kept, key=lambda s: s.track.identity)

    def _begin(self, one: Detection) -> None:
        right = one.score if one.side == "right" else -one.score
        self._states.append(_State(Track(self._next, one.side, one.box, 0), right, one.box))
        self._next += 1

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


def _alike(box: Box, others: Sequence[Box]) -> F64:
    """Overlap of a box with others. `-> (N,)`."""
    return overlap(np.array([box]), np.array(others).reshape(-1, 4))[0]


def _most_alike(box: Box, found: Sequence[Detection]) -> Detection | None:
    """The detection that overlaps a box most, if any does enough."""
    if not found:
        return None
    shares = _alike(box, [one.box for one in found])
    return found[int(np.argmax(shares))] if shares.max() > _SAME else None


def _voted(state: _State, mine: Detection) -> _State:
    """A hand whose side one more detection has voted on."""
    right = state.right * (1.0 - 1.0 / _VOTES) + (mine.score if mine.side == "right" else -mine.score)
    side: Side = "right" if right >= 0 else "left"
    box = state.track.box if state.track.seen else mine.box
    return replace(state, right=right, track=replace(state.track, side=side, box=box))


def _moved_on(before: Box, now: Box) -> Box:
    """Where a box will be if it goes on as it did, but no farther than half its size."""
    limit = 0.5 * max(now[2] - now[0], now[3] - now[1])
    dx, dy = (0.5 * (now[k] + now[k + 2] - before[k] - before[k + 2]) for k in (0, 1))
    dx, dy = float(np.clip(dx, -limit, limit)), float(np.clip(dy, -limit, limit))
    return now[0] + dx, now[1] + dy, now[2] + dx, now[3] + dy
