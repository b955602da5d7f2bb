"""Poses of the stand-in hand: ten named ones, and the family of grasps whose principal components it offers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hoi_core.biomechanics import axes_of_skeleton, clip_to_limits, pose_from_angles
from hoi_core.conventions import FINGERS
from hoi_core.mano.stand_in.skeleton import fingers, joints_m
from hoi_core.types import F64

_SAMPLES = 400
_SEED = 7
# Degrees. Each finger: knuckle flexion, knuckle abduction, middle and end joint flexion (index, middle, ring, little);
# the thumb: base flexion, abduction, twist, middle joint flexion, end joint flexion.
_POSES: dict[str, tuple[tuple[float, ...], ...]] = {
    "flat": ((0, 0, 0, 0),) * 4 + ((0, 0, 0, 0, 0),),
    "relaxed": ((18, 0, 25, 12), (24, 0, 30, 15), (28, 0, 32, 16), (30, 0, 30, 15), (8, -4, 8, 12, 15)),
    "fist": ((68, -2, 97, 61), (77, 0, 100, 62), (78, 2, 95, 60), (70, 5, 84, 64), (23, 14, -42, 24, 54)),
    "pinch": ((9, -12, 69, 54), (18, 0, 20, 10), (14, 0, 18, 9), (10, 0, 15, 8), (32, -15, 14, -20, -20)),
    "power": ((43, 4, 49, 29), (48, 0, 52, 30), (50, -3, 52, 30), (52, -4, 48, 28), (23, 0, 28, 23, 25)),
    "point": ((2, 0, 4, 2), (77, 0, 100, 62), (78, 2, 95, 60), (70, 4, 84, 65), (23, 19, -42, 54, 20)),
    "thumb_up": ((68, -2, 97, 61), (77, 0, 100, 62), (78, 2, 95, 61), (71, 5, 84, 63), (-25, 20, -5, -5, -10)),
    "splay": ((-6, 18, 4, 2), (-8, 1, 4, 2), (-6, -12, 4, 2), (-4, -22, 4, 2), (-18, 14, 0, -5, -5)),
    "ok": ((10, -9, 67, 56), (20, 2, 14, 6), (10, -4, 10, 5), (2, -12, 8, 4), (31, -14, 14, -20, -20)),
    "cylinder": ((38, 2, 58, 32), (42, 0, 60, 34), (44, -1, 60, 34), (48, 0, 55, 30), (30, 2, 35, 25, 30)),
}
NAMES = tuple(_POSES)
"""The named poses."""


@lru_cache(maxsize=1)
def skeleton_frames() -> F64:
    """Anatomical frames of the right stand-in hand's joints. `-> (15, 3, 3)`."""
    order = {finger.name: finger.points_m[3] for finger in fingers()}
    tips = np.stack([order[name] for name in FINGERS])
    return axes_of_skeleton(joints_m(), tips, "right")


def named_angles(name: str) -> F64:
    """Flexion, abduction and twist of a named pose. `-> (15, 3)` rad.

    Raises:
        KeyError: no such pose; `NAMES` lists them.
    """
    angles = np.zeros((15, 3))
    for base, (knuckle, aside, middle, end) in zip((0, 3, 9, 6), _POSES[name][:4], strict=True):
        angles[base, :2] = knuckle, aside
        angles[base + 1, 0], angles[base + 2, 0] = middle, end
    flexion, abduction, twist, middle, end = _POSES[name][4]
    angles[12] = flexion, abduction, twist
    angles[13, 0], angles[14, 0] = middle, end
    return np.deg2rad(angles)


def pose_of(angles: F64) -> F64:
    """Axis-angle of the right stand-in hand's joints. `(..., 15, 3) rad -> (..., 45) rad`."""
    return pose_from_angles(angles, skeleton_frames())


def grasp_family() -> F64:
    """Random mixtures of the named poses with independent variation of the fingers. `-> (400, 45)` rad, seeded."""
    rng = np.random.default_rng(_SEED)
    named = np.stack([named_angles(name) for name in NAMES])
    first, second = rng.integers(len(named), size=(2, _SAMPLES))
    share = rng.random((_SAMPLES, 1, 1))
    angles = share * named[first] + (1.0 - share) * named[second]
    angles = clip_to_limits(angles + rng.normal(0.0, 0.12, angles.shape))
    # A little of every rotation, so that the components span the whole pose space.
    return pose_of(angles) + rng.normal(0.0, 0.01, (_SAMPLES, 45))


def components() -> tuple[F64, F64]:
    """Principal components in rows, and mean, of the grasp family. `-> (45, 45), (45,)` rad."""
    poses = grasp_family()
    mean = poses.mean(0)
    _, _, rows = np.linalg.svd(poses - mean, full_matrices=False)
    largest = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], axis=1)
    return rows * np.sign(largest), mean
