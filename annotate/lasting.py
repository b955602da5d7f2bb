"""What is wrong at all moments alike: a joint that the person has elsewhere than the model, skin that lies higher.

No number of moments averages such errors away, so they must not count as noise. How large they are is estimated from
what the fit leaves over of them: with `Q` what the evidence says of an offset once the fit has followed it, the slope
of the cost by the offsets is normal with covariance `Q + tau^2 Q^2`, and the likelihood of that slope tells `tau`
(restricted maximum likelihood). That holds at the minimum of the cost. A fit that stops when little is to be gained is
not there yet, and what it still has to go looks like an error of the skin: one Newton step takes the slope there.
Where the hand is the model's own, `tau` comes out as nearly nothing by itself.

Keypoints count as an M-estimator's do: the robust weights say what the fit makes of them, not what they tell
(`keypoints2d.pull`).

Which way joints err is taken from that slope, too. Of the skin, only the size is: depth points find other triangles as
the fit moves, so less is left over of an error than `Q` says (about half on simulated takes), and a slope of nearly
nothing does not say that the skin lies where the model has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotate.equations import DOF, VIEW_UNKNOWNS
from annotate.evidence import Evidence
from annotate.fit import FitResult, Term
from annotate.hand import Hand
from annotate.stage import SEQUENCE
from annotate.state import add_slopes, eye, geman_mcclure
from annotate.terms import depth, keypoints2d
from hoi_core import rotation
from hoi_core.conventions import N_BETAS, N_JOINTS, N_VERTICES
from hoi_core.types import F64, Bool

_REGIONS = 40
_TAU_M = np.geomspace(1e-5, 1e-2, 121)
_VISIBLE_M = 1e-3
"""Directions in which an error of this size does not stand out are left to the priors of the fit, which hold the hand
there and are wrong in their own ways: what they leave over says nothing of the model."""


class Offsets(NamedTuple):
    """Errors that all moments share, E of them, and how the evidence depends on them."""

    by_moment: F64
    """(M, 51, E) part of the Hessian between a moment's unknowns and the errors."""
    by_shared: F64
    """(S, E) that between the shared unknowns and the errors."""
    own: F64
    """(E, E) that of the errors themselves."""
    slope: F64
    """(E,) of the cost by the errors."""


def regions(hand: Hand) -> NDArray[np.int64]:
    """(778,) region of the skin of each vertex: near one of points that lie far from each other."""
    vertices_m = hand.template_m[:N_VERTICES]
    centres = [0]
    distance = ((vertices_m - vertices_m[0]) ** 2).sum(-1)
    while len(centres) < _REGIONS:
        centres.append(int(distance.argmax()))
        distance = np.minimum(distance, ((vertices_m - vertices_m[centres[-1]]) ** 2).sum(-1))
    return np.asarray(((vertices_m[:, None] - vertices_m[centres]) ** 2).sum(-1).argmin(1), np.int64)


def lasting_covariance(
    result: FitResult, evidence: Evidence, terms: Mapping[str, Term], slopes: F64, by_shape: F64
) -> F64:
    """(M, 21, 3, 3) m^2 covariance of the joints that lasting errors of the model add.

    Args:
        result: of the fit.
        evidence: what was fitted.
        terms: as they were set.
        slopes: `(M, 21, 3, 51)` of the joints by the moments' unknowns.
        by_shape: `(M, 21, 3, 10)` by shape.
    """
    found: list[Offsets] = []
    where: list[F64 | None] = []
    if terms["keypoints2d"].config.weight > 0 and evidence.seen.any():
        found.append(joint_offsets(result, evidence, terms["keypoints2d"].config, slopes, by_shape))
        where.append(_turned(result))
    if terms["depth"].config.weight > 0 and evidence.clouds:
        found.append(skin_offsets(result, evidence, terms["depth"]))
        where.append(None)
    out = np.zeros((*slopes.shape[:3], 3))
    if not found:
        return out
    gradient, shared_gradient = result.equations.g.ravel(), result.equations.gs
    for offsets, turned, (moved, shared) in zip(found, where, followed(result, found), strict=True):
        errors = len(offsets.own)
        direct = offsets.by_moment.reshape(-1, errors).T @ moved.reshape(-1, errors)
        known = offsets.own - direct - offsets.by_shared.T @ shared
        slope = offsets.slope - moved.reshape(-1, errors).T @ gradient - shared.T @ shared_gradient
        if turned is None:
            spread = expected_square(known, slope) * np.eye(errors)
        else:
            config = terms["keypoints2d"].config
            told = keypoints2d.pull(config, evidence, result.at, SEQUENCE[-1].robust_scale)
            spread = expected_products(known * told.information, slope * told.slope)
        through = times(slopes, moved)
        through += by_shape @ shared[:N_BETAS]
        if turned is not None:
            for j in range(N_JOINTS):
                through[:, j, :, 3 * j : 3 * j + 3] -= turned[:, j]
        out += squared(through, spread)
    return out


def times(slopes: F64, columns: F64) -> F64:
    """`slopes @ columns` of each moment. `(M, 21, 3, 51), (M, 51, E) -> (M, 21, 3, E)`."""
    moments, joints, axes, width = slopes.shape
    return (slopes.reshape(moments, -1, width) @ columns).reshape(moments, joints, axes, -1)


def squared(slopes: F64, covariance: F64) -> F64:
    """`slopes @ covariance @ slopes'`, `(M, 21, 3, 3)`: one large product is faster than many small ones.

    `(M, 21, 3, E), (E, E)`.
    """
    errors = len(covariance)
    spread = (slopes.reshape(-1, errors) @ covariance).reshape(slopes.shape)
    return np.asarray(spread @ np.swapaxes(slopes, -1, -2))


def followed(result: FitResult, found: list[Offsets]) -> list[tuple[F64, F64]]:
    """How the fit follows each error, but for the sign: `(M, 51, E)` moments' and `(S, E)` shared unknowns."""
    equations = result.equations
    moments, _, width = equations.C.shape
    C = equations.C.reshape(-1, width)
    columns = [C, *(offsets.by_moment.reshape(len(C), -1) for offsets in found)]
    solved = equations.undamped.solve(np.concatenate(columns, axis=1))
    schur = np.linalg.inv(equations.Hs - C.T @ solved[:, :width])
    out, at = [], width
    for offsets in found:
        direct = solved[:, at : at + len(offsets.slope)]
        at += len(offsets.slope)
        shared = schur @ (offsets.by_shared - C.T @ direct)
        out.append(((direct - solved[:, :width] @ shared).reshape(moments, DOF, -1), shared))
    return out


def expected_products(known: F64, slope: F64) -> F64:
    """(E, E) m^2 expected products of the errors, given what the fit leaves over of them. `(E, E), (E,)`."""
    values, vectors, told = _told(known)
    tau2 = expected_square(known, slope)
    if tau2 == 0.0:
        return np.zeros_like(known)
    left = (vectors / (values + 1.0 / tau2)) @ vectors.T
    mean = vectors[:, told] @ ((vectors[:, told].T @ slope) / (values[told] + 1.0 / tau2))
    return np.asarray(left + np.outer(mean, mean))


def expected_square(known: F64, slope: F64) -> float:
    """m^2 expected square of an error, by the likelihood of the slope; 0 where none would stand out. `(E, E), (E,)`."""
    values, vectors, told = _told(known)
    if not told.any():
        return 0.0
    information, seen = values[told], vectors[:, told].T @ slope
    variance = information[:, None] + (information[:, None] * _TAU_M) ** 2
    likelihood = -0.5 * (np.log(variance) + seen[:, None] ** 2 / variance).sum(0)
    share = np.exp(likelihood - likelihood.max())
    return float((share * _TAU_M**2).sum() / share.sum())


def _told(known: F64) -> tuple[F64, F64, Bool]:
    """Eigenvalues `(E,)`, eigenvectors `(E, E)` in columns, and in which of them an error would stand out `(E,)`."""
    values, vectors = np.linalg.eigh((known + known.T) / 2.0)
    values = np.maximum(values, 0.0)
    return values, vectors, np.asarray(values * _VISIBLE_M**2 > 1.0)


def joint_offsets(
    result: FitResult, evidence: Evidence, config: keypoints2d.Config, slopes: F64, by_shape: F64
) -> Offsets:
    """An offset of each joint, in the axes of the bone that carries it: 63 errors that keypoints see."""
    state = result.at
    miss_px, by_joint = keypoints2d.reprojection(evidence, state)
    seen = np.isfinite(miss_px[..., 0])
    expected_px = np.where(seen, keypoints2d.expected_px(config, np.where(seen, evidence.confidence, 1.0)), 1.0)
    miss = np.where(seen[..., None], miss_px, 0.0) / expected_px[..., None]
    _, robust = geman_mcclure((miss**2).sum(-1), SEQUENCE[-1].robust_scale)
    rows = by_joint / expected_px[..., None, None]
    weighted = rows * np.where(seen, config.weight * robust, 0.0)[..., None, None]
    own_rows = rows @ _turned(result)[:, None]
    # (M, V, 21, 3, 3): joints in the world by offsets in the bones' axes.
    info = np.swapaxes(weighted, -1, -2) @ own_rows
    both = info.sum(1)
    moments = len(slopes)
    errors = 3 * N_JOINTS
    by_moment = np.moveaxis(np.swapaxes(slopes, -1, -2) @ both, 1, 2).reshape(moments, DOF, errors)
    by_shared = np.zeros((len(result.equations.Hs), errors))
    by_shared[:N_BETAS] = np.moveaxis((np.swapaxes(by_shape, -1, -2) @ both).sum(0), 0, 1).reshape(N_BETAS, errors)
    for v, camera in enumerate(evidence.cameras):
        first = N_BETAS + VIEW_UNKNOWNS * v
        arm = rotation.skew(state.hands.joints_m - eye(camera))
        by_shared[first + 1 : first + 4] = np.moveaxis((arm @ info[:, v]).sum(0), 0, 1).reshape(3, errors)
        by_shared[first + 4 : first + 7] = np.moveaxis(info[:, v].sum(0), 0, 1).reshape(3, errors)
    own = np.zeros((errors, errors))
    turned_rows = np.swapaxes(weighted @ _turned(result)[:, None], -1, -2)
    for j in range(N_JOINTS):
        at = slice(3 * j, 3 * j + 3)
        own[at, at] = (turned_rows[:, :, j] @ own_rows[:, :, j]).sum((0, 1))
    return Offsets(by_moment, by_shared, own, (turned_rows @ miss[..., None])[..., 0].sum((0, 1)).reshape(-1))


def _turned(result: FitResult) -> F64:
    """(M, 21, 3, 3) axes of the bone that carries each joint, in the world."""
    hands = result.at.hands
    return hands.world_rotations[:, hands.hand.weights[hands.hand.openpose].argmax(1)]


def skin_offsets(result: FitResult, evidence: Evidence, term: Term) -> Offsets:
    """How far each region of the skin lies outside the model's: 40 errors that depth sees."""
    state = result.at
    region = regions(state.hands.hand)
    moments, _, width = result.equations.C.shape
    by_moment, by_shared = np.zeros((moments, _REGIONS, DOF)), np.zeros((_REGIONS, width))
    own, slope = np.zeros((_REGIONS, _REGIONS)), np.zeros(_REGIONS)
    sigma_m = term.config.sigma_m
    for part in depth.distances(result.made_ready(term, evidence, SEQUENCE[-1]), state):
        at = region[part.points.point]
        precision = part.weight / sigma_m**2
        own[np.diag_indices(_REGIONS)] += np.bincount(at, precision, _REGIONS)
        slope += np.bincount(at, precision * part.distance_m, _REGIONS)
        by_bias = (part.normals * part.rays).sum(-1)
        add_slopes((by_moment, by_shared), state, part.points, part.normals, precision, by_bias, at)
    return Offsets(np.ascontiguousarray(np.swapaxes(by_moment, 1, 2)), by_shared.T, own, slope)
