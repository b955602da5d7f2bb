"""Which moment a person should look at next: the one whose check takes most expected error from the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hoi_core.conventions import joint_words
from hoi_core.types import F64, PROBLEMS, STATUSES, Bool, HandTrack, Revision

GOAL_MM = 3.0
"""Moments expected to be nearer to the truth than this need nobody."""
REACH_S = 0.25
"""How far in time a checked moment helps its neighbours (standard deviation)."""
UNLABELLED_MM = 30.0
"""What a moment without a label counts for."""
_REVIEWED = tuple(STATUSES.index(name) for name in ("edited", "accepted", "rejected"))
_SETTLED = tuple(STATUSES.index(name) for name in ("edited", "accepted"))
_NO_HELP = 2.0  # standard deviations
_LARGEST_RATIO = 5.0
_CLEARLY_LARGE = 2.0
_MEAN_OF_NORMAL = 0.9213  # mean length of a 3D Gaussian vector over its root mean square length: sqrt(8 / (3 pi))


@dataclass(frozen=True)
class Suggestion:
    """A moment to look at."""

    frame: int
    """The moment."""
    reason: str
    """Why, for a person."""
    expected_error_mm: float
    """Expected distance of its joints from the truth, mm."""


def suggest(revision: Revision, after: int = -1, goal_mm: float = GOAL_MM) -> Suggestion | None:
    """The unchecked moment whose check helps most; None where nothing is expected to be worse than the goal.

    Args:
        revision: the labels as they are now.
        after: the moment that is looked at now: it is not suggested itself, and of equal ones the next after it wins.
        goal_mm: error that is good enough, mm.
    """
    queue = review_queue(revision, goal_mm)
    queue = [found for found in queue if found.frame != after]
    if not queue:
        return None
    moments = len(revision.t_ns)
    gain = _gain(revision, expected_error_mm(revision), goal_mm)
    return max(queue, key=lambda found: (round(gain[found.frame], 6), -((found.frame - after - 1) % moments)))


def next_to_repeat(revision: Revision, moments: Sequence[int], after: int = -1) -> Suggestion | None:
    """The next moment to label a second time; None once all of them are edited or accepted.

    Args:
        revision: the second labels as they are now.
        moments: to be labelled again.
        after: the moment that is looked at now; it is suggested itself only where it is the last that is left.
    """
    settled = np.zeros(len(revision.t_ns), dtype=bool)
    for track in revision.hands.values():
        settled |= np.isin(track.status, _SETTLED) & track.valid
    left = [moment for moment in moments if not settled[moment]]
    if not left:
        return None
    found = min(left, key=lambda moment: (moment - after - 1) % len(settled))
    done = f"{len(moments) - len(left)} of {len(moments)} done"
    return Suggestion(found, f"to be labelled a second time, {done}", float("nan"))


def review_queue(revision: Revision, goal_mm: float = GOAL_MM) -> list[Suggestion]:
    """Every unchecked moment expected to be worse than the goal, the worst first."""
    error_mm = expected_error_mm(revision)
    waiting = np.flatnonzero(~_reviewed(revision) & (error_mm > goal_mm))
    order = waiting[np.argsort(-error_mm[waiting], kind="stable")]
    reasons = _Reasons(revision)
    return [Suggestion(int(m), reasons.of(int(m)), float(error_mm[m])) for m in order]


def expected_error_mm(revision: Revision) -> F64:
    """`(M,)` mm expected mean distance of the joints from the truth, of the worse hand.

    The labels' own covariance, raised where the residuals are larger than they mostly are in this sequence and
    lowered beside moments that a person checked. A hand out of view cannot be labelled, and counts for nothing.
    """
    moments = len(revision.t_ns)
    worst = np.zeros(moments) if revision.hands else np.full(moments, UNLABELLED_MM)
    for side, track in revision.hands.items():
        own = _spread_mm(track) * _residual_ratio(revision, side)
        own = np.where(track.valid, own, UNLABELLED_MM)
        codes = revision.problems.get(side, np.zeros(moments, np.uint8))
        own = np.where(~track.valid & (codes == PROBLEMS.index("out of view")), 0.0, own)
        own *= 1.0 - _helped(revision, track)
        worst = np.maximum(worst, np.where(np.isin(track.status, _REVIEWED), 0.0, own))
    return worst


def _spread_mm(track: HandTrack) -> F64:
    """(M,) mm expected length of the joints' errors by their covariance; the unlabelled value where it is unknown."""
    variance = np.trace(track.joint_cov_m2, axis1=-2, axis2=-1)
    length_mm = 1e3 * _MEAN_OF_NORMAL * np.sqrt(np.maximum(variance, 0.0)).mean(-1)
    return np.where(np.isfinite(length_mm), length_mm, UNLABELLED_MM)


def _residual_ratio(revision: Revision, side: str) -> F64:
    """(M,) 1 where the residuals are as large as they mostly are, more where they are larger."""
    ratio = np.ones(len(revision.t_ns))
    for name in ("reprojection_px", "depth_m"):
        values = revision.residuals.get(f"{side}_{name}", revision.residuals.get(name))
        known = values[np.isfinite(values)] if values is not None else np.zeros(0)
        if values is not None and len(known) and np.median(known) > 0:
            ratio = np.fmax(ratio, values / np.median(known))
    return np.minimum(ratio, _LARGEST_RATIO)


def _helped(revision: Revision, track: HandTrack) -> F64:
    """(M,) 1 at a checked moment, less away from it in time."""
    checked = np.flatnonzero(np.isin(track.status, _SETTLED) & track.valid)
    if not len(checked):
        return np.zeros(len(revision.t_ns))
    away_s = np.abs(revision.t_ns[:, None] - revision.t_ns[checked]).min(1) * 1e-9
    return np.exp(-0.5 * (away_s / REACH_S) ** 2)


def _gain(revision: Revision, error_mm: F64, goal_mm: float) -> F64:
    """(M,) mm of excess error that a check of each moment takes away, its neighbours' included."""
    excess = np.maximum(error_mm - goal_mm, 0.0)
    t_s = (revision.t_ns - revision.t_ns[0]) * 1e-9
    away = np.abs(t_s[:, None] - t_s) / REACH_S
    near = np.where(away < _NO_HELP, np.exp(-0.5 * away**2), 0.0)
    return np.asarray(near @ excess)


def _reviewed(revision: Revision) -> Bool:
    """(M,) moments that a person has dealt with, for every hand."""
    if not revision.hands:
        return np.zeros(len(revision.t_ns), dtype=bool)
    return np.all([np.isin(track.status, _REVIEWED) for track in revision.hands.values()], axis=0)


class _Reasons:
    """What makes moments doubtful, in words."""

    def __init__(self, revision: Revision) -> None:
        self._revision = revision
        self._spread_mm = {side: _spread_mm(track) for side, track in revision.hands.items()}
        self._ratio = {side: _residual_ratio(revision, side) for side in revision.hands}

    def of(self, moment: int) -> str:
        """The reason for one moment."""
        revision = self._revision
        for side, track in revision.hands.items():
            if not track.valid[moment] and not np.isin(track.status[moment], _REVIEWED):
                codes = revision.problems.get(side)
                why = PROBLEMS[codes[moment]] if codes is not None else ""
                return f"no label of the {side} hand" + (f": {why}" if why else "")
        if not revision.hands:
            return "no label yet"
        open_sides = [s for s, track in revision.hands.items() if not np.isin(track.status[moment], _REVIEWED)]
        side = max(open_sides, key=lambda s: self._spread_mm[s][moment] * self._ratio[s][moment])
        ratio = self._ratio[side][moment]
        if ratio > _CLEARLY_LARGE:
            return f"{side} hand: residuals {ratio:.1f} times the usual"
        variance = np.trace(revision.hands[side].joint_cov_m2[moment], axis1=-2, axis2=-1)
        return f"{side} hand: most uncertain at the {joint_words(int(np.argmax(variance)))}"
