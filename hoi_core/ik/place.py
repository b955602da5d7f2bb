"""Hands whose angles and shape are known, laid onto the joints that were seen."""

from __future__ import annotations

import numpy as np
from numba import njit

from hoi_core import rotation
from hoi_core.conventions import N_BETAS
from hoi_core.ik._equations import room_for
from hoi_core.ik._kernel import place_points, pose_skeleton
from hoi_core.ik._solve import Many
from hoi_core.ik.fit import Fitted
from hoi_core.ik.hand import Arrays, IkHand
from hoi_core.types import F64, Bool


@njit(cache=True, nogil=True)
def _place(hand: Arrays, many: Many, points_m: F64) -> None:
    """Points `(B, N, 3)` m of B hands, filled."""
    room = room_for(hand)
    for h in range(len(many.angles)):
        pose_skeleton(hand, many.turned[h], many.shift_m[h], many.angles[h], many.betas[h], room.pose)
        place_points(hand, room.pose, many.betas[h], room.carried, points_m[h])


def upright_points(hand: IkHand, angles: F64, betas: F64) -> F64:
    """Where a hand's points are, turned and moved nowhere.

    Args:
        hand: of `ik_hand`.
        angles: `(B, n)` rad, those of the hand.
        betas: `(B, 10)`.

    Returns:
        `(B, N, 3)` m: the 21 joints in the order `openpose21`, then the hand's vertices.

    Raises:
        ValueError: a shape does not fit.
    """
    count = len(angles)
    if angles.shape != (count, len(hand.dof)) or betas.shape != (count, N_BETAS):
        raise ValueError(f"expected (B, {len(hand.dof)}) and (B, {N_BETAS}), got {angles.shape} and {betas.shape}")
    points_m = np.empty((count, len(hand.arrays.template_m), 3))
    turned = np.tile(np.eye(3), (count, 1, 1))
    # Each other layout of memory would be compiled anew.
    given = (np.ascontiguousarray(values, dtype=np.float64) for values in (angles, betas))
    _place(hand.arrays, Many(turned, np.zeros((count, 3)), *given), points_m)
    return points_m


def laid_onto(hand: IkHand, angles: F64, betas: F64, joints_m: F64) -> Fitted:
    """Hands with these angles and shapes where they are nearest to joints (least squares, Kabsch 1976).

    Args:
        hand: of `ik_hand`.
        angles: `(B, n)` rad, those of the hand; clipped to their limits.
        betas: `(B, 10)`.
        joints_m: `(B, 21, 3)` m, openpose21; NaN where unknown.

    Returns:
        Hands that took no iteration, and what they cost: the mean squared distance of the known joints.
    """
    inside = hand.dof.clip(angles)
    points = upright_points(hand, inside, betas)[:, :21]
    known: Bool = np.asarray(np.isfinite(joints_m).all(-1))
    seen: F64 = np.where(known[..., None], joints_m, 0.0)
    weight = known.astype(np.float64) + 1e-9
    turned, shift = rotation.kabsch(points, seen, weight)
    off = np.einsum("bij,bkj->bki", turned, points) + shift[:, None] - seen
    # A hand turns about its wrist.
    root = points[:, 0]
    return Fitted(
        hand.dof,
        inside,
        rotation.log_so3(turned),
        shift + (turned @ root[..., None])[..., 0] - root,
        np.array(betas, dtype=np.float64),
        ((off**2).sum(-1) * known).sum(1) / np.maximum(known.sum(1), 1),
        np.zeros(len(inside), dtype=np.int64),
    )
