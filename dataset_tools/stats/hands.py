"""A hand's pose and the direction it is seen from, out of its joints alone, so that all datasets are measured alike.

Left hands are mirrored first: angles and directions mean the same for both.
"""

from __future__ import annotations

import numpy as np

from hoi_core.biomechanics import ABDUCTION, FLEXION, N_FINGER_JOINTS, angles_to_rotations
from hoi_core.conventions import BONES, permutation
from hoi_core.types import F64, Bool

# The wrist and the bases of the five fingers move as one with the palm.
_PALM = (0, 1, 5, 9, 13, 17)
_TO_MANO = permutation("openpose21", "mano16")
_FINGERS_IN_MANO = (5, 9, 17, 13, 1)  # openpose21's base joints, in the order of MANO's fingers
_THUMB = 12  # MANO's number of the thumb's base among the finger joints
_STRAIGHT_RAD = np.deg2rad(60.0)  # a finger whose flexions sum to more is bent


def as_right(joints_m: F64, left: Bool) -> F64:
    """Left hands mirrored at x = 0. `(N, 21, 3) m, (N,) -> (N, 21, 3) m`."""
    return joints_m * np.where(left[:, None, None], np.array([-1.0, 1.0, 1.0]), 1.0)


def palm_frames(joints_m: F64) -> F64:
    """Frames of right palms.

    Args:
        joints_m: `(N, 21, 3)` m of right hands, openpose21.

    Returns:
        `(N, 3, 3)`: columns point to the thumb's side, to the fingers, and out of the back of the hand; NaN where the
        wrist or a knuckle is unknown.
    """
    wrist, index, middle, little = (joints_m[:, j] for j in (0, 5, 9, 17))
    ahead = _unit(middle - wrist)
    back = np.cross(little - wrist, index - wrist)
    back = _unit(back - (back * ahead).sum(-1, keepdims=True) * ahead)
    return np.stack([np.cross(back, ahead), ahead, back], axis=-1)


def view_angles(joints_m: F64) -> F64:
    """Where the camera is, seen from the palm, and how the hand lies in the picture.

    Args:
        joints_m: `(N, 21, 3)` m of right hands in the camera's frame.

    Returns:
        `(N, 3)` rad: elevation (90 degrees: the camera sees the back of the hand, -90: the palm), azimuth about the
        palm's normal (0: the camera is where the fingers point to, 90: on the thumb's side), and roll (0: the fingers
        point up in the picture, 90: to its right).
    """
    frames = palm_frames(joints_m)
    centre = joints_m[:, list(_PALM)].mean(1)
    seen = np.einsum("nij,ni->nj", frames, -_unit(centre))
    elevation = np.arcsin(np.clip(seen[:, 2], -1.0, 1.0))
    ahead = frames[:, :, 1]
    return np.stack([elevation, np.arctan2(seen[:, 0], seen[:, 1]), np.arctan2(ahead[:, 0], -ahead[:, 1])], axis=-1)


def bone_lengths_m(joints_m: F64) -> F64:
    """Lengths of the twenty bones in the order of `conventions.BONES`. `(N, 21, 3) m -> (N, 20) m`."""
    parents, children = np.array(BONES).T
    return np.linalg.norm(joints_m[:, children] - joints_m[:, parents], axis=-1)


def joint_angles(joints_m: F64, template_m: F64, axes: F64) -> F64:
    """Flexion and abduction of the finger joints, as the directions of their bones show them.

    A bone's direction does not tell its twist. Twist is zero in every finger but the thumb; of the thumb's middle and
    end joint the size of the bend is given as flexion, and no abduction.

    Args:
        joints_m: `(N, 21, 3)` m of right hands.
        template_m: `(16, 3)` m, joints of a flat right hand, MANO's order.
        axes: `(15, 3, 3)` of `biomechanics.axes_of_skeleton`, of the same hand.

    Returns:
        `(N, 15, 2)` rad, flexion and abduction; NaN where a joint is unknown.
    """
    own = template_m[[int(np.flatnonzero(j == _TO_MANO)[0]) for j in _PALM]]
    palm = _rotations_onto(own, joints_m[:, list(_PALM)])
    out = np.full((len(joints_m), N_FINGER_JOINTS, 2), np.nan)
    for finger, base in enumerate(_FINGERS_IN_MANO):
        frame = palm
        for along in range(3):
            joint = 3 * finger + along
            bone = _unit(joints_m[:, base + along + 1] - joints_m[:, base + along])
            d = np.einsum("ji,nkj,nk->ni", axes[joint], frame, bone)
            angles = np.zeros((len(bone), N_FINGER_JOINTS, 3))
            angles[:, joint, FLEXION] = np.arctan2(-d[:, 1], d[:, 2])
            angles[:, joint, ABDUCTION] = np.arcsin(np.clip(d[:, 0], -1.0, 1.0))
            frame = frame @ angles_to_rotations(angles, axes)[:, joint]
            out[:, joint] = angles[:, joint, :2]
            if joint > _THUMB:
                out[:, joint] = np.stack([np.arccos(np.clip(d[:, 2], -1.0, 1.0)), np.full(len(d), np.nan)], axis=-1)
    return out


def bent_fingers(flexions: F64) -> F64:
    """Which of the five fingers are bent. `(N, 15) rad -> (N, 5)`, 1 or 0, NaN where unknown; thumb to little."""
    total = flexions.reshape(-1, 5, 3).sum(-1)[:, [4, 0, 1, 3, 2]]
    return np.where(np.isnan(total), np.nan, (total > _STRAIGHT_RAD).astype(np.float64))


def _rotations_onto(source_m: F64, target_m: F64) -> F64:
    """Rotations that bring one set of points nearest to others (Kabsch). `(K, 3), (N, K, 3) -> (N, 3, 3)`."""
    known = np.isfinite(target_m).all((1, 2))
    out = np.full((len(target_m), 3, 3), np.nan)
    if not known.any():
        return out
    centred = target_m[known] - target_m[known].mean(1, keepdims=True)
    U, _, Vt = np.linalg.svd(np.einsum("nki,kj->nij", centred, source_m - source_m.mean(0)))
    signs = np.ones((len(U), 3))
    signs[:, 2] = np.sign(np.linalg.det(U @ Vt))
    out[known] = (U * signs[:, None]) @ Vt
    return out


def _unit(v: F64) -> F64:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)
