"""Joint angles that mean something: flexion, abduction and twist of the fifteen finger joints, and their limits.

The axes come from the template's skeleton alone, so they hold for any hand model with MANO's joints. Angles of the
left hand have the same meaning as those of the right: bending the finger is positive, moving it towards the thumb's
side is positive.
"""

from __future__ import annotations

import numpy as np

from hoi_core.conventions import FINGERS, MANO_FINGERS, N_MANO_JOINTS, Side, mirror_axis_angle, mirror_x
from hoi_core.rotation import exp_so3, log_so3
from hoi_core.types import F64, Bool

N_FINGER_JOINTS = N_MANO_JOINTS - 1
FLEXION, ABDUCTION, TWIST = 0, 1, 2
# The thumb's pulp faces between the palm's normal and the little finger: the shares of the two.
_THUMB_PAD = (0.75, 0.66)


def _limits_deg() -> F64:
    """(15, 3, 2): ranges usual in the literature on hand kinematics; zero where the joint does not turn."""
    limits = np.zeros((N_FINGER_JOINTS, 3, 2))
    sideways = {0: (-20.0, 25.0), 3: (-15.0, 15.0), 6: (-28.0, 18.0), 9: (-20.0, 15.0)}  # index, middle, little, ring
    for base, abduction in sideways.items():
        limits[base, FLEXION] = -20.0, 90.0
        limits[base, ABDUCTION] = abduction
        limits[base + 1, FLEXION] = -5.0, 110.0
        limits[base + 2, FLEXION] = -5.0, 80.0
    limits[12] = (-40.0, 45.0), (-45.0, 45.0), (-45.0, 45.0)  # thumb: base
    limits[13] = (-20.0, 70.0), (-25.0, 25.0), (-30.0, 30.0)  # middle
    limits[14, FLEXION] = -20.0, 85.0  # end
    return limits


LIMITS_RAD: F64 = np.deg2rad(_limits_deg())
"""(15, 3, 2) rad: lowest and highest flexion, abduction and twist of each finger joint in MANO's order."""
LIMITS_RAD.flags.writeable = False
DOF_MASK: Bool = LIMITS_RAD[..., 1] > LIMITS_RAD[..., 0]
"""(15, 3): the 23 degrees of freedom that a hand has."""
DOF_MASK.flags.writeable = False


def _unit(v: F64) -> F64:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def bone_ends(joints_m: F64, tips_m: F64) -> F64:
    """Where the bone of each finger joint ends: at the next joint, or at the fingertip.

    Args:
        joints_m: `(16, 3)` m, MANO's joints.
        tips_m: `(5, 3)` m, fingertips thumb to little.

    Returns:
        `(15, 3)` m.
    """
    ends = np.concatenate([joints_m[2:], joints_m[:1]])
    ends[2::3] = tips_m[[FINGERS.index(finger) for finger in MANO_FINGERS]]
    return ends


def axes_of_skeleton(joints_m: F64, tips_m: F64, side: Side) -> F64:
    """Anatomical frame of each finger joint of a flat template.

    Args:
        joints_m: `(16, 3)` m, MANO's joints.
        tips_m: `(5, 3)` m, fingertips thumb to little.
        side: which hand it is.

    Returns:
        `(15, 3, 3)`: columns are the axes of flexion, abduction (towards the thumb) and twist (along the bone).
    """
    if side == "left":
        right = axes_of_skeleton(mirror_x(joints_m), mirror_x(tips_m), "right")
        return np.swapaxes(mirror_axis_angle(np.swapaxes(right, 1, 2)), 1, 2)
    wrist, index, little = joints_m[0], joints_m[1], joints_m[7]
    back = _unit(np.cross(little - wrist, index - wrist))
    ahead = _unit(joints_m[4] - wrist)
    thumbward = _unit(np.cross(back, ahead))
    bones = _unit(bone_ends(joints_m, tips_m) - joints_m[1:])
    pads = np.tile(-back, (N_FINGER_JOINTS, 1))
    pads[-3:] = -_THUMB_PAD[0] * back - _THUMB_PAD[1] * thumbward
    flexion = _unit(np.cross(bones, pads))
    return np.stack([flexion, np.cross(bones, flexion), bones], axis=-1)


def rotations_to_angles(rotations: F64, frames: F64) -> F64:
    """Angles of joint rotations, as flexion, then abduction, then twist (Grood and Suntay 1983).

    Args:
        rotations: `(..., 15, 3, 3)` in the template's axes.
        frames: `(15, 3, 3)` of `axes_of_skeleton`.

    Returns:
        `(..., 15, 3)` rad.
    """
    M = np.swapaxes(frames, -1, -2) @ rotations @ frames
    flexion = np.arctan2(-M[..., 1, 2], M[..., 2, 2])
    abduction = np.arcsin(np.clip(M[..., 0, 2], -1.0, 1.0))
    twist = np.arctan2(-M[..., 0, 1], M[..., 0, 0])
    return np.stack([flexion, abduction, twist], axis=-1)


def angles_to_rotations(angles: F64, frames: F64) -> F64:
    """Inverse of `rotations_to_angles`. `(..., 15, 3) rad, (15, 3, 3) -> (..., 15, 3, 3)`."""
    flexion, abduction, twist = (exp_so3(angles[..., k : k + 1] * frames[..., :, k]) for k in range(3))
    return flexion @ abduction @ twist


def anatomical_angles(pose: F64, frames: F64) -> F64:
    """Flexion, abduction and twist of an absolute pose. `(..., 45) rad, (15, 3, 3) -> (..., 15, 3) rad`."""
    rotations = exp_so3(np.asarray(pose, dtype=np.float64).reshape(*pose.shape[:-1], N_FINGER_JOINTS, 3))
    return rotations_to_angles(rotations, frames)


def pose_from_angles(angles: F64, frames: F64) -> F64:
    """Absolute pose of flexion, abduction and twist. `(..., 15, 3) rad, (15, 3, 3) -> (..., 45) rad`."""
    rotations = angles_to_rotations(np.asarray(angles, dtype=np.float64), frames)
    return log_so3(rotations).reshape(*angles.shape[:-2], 3 * N_FINGER_JOINTS)


def limit_violation(angles: F64) -> F64:
    """How far angles lie outside their limits, never negative. `(..., 15, 3) rad -> (..., 15, 3) rad`."""
    below, above = LIMITS_RAD[..., 0] - angles, angles - LIMITS_RAD[..., 1]
    return np.maximum(np.maximum(below, above), 0.0)


def clip_to_limits(angles: F64) -> F64:
    """Nearest angles within the limits. `(..., 15, 3) rad -> (..., 15, 3) rad`."""
    return np.clip(angles, LIMITS_RAD[..., 0], LIMITS_RAD[..., 1])
