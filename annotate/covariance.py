"""How sure the fit is of each joint: the inverse of its normal equations, seen by the joints."""

from __future__ import annotations

import numpy as np

from annotate import equations as normal
from annotate.equations import DOF
from annotate.fit import FitResult
from annotate.hand import HandState
from hoi_core import rotation
from hoi_core.conventions import N_BETAS, N_JOINTS
from hoi_core.types import F64


def joint_covariance(result: FitResult, inflation: float) -> F64:
    """(M, 21, 3, 3) m^2 covariance of the joints.

    Args:
        result: of the fit.
        inflation: factor on the standard deviations for what the noise model leaves out (errors of neighbouring
            moments are alike, and no hand is exactly the model's); found by comparing with truth.
    """
    own = normal.moment_covariance(result.equations)
    shared, moved = normal.shared_covariance(result.equations)
    slopes, by_shape = joint_slopes(result.state.hands)
    # A change of the shared unknowns drags the moment's own along: both act on the joint.
    through = -slopes @ moved[:, None]
    through[..., :N_BETAS] += by_shape
    cov = slopes @ own[:, None] @ np.swapaxes(slopes, -1, -2) + through @ shared @ np.swapaxes(through, -1, -2)
    return inflation**2 * cov


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
