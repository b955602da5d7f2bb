"""Agreement of people: some moments are labelled a second time by somebody who does not see the labels."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hoi_core.conventions import N_JOINTS
from hoi_core.metrics import point_errors_mm
from hoi_core.sequence import Annotation, open_annotation
from hoi_core.types import F64, I64, MARKS, STATUSES, Bool, HandKeypoints, HandTrack, Revision

SHARE = 0.1
"""Share of the checked moments to label a second time."""
_SETTLED = tuple(STATUSES.index(name) for name in ("edited", "accepted"))


@dataclass(frozen=True)
class Agreement:
    """How far two labels of the same moments are apart."""

    moments: int
    """Moments of a hand that were labelled twice."""
    joint_mm: float
    """Mean distance of the joints, mm; NaN without any."""
    joint_p95_mm: float
    """The distance that 95 % of the joints stay below, mm."""
    by_joint_mm: F64
    """(21,) mean distance of each joint, mm."""
    click_px: float
    """Mean distance of clicks that both made, px; NaN without any."""


def moments_to_repeat(revision: Revision, sequence: str, share: float = SHARE) -> I64:
    """Moments to label a second time: drawn from those that a person checked, always the same ones for a sequence.

    Args:
        revision: the labels.
        sequence: its name, from which the draw follows, so that nobody chooses.
        share: of the checked moments; at least one where there is any.
    """
    checked = np.zeros(len(revision.t_ns), dtype=bool)
    for track in revision.hands.values():
        checked |= _settled(track)
    rows = np.flatnonzero(checked)
    count = min(len(rows), max(1, round(share * len(rows))))
    rng = np.random.default_rng(zlib.crc32(sequence.encode()))
    return np.sort(rng.permutation(rows)[:count])


def agreement_of(annotation: Annotation) -> Agreement:
    """Every blind revision of a sequence against the labels that it was made beside.

    Args:
        annotation: the open labels.
    """
    revisions = ((name, annotation.load(name)) for name in annotation.revisions)
    return joined([_pair(annotation, name) for name, revision in revisions if revision.purpose == "blind"])


def agreement_in(path: Path, name: str) -> Agreement:
    """One blind revision of a file against the labels that it was made beside.

    Args:
        path: an `annotation.h5`, or the folder of a sequence.
        name: of the revision.
    """
    with open_annotation(path) as annotation:
        return joined([_pair(annotation, name)])


def repeat_in(path: Path, sequence: str) -> tuple[int, ...]:
    """Moments of the current labels to label a second time, ascending; `path` as in `agreement_in`."""
    with open_annotation(path) as annotation:
        return tuple(moments_to_repeat(annotation.load(), sequence).tolist())


def _pair(annotation: Annotation, name: str) -> tuple[Revision, Revision]:
    """The labels that a blind revision was made beside, and it."""
    blind = annotation.load(name)
    return annotation.load(blind.parent if blind.parent in annotation.revisions else annotation.current), blind


def joined(pairs: list[tuple[Revision, Revision]]) -> Agreement:
    """Agreement over pairs of labels and their blind repetition."""
    apart: list[F64] = [np.zeros((0, N_JOINTS))]
    clicks: list[F64] = [np.zeros(0)]
    for labels, blind in pairs:
        for side, again in blind.hands.items():
            if side in labels.hands:
                both = _settled(again) & labels.hands[side].valid
                apart.append(point_errors_mm(labels.hands[side].joints_m, again.joints_m)[both])
        for side, points in blind.keypoints.items():
            if side in labels.keypoints:
                clicks.append(_click_px(labels.keypoints[side], points))
    joint_mm, click_px = np.concatenate(apart), np.concatenate(clicks)
    if not np.isfinite(joint_mm).any():
        nothing = np.full(N_JOINTS, np.nan)
        return Agreement(0, float("nan"), float("nan"), nothing, _mean(click_px))
    return Agreement(
        moments=len(joint_mm),
        joint_mm=float(np.nanmean(joint_mm)),
        joint_p95_mm=float(np.nanpercentile(joint_mm, 95)),
        by_joint_mm=np.nanmean(joint_mm, axis=0),
        click_px=_mean(click_px),
    )


def _settled(track: HandTrack) -> Bool:
    return np.asarray(np.isin(track.status, _SETTLED) & track.valid)


def _click_px(one: HandKeypoints, other: HandKeypoints) -> F64:
    """(K,) px between the clicks that both have."""
    out: list[F64] = [np.zeros(0)]
    for view in one.marks.keys() & other.marks.keys():
        both = (one.marks[view] & other.marks[view] & MARKS["clicked"]) > 0
        out.append(np.linalg.norm(one.by_view[view][both, :2] - other.by_view[view][both, :2], axis=-1))
    return np.concatenate(out)


def _mean(values: F64) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
