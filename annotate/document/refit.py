"""Frames between two that stay: fitted to the evidence, with everything that a person settled held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from annotate import fit as fitting
from annotate.covariance import joint_covariance
from annotate.document import edits
from annotate.document.interpolation import between
from annotate.document.models import Models
from annotate.document.near import Nearby, corrections_of, rivals_of
from annotate.evidence import Anchors, Evidence
from annotate.fit import Term
from annotate.labels import HandLabels, hand_labels
from annotate.noise import calibrate
from annotate.stage import SEQUENCE, WIDE
from annotate.state import FitState
from hoi_core.conventions import Side
from hoi_core.errors import ConfigError
from hoi_core.mano import ManoLayer
from hoi_core.types import F64, I64, Revision

_HELD = 2  # frames at each end: an acceleration spans three
_HELD_SIGMA_M = 1e-6
_STAGES = 4
_AGAIN = 2  # steps once the noise is known


@dataclass(frozen=True)
class Refit:
    """Labels of some frames, fitted anew."""

    frames: I64
    """(K,) which."""
    rows: I64
    """(K,) where they lie in `found`."""
    found: HandLabels
    """What the fit says of the whole range."""


def refit(
    nearby: Nearby,
    revision: Revision,
    models: Models,
    layer: ManoLayer,
    span: tuple[int, int],
    terms: Mapping[str, Term],
    tell: Callable[[float, str], None],
) -> Refit:
    """Fit the frames between two labelled ones; changes nothing.

    Args:
        nearby: reads the evidence.
        revision: the labels.
        models: what hands and objects look like.
        layer: the hand's model.
        span: first and last frame, which stay as they are.
        terms: of the fit.
        tell: told how far it is; may raise to stop.

    Raises:
        ConfigError: an end has no label, or everything between is settled.
    """
    side, (first, last) = layer.side, span
    edits.check_frames(revision, [first, last])
    track = edits.hand_of(revision, side)
    if first >= last or not track.valid[[first, last]].all():
        raise ConfigError(
            f"frames {first} and {last} must both have a label of the {side} hand, the first before the last.",
            "Fit or place the hand at both ends first.",
        )
    around = _range_with_margin(track.valid, first, last)
    free = np.setdiff1d(np.arange(first + 1, last), np.flatnonzero(edits.is_settled(track) & track.valid))
    if not len(free):
        raise ConfigError(f"nothing between frames {first} and {last} is free to move.", "Choose a wider range.")
    tell(0.0, "reading depth")
    evidence, state = _problem(nearby, revision, models, layer.side, around, free)
    stages = (SEQUENCE if evidence.two_views else WIDE)[-_STAGES:]
    result = fitting.fit(evidence, state, terms, stages, on_step=lambda i, n: tell(0.3 + 0.4 * i / n, "fitting"))
    terms = calibrate(result, evidence, terms)
    again = stages[-_AGAIN:]
    result = fitting.fit(
        evidence, result.state, terms, again, on_step=lambda i, n: tell(0.7 + 0.2 * i / n, "fitting again")
    )
    found = hand_labels(result, evidence, joint_covariance(result, evidence=evidence, terms=terms))
    return Refit(free, free - around[0], found)


def _range_with_margin(valid: np.ndarray, first: int, last: int) -> I64:
    """The range, and the labelled frames right before and after it, which hold its ends."""
    begin, end = first, last
    while begin > 0 and first - begin < _HELD - 1 and valid[begin - 1]:
        begin -= 1
    while end < len(valid) - 1 and end - last < _HELD - 1 and valid[end + 1]:
        end += 1
    return np.arange(begin, end + 1)


def _problem(
    nearby: Nearby, revision: Revision, models: Models, side: Side, around: I64, free: I64
) -> tuple[Evidence, FitState]:
    hand = models.hands[side]
    track = edits.hand_of(revision, side)
    known = around[track.valid[around]]
    t_s: F64 = (revision.t_ns - revision.t_ns[around[0]]) * 1e-9
    hands = between(hand, track, t_s[known], known, t_s[around])
    views: F64 = corrections_of(revision.corrections, tuple(revision.frame_index))
    rivals = rivals_of(revision, models, side, around)
    evidence = nearby.evidence(side, around, revision.keypoints.get(side), hands, views, rivals)
    held = np.flatnonzero(~np.isin(around, free))
    anchors = Anchors(held, hands.taken(held), np.full(len(held), _HELD_SIGMA_M))
    return replace(evidence, anchors=anchors, solids=rivals.solids), FitState(hands, views)


def put_refit(revision: Revision, side: Side, done: Refit) -> Revision:
    """Labels with the frames of a refit replaced; a frame that the fit could not label has none, and says why."""
    track, found = edits.hand_of(revision, side), done.found
    arrays = {field.name: getattr(track, field.name).copy() for field in fields(track)}
    for name, values in arrays.items():
        if name != "betas":
            values[done.frames] = getattr(found.track, name)[done.rows]
    out = replace(revision, hands={**revision.hands, side: replace(track, **arrays)})
    problems, residuals = dict(out.problems), dict(out.residuals)
    held = problems.get(side, np.zeros(len(revision.t_ns), np.uint8)).copy()
    held[done.frames] = found.problems[done.rows]
    problems[side] = held
    for name, values in found.residuals.items():
        for kept in (name, f"{side}_{name}"):
            if kept in residuals:
                residuals[kept] = residuals[kept].copy()
                residuals[kept][done.frames] = values[done.rows]
    return replace(out, problems=problems, residuals=residuals)
