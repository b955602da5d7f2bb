"""How sure the fit is of each joint: the inverse of its normal equations, seen by the joints."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from annotate import equations as normal
from annotate.equations import DOF, VIEW_UNKNOWNS, NormalEquations
from annotate.evidence import Evidence
from annotate.fit import FitResult, Term
from annotate.hand import HandState
from annotate.lasting import Offsets, followed, lasting_covariance, squared, times
from annotate.stage import SEQUENCE
from annotate.terms import keypoints2d
from hoi_core import rotation
from hoi_core.conventions import N_BETAS, N_JOINTS
from hoi_core.types import F64


class Draws(NamedTuple):
    """Hands as likely as the fit's, as steps away from it. D of them."""

    moments: F64
    """(M, 51, D)."""
    shared: F64
    """(S, D)."""


def draw(result: FitResult, count: int) -> Draws:
    """Draw from the fit's own uncertainty; always the same draws."""
    rng = np.random.default_rng(0)
    equations = result.equations
    moments, _, shared = equations.C.shape
    factor = equations.undamped
    own = factor.backward(rng.standard_normal((moments * DOF, count)))
    C = equations.C.reshape(-1, shared)
    moved = factor.solve(C)
    spread = np.linalg.cholesky(np.linalg.inv(equations.Hs - C.T @ moved))
    together = spread @ rng.standard_normal((shared, count))
    return Draws((own - moved @ together).reshape(moments, DOF, count), together)


def joint_covariance(
    result: FitResult, evidence: Evidence | None = None, terms: Mapping[str, Term] | None = None
) -> F64:
    """(M, 21, 3, 3) m^2 covariance of the joints.

    Args:
        result: of the fit.
        evidence: what was fitted; with `terms`, what is wrong at all moments alike is counted too
            (`annotate.lasting`), and so is the bias of the depth where one view alone saw the hand.
        terms: as they were set.
    """
    slopes, by_shape = joint_slopes(result.state.hands)
    if evidence is None or terms is None:
        return _independent(result.equations, slopes, by_shape)
    # What errs at all moments alike follows from other equations than the rest, which is found meanwhile.
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as beside:
        alone = beside.submit(lambda: _independent(information(result, evidence, terms), slopes, by_shape))
        cov = lasting_covariance(result, evidence, terms, slopes, by_shape)
        if not evidence.two_views:
            cov += bias_covariance(result, terms["shape_prior"].config.sigma_bias_m, slopes, by_shape)
        return cov + alone.result()


def _independent(equations: NormalEquations, slopes: F64, by_shape: F64) -> F64:
    """(M, 21, 3, 3) m^2 covariance of the joints, by what the equations say."""
    shared, moved = normal.shared_covariance(equations)
    # A change of the shared unknowns drags the moment's own along: both act on the joint.
    through = -times(slopes, moved)
    through[..., :N_BETAS] += by_shape
    own = normal.moment_covariance(equations)
    return squared(through, shared) + times(slopes, own) @ np.swapaxes(slopes, -1, -2)


def information(result: FitResult, evidence: Evidence, terms: Mapping[str, Term]) -> NormalEquations:
    """The equations with keypoints and accelerations as sure as they are, not as the fit weights them.

    The weights of wild keypoints fall, and those of good ones a little with them, so the weighted equations say too
    little. With `psi` the pull of a keypoint, the covariance of an M-estimator is `E[psi^2] / E[psi']^2` (Huber 1981,
    section 6.3), both as the residuals have them. Accelerations count at the spread that was estimated.
    """
    factors = {"smooth": terms["smooth"].config.tails ** 2}
    if terms["keypoints2d"].config.weight > 0 and evidence.seen.any():
        config = terms["keypoints2d"].config
        factors["keypoints2d"] = keypoints2d.pull(config, evidence, result.at, SEQUENCE[-1].robust_scale).information
    equations = result.equations
    for name, factor in factors.items():
        prepared = result.made_ready(terms[name], evidence, SEQUENCE[-1]) if factor != 1.0 else None
        if prepared is not None:
            own = normal.empty(len(evidence.t_s), len(evidence.views))
            terms[name].module.accumulate(prepared, result.at, own)
            equations = _raised(equations, own, factor - 1.0)
    return equations


def _raised(equations: NormalEquations, part: NormalEquations, more: float) -> NormalEquations:
    """The equations with so much more of a part of them; gradients stay."""
    sums = {name: getattr(equations, name) + more * getattr(part, name) for name in ("H", "near", "far", "C", "Hs")}
    return replace(equations, **sums)


def bias_covariance(result: FitResult, sigma_m: float, slopes: F64, by_shape: F64) -> F64:
    """(M, 21, 3, 3) m^2 that the depth's bias adds where one view alone saw the hand.

    Such a fit holds the bias at zero, since it cannot tell it from a hand that is larger and farther away. Whatever
    the bias truly is, the fit follows it ("consider covariance", Schmidt 1966): its spread counts in full.
    """
    equations = result.equations
    at = np.arange(N_BETAS + VIEW_UNKNOWNS - 1, len(equations.Hs), VIEW_UNKNOWNS)
    by_shared = equations.Hs[:, at].copy()
    by_shared[at] = 0.0
    none = np.zeros((len(at), len(at)))
    ((moved, shared),) = followed(result, [Offsets(equations.C[:, :, at], by_shared, none, none[0])])
    through = times(slopes, moved) + by_shape @ shared[:N_BETAS]
    return sigma_m**2 * through @ np.swapaxes(through, -1, -2)


def joint_slopes(hands: HandState) -> tuple[F64, F64]:
    """Derivatives of the joints by the moment's unknowns and by shape. `-> (M, 21, 3, 51), (M, 21, 3, 10)`."""
    hand = hands.hand
    moments = len(hands.trans_m)
    out = np.zeros((moments, N_JOINTS, 3, DOF))
    by_shape = np.zeros((moments, N_JOINTS, 3, N_BETAS))
    out[..., :3] = np.eye(3)
    turned, at, rest = hands.world_rotations, hands.positions_m, hands.joints_rest_m
    for i, p in enumerate(hand.openpose):
        support = hand.support[p][hand.support[p] >= 0]
        skinned = {k: at[:, k] + np.einsum("mab,mb->ma", turned[:, k], hands.rest_m[:, p] - rest[k]) for k in support}
        for j in hand.chain[p][hand.chain[p] >= 0]:
            arm = sum(hand.weights[p, k] * (skinned[k] - at[:, j]) for k in support if hand.below[j, k])
            out[:, i, :, 3 + 3 * j : 6 + 3 * j] = -rotation.skew(np.asarray(arm)) @ turned[:, j]
        for k in support:
            local = turned[:, k] @ (hand.shape_m[p] - hand.shape_m[len(hands.vertices_m[0]) + k])
            by_shape[:, i] += hand.weights[p, k] * (local + hands.positions_by_shape[:, k])
    return out, by_shape
