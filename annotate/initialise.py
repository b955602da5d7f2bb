"""A first guess: align the palm, fit the moments that have keypoints one by one, interpolate the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from annotate.bends import choose_bends, from_postures, reachable
from annotate.equations import VIEW_UNKNOWNS
from annotate.evidence import FEWEST_PALM, PALM, Evidence, starting_moments
from annotate.fit import Term, fit
from annotate.hand import Hand, HandState
from annotate.medians import of_rows
from annotate.stage import KEYPOINTS_ONLY, LOOSE
from annotate.state import FitState
from annotate.triangulate import triangulate
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.conventions import N_BETAS, N_MANO_JOINTS
from hoi_core.errors import FitError
from hoi_core.types import F64, I64, Bool

_PALM_SPREAD_M = 0.012
_WORST_PALM_M = 0.03
_NEXT_TO_NOTHING = 1e-12
"""Weight of a joint that is not there: without any, moments could have none at all."""
_PATIENT = 1e-7
_CLEARLY_PX = 0.3
_WILD_PX = 60.0
_HELD_BETAS = 0.3
"""Spread of the shape while one view alone guesses: a larger hand farther away looks alike."""
_DOUBTFUL = 1.25
"""Times the median cost from which a moment is started again."""


def initialise(hand: Hand, evidence: Evidence, terms: Mapping[str, Term]) -> FitState:
    """Guess the hand over all moments.

    Args:
        hand: the hand model.
        evidence: with keypoints in some of the moments.
        terms: from `fit.load_terms`; those of neighbouring moments and of depth are left out here.

    Raises:
        FitError: no moment has enough keypoints to place the palm.
    """
    key = starting_moments(evidence)
    if not len(key):
        raise _nothing_to_start_from(evidence)
    some = evidence.taken(key)
    joints_m = triangulate(some).joints_m
    rest = _rest(hand.without_skin(), len(key))
    trans_m, turn, good = _align_palm(rest.joints_m[:, list(PALM)], joints_m[:, list(PALM)])
    if not good.any():
        raise _nothing_to_start_from(evidence)
    key, some = key[good], replace(some.taken(np.flatnonzero(good)), joints_m=joints_m[good])
    start = rest.taken(np.flatnonzero(good))
    rotations = start.rotations.copy()
    rotations[:, 0] = turn[good]
    root = start.positions_m[:, 0]
    start = replace(start, rotations=rotations, trans_m=trans_m[good] + (turn[good] @ root[..., None])[..., 0] - root)
    alone = {name: term for name, term in terms.items() if name not in ("smooth", "depth")}
    if evidence.two_views:
        # From a flat hand, limits can shut a finger into the wrong bend: they come in once it is near.
        free = {name: term for name, term in alone.items() if name != "limits"}
        near = fit(some, _with_views(start, evidence), free, LOOSE, tolerance=_PATIENT).state
        fitted = fit(some, near, alone, KEYPOINTS_ONLY).state
        for neighbour in (1, -1):
            fitted = _learn_from(neighbour, fitted, some, alone)
    else:
        some = replace(some, joints_m=reachable(joints_m[good], some, rest.hand, rest.betas))
        prior = alone["shape_prior"]
        alone["shape_prior"] = replace(prior, config=replace(prior.config, sigma_betas=_HELD_BETAS))
        # Limits are on from the start: what no second view corrects must not bend as no hand does.
        tried = from_postures(_with_views(start, evidence), some, alone)
        fitted = fit(some, choose_bends(tried, some, alone), alone, KEYPOINTS_ONLY[-3:]).state
    kept = _trustworthy(fitted, some)
    dressed = replace(fitted, hands=replace(fitted.hands, hand=hand))
    return spread(replace(dressed, hands=dressed.hands.taken(kept)), evidence.t_s[key][kept], evidence.t_s)


def _nothing_to_start_from(evidence: Evidence) -> FitError:
    return FitError(
        f"the fit needs {FEWEST_PALM} palm joints seen by two views (or one with depth) in some moment, "
        f"and found none in {len(evidence.t_s)} moments.",
        "Click wrist and knuckles in both views of one frame, or record with the hand visible.",
    )


def _better(state: FitState, other: FitState, evidence: Evidence) -> FitState:
    """Each moment's hand of the other state where that is clearly better."""
    hands, tried = state.hands, other.hands
    better = _miss_px(tried, evidence) < _miss_px(hands, evidence) - _CLEARLY_PX
    rotations = np.where(better[:, None, None, None], tried.rotations, hands.rotations)
    trans_m = np.where(better[:, None], tried.trans_m, hands.trans_m)
    return replace(state, hands=replace(hands, rotations=rotations, trans_m=trans_m))


def _learn_from(neighbour: int, state: FitState, evidence: Evidence, terms: Mapping[str, Term]) -> FitState:
    """Start moments again from the pose of the one before (1) or after (-1); keep what meets its keypoints better.

    A moment fitted alone can bend a finger the wrong way; that all of them do is unlikely. Views that agree as well as
    they mostly do need no second start.
    """
    hands = state.hands
    value = _miss_px(hands, evidence)
    doubtful = np.flatnonzero(value > _DOUBTFUL * np.median(value))
    if not len(doubtful):
        return state
    poses = np.roll(hands.rotations[:, 1:], neighbour, axis=0)
    other = replace(hands, rotations=np.concatenate([hands.rotations[:, :1], poses], axis=1)).taken(doubtful)
    some = evidence.taken(doubtful)
    tried = _better(
        replace(state, hands=hands.taken(doubtful)),
        fit(some, replace(state, hands=other), terms, KEYPOINTS_ONLY).state,
        some,
    ).hands
    rotations, trans_m = hands.rotations.copy(), hands.trans_m.copy()
    rotations[doubtful], trans_m[doubtful] = tried.rotations, tried.trans_m
    return replace(state, hands=replace(hands, rotations=rotations, trans_m=trans_m))


def _miss_px(hands: HandState, evidence: Evidence) -> F64:
    """(M,) mean distance of the joints from their keypoints, px, wild keypoints counted as no more than a limit."""
    total, count = np.zeros(len(hands.trans_m)), np.zeros(len(hands.trans_m))
    for v, camera in enumerate(evidence.cameras):
        pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, hands.joints_m))
        miss = np.linalg.norm(pixels - evidence.keypoints_px[:, v], axis=-1)
        seen = evidence.seen[:, v] & np.isfinite(miss)
        total += np.where(seen, np.minimum(np.nan_to_num(miss), _WILD_PX), 0.0).sum(-1)
        count += seen.sum(-1)
    return total / np.maximum(count, 1)


def _rest(hand: Hand, moments: int) -> HandState:
    rotations = np.tile(np.eye(3), (moments, N_MANO_JOINTS, 1, 1))
    return HandState(hand, np.zeros((moments, 3)), rotations, np.zeros(N_BETAS))


def _with_views(hands: HandState, evidence: Evidence) -> FitState:
    return FitState(hands, np.zeros((len(evidence.views), VIEW_UNKNOWNS)))


def _align_palm(model_m: F64, seen_m: F64) -> tuple[F64, F64, Bool]:
    """Robust rigid alignment of each moment: `seen = turn @ model + trans`. `(M, P, 3) m -> ..., (M,)`."""
    there: Bool = np.asarray(np.isfinite(seen_m).all(-1))
    target = np.where(there[..., None], seen_m, 0.0)
    weight: F64 = np.asarray(there, np.float64).copy()
    # Moments with too few joints are aligned to anything, and then left out.
    weight[there.sum(1) < FEWEST_PALM] = 1.0
    for _ in range(4):
        turn, trans_m = rotation.kabsch(model_m, target, weight)
        miss = np.linalg.norm(model_m @ np.swapaxes(turn, -1, -2) + trans_m[:, None] - target, axis=-1)
        robust = 1.0 / (1.0 + (miss / _PALM_SPREAD_M) ** 2) ** 2
        weight = np.asarray(np.where(there, robust, 0.0) + _NEXT_TO_NOTHING, np.float64)
    enough = there.sum(1) >= FEWEST_PALM
    good = enough & (of_rows(np.where(there, miss, np.nan)) < _WORST_PALM_M)
    return np.where(enough[:, None], trans_m, 0.0), np.where(enough[:, None, None], turn, np.eye(3)), good


def _trustworthy(state: FitState, evidence: Evidence) -> I64:
    """Moments whose fitted joints lie near the triangulated ones; all of them if few do."""
    target = evidence.joints_m if evidence.joints_m is not None else state.hands.joints_m
    with np.errstate(invalid="ignore"):
        miss = np.linalg.norm(state.hands.joints_m - target, axis=-1)
    middle = np.nanmedian(np.where(np.isfinite(miss).any(1, keepdims=True), miss, np.inf), axis=1)
    kept = np.flatnonzero(middle < 2.0 * _PALM_SPREAD_M)
    return kept if len(kept) else np.arange(len(middle))


def spread(state: FitState, key_s: F64, t_s: F64) -> FitState:
    """Interpolate between moments: monotone cubics for positions, SLERP for rotations; held at the ends.

    Args:
        state: at K moments.
        key_s: `(K,)` s their times, ascending.
        t_s: `(M,)` s where it is wanted.
    """
    hands = state.hands
    at = np.clip(t_s, key_s[0], key_s[-1])
    if len(key_s) == 1:
        index = np.zeros(len(t_s), dtype=np.int64)
        return replace(state, hands=hands.taken(index))
    trans_m = PchipInterpolator(key_s, hands.trans_m, axis=0)(at)
    after = np.clip(np.searchsorted(key_s, at, side="right"), 1, len(key_s) - 1)
    share = (at - key_s[after - 1]) / (key_s[after] - key_s[after - 1])
    rotations = rotation.slerp(hands.rotations[after - 1], hands.rotations[after], share[:, None])
    return replace(state, hands=replace(hands, trans_m=trans_m, rotations=rotations))
