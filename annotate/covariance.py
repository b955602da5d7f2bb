"""How sure the fit is of each joint: the inverse of its normal equations, seen by the joints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from annotate import equations as normal
from annotate.equations import DOF
from annotate.evidence import Evidence
from annotate.fit import FitResult, Term
from annotate.hand import HandState
from annotate.lasting import lasting_covariance
from annotate.terms.shape_prior import with_free_bias
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
    factor = normal.cholesky(equations, 0.0)
    own, _ = lapack.dtbtrs(factor, rng.standard_normal((moments * DOF, count)), uplo="L", trans="T")
    C = equations.C.reshape(-1, shared)
    moved, _ = lapack.dpbtrs(factor, C, lower=1)
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
    if evidence is not None and terms is not None and not evidence.two_views:
        result = replace(result, equations=with_free_bias(terms["shape_prior"].config, result.equations))
    own = normal.moment_covariance(result.equations)
    shared, moved = normal.shared_covariance(result.equations)
    slopes, by_shape = joint_slopes(result.state.hands)
    # A change of the shared unknowns drags the moment's own along: both act on the joint.
    through = -slopes @ moved[:, None]
    through[..., :N_BETAS] += by_shape
    cov = slopes @ own[:, None] @ np.swapaxes(slopes, -1, -2) + through @ shared @ np.swapaxes(through, -1, -2)
    if evidence is not None and terms is not None:
        cov = cov + lasting_covariance(result, evidence, terms, slopes, by_shape)
    return cov


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
