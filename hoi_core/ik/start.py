"""Where a fit starts: the palm aligned, each bone's direction read as the angles of its joint."""

from __future__ import annotations

import numpy as np

from hoi_core import rotation
from hoi_core.biomechanics import N_FINGER_JOINTS, angles_to_rotations, bone_ends
from hoi_core.conventions import permutation
from hoi_core.ik._solve import Many
from hoi_core.ik.hand import IkHand
from hoi_core.types import F64, Bool

PALM = np.array([0, 1, 5, 9, 13, 17])
_TO_MANO = permutation("openpose21", "mano16")
_TIPS_BY_FINGER = np.array([4, 8, 12, 16, 20])  # thumb to little
_TIPS = np.array([8, 12, 20, 16, 4])  # openpose21, of the fingers in MANO's order


def rest_joints(hand: IkHand, betas: F64) -> F64:
    """Joints of the flat hand. `(B, 10) -> (B, 21, 3) m`."""
    flat: F64 = hand.arrays.template_m[:21] + np.einsum("jcs,bs->bjc", hand.arrays.shape_m[:21], betas)
    return flat


def from_joints(hand: IkHand, joints_m: F64, betas: F64, twist_rad: float = 0.0) -> Many:
    """Read a pose off the joints.

    Of the thumb, the base's twist is taken as given, for one bone alone does not show how it is twisted.

    Args:
        hand: of `ik_hand`.
        joints_m: `(B, 21, 3)` m, openpose21; NaN where unknown.
        betas: `(B, 10)`.
        twist_rad: of the thumb's base.

    Returns:
        Angles inside their limits; a bone with an unknown end is not bent.
    """
    rest = rest_joints(hand, betas)
    known: Bool = np.asarray(np.isfinite(joints_m).all(-1))
    weight = known[:, PALM].astype(np.float64) + 1e-9
    turned, shift = rotation.kabsch(rest[:, PALM], np.where(known[..., None], joints_m, rest)[:, PALM], weight)
    root = rest[:, 0]
    shift_m = shift + (turned @ root[..., None])[..., 0] - root
    frames = hand.arrays.frames
    # Axes of a left hand are those of a right one mirrored as rotations: its twists turn about the bones reversed.
    along = np.sign((frames[:, :, 2] * _rest_bones(hand)).sum(-1))
    angles = np.zeros((len(joints_m), N_FINGER_JOINTS, 3))
    lowest, highest = _all_limits(hand)
    for finger in range(5):
        carrier = turned
        for part in range(3):
            j = 3 * finger + part
            a = _TO_MANO[1 + j]
            b = _TIPS[finger] if part == 2 else _TO_MANO[2 + j]
            bone = np.where((known[:, a] & known[:, b])[:, None], joints_m[:, b] - joints_m[:, a], 0.0)
            own = along[j] * np.einsum("ji,bkj,bk->bi", frames[j], carrier, bone)
            length = np.maximum(np.linalg.norm(own, axis=-1), 1e-9)
            own[length <= 1e-9, 2] = 1.0
            angles[:, j, 1] = np.arcsin(np.clip(own[:, 0] / length, -1.0, 1.0))
            angles[:, j, 0] = np.arctan2(-own[:, 1], own[:, 2])
            if j == 12:
                angles[:, j, 2] = twist_rad
            angles[:, j] = np.clip(angles[:, j], lowest[j], highest[j])
            carrier = carrier @ angles_to_rotations(angles[:, j : j + 1], frames[j : j + 1])[:, 0]
    return Many(
        np.ascontiguousarray(turned),
        np.ascontiguousarray(shift_m),
        np.ascontiguousarray(hand.dof.pack(angles)),
        np.array(betas, dtype=np.float64),
    )


def _rest_bones(hand: IkHand) -> F64:
    """(15, 3) m the template's bone of each finger joint."""
    rest = hand.arrays.template_m[:21]
    return bone_ends(rest[_TO_MANO], rest[_TIPS_BY_FINGER]) - rest[_TO_MANO[1:]]


def _all_limits(hand: IkHand) -> tuple[F64, F64]:
    """Limits of all angles; zero of those that do not turn. `(15, 3), (15, 3)` rad."""
    return hand.dof.unpack(hand.dof.limits_rad[:, 0]), hand.dof.unpack(hand.dof.limits_rad[:, 1])
