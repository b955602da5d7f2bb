"""Which way each finger bends where one view alone saw the hand: chosen over all moments at once.

A finger that points away from the camera and one that points towards it look alike, and a single moment tells them
apart by less than its noise. Fingers do not jump, so each finger's bend is the cheapest way through the fits that were
tried, from the first moment to the last (Viterbi 1967): what a fit costs at its moment, and how fast the finger would
have to turn from one to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from annotate.evidence import PALM, Evidence, starting_moments
from annotate.fit import Term, fit
from annotate.hand import Hand, HandState
from annotate.stage import KEYPOINTS_ONLY
from annotate.state import FitState, geman_mcclure
from annotate.terms import keypoints2d, keypoints3d, limits, pose_prior
from annotate.terms.pose_prior import RELAXED_RAD
from annotate.triangulate import triangulate
from hoi_core import rotation
from hoi_core.biomechanics import angles_to_rotations, clip_to_limits, rotations_to_angles
from hoi_core.conventions import BONES, FINGERS, MANO_FINGERS, N_MANO_JOINTS
from hoi_core.types import F64, I64

_HIDDEN = 0.5
"""A keypoint of less confidence may be hidden: the depth under it is that of what hides it."""
_STRETCH = 1.3
"""Hands are at most so much longer than the model's own."""
_SLACK_M = 0.012
_ROBUST = 4.0
"""Keypoints farther off than so many sigmas say no more than that."""
_ROBUST_LIFT = 2.0
"""The same of lifted joints: often, what lies under a keypoint is another finger, which hides the joint from depth."""
_SPEED_RAD_S = 2.0
"""Spread of the speed at which a finger's joint turns."""
_KNOWN = 1e8
"""Information on shape coefficients that stay as they are."""
_OPPOSED_RAD = ((0.5, 0.2, 0.5), (0.3, 0.0, 0.0), (0.3, 0.0, 0.0))
"""The thumb's joints, base to end, in a hand that grips: turned towards the fingers."""


def _postures() -> tuple[F64, ...]:
    grip = 2.0 * RELAXED_RAD
    grip[-len(_OPPOSED_RAD) :] = _OPPOSED_RAD
    return 0.0 * RELAXED_RAD, RELAXED_RAD, 2.0 * RELAXED_RAD, grip


POSTURES_RAD = _postures()
"""(15, 3) rad each: a flat, a relaxed, a bent and a gripping hand. Fits of one view start from all of them."""


def from_postures(state: FitState, evidence: Evidence, terms: Mapping[str, Term]) -> list[FitState]:
    """Fits that start with the palm of a state and the fingers of each posture."""
    hands = state.hands
    out = []
    for posture in POSTURES_RAD:
        pose = np.broadcast_to(angles_to_rotations(posture, hands.hand.anatomy), hands.rotations[:, 1:].shape)
        start = replace(hands, rotations=np.concatenate([hands.rotations[:, :1], pose], axis=1))
        out.append(fit(evidence, replace(state, hands=start), terms, KEYPOINTS_ONLY).state)
    return out


def look_again(state: FitState, evidence: Evidence, terms: Mapping[str, Term]) -> FitState:
    """A fitted hand, with fingers bent another way where that suits all moments better.

    The first guess chose while it knew neither the palm nor the size of the hand well.

    Args:
        state: of a fit over the whole sequence.
        evidence: what was fitted.
        terms: of the fit.
    """
    key = starting_moments(evidence)
    if len(key) < 2:
        return state
    hands = state.hands.taken(key)
    hands = replace(hands, hand=hands.hand.without_skin())
    some = replace(evidence.taken(key), clouds={}, silhouettes={})
    lifted_m = reachable(triangulate(some).joints_m, some, hands.hand, hands.betas)
    palm_m = np.full_like(lifted_m, np.nan)
    palm_m[:, list(PALM)] = hands.joints_m[:, list(PALM)]
    some = replace(some, joints_m=palm_m)
    alone = {name: term for name, term in terms.items() if name not in ("smooth", "depth")}
    alone["shape_prior"] = _fixed_shape(terms["shape_prior"], hands.betas)
    here = replace(state, hands=hands)
    as_it_is = fit(some, here, alone, KEYPOINTS_ONLY[-3:]).state
    tried = [as_it_is, *from_postures(here, some, alone)]
    chosen = choose_bends(tried, replace(some, joints_m=lifted_m), alone).hands
    turn = np.swapaxes(hands.rotations[:, 1:], -1, -2) @ chosen.rotations[:, 1:]
    turn[(as_it_is.hands.rotations == chosen.rotations)[:, 1:].all((-1, -2))] = np.eye(3)
    rotations = state.hands.rotations.copy()
    rotations[:, 1:] = rotations[:, 1:] @ _between(turn, evidence.t_s[key], evidence.t_s)
    return replace(state, hands=replace(state.hands, rotations=rotations))


def _fixed_shape(prior: Term, betas: F64) -> Term:
    information = tuple(map(tuple, _KNOWN * np.eye(len(betas))))
    return replace(prior, config=replace(prior.config, betas=tuple(betas), information=information))


def _between(turn: F64, key_s: F64, t_s: F64) -> F64:
    """Rotations at all times by SLERP, held at the ends. `(K, 15, 3, 3), (K,) s, (M,) s -> (M, 15, 3, 3)`."""
    at = np.clip(t_s, key_s[0], key_s[-1])
    after = np.clip(np.searchsorted(key_s, at, side="right"), 1, len(key_s) - 1)
    share = (at - key_s[after - 1]) / (key_s[after] - key_s[after - 1])
    return rotation.slerp(turn[after - 1], turn[after], share[:, None])


def reachable(joints_m: F64, evidence: Evidence, hand: Hand, betas: F64) -> F64:
    """Lifted joints that can be the hand's: neither hidden ones nor those that a hand cannot reach.

    Under a hidden joint lies the depth of what hides it; beside a fingertip the table may be seen and lifted.

    Args:
        joints_m: `(M, 21, 3)` m lifted; NaN where there is none.
        evidence: of the same moments.
        hand: the hand model.
        betas: `(10,)` its shape, as far as it is known.

    Returns:
        `(M, 21, 3)` m, NaN where a joint is not trusted.
    """
    hidden = evidence.confidence.max(1) < _HIDDEN
    joints_m = np.where(hidden[..., None], np.nan, joints_m)
    flat = np.tile(np.eye(3), (1, N_MANO_JOINTS, 1, 1))
    long_m = HandState(hand, np.zeros((1, 3)), flat, betas).joints_m[0]
    palm_m = np.full((len(joints_m), 3), np.nan)
    there = np.isfinite(joints_m[:, list(PALM), 0]).any(1)
    palm_m[there] = np.nanmedian(joints_m[there][:, list(PALM)], axis=1)
    reach_m = np.linalg.norm(long_m - np.median(long_m[list(PALM)], axis=0), axis=-1)
    with np.errstate(invalid="ignore"):
        out = np.linalg.norm(joints_m - palm_m[:, None], axis=-1) > _STRETCH * reach_m + _SLACK_M
        joints_m = np.where(out[..., None], np.nan, joints_m)
        for parent, child in BONES:
            bone_m = np.linalg.norm(long_m[child] - long_m[parent])
            apart_m = np.linalg.norm(joints_m[:, child] - joints_m[:, parent], axis=-1)
            joints_m[apart_m > _STRETCH * bone_m + _SLACK_M, child] = np.nan
    return joints_m


def choose_bends(tried: Sequence[FitState], evidence: Evidence, terms: Mapping[str, Term]) -> FitState:
    """One hand for each moment from several fits of it, finger by finger.

    Args:
        tried: fits of the same moments; they agree on the palm.
        evidence: what was fitted, with lifted joints.
        terms: of the fits.
    """
    cost = np.stack([_joint_cost(state, evidence, terms) for state in tried])
    pose = np.stack([_pose_cost(state.hands, terms) for state in tried])
    every = np.arange(len(evidence.t_s))
    best = cost[..., list(PALM)].sum(-1).argmin(0)
    trans_m = np.stack([state.hands.trans_m for state in tried])[best, every]
    rotations = np.stack([state.hands.rotations for state in tried])
    chosen = rotations[best, every]
    for f, finger in enumerate(MANO_FINGERS):
        rows = np.arange(3 * f, 3 * f + 3)
        first = 1 + 4 * FINGERS.index(finger)
        own = cost[..., first : first + 4].sum(-1) + pose[..., rows].sum(-1)
        way = cheapest_way(own, _turning(rotations[:, :, 1 + rows], evidence.t_s))
        chosen[:, 1 + rows] = rotations[way[:, None], every[:, None], 1 + rows]
    return replace(tried[0], hands=replace(tried[0].hands, trans_m=trans_m, rotations=chosen))


def cheapest_way(cost: F64, between: F64) -> I64:
    """Which of C candidates to take at each of M moments (Viterbi 1967).

    Args:
        cost: `(C, M)` of each candidate.
        between: `(M - 1, C, C)` of going from one (rows) to another.

    Returns:
        `(M,)`.
    """
    moments = cost.shape[1]
    total = cost[:, 0]
    came = np.zeros((moments, len(cost)), dtype=np.int64)
    for m in range(1, moments):
        through = total[:, None] + between[m - 1]
        came[m] = through.argmin(0)
        total = through.min(0) + cost[:, m]
    way = np.zeros(moments, dtype=np.int64)
    way[-1] = total.argmin()
    for m in range(moments - 1, 0, -1):
        way[m - 1] = came[m, way[m]]
    return way


def _joint_cost(state: FitState, evidence: Evidence, terms: Mapping[str, Term]) -> F64:
    """(M, 21) half the squared sigmas by which each joint misses its keypoints and where it was lifted to."""
    keypoint: keypoints2d.Config = terms["keypoints2d"].config
    miss_px, _ = keypoints2d.reprojection(evidence, state)
    seen = np.isfinite(miss_px[..., 0])
    expected_px = keypoints2d.expected_px(keypoint, np.where(seen, evidence.confidence, 1.0))
    squared = np.where(seen, (miss_px**2).sum(-1) / expected_px**2, 0.0)
    cost = geman_mcclure(squared, _ROBUST)[0].sum(1)
    if evidence.joints_m is not None:
        lifted: keypoints3d.Config = terms["keypoints3d"].config
        away = ((state.hands.joints_m - evidence.joints_m) ** 2).sum(-1) / lifted.sigma_m**2
        cost += geman_mcclure(np.nan_to_num(away), _ROBUST_LIFT)[0]
    return 0.5 * cost


def _pose_cost(hands: HandState, terms: Mapping[str, Term]) -> F64:
    """(M, 15) half the squared sigmas by which joints are bent unusually or as no hand bends."""
    angles = rotations_to_angles(hands.rotations[:, 1:], hands.hand.anatomy)
    usual: pose_prior.Config = terms["pose_prior"].config
    beyond: limits.Config = terms["limits"].config
    cost = usual.weight * pose_prior.precision(usual) * (angles - RELAXED_RAD) ** 2
    cost += limits.precision(beyond) * (angles - clip_to_limits(angles)) ** 2
    return 0.5 * np.asarray(cost.sum(-1))


def _turning(rotations: F64, t_s: F64) -> F64:
    """(M - 1, C, C) half the squared sigmas of turning from a candidate to another. `(C, M, 3, 3, 3)`."""
    before, after = rotations[:, None, :-1], rotations[None, :, 1:]
    turn = rotation.log_so3(np.swapaxes(before, -1, -2) @ after)
    squared = np.moveaxis((turn**2).sum((-1, -2)), 2, 0)
    return 0.5 * np.asarray(squared / (_SPEED_RAD_S * np.diff(t_s)[:, None, None]) ** 2)
