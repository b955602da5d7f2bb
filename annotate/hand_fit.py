"""One hand of a sequence: what the cameras say of it, a first guess, the fit, and again with its rivals known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from annotate import covariance, gather
from annotate import fit as fitting
from annotate.bends import look_again
from annotate.carried import settled
from annotate.competition import without_rivals
from annotate.evidence import Anchors, Evidence
from annotate.evidence_problems import evidence_problems
from annotate.fit import FitResult, Term
from annotate.hand import Hand, HandState, from_mano, state_from_axis_angle
from annotate.initialise import initialise, spread
from annotate.masks import with_silhouettes
from annotate.noise import calibrate_depth, calibrate_motion
from annotate.objects.solid import Solid
from annotate.participant import with_shape
from annotate.stage import AGAIN, SEQUENCE
from annotate.state import FitState
from hoi_core.mano import ManoLayer
from hoi_core.sequence import Capture
from hoi_core.types import F64, U8, HandKeypoints, HandTrack

log = logging.getLogger(__name__)
Tell = Callable[[float, str], None]
_AGAIN = SEQUENCE[-3:]
_CLOSELY = 2e-3
_SETTLED_SIGMA_M = 1e-4
_COARSE = 3
"""A first fit sees one depth point of so many."""
_SPARSE = 3
"""It begins with one moment of so many, where two views see the hand: between them, interpolation is nearly as good."""
_FEWEST_SPARSE = 20
_DENSE = 0.5
"""Share of the moments that have keypoints, below which all of them are fitted from the start."""
_ROUGHLY = 2e-3
"""Relative decrease of the cost at which a first fit leaves the rest to the next."""


@dataclass(frozen=True)
class HandConfig:
    """How a hand is fitted."""

    clouds: gather.CloudConfig = field(default_factory=gather.CloudConfig)
    """Choice of depth points."""
    terms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """term -> field -> value, where a term should not have its default."""


@dataclass(frozen=True)
class HandFit:
    """A hand as it is fitted so far."""

    layer: ManoLayer
    """The hand model."""
    evidence: Evidence
    """What was fitted."""
    terms: Mapping[str, Term]
    """The terms of the fit, as they are set."""
    result: FitResult
    """Where it ended."""
    iterations: int
    """Steps over the sequence so far."""
    problems: U8
    """(M,) index into `PROBLEMS`: what is wrong with the evidence itself."""

    @property
    def hands(self) -> HandState:
        """The hand over the moments."""
        return self.result.state.hands


@dataclass(frozen=True)
class FirstGuess:
    """Where the fit of a hand starts."""

    layer: ManoLayer
    """The hand model."""
    evidence: Evidence
    """Its keypoints."""
    terms: Mapping[str, Term]
    """The terms of the fit."""
    state: FitState
    """The guess, over all moments."""
    problems: U8
    """(M,) index into `PROBLEMS`: what is wrong with the evidence itself."""


def first_guess(
    capture: Capture,
    points: HandKeypoints,
    layer: ManoLayer,
    config: HandConfig,
    before: HandTrack | None = None,
    shape: tuple[F64, F64] | None = None,
) -> FirstGuess:
    """Guess a hand from its keypoints.

    Args:
        capture: the open recording.
        points: the hand's keypoints at its moments.
        layer: the hand model.
        config: how.
        before: earlier labels of the hand, whose settled moments the fit holds on to.
        shape: mean `(10,)` and information `(10, 10)` of the person's hand from other sequences, if there are any.

    Raises:
        FitError: no keypoints to start from, or nothing says how far away the hand is.
        CalibrationError: the cameras are not where the recording says.
    """
    hand: Hand = from_mano(layer.model)
    terms = fitting.load_terms(config.terms)
    terms["shape_prior"] = with_shape(terms["shape_prior"], shape)
    evidence = replace(gather.keypoint_evidence(capture, points), anchors=_anchors(hand, before))
    problems = evidence_problems(evidence, capture)
    for error in problems.errors:
        raise error
    for warning in problems.warnings:
        log.warning("%s hand: %s", layer.side, warning)
    return FirstGuess(layer, evidence, terms, initialise(hand, evidence, terms), problems.codes)


def _anchors(hand: Hand, before: HandTrack | None) -> Anchors | None:
    """The settled moments of earlier labels; None without any."""
    if before is None:
        return None
    at = np.flatnonzero(settled(before, len(before.valid)) & before.valid)
    if not len(at):
        return None
    hands = state_from_axis_angle(hand, before.orient[at], before.pose[at], before.betas, before.trans_m[at])
    return Anchors(at.astype(np.int64), hands, np.full(len(at), _SETTLED_SIGMA_M))


def first_fit(capture: Capture, guess: FirstGuess, config: HandConfig, tell: Tell) -> HandFit:
    """Fit a hand as if it were alone.

    Args:
        capture: the open recording.
        guess: where to start.
        config: how.
        tell: told how far it is.
    """
    evidence = gather.with_clouds(
        guess.evidence, capture, guess.state, config.clouds, lambda i, n: tell(0.5 * i / n, "reading depth")
    )
    if guess.terms["silhouette"].config.weight > 0:
        evidence = with_silhouettes(evidence, capture, guess.state)
    coarse, start, terms = _coarse(evidence, guess)

    def on_step(done: int, of: int) -> None:
        tell(0.5 + 0.5 * done / of, "fitting")

    dense = evidence.seen.any((1, 2)).mean() >= _DENSE
    if evidence.two_views and dense and len(evidence.t_s) >= _SPARSE * _FEWEST_SPARSE:
        start, steps = _sparse_fit(coarse, start, terms, on_step)
        # One step over all moments: near enough for noise levels to be estimated, and `fit_again` goes on from there.
        result = fitting.fit(coarse, start, terms, SEQUENCE[-1:], alike=1.0)
        return HandFit(guess.layer, evidence, guess.terms, result, steps + result.iterations, guess.problems)
    result = fitting.fit(coarse, start, terms, tolerance=_ROUGHLY, on_step=on_step)
    steps = result.iterations
    if not evidence.two_views:
        start = look_again(result.state, evidence, guess.terms)
        result = fitting.fit(coarse, start, terms, _AGAIN, tolerance=_ROUGHLY)
        steps += result.iterations
    return HandFit(guess.layer, evidence, guess.terms, result, steps, guess.problems)


def _sparse_fit(
    evidence: Evidence, start: FitState, terms: Mapping[str, Term], on_step: Callable[[int, int], None]
) -> tuple[FitState, int]:
    """Fit some of the moments and interpolate the others; the state and the steps."""
    moments = len(evidence.t_s)
    held = np.zeros(0, np.int64) if evidence.anchors is None else evidence.anchors.moment
    some = np.union1d(np.arange(0, moments, _SPARSE), np.append(held, moments - 1))
    smooth = terms["smooth"]
    # An acceleration moves a hand nine times as far in three frames as in one.
    wide = {name: getattr(smooth.config, name) * _SPARSE**2 for name in ("sigma_m", "sigma_rad", "sigma_pose_rad")}
    terms = {**terms, "smooth": replace(smooth, config=replace(smooth.config, **wide))}
    sparse = replace(start, hands=start.hands.taken(some))
    result = fitting.fit(evidence.taken(some), sparse, terms, tolerance=_ROUGHLY, on_step=on_step)
    return spread(result.state, evidence.t_s[some], evidence.t_s), result.iterations


def _coarse(evidence: Evidence, guess: FirstGuess) -> tuple[Evidence, FitState, dict[str, Term]]:
    """What a first fit minimises: fewer depth points, of more weight each. `fit_again` comes back to all of them."""
    terms = dict(guess.terms)
    depth = terms["depth"]
    terms["depth"] = replace(depth, config=replace(depth.config, weight=_COARSE * depth.config.weight))
    clouds = {v: cloud.every(_COARSE) for v, cloud in evidence.clouds.items()}
    return replace(evidence, clouds=clouds), guess.state, terms


def noise_levels(fitted: HandFit) -> HandFit:
    """The fit with noise levels as they show, those of depth apart: these wait for what else is there."""
    terms = calibrate_motion(fitted.result, fitted.evidence, fitted.terms)
    return replace(fitted, terms=terms)


def fit_again(fitted: HandFit, hands: Sequence[HandState], solids: Mapping[str, Solid], tell: Tell) -> HandFit:
    """Fit on from where a hand is, with noise levels as they show and knowing what else is there.

    The hand neither takes the depth points of the others nor sinks into them.

    Args:
        fitted: the hand so far, from `noise_levels`.
        hands: the other hands.
        solids: the objects.
        tell: told how far it is.
    """
    evidence, own = fitted.evidence, fitted.hands
    clouds = {v: without_rivals(cloud, own, hands, list(solids.values())) for v, cloud in evidence.clouds.items()}
    evidence = replace(evidence, clouds=clouds, solids=solids)
    terms = calibrate_depth(fitted.result, evidence, fitted.terms)
    result = fitting.fit(
        evidence,
        fitted.result.state,
        terms,
        AGAIN,
        tolerance=_CLOSELY,
        on_step=lambda i, n: tell(i / n, "fitting again"),
    )
    steps = fitted.iterations + result.iterations
    return replace(fitted, evidence=evidence, terms=terms, result=result, iterations=steps)


def joint_covariance(fitted: HandFit) -> F64:
    """`(M, 21, 3, 3)` m^2 covariance of the joints."""
    return covariance.joint_covariance(fitted.result, fitted.evidence, fitted.terms)
