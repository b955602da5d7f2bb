# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about one frame of a revision, in words and figures. No Qt."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from hoi_core.conventions import Side
from hoi_core.types import F64, I64, JOINT_SOURCES, PROBLEMS, STATUSES, Bool, Revision, Status

from .health import Level, level_below

# Up to these the overlay sits on the hand; beyond twice as much it is visibly off.
GOOD_PX, GOOD_MM = 3.0, 5.0


@dataclass(frozen=True)
class FrameFacts:
    """One frame as the information panel shows it."""

    frame: int
    """Number of the moment, from 0."""
    seconds: float
    """Time since the first moment, s."""
    status: Status
    """Status of the hand's label."""
    reprojection_px: float
    """Residual over all views, px; NaN where there is none."""
    depth_mm: float
    """Distance to the measured surface, mm; NaN where there is none."""
    sigma_mm: float
    """Typical standard deviation of a joint, mm; NaN where unknown."""
    sources: tuple[tuple[str, int], ...]
    """Where the 21 joints come from: source and count, the most frequent first."""
    evidence: tuple[tuple[str, int], ...]
    """View and number of its 2D keypoints."""
    objects: tuple[tuple[str, Status], ...]
    """Objects of the revision and the status of their labels."""
    problem: str
    """Why the hand has no label, or empty."""
    comment: str
    """What a person wrote about the frame."""
    work_s: float
    """Human work on the frame, s."""


def residual(revision: Revision, *names: str) -> F64:
    """`(M,)` of the first residual that exists among `names`; NaN where there is none."""
    for name in names:
        if name in revision.residuals:
            return np.asarray(revision.residuals[name], dtype=np.float64)
    return np.full(len(revision.t_ns), np.nan)


def reprojection_px(revision: Revision) -> F64:
    """`(M,)` px, NaN where unknown."""
    return residual(revision, "reprojection_px")


def depth_mm(revision: Revision) -> F64:
    """`(M,)` mm, NaN where unknown."""
    return residual(revision, "depth_mm") if "depth_mm" in revision.residuals else 1e3 * residual(revision, "depth_m")


def statuses(revision: Revision, side: Side) -> tuple[Status, ...]:
    """The status of every moment."""
    hand = revision.hands.get(side)
    codes = hand.status if hand is not None else np.zeros(len(revision.t_ns), np.uint8)
    return tuple(STATUSES[i] for i in codes)


def score(revision: Revision) -> F64:
    """How far off each moment is: the larger of its two residuals in units of their limits.

    Returns:
        `(M,)`, up to 1 is good, up to 2 is to be watched; NaN where neither residual is known.
    """
    return np.fmax(reprojection_px(revision) / GOOD_PX, depth_mm(revision) / GOOD_MM)


def judge(value: float) -> Level:
    """Judge a score."""
    return level_below(value, 1.0, 2.0)


def has_evidence(revision: Revision) -> Bool:
    """`(M,)` whether a moment has a 2D keypoint in any view."""
    found = np.zeros(len(revision.t_ns), dtype=bool)
    for points in (p for hand in revision.keypoints.values() for p in hand.by_view.values()):
        found |= np.isfinite(points[:, :, 0]).any(-1)
    return found


def facts(revision: Revision, side: Side, frame: int) -> FrameFacts:
    """Gather what is known about a frame."""
    hand = revision.hands.get(side)
    sigma = np.nan
    sources: tuple[tuple[str, int], ...] = ()
    if hand is not None and hand.valid[frame]:
        variance_m2 = np.trace(hand.joint_cov_m2[frame], axis1=-2, axis2=-1) / 3.0
        known = variance_m2[np.isfinite(variance_m2)]
        sigma = float(1e3 * np.sqrt(np.median(known))) if len(known) else np.nan
        sources = tuple(Counter(JOINT_SOURCES[i] for i in hand.joint_source[frame]).most_common())
    points = revision.keypoints[side].by_view if side in revision.keypoints else {}
    found = ((view, int(np.isfinite(values[frame, :, 0]).sum())) for view, values in points.items())
    return FrameFacts(
        frame=frame,
        seconds=float(revision.t_ns[frame] - revision.t_ns[0]) * 1e-9,
        status=statuses(revision, side)[frame],
        reprojection_px=float(reprojection_px(revision)[frame]),
        depth_mm=float(depth_mm(revision)[frame]),
        sigma_mm=sigma,
        sources=sources,
        evidence=tuple(found),
        objects=tuple((name, STATUSES[track.status[frame]]) for name, track in revision.objects.items()),
        problem=problem(revision, side, frame),
        comment=revision.comments.get(frame, ""),
        work_s=float(revision.work_s[frame]) if revision.work_s is not None else 0.0,
    )


def problem(revision: Revision, side: Side, frame: int) -> str:
    """Why a hand has no label at a frame; empty where it has one or nobody knows."""
    codes = revision.problems.get(side)
    return PROBLEMS[codes[frame]] if codes is not None else ""


def keyframes(revision: Revision, side: Side) -> I64:
    """Frames whose label a person made or accepted, ascending."""
    hand = revision.hands.get(side)
    if hand is None:
        return np.zeros(0, np.int64)
    kept = hand.valid & np.isin(hand.status, [STATUSES.index("edited"), STATUSES.index("accepted")])
    return np.flatnonzero(kept)


def span_between(revision: Revision, side: Side, frame: int) -> tuple[int, int] | None:
    """The keyframes on both sides of a frame; from a keyframe on, to the next one. None where one is missing."""
    keys = keyframes(revision, side)
    before, after = keys[keys <= frame], keys[keys > frame]
    if not len(before) or not len(after):
        return None
    return int(before[-1]), int(after[0])
