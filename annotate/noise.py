"""How large the errors of the evidence are and how they hang together, told by what a first fit leaves over.

What the fit leaves over is smaller than the errors, as the fit follows them a little. How much it may have followed
shows in hands drawn from the fit's own uncertainty: the expected square of an error is the square of what is left
over plus the spread over the draws (the expectation step of Dempster et al. 1977, sampled). Medians keep wild
keypoints and foreign depth points out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from annotate.angles import angles_and_slopes
from annotate.covariance import Draws, draw, joint_slopes
from annotate.evidence import Evidence
from annotate.fit import FitResult, Term
from annotate.lasting import regions
from annotate.stage import SEQUENCE
from annotate.terms import depth, keypoints2d, pose_prior, smooth
from hoi_core.types import F64, I64, Bool

_DRAWS = 16
_DENSE = 0.5
_NORMAL = 1.4826
"""Spread of a normal distribution over the median of its absolute values."""
_LEVELS = 5
_WORTH = 50.0
"""What is assumed of a level's error counts as so many measurements."""
_INLIER = 3.0
_MOST_FOLLOWED = 0.7
_MOST_ALIKE = 0.98
_WINDOW_S = 0.3
_LEAST_SHARE = 0.05
_SMOOTHED = 10.0
"""Moments over which accelerations tie the hand together: errors of depth that last are not averaged away there."""
_LEAST_DEPTH_ALIKE = 0.05
_SHRINK = 0.2
_STILL = 1e-14
"""No hand is stiller, in squared m or rad per frame^2."""
_TAILS = 1.5
"""Accelerations have far heavier tails than a normal distribution (kurtosis 30 to 60 over simulated finger joints):
spreads this much wider than the estimate follow better, by 4 % to 7 % of the error of an unkind hand against 1.1."""


def calibrate(result: FitResult, evidence: Evidence, terms: Mapping[str, Term]) -> dict[str, Term]:
    """The terms with noise levels that suit the evidence.

    Args:
        result: of a fit with `terms`.
        evidence: what was fitted.
        terms: as they were set.

    Returns:
        The terms, those of keypoints, depth, accelerations and the relaxed hand set anew; as they were where less than
        half of the moments have keypoints: between clicks on a few frames the hand goes as smoothly as it was told to,
        so what is left over says nothing of how it moves, and too little of the clicks.
    """
    return calibrate_depth(result, evidence, calibrate_motion(result, evidence, terms))


def calibrate_motion(result: FitResult, evidence: Evidence, terms: Mapping[str, Term]) -> dict[str, Term]:
    """The part of `calibrate` that does not look at depth points: keypoints, accelerations and the relaxed hand."""
    if not _enough(evidence):
        return dict(terms)
    draws = draw(result, _DRAWS)
    estimates: dict[str, Callable[[FitResult, Evidence, Any, Draws], Any]] = {
        "keypoints2d": _keypoints,
        "smooth": _accelerations,
        "pose_prior": _relaxed,
    }
    out = dict(terms)
    for name, estimate in estimates.items():
        if _counts(terms, name):
            out[name] = replace(terms[name], config=estimate(result, evidence, terms[name].config, draws))
    return out


def calibrate_depth(result: FitResult, evidence: Evidence, terms: Mapping[str, Term]) -> dict[str, Term]:
    """The part of `calibrate` that looks at depth points."""
    out = dict(terms)
    if _enough(evidence) and _counts(terms, "depth"):
        out["depth"] = replace(terms["depth"], config=_depth(result, evidence, terms["depth"].config))
    return out


def _enough(evidence: Evidence) -> bool:
    return float(evidence.seen.any((1, 2)).mean()) >= _DENSE


def _counts(terms: Mapping[str, Term], name: str) -> bool:
    return name in terms and terms[name].config.weight > 0


def _keypoints(result: FitResult, evidence: Evidence, config: keypoints2d.Config, draws: Draws) -> keypoints2d.Config:
    """Error by level of confidence, and a weight for errors that stay alike from one keypoint to the next."""
    miss_px, slope = keypoints2d.reprojection(evidence, result.state)
    seen: Bool = np.isfinite(miss_px[..., 0])
    if not seen.any():
        return config
    level = keypoints2d.level(evidence.confidence, _LEVELS)
    assumed = keypoints2d.expected_px(config, (np.arange(_LEVELS) + 0.5) / _LEVELS)
    before = keypoints2d.expected_px(config, np.where(seen, evidence.confidence, 1.0))[..., None, None]
    moved = slope @ _joints(result, draws)[:, None] / before
    chosen = [seen & (level == k) for k in range(_LEVELS)]
    sigma = np.array([_level_px(miss_px[at], moved[at], px) for at, px in zip(chosen, assumed, strict=True)])
    alike = _likeness(miss_px / sigma[level][..., None], moved, seen)
    # Of errors that stay alike by a share r from one to the next, so many count as one.
    return replace(config, sigmas_px=tuple(float(s) for s in sigma), weight=(1.0 - alike) / (1.0 + alike))


def _joints(result: FitResult, draws: Draws) -> F64:
    """(M, 21, 3, D) m how far the joints of the draws lie from the fit's."""
    slopes, by_shape = joint_slopes(result.state.hands)
    moments, joints = slopes.shape[:2]
    moved = slopes.reshape(moments, -1, slopes.shape[-1]) @ draws.moments
    betas = draws.shared[: by_shape.shape[-1]]
    return (moved + by_shape.reshape(moments, -1, len(betas)) @ betas).reshape(moments, joints, 3, -1)


def _level_px(miss_px: F64, moved: F64, assumed_px: float) -> float:
    """Spread of the errors of one level. `(K, 2)` px left over, `(K, 2, D)` followed, in the sigmas of the fit."""
    if not len(miss_px):
        return float(assumed_px)
    left = (_NORMAL * np.median(np.abs(miss_px))) ** 2
    # What the fit follows grows with the errors: it is known as a share of them.
    followed = min(float(np.median((moved**2).mean((-1, -2)))), _MOST_FOLLOWED)
    count = miss_px.size
    return float(np.sqrt((count * left / (1.0 - followed) + _WORTH * assumed_px**2) / (count + _WORTH)))


def _likeness(miss: F64, moved: F64, seen: Bool) -> float:
    """Correlation of a keypoint's error with that of the next keypoint of the same joint and view.

    Args:
        miss: `(M, V, 21, 2)` in sigmas.
        moved: `(M, V, 21, 2, D)` in sigmas.
        seen: `(M, V, 21)`.
    """
    both, own = 0.0, 0.0
    for v in range(seen.shape[1]):
        for j in range(seen.shape[2]):
            at = np.flatnonzero(seen[:, v, j])
            a, b = miss[at[:-1], v, j], miss[at[1:], v, j]
            inlier = (np.abs(a) < _INLIER) & (np.abs(b) < _INLIER)
            da, db = moved[at[:-1], v, j], moved[at[1:], v, j]
            both += float(((a * b + (da * db).mean(-1)) * inlier).sum())
            own += float(((a * a + b * b + (da * da + db * db).mean(-1)) * inlier).sum()) / 2.0
    return float(np.clip(both / own, 0.0, _MOST_ALIKE)) if own > 0 else 0.0


def _depth(result: FitResult, evidence: Evidence, config: depth.Config) -> depth.Config:
    """Error of a point, and a weight for errors that points of one region of the skin share."""
    prepared = depth.prepare(config, evidence, result.state, SEQUENCE[-1])
    found = depth.distances(prepared, result.state)
    distance_m = np.concatenate([part.distance_m for part in found] or [np.zeros(0)])
    if not len(distance_m):
        return config
    region = regions(result.state.hands.hand)
    count = int(region.max()) + 1
    cell = np.concatenate(
        [(p.points.moment * len(evidence.views) + p.points.view) * count + region[p.points.point] for p in found]
    )
    sigma_m = _NORMAL * float(np.median(np.abs(distance_m)))
    near = np.abs(distance_m) < _INLIER * sigma_m
    alike, points = _shared_error(distance_m[near], cell[near])
    many = 1.0 + (points * _SMOOTHED - 1.0) * max(alike, _LEAST_DEPTH_ALIKE)
    return replace(config, sigma_m=max(sigma_m, 1e-4), weight=1.0 / many)


def _shared_error(values: F64, cell: I64) -> tuple[float, float]:
    """Correlation of two values of a cell, and how many values a value's cell has. `(K,), (K,)`."""
    _, where = np.unique(cell, return_inverse=True)
    count = np.bincount(where)
    total, squares = np.bincount(where, values), np.bincount(where, values**2)
    pairs = (count * (count - 1)).sum()
    if not pairs:
        return 0.0, 1.0
    together = (total**2 - squares).sum() / pairs
    return float(np.clip(together / (values**2).mean(), 0.0, 1.0)), float((count**2).sum() / count.sum())


def _accelerations(result: FitResult, evidence: Evidence, config: smooth.Config, draws: Draws) -> smooth.Config:
    """Spreads of position, orientation and joints, over the sequence and around each moment.

    The spread is the sum of squares over the number of accelerations that the evidence determines (MacKay 1992), here
    over a window in time, a little drawn to the spread over the whole sequence.
    """
    t_s = evidence.t_s
    if len(t_s) < 5:
        return config
    found, slopes = smooth.accelerations(result.state.hands, t_s)
    moments = len(t_s)
    moved = draws.moments.reshape(moments, found.shape[1], 3, -1)
    spread = sum(slope @ moved[i : moments - 2 + i] for i, slope in enumerate(slopes))
    followed = cast(F64, (np.asarray(spread) ** 2).mean(-1))
    before = config.tails * smooth.spreads(config, t_s)
    squares, known = np.empty((moments - 2, 3)), np.empty((moments - 2, 3))
    for k, blocks in enumerate((slice(0, 1), slice(1, 2), slice(2, None))):
        share = 1.0 - followed[:, blocks].mean((1, 2)) / before[:, k] ** 2
        squares[:, k] = (found[:, blocks] ** 2).mean((1, 2))
        known[:, k] = np.maximum(share, _LEAST_SHARE)
    overall = np.maximum(squares.sum(0) / known.sum(0), _STILL)
    near = _window(t_s[1:-1])
    shrink = _SHRINK * near.sum(1, keepdims=True)
    local = (near @ squares + shrink * overall) / (near @ known + shrink)
    sigma = np.sqrt(overall)
    return replace(
        config,
        sigma_m=float(sigma[0]),
        sigma_rad=float(sigma[1]),
        sigma_pose_rad=float(sigma[2]),
        tails=_TAILS,
        times_s=tuple(t_s[1:-1]),
        factors=tuple(map(tuple, np.sqrt(local / overall))),
    )


def _relaxed(result: FitResult, evidence: Evidence, config: pose_prior.Config, draws: Draws) -> pose_prior.Config:
    """A weight for a pose that stays what it is: a hand that is not relaxed now is not in the next frame either."""
    rotations = result.state.hands.rotations[:, 1:]
    if len(rotations) < 2:
        return config
    angles, _ = angles_and_slopes(rotations, result.state.hands.hand.anatomy)
    away = (angles - pose_prior.RELAXED_RAD) * np.sqrt(pose_prior.precision(config))
    alike = float((away[1:] * away[:-1]).sum() / max((away**2).sum(), 1e-12))
    alike = float(np.clip(alike, 0.0, _MOST_ALIKE))
    return replace(config, weight=config.weight * (1.0 - alike) / (1.0 + alike))


def _window(t_s: F64) -> F64:
    """(N, N) weights of the moments around each moment."""
    return cast(F64, np.maximum(1.0 - np.abs(t_s[:, None] - t_s) / _WINDOW_S, 0.0))
